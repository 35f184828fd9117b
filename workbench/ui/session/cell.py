"""Reads a Workbench cell: `bench.code = …` is the way back from code to panels.

The text is interpreted, never evaluated: assignments, literals, the constructors of models and data, and their verbs.
Anything else is a ModelError that points at it, so that a cell from a stranger cannot run code.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from inspect import signature
from typing import Any

import workbench
from workbench import engine
from workbench.data import GroupedData
from workbench.errors import ModelError
from workbench.methods import METHODS, USUAL
from workbench.model import Model
from workbench.results.fit import Settings

_MAKERS = frozenset(
    ["load_example", "read_data", "pk", "pkpd", "equation", "ode", "Model", "Parameter", "Transform", "Effect", "Block",
     "Constant", "Proportional", "Combined", "Combined2", "Power", "Exponential", "initial_values"]
)  # fmt: skip
_VERBS = {
    GroupedData: frozenset(["filter", "exclude", "mend", "convert", "with_units", "with_covariate_rule"]),
    Model: frozenset(
        ["with_structure", "with_parameter", "with_values", "with_iiv", "with_iov", "with_error", "with_correlate",
         "with_blq", "with_covariate", "without_covariate", "allometric", "with_centred", "with_settled_shapes",
         "without_values", "without_random_effects"]
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Fitted:
    """What `wb.fit(model, data, method=…)` in a cell asks for."""

    model: Model
    data: GroupedData
    method: object
    settings: Settings


@dataclass(frozen=True)
class Statement:
    """What a cell states; None where it does not say."""

    data: GroupedData | None
    model: Model | None
    method: object
    settings: Settings = ()


def read_cell(text: str, data: GroupedData | None = None) -> Statement:
    """Interpret a cell.

    Parameters
    ----------
    text : str
        As `bench.code` prints it; the statements may also differ.
    data : GroupedData, optional
        What `data` is where the cell's own expression for it needs a DataFrame of the notebook.

    Raises
    ------
    ModelError
        If it holds anything but statements about data, a model and a fit.
    DataError
        If the data that it names cannot be read.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ModelError(f"The code cannot be read: {error}") from None
    reader = _Reader(text, data)
    for node in tree.body:
        reader.run(node)
    found = reader.names
    fits = [value for value in found.values() if isinstance(value, Fitted)]
    if fits:
        return Statement(fits[-1].data, fits[-1].model, fits[-1].method, fits[-1].settings)
    models = [value for value in found.values() if isinstance(value, Model)]
    sets = [value for value in found.values() if isinstance(value, GroupedData)]
    return Statement(sets[-1] if sets else None, models[-1] if models else None, None)


class _Reader:
    def __init__(self, text: str, data: GroupedData | None):
        self.text, self.data = text, data
        self.names: dict[str, Any] = {}

    def run(self, node: ast.stmt) -> None:
        match node:
            case ast.Import(names=[ast.alias(name="workbench", asname="wb")]):
                return
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if name == "data" and self.data is not None and _needs_frame(value):
                    self.names[name] = self.data
                else:
                    self.names[name] = self.value(value)
            case ast.Expr(value=ast.Name() | ast.Constant()):
                return
            case _:
                raise self.refused(node)

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=str() | int() | float() | bool() | None):
                return node.value
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self.value(operand)
                if isinstance(number, int | float):
                    return -number
            case ast.List(elts=items):
                return [self.value(item) for item in items]
            case ast.Tuple(elts=items):
                return tuple(self.value(item) for item in items)
            case ast.Dict(keys=keys, values=values) if None not in keys:
                names = [self.value(key) for key in keys if key is not None]
                if all(isinstance(name, str | int | float | bool | None) for name in names):
                    return dict(zip(names, map(self.value, values), strict=True))
            case ast.Call(func=ast.Attribute(value=owner, attr=attribute), args=args, keywords=keywords):
                given = [self.value(arg) for arg in args]
                return self.call(node, owner, attribute, given, self.keywords(keywords))
        raise self.refused(node)

    def keywords(self, given: list[ast.keyword]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for keyword in given:
            value = self.value(keyword.value)
            if keyword.arg is not None:
                named[keyword.arg] = value
            elif isinstance(value, dict) and all(isinstance(name, str) for name in value):
                named |= value
            else:
                raise self.refused(keyword.value)
        return named

    def call(self, node: ast.expr, owner: ast.expr, attribute: str, given: list[Any], named: dict[str, Any]) -> Any:
        if isinstance(owner, ast.Name) and owner.id == "wb":
            if attribute == "fit":
                function: Any = _fitted
            elif attribute in (makers := _makers()):
                function = makers[attribute]
            else:
                raise self.refused(node)
        else:
            target = self.value(owner)
            if attribute not in _VERBS.get(type(target), ()):
                raise self.refused(node)
            function = getattr(target, attribute)
        try:
            return function(*given, **named)
        except (TypeError, AttributeError) as error:
            raise ModelError(f"{ast.unparse(node)}: {error}") from None

    def refused(self, node: ast.stmt | ast.expr) -> ModelError:
        shown = (ast.get_source_segment(self.text, node) or "this").split("\n")[0]
        return ModelError(
            f"Line {node.lineno} of the code: {shown!r} is not a statement about data, a model or a fit. Allowed are "
            f"wb.{', wb.'.join(sorted(_makers()))}, wb.fit and the verbs of data and models."
        )


def _makers() -> dict[str, Any]:
    """What makes data, a model, or the options of a method, by name."""
    return {
        **{name: getattr(workbench, name) for name in _MAKERS},
        **{method.options.__name__: method.options for method in METHODS.values() if method.options is not None},
    }


def _fitted(*given: Any, **named: Any) -> Fitted:
    """What `fit` would be asked for by these arguments; it takes all of them but the callback."""
    if "callback" in named:
        raise ModelError("wb.fit(…) in a cell that is read takes no callback.")
    stated = signature(engine.fit).bind(*given, **named).arguments
    model, data = stated["model"], stated["data"]
    if not isinstance(model, Model) or not isinstance(data, GroupedData):
        raise ModelError("wb.fit(…) takes a model, then data.")
    return Fitted(model, data, stated.get("method", USUAL), engine.unusual(stated))


def _needs_frame(node: ast.expr) -> bool:
    return any(isinstance(n, ast.Name) and n.id not in ("wb", "data") for n in ast.walk(node))
