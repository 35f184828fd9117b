"""Nonlinear mixed-effects modelling that lives in a notebook.

    import workbench as wb
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))

The public names stand in `__init__.pyi`, for this file and for type checkers. They are loaded when first used, so that
`import workbench` stays fast.
"""

import ast as _ast
from importlib import import_module as _import_module
from pkgutil import get_data as _get_data

__version__ = "0.1.0"


def _public() -> dict[str, str]:
    """The module that each public name comes from."""
    listed = _ast.parse(_get_data(__name__, "__init__.pyi") or b"")
    imports = (node for node in listed.body if isinstance(node, _ast.ImportFrom))
    return {alias.name: node.module or "" for node in imports for alias in node.names}


_PUBLIC = _public()

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    home = _PUBLIC[name]
    value = _import_module(f"{home}.{name}") if home == __name__ else getattr(_import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
