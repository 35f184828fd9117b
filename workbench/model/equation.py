"""Structures that are an expression of time, dose, covariates and parameters: growth curves, Emax, and the like."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from workbench.errors import ModelError
from workbench.language.latex import symbol
from workbench.language.reading import MOST_OPERATIONS, Source, Statement, in_order, read, read_expression
from workbench.language.tree import FUNCTIONS, Expression, latex, operations, reaches
from workbench.model.structure import ParameterInfo, Shown

RESERVED = ("t", "dose", "tad")


@dataclass(frozen=True)
class _Parsed:
    definitions: dict[str, Expression]
    outputs: dict[str, Expression]
    names: tuple[str, ...]
    uses: frozenset[str]


@dataclass(frozen=True, repr=False)
class Equation(Shown):
    """An explicit structural model; `equation` makes one and describes the rules.

    Attributes
    ----------
    text : str
    covariates : tuple of str
    outputs : tuple of (str, str)
        Name and expression of each response; empty: the last statement of the text is the only one.
    """

    text: str
    covariates: tuple[str, ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        _ = self._parsed

    @cached_property
    def _parsed(self) -> _Parsed:
        return _parse(self.text, self.covariates, self.outputs)

    @property
    def definitions(self) -> dict[str, Expression]:
        """Intermediates in an order in which they can be computed."""
        return self._parsed.definitions

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """One per response."""
        return tuple(self._parsed.outputs.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order of first appearance."""
        return self._parsed.names

    @property
    def info(self) -> tuple[ParameterInfo, ...]:
        """The parameters, in the order in which the engine takes them."""
        return tuple(ParameterInfo(name, "parameter of the equation", "") for name in self.names)

    @property
    def title(self) -> str:
        """One line for headings."""
        line = self.text.splitlines()[-1].strip()
        return f"equation {line if len(line) <= 60 else line[:59] + '…'}"

    @property
    def responses(self) -> tuple[str, ...]:
        """Names of what is predicted."""
        return tuple(self._parsed.outputs)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the equation uses."""
        return self.covariates

    @property
    def needs_dose(self) -> bool:
        """Whether the dose, or the time since it, occurs."""
        return bool({"dose", "tad"} & self._parsed.uses)

    def equations(self) -> list[str]:
        """The statements as LaTeX."""
        named = self._parsed.definitions | {
            name: expression for name, expression in self._parsed.outputs.items() if name != "response"
        }
        lines = [f"{symbol(name)} = {latex(expression)}" for name, expression in named.items()]
        alone = self._parsed.outputs.get("response")
        return lines if alone is None else [*lines, f"f = {latex(alone)}"]

    def diagram(self) -> None:
        """Nothing: there are no compartments."""
        return None

    def __repr__(self) -> str:
        parts = [quoted(self.text)]
        if self.covariates:
            parts.append(f"covariates={list(self.covariates)!r}")
        if self.outputs:
            parts.append(f"responses={quoted(dict(self.outputs))}")
        return f"wb.equation({', '.join(parts)})"


def equation(text: str, covariates: str | Iterable[str] = (), responses: Mapping[str, str] | None = None) -> Equation:
    """State a structural model as an equation.

    Parameters
    ----------
    text : str
        Statements, one a line or separated by semicolons: `name = expression` for intermediates, in any order, and last
        the response, alone or with a name. Allowed are numbers, names, + - * / ^ (or **), brackets, and the functions
        exp log sqrt abs sin cos tan tanh min max erf expit logit phi; where(condition, a, b) chooses by a
        comparison; pi is the number. Three names are reserved: `t` is the time of the record, `dose` the amount of
        the last dose and `tad` the time since it (both 0 before the first). All other names that are neither
        defined nor covariates are parameters.
    covariates : str or sequence of str, optional
        Names in the text that are columns of the data.
    responses : dict of str to str, optional
        For several responses, the expression of each by name; the text then holds intermediates only.

    Returns
    -------
    Equation

    Raises
    ------
    ModelError
        If the text holds anything not allowed; the message points at the character.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.equation("Asym/(1 + exp(-(t - xmid)/scal))").names
    ('Asym', 'xmid', 'scal')
    """
    outputs = tuple((str(name), value) for name, value in (responses or {}).items())
    return Equation(text.strip() if isinstance(text, str) else text, name_tuple(covariates, "covariates"), outputs)


def name_tuple(names: str | Iterable[str], what: str) -> tuple[str, ...]:
    """One name or several as a tuple of different ones."""
    found = (names,) if isinstance(names, str) else tuple(names or ())
    wrong = [name for name in found if not isinstance(name, str) or not name]
    if wrong or len(set(found)) < len(found):
        raise ModelError(f"{what}= holds different names, got {found!r}.")
    return found


def quoted(value: object) -> str:
    """Text, and dicts and lists of text, as Python with double quotes."""
    return json.dumps(value, ensure_ascii=False)


def _parse(text: str, covariates: tuple[str, ...], outputs: tuple[tuple[str, str], ...]) -> _Parsed:
    source, statements = read(text, "The equation")
    for statement in statements:
        if statement.kind in ("rate", "initial"):
            raise source.error(statement.at, "differential equations are for wb.ode(…).")
    found: dict[str, tuple[Source, Statement]] = {}
    results: dict[str, tuple[Source, Expression]] = {}
    if not outputs:
        *statements, last = statements
        results[last.name or "response"] = (source, last.expression)
        if last.name:
            check_new(source, last, found, covariates)
    for statement in statements:
        if statement.kind == "expression":
            message = "only the last statement is an expression alone." if not outputs else "this is used for nothing."
            raise source.error(statement.at, message, "Write name = expression.")
        check_new(source, statement, found, covariates)
        found[statement.name] = (source, statement)
    for name, value in outputs:
        results[name] = read_expression(value, f"The response {name}")
    sizes: dict[str, int] = {}
    definitions = {name: found[name][1].expression for name in in_order(found)}
    for name, expression in definitions.items():
        sizes[name] = operations(expression, sizes)
    for where, expression in results.values():
        if operations(expression, sizes) > MOST_OPERATIONS:
            raise where.error(0, f"this needs more than {MOST_OPERATIONS:,} operations.")

    trees = [statement.expression for _, statement in found.values()] + [tree for _, tree in results.values()]
    needed = {name.name for name in reaches((tree for _, tree in results.values()), definitions)}
    for name, (where, statement) in found.items():
        if name not in needed:
            raise where.error(statement.at, f"{name} is defined but used for nothing.")
    used = list(dict.fromkeys(name.name for name in reaches(trees, definitions)))
    absent = [name for name in covariates if name not in used]
    if absent:
        raise ModelError(f"The equation: covariates= names {', '.join(absent)}, which the text does not use.")
    names = tuple(name for name in used if name not in (*definitions, *covariates, *RESERVED))
    return _Parsed(definitions, {name: tree for name, (_, tree) in results.items()}, names, frozenset(used))


def check_new(
    source: Source, statement: Statement, found: Iterable[str], covariates: Iterable[str], kind: str = "intermediate"
) -> None:
    """Refuse a statement that gives a name which means something already."""
    name = statement.name
    if name in RESERVED:
        meaning = {"t": "the time", "dose": "the amount of the last dose", "tad": "the time since the last dose"}[name]
        raise source.error(statement.at, f"{name} is {meaning}; it cannot be set.")
    if name in found:
        raise source.error(statement.at, f"{name} is given twice.")
    if name in covariates:
        raise source.error(statement.at, f"{name} is a covariate; an {kind} needs another name.")
    if name in FUNCTIONS:
        raise source.error(statement.at, f"{name} is a function already.")
