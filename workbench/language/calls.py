"""Python that states things, read and never evaluated: assignments, literals, named makers and named verbs of values.

A cell or a saved model from a stranger can thus make what the makers make, and nothing else.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from workbench.errors import ModelError

LONGEST = 1_000_000  # characters: a model has a few hundred


class Reader:
    """Reads statements and keeps the values of their names.

    Parameters
    ----------
    text : str
    makers : mapping of str to callable
        What `wb.name(…)` calls.
    verbs : mapping of type to set of str
        The methods that may be called, by the type of their value.
    standing : mapping of str to value
        What a name is where the expression assigned to it needs a name that is not known here.

    Attributes
    ----------
    names : dict
        Values by the names that they were assigned to.

    Raises
    ------
    ModelError
        If the text is not Python, or holds anything else.
    """

    def __init__(
        self,
        text: str,
        makers: Mapping[str, Callable[..., Any]],
        verbs: Mapping[type, frozenset[str]] | None = None,
        standing: Mapping[str, Any] | None = None,
    ):
        self._text, self._makers, self._verbs = text, makers, verbs or {}
        self._standing = standing or {}
        self.names: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Read all statements; the values of the names."""
        for node in self._parsed("exec").body:
            self._statement(node)
        return self.names

    def evaluate(self) -> Any:
        """Read a single expression."""
        return self._value(self._parsed("eval").body)

    def _parsed(self, mode: str) -> Any:
        if len(self._text) > LONGEST:
            raise ModelError(f"The code has {len(self._text):,} characters; at most {LONGEST:,} are read.")
        try:
            return ast.parse(self._text, mode=mode)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ModelError(f"The code cannot be read: {error}") from None

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Import(names=[ast.alias(name="workbench", asname="wb")]):
                return
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if name in self._standing and self._needs_more(value):
                    self.names[name] = self._standing[name]
                else:
                    self.names[name] = self._value(value)
            case ast.Expr(value=ast.Name() | ast.Constant()):
                return
            case _:
                raise self._refused(node)

    def _needs_more(self, node: ast.expr) -> bool:
        known = {"wb", *self._standing}
        return any(isinstance(n, ast.Name) and n.id not in known for n in ast.walk(node))

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=str() | int() | float() | bool() | None):
                return node.value
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self._value(operand)
                if isinstance(number, int | float):
                    return -number
            case ast.List(elts=items):
                return [self._value(item) for item in items]
            case ast.Tuple(elts=items):
                return tuple(self._value(item) for item in items)
            case ast.Dict(keys=keys, values=values) if None not in keys:
                names = [self._value(key) for key in keys if key is not None]
                if all(isinstance(name, str | int | float | bool | None) for name in names):
                    return dict(zip(names, map(self._value, values), strict=True))
            case ast.Call(func=function, args=args, keywords=keywords):
                return self._call(node, function, [self._value(arg) for arg in args], self._keywords(keywords))
        raise self._refused(node)

    def _keywords(self, given: list[ast.keyword]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for keyword in given:
            value = self._value(keyword.value)
            if keyword.arg is not None:
                named[keyword.arg] = value
            elif isinstance(value, dict) and all(isinstance(name, str) for name in value):
                named |= value
            else:
                raise self._refused(keyword.value)
        return named

    def _call(self, node: ast.expr, function: ast.expr, given: list[Any], named: dict[str, Any]) -> Any:
        call: Any
        match function:
            case ast.Attribute(value=ast.Name(id="wb"), attr=name) if name in self._makers:
                call = self._makers[name]
            case ast.Name(id=name) if name in self._makers and name[:1].isupper():
                call = self._makers[name]  # a class of the notebook's own
            case ast.Attribute(value=owner, attr=name) if not _is_package(owner):
                target = self._value(owner)
                if name not in self._verbs.get(type(target), ()):
                    raise self._refused(node)
                call = getattr(target, name)
            case _:
                raise self._refused(node)
        try:
            return call(*given, **named)
        except (TypeError, AttributeError) as error:
            raise ModelError(f"{ast.unparse(node)}: {error}") from None

    def _refused(self, node: ast.stmt | ast.expr) -> ModelError:
        shown = (ast.get_source_segment(self._text, node) or "this").split("\n")[0]
        verbs = " and the verbs of data and models" if self._verbs else ""
        return ModelError(
            f"Line {node.lineno} of the code: {shown!r} is not a statement about data, a model or a fit. Allowed are "
            f"wb.{', wb.'.join(sorted(self._makers))}{verbs}."
        )


def _is_package(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "wb"
