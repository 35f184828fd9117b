"""Structures that are differential equations: compartments, turnover, growth, anything with states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from workbench.checks import finite, is_whole, one_of
from workbench.errors import ModelError
from workbench.language.latex import rate_of_change, symbol
from workbench.language.reading import MOST_OPERATIONS, Source, Statement, in_order, read, read_expression
from workbench.language.tree import Expression, constant, evaluate, latex, operations, reaches
from workbench.model.equation import RESERVED, Definitions, check_needed, check_new, name_tuple, quoted, sizes_of
from workbench.model.kinetics import Differential
from workbench.model.structure import ParameterInfo, Shown

MOST_STATES = 100
_TIMES = {"t": "the time", "dose": "the last dose", "tad": "the time since the last dose"}
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, repr=False)
class Ode(Shown):
    """Differential equations; `ode` makes one and describes the rules.

    Attributes
    ----------
    text : str
    outputs : tuple of (str, str)
        Name and expression of each response.
    targets : tuple of (int, tuple of str)
        States that a dose with this CMT enters; empty: CMT n is the n-th state.
    covariates : tuple of str
    lag, bioavailability, duration : tuple of (str, str)
        Expression by state.
    stiff : bool, optional
    rtol, atol : float
    parameters : tuple of str
        Order of the parameters if it is not that of first appearance.
    """

    text: str
    outputs: Pairs
    targets: tuple[tuple[int, tuple[str, ...]], ...] = ()
    covariates: tuple[str, ...] = ()
    lag: Pairs = ()
    bioavailability: Pairs = ()
    duration: Pairs = ()
    stiff: bool | None = None
    rtol: float = 1e-8
    atol: float = 1e-10
    parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _ = self.system

    @cached_property
    def system(self) -> Differential:
        """The text as trees."""
        return _parse(self)

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states, in order of their equations."""
        return self.system.states

    @property
    def dosing(self) -> tuple[str, ...]:
        """States that doses enter: of the doses with CMT 1, 2, …; CMT 0 is CMT 1."""
        return tuple(" and ".join(self.states[state] for state in states) for states in self.system.dosing)

    @property
    def timed(self) -> tuple[int, ...]:
        """Numbers (CMT) of the compartments whose doses have a duration that is a parameter."""
        timed = {self.states.index(name) for name, _ in self.duration}
        return tuple(number for number, states in enumerate(self.system.dosing, 1) if timed & set(states))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters: in order of first appearance in the text, the responses, lag, F and duration."""
        return self.system.names

    def as_ode(self) -> Ode:
        """Itself."""
        return self

    @property
    def info(self) -> tuple[ParameterInfo, ...]:
        """The parameters, in the order in which the engine takes them."""
        return tuple(ParameterInfo(name, "parameter of the equations", "", known=False) for name in self.names)

    @property
    def title(self) -> str:
        """One line for headings."""
        n = len(self.states)
        listed = ", ".join(self.states) if n <= 6 else f"{self.states[0]}, …, {self.states[-1]}"
        return f"differential equation of {listed}" if n == 1 else f"{n} differential equations: {listed}"

    @property
    def responses(self) -> tuple[str, ...]:
        """Names of what is predicted."""
        return tuple(self.system.outputs)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the equations use."""
        return self.covariates

    @property
    def needs_dose(self) -> bool:
        """Whether every state stays at 0 without a dose."""
        system = self.system
        if any(constant(tree) != 0.0 for tree in system.initial.values()):
            return False
        values = dict.fromkeys((*self.names, *self.covariates), 0.7) | dict.fromkeys(self.states, 0.0)
        values |= {"t": 1.0, "dose": 0.0, "tad": 1.0}
        for name, expression in system.definitions.items():
            values[name] = evaluate(expression, values)
        return all(evaluate(rate, values) == 0.0 for rate in system.rates.values())

    def equations(self) -> list[str]:
        """Intermediates, differential equations, initial values, dosing and responses as LaTeX."""
        system = self.system
        lines = [f"{symbol(name)} = {latex(tree)}" for name, tree in system.definitions.items()]
        lines += [rate_of_change(symbol(state), latex(tree)) for state, tree in system.rates.items()]
        lines += [f"{symbol(state)}(0) = {latex(tree)}" for state, tree in system.initial.items()]
        for sign, table in (
            (r"t_{\mathrm{lag}", system.lag),
            ("F_{", system.bioavailability),
            (r"t_{\mathrm{duration}", system.duration),
        ):
            lines += [rf"{sign}\,{symbol(state)}}} = {latex(tree)}" for state, tree in table.items()]
        return lines + [
            f"{symbol(name)} = {latex(tree)}"
            for name, tree in system.outputs.items()
            if (name, name) not in self.outputs
        ]

    def __repr__(self) -> str:
        parts = [quoted(self.text)]
        ((first, expression), *others) = self.outputs
        if others or first not in (expression, "response"):
            parts.append(f"response={quoted(dict(self.outputs))}")
        elif expression != "C":
            parts.append(f"response={quoted(expression)}")
        if self.targets:
            parts.append(f"dose={ {number: list(names) for number, names in self.targets}!r}")
        if self.covariates:
            parts.append(f"covariates={list(self.covariates)!r}")
        for name in ("lag", "bioavailability", "duration"):
            if getattr(self, name):
                parts.append(f"{name}={quoted(dict(getattr(self, name)))}")
        for name, default in (("stiff", None), ("rtol", 1e-8), ("atol", 1e-10)):
            if getattr(self, name) != default:
                parts.append(f"{name}={getattr(self, name)!r}")
        if self.parameters:
            parts.append(f"parameters={list(self.parameters)!r}")
        return f"wb.ode({', '.join(parts)})"


