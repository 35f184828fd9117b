"""Nonlinear mixed-effects modelling that lives in a notebook.

    import workbench as wb
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))

Names are loaded when first used, so that `import workbench` stays fast.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "DataError": "errors", "ModelError": "errors", "FitError": "errors", "WorkbenchError": "errors",
    "GroupedData": "data", "read_data": "data", "load_example": "data",
    "pk": "model", "pkpd": "model", "equation": "model", "ode": "model",
    "Model": "model", "Parameter": "model", "Block": "model", "Effect": "model", "Finding": "findings",
    "Constant": "model", "Proportional": "model", "Combined": "model", "Combined2": "model", "Power": "model",
    "Exponential": "model", "ResidualError": "model", "ErrorParameter": "model",
    "Quadrature": "methods", "Importance": "methods", "Saem": "methods",
    "TwoStage": "methods",
    "objective": "engine", "fit": "engine", "predict": "engine", "simulate": "engine", "initial_values": "engine",
    "likelihood_ratio_test": "inference", "profile": "inference", "bootstrap": "inference", "sir": "inference",
    "screen": "screening", "Screening": "screening",
    "compare": "screening", "linearised_screen": "screening", "stepwise": "screening",
    "full_covariate_model": "screening", "forest": "screening", "bootstrap_inclusion": "screening",
    "randomisation_test": "screening",
    "FitResult": "results", "Status": "results",
    "Workbench": "ui",
}  # fmt: skip

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    value = getattr(import_module(f"workbench.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
