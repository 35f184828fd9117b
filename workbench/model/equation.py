"""Structures that are an expression of time, dose, covariates and parameters: growth curves, Emax, and the like."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from workbench.errors import ModelError
from workbench.language.latex import symbol
from workbench.language.reading import MOST_OPERATIONS, Source, Statement, in_order, read, read_expression
from workbench.language.tree import FUNCTIONS, Expression, latex, names_in, operations, reaches
from workbench.model.kinetics import Explicit
from workbench.model.structure import ParameterInfo, Shown

RESERVED = ("t", "dose", "tad")
Definitions = dict[str, tuple[Source, Statement]]


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
        _ = self.system

    @cached_property
    def system(self) -> Explicit:
        """The text as trees."""
        return _parse(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order of first appearance."""
        return self.system.names

    @property
    def info(self) -> tuple[ParameterInfo, ...]:
        """The parameters, in the order in which the engine takes them."""
        return tuple(ParameterInfo(name, "parameter of the equation", "", known=False) for name in self.names)

    @property
    def title(self) -> str:
        """One line for headings."""
        line = self.text.splitlines()[-1].strip()
        return f"equation {line if len(line) <= 60 else line[:59] + '…'}"

    @property
    def responses(self) -> tuple[str, ...]:
        """Names of what is predicted."""
        return tuple(self.system.outputs)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the equation uses."""
        return self.covariates

    @property
    def needs_dose(self) -> bool:
        """Whether the dose, or the time since it, occurs."""
        trees = [*self.system.definitions.values(), *self.system.outputs.values()]
        return any(name.name in ("dose", "tad") for tree in trees for name in names_in(tree))

    def equations(self) -> list[str]:
        """The statements as LaTeX."""
        system = self.system
        named = {**system.definitions, **{name: tree for name, tree in system.outputs.items() if name != "response"}}
        lines = [f"{symbol(name)} = {latex(tree)}" for name, tree in named.items()]
        alone = system.outputs.get("response")
        return lines if alone is None else [*lines, f"f = {latex(alone)}"]

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


def _parse(structure: Equation) -> Explicit:
    """Read the statements, then the responses; what they need is there, and all that is there is needed."""
    covariates = structure.covariates
    found, outputs = _statements(structure)
    definitions = {name: found[name][1].expression for name in in_order(found)}
    sizes = sizes_of(definitions)
    for where, tree in outputs.values():
        if operations(tree, sizes) > MOST_OPERATIONS:
            raise where.error(0, f"this needs more than {MOST_OPERATIONS:,} operations.")
    results = {name: tree for name, (_, tree) in outputs.items()}
    check_needed(found, results.values(), definitions)
    trees = [statement.expression for _, statement in found.values()]
    used = list(dict.fromkeys(name.name for name in reaches([*trees, *results.values()], definitions)))
    absent = [name for name in covariates if name not in used]
    if absent:
        raise ModelError(f"The equation: covariates= names {', '.join(absent)}, which the text does not use.")
    names = tuple(name for name in used if name not in (*definitions, *covariates, *RESERVED))
    return Explicit(repr(structure), names, covariates, definitions, results)


def _statements(structure: Equation) -> tuple[Definitions, dict[str, tuple[Source, Expression]]]:
    """Intermediates and responses, each with the text that it stands in."""
    source, statements = read(structure.text, "The equation")
    for statement in statements:
        if statement.kind in ("rate", "initial"):
            raise source.error(statement.at, "differential equations are for wb.ode(…).")
    found: Definitions = {}
    outputs: dict[str, tuple[Source, Expression]] = {}
    if not structure.outputs:
        *statements, last = statements
        outputs[last.name or "response"] = (source, last.expression)
        if last.name:
            check_new(source, last, found, structure.covariates)
    for statement in statements:
        if statement.kind == "expression":
            alone = "only the last statement is an expression alone."
            message = "this is used for nothing." if structure.outputs else alone
            raise source.error(statement.at, message, "Write name = expression.")
        check_new(source, statement, found, structure.covariates)
        found[statement.name] = (source, statement)
    for name, value in structure.outputs:
        outputs[name] = read_expression(value, f"The response {name}")
    return found, outputs


def sizes_of(definitions: Mapping[str, Expression]) -> dict[str, int]:
    """How many operations each intermediate needs, when those before it are put in."""
    sizes: dict[str, int] = {}
    for name, tree in definitions.items():
        sizes[name] = operations(tree, sizes)
    return sizes


def check_needed(found: Definitions, results: Iterable[Expression], definitions: Mapping[str, Expression]) -> None:
    """Refuse intermediates that no result needs."""
    needed = {name.name for name in reaches(results, definitions)}
    for name, (source, statement) in found.items():
        if name not in needed:
            raise source.error(statement.at, f"{name} is defined but used for nothing.")


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