def ode(
    text: str,
    response: str | Mapping[str, str] = "C",
    dose: str | Mapping[int, str | Iterable[str]] | None = None,
    covariates: str | Iterable[str] = (),
    lag: Mapping[str, str] | None = None,
    bioavailability: Mapping[str, str] | None = None,
    duration: Mapping[str, str] | None = None,
    stiff: bool | None = None,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    parameters: Iterable[str] = (),
) -> Ode:
    """State a structural model as differential equations.

    Parameters
    ----------
    text : str
        Statements, one a line or separated by semicolons, in any order: ``d/dt A = expression`` (or ``dA/dt = …``)
        for each state, ``A(0) = expression`` for those that do not begin at 0, ``name = expression`` for
        intermediates. Expressions are those of `equation`; `t` is the time, `dose` the amount of the last dose and
        `tad` the time since it was given, lags left aside (both 0 before the first). All names that are neither
        states nor defined nor covariates are parameters. Conditions in where(…) are differentiated branch by branch: a
        parameter that moves the place of a jump must do it through `lag` or `duration`.
    response : str or dict of str to str
        What is observed: a state, an intermediate or an expression; several by name.
    dose : str, or dict of int to str or list of str, optional
        The state that doses enter, or for each number of a compartment (CMT) the state, or states: each of them is then
        given the whole dose times its bioavailability. None: CMT n is the n-th state. Doses without CMT are of CMT 1.
    covariates : str or sequence of str, optional
        Names in the text that are columns of the data.
    lag, bioavailability, duration : dict of str to str, optional
        By state, an expression of parameters: doses enter it later by `lag`; the fraction `bioavailability` of them
        enters; doses without a stated rate enter over the time `duration` at a constant rate.
    stiff : bool, optional
        None: an explicit method (Dormand-Prince 8(5,3)), and for subjects for whom it is the stability that keeps its
        steps short an implicit one (ESDIRK 5(4)). True, False: the implicit, the explicit one only.
    rtol, atol : float
        Error allowed in a step, relative to a state and relative to the largest value that the state has had.
        First derivatives are held to 10 times that; the second ones go along.
    parameters : sequence of str, optional
        The parameters in the order wanted; by default in order of first appearance.

    Returns
    -------
    Ode

    Raises
    ------
    ModelError
        If the text holds anything not allowed; the message points at the character.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.ode("d/dt A = -ka*A; d/dt C = ka*A/V - Vm*C/(Km + C)/V").names
    ('ka', 'V', 'Vm', 'Km')
    """
    if isinstance(response, str):
        outputs: tuple[tuple[str, Any], ...] = ((response if response.isidentifier() else "response", response),)
    elif isinstance(response, Mapping) and response:
        outputs = tuple((str(name), expression) for name, expression in response.items())
    else:
        raise ModelError(f"response= is text such as 'C' or 'A/V', or a dict of such, got {response!r}.")
    if dose is None:
        into: dict[int, tuple[str, ...]] = {}
    elif isinstance(dose, str):
        into = {1: (dose,)}
    elif isinstance(dose, Mapping) and dose and all(is_whole(n) and 1 <= n <= 1000 for n in dose):
        into = {int(number): name_tuple(names, f"dose={{{number}: …}}, which") for number, names in dose.items()}
    else:
        raise ModelError(f"dose= is a state, or a dict such as {{1: 'depot', 2: 'central'}}, got {dose!r}.")
    one_of("stiff", stiff, (None, True, False))
    tolerances = finite(rtol, "rtol"), finite(atol, "atol")
    if not (1e-13 <= tolerances[0] <= 0.1 and 1e-16 <= tolerances[1] <= 0.1):
        raise ModelError(f"rtol={rtol!r}, atol={atol!r}: allowed is 1e-13 ≤ rtol ≤ 0.1 and 1e-16 ≤ atol ≤ 0.1.")
    return Ode(
        text.strip() if isinstance(text, str) else text,
        outputs,
        tuple(sorted(into.items())),
        name_tuple(covariates, "covariates"),
        _pairs(lag, "lag"),
        _pairs(bioavailability, "bioavailability"),
        _pairs(duration, "duration"),
        stiff,
        *tolerances,
        name_tuple(parameters, "parameters"),
    )


def _pairs(table: Mapping[str, str] | None, what: str) -> Pairs:
    if table is not None and not isinstance(table, Mapping):
        raise ModelError(f"{what}= is a dict of expressions by state such as {{'A': 'p'}}, got {table!r}.")
    return tuple((str(state), str(expression)) for state, expression in (table or {}).items())


@dataclass
class _Statements:
    """What the text states, by name."""

    source: Source
    rates: dict[str, Statement] = field(default_factory=dict)
    initial: dict[str, Statement] = field(default_factory=dict)
    found: Definitions = field(default_factory=dict)
    order: list[Expression] = field(default_factory=list)  # all expressions as they were typed


def _parse(structure: Ode) -> Differential:
    """Read the statements, then what is said beside them; what they need is there, and all that is there is needed."""
    stated = _statements(structure)
    definitions = {name: stated.found[name][1].expression for name in in_order(stated.found)}
    changing = _changing(stated, definitions)
    for name, statement in stated.initial.items():
        _require_constant(stated.source, statement.expression, changing, f"{name}(0)")
    outputs = _outputs(structure, stated, definitions)
    lag, bioavailability, duration = (
        _by_state(pairs, what, stated, changing)
        for pairs, what in (
            (structure.lag, "lag"), (structure.bioavailability, "bioavailability"), (structure.duration, "duration"),
        )
    )  # fmt: skip
    dosing = _dosing(structure, tuple(stated.rates))
    rates = {name: statement.expression for name, statement in stated.rates.items()}
    initial = {name: statement.expression for name, statement in stated.initial.items()}
    beside = [*outputs.values(), *lag.values(), *bioavailability.values(), *duration.values()]
    results = [*rates.values(), *initial.values(), *beside]
    check_needed(stated.found, results, definitions)
    sizes = sizes_of(definitions)
    if sum(operations(tree, sizes) for tree in results) > MOST_OPERATIONS:
        raise ModelError(f"The ODE: it needs more than {MOST_OPERATIONS:,} operations.")
    names = _names(structure, [*stated.order, *beside], rates, definitions)
    return Differential(
        repr(structure), names, structure.covariates, definitions, outputs, rates, initial, lag, bioavailability,
        duration, dosing, structure.stiff, structure.rtol, structure.atol,
    )  # fmt: skip


def _statements(structure: Ode) -> _Statements:
    """Rates, initial values and intermediates; each name has one meaning."""
    source, statements = read(structure.text, "The ODE")
    states = {statement.name for statement in statements if statement.kind == "rate"}
    if not states:
        raise source.error(0, "there is no differential equation.", "Write d/dt A = … for each state A.")
    if len(states) > MOST_STATES:
        raise source.error(0, f"{len(states)} states; at most {MOST_STATES} are allowed.")
    stated = _Statements(source, order=[statement.expression for statement in statements])
    for statement in statements:
        name = statement.name
        if statement.kind == "expression":
            raise source.error(statement.at, "an expression alone has no use here.", "Write name = expression.")
        check_new(source, statement, (), structure.covariates, "state" if name in states else "intermediate")
        if statement.kind == "rate":
            if name in stated.rates:
                raise source.error(statement.at, f"d/dt {name} is given twice.")
            stated.rates[name] = statement
        elif statement.kind == "initial":
            if name not in states:
                known = ", ".join(stated.rates) or "…"
                message = f"{name}(0) is given, but there is no d/dt {name} = …; states are {known}."
                raise source.error(statement.at, message)
            if name in stated.initial:
                raise source.error(statement.at, f"{name}(0) is given twice.")
            stated.initial[name] = statement
        else:
            if name in states:
                raise source.error(statement.at, f"{name} is a state; an intermediate needs another name.")
            check_new(source, statement, stated.found, ())
            stated.found[name] = (source, statement)
    return stated


def _changing(stated: _Statements, definitions: Mapping[str, Expression]) -> set[str]:
    """What changes with the time: it, the states, and what depends on them."""
    changing = {*stated.rates, *RESERVED}
    for name, tree in definitions.items():
        if changing & {part.name for part in reaches([tree], definitions)}:
            changing.add(name)
    return changing


def _outputs(structure: Ode, stated: _Statements, definitions: Mapping[str, Expression]) -> dict[str, Expression]:
    """The responses; each depends on a state."""
    outputs = {}
    for name, text in structure.outputs:
        where, tree = read_expression(text, "The response" if name == "response" else f"The response {name}")
        if not set(stated.rates) & {part.name for part in reaches([tree], definitions)}:
            mend = f"Say what is observed by response=; states are {', '.join(stated.rates)}."
            raise where.error(0, "the response depends on no state.", mend)
        outputs[name] = tree
    return outputs


def _by_state(pairs: Pairs, what: str, stated: _Statements, changing: set[str]) -> dict[str, Expression]:
    """Expressions of parameters, by state: lags, fractions, durations."""
    table = {}
    for state, text in pairs:
        if state not in stated.rates:
            raise ModelError(f"{what}= names {state}, which is no state; states are {', '.join(stated.rates)}.")
        where, tree = read_expression(text, f"The {what} of {state}")
        _require_constant(where, tree, changing, f"{what} of {state}")
        table[state] = tree
    return table


def _dosing(structure: Ode, states: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """States, by index, that doses enter, by CMT from 1."""
    if not structure.targets:
        return tuple((state,) for state in range(len(states)))
    for number, names in structure.targets:
        for name in names:
            if name not in states:
                raise ModelError(f"dose= sends CMT {number} to {name}, no state; states are {', '.join(states)}.")
    into = {number: tuple(states.index(name) for name in names) for number, names in structure.targets}
    return tuple(into.get(number, ()) for number in range(1, max(into) + 1))


def _names(
    structure: Ode, trees: list[Expression], states: Iterable[str], definitions: Mapping[str, Expression]
) -> tuple[str, ...]:
    """The parameters: what is left of the names that occur."""
    used = list(dict.fromkeys(part.name for part in reaches(trees, definitions)))
    absent = [name for name in structure.covariates if name not in used]
    if absent:
        raise ModelError(f"The ODE: covariates= names {', '.join(absent)}, which the text does not use.")
    names = tuple(name for name in used if name not in (*states, *definitions, *structure.covariates, *RESERVED))
    if structure.parameters and set(structure.parameters) != set(names):
        raise ModelError(
            f"parameters= has {', '.join(structure.parameters)}, but the parameters are {', '.join(names)}."
        )
    return structure.parameters or names


def _require_constant(source: Source, tree: Expression, changing: set[str], what: str) -> None:
    for part in reaches([tree], {}):
        if part.name in changing:
            kind = _TIMES.get(part.name, "a state, or depends on one or on the time")
            raise source.error(part.at, f"{what} is an expression of parameters and covariates; {part.name} is {kind}.")
