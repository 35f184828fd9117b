"""What a structure returns to those who compute, draw or search with it: compartments, or equations. Plain values.

`Kinetics` says what flows where; drawing, closed forms, initial values and checks read it, and `library.differential`
writes its equations. `Explicit` and `Differential` are equations as trees, for structures without a closed form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from workbench.language.tree import Expression, names_in

WrittenIn = Literal["clearance", "rate", "macro", "half-life"]
TURNOVER = ("inhibit input", "inhibit output", "stimulate input", "stimulate output")  # types I to IV


@dataclass(frozen=True)
class Flow:
    """Drug that leaves one compartment at a rate in proportion to what is there.

    Attributes
    ----------
    source : str
    target : str or None
        None: it leaves the body.
    rate : str
        Rate constant, as it stands in equations.
    label : str
        The same in parameters of the model, as it stands in a drawing.
    """

    source: str
    target: str | None
    rate: str
    label: str


@dataclass(frozen=True)
class Input:
    """How doses enter a compartment: which share of the amount, after which lag, during what time.

    Attributes
    ----------
    target : str
    share : str or None
        Part of the dose that goes this way, an expression; None: all of it.
    bioavailability, lag, duration : str or None
        Names of parameters; None: all of it arrives, at once.
    """

    target: str
    share: str | None = None
    bioavailability: str | None = None
    lag: str | None = None
    duration: str | None = None

    @property
    def fraction(self) -> str | None:
        """What the amount is multiplied by, as an expression."""
        return "*".join(filter(None, (self.bioavailability, self.share))) or None


@dataclass(frozen=True)
class Pharmacodynamics:
    """An effect of the concentration in the central compartment.

    Attributes
    ----------
    response : str
        "linear", "emax", "sigmoid emax", "imax" or "sigmoid imax".
    link : str
        "direct", "effect compartment", or one of `TURNOVER`.
    """

    response: str
    link: str

    @property
    def is_turnover(self) -> bool:
        """Whether the drug acts on the production or loss of the response (indirect response)."""
        return self.link in TURNOVER

    @property
    def drug(self) -> tuple[str, ...]:
        """The parameters of how the concentration acts."""
        if self.response == "linear":
            return ("slope",)
        pair = ("Imax", "IC50") if "imax" in self.response else ("Emax", "EC50")
        return (*pair, "gamma") if self.response.startswith("sigmoid") else pair

    @property
    def names(self) -> tuple[str, ...]:
        """All parameters of the effect."""
        own = {"effect compartment": ("ke0", "E0"), "direct": ("E0",)}.get(self.link, ("kin", "kout"))
        return (*own, *self.drug)

    def text(self, c: str, E: str, hill: str) -> str:
        """The effect as text, or for an indirect response its rate of change.

        Parameters
        ----------
        c, E : str
            Names of the concentration that acts, and of the effect.
        hill : str
            c^gamma/(half^gamma + c^gamma), with {c} and {half} where the names go.
        """
        inhibits = "imax" in self.response
        if self.response == "linear":
            drug = f"slope*{c}"
        else:
            largest, half, *sigmoid = self.drug
            drug = f"{largest}*{hill.format(c=c, half=half)}" if sigmoid else f"{largest}*{c}/({half} + {c})"
        factor = f"(1 {'-' if inhibits else '+'} {drug})"
        if self.is_turnover:
            return f"kin*{factor} - kout*{E}" if self.link.endswith("input") else f"kin - kout*{factor}*{E}"
        return f"E0*{factor}" if inhibits else f"E0 + {drug}"


@dataclass(frozen=True)
class Kinetics:
    """Compartments: what flows where, how doses enter, and what acts on top.

    Compartments are "transit0" … and "depot" before "central", and "peripheral" or "peripheral1", "peripheral2".

    Attributes
    ----------
    parameters : tuple of str
        All of the structure, in the order in which the engine takes them.
    written_in : {"clearance", "rate", "macro", "half-life"}
        What the disposition is stated by.
    relations : dict of str to str
        Rate constants and central volume from the parameters, in an order in which they can be computed.
    flows : tuple of Flow
        All but saturable elimination.
    inputs : tuple of Input
        Where the doses of the route that absorption, lag and bioavailability are about go in.
    volume : str
        Name of the central volume.
    peripherals : tuple of str
    absorbs : bool
        Doses into compartment (CMT) 1 are absorbed, 2 is the central one; else 1 is.
    transits : int
        Transit compartments between the one that takes the dose and the depot; 0: no such chain.
    saturable : bool
        There is elimination Vm·c/(Km + c), from the central compartment.
    effect : Pharmacodynamics, optional
        What is predicted besides the concentration.
    """

    parameters: tuple[str, ...]
    written_in: WrittenIn
    relations: Mapping[str, str]
    flows: tuple[Flow, ...]
    inputs: tuple[Input, ...]
    volume: str
    peripherals: tuple[str, ...] = ()
    absorbs: bool = False
    transits: int = 0
    saturable: bool = False
    effect: Pharmacodynamics | None = None

    @property
    def is_linear(self) -> bool:
        """Whether the concentration, which is all that is predicted, has a closed form."""
        return not (self.saturable or self.transits or self.effect)

    @property
    def size(self) -> int:
        """How many compartments the drug is distributed in: the central one and the peripheral ones."""
        return 1 + len(self.peripherals)

    @property
    def central(self) -> int:
        """Number (CMT) of the central compartment."""
        return 2 if self.absorbs else 1

    @property
    def before(self) -> tuple[Flow, ...]:
        """Flows through the compartments before the central one, in order."""
        return tuple(flow for flow in self.flows if flow.source.startswith(("transit", "depot")))


@dataclass(frozen=True)
class Explicit:
    """Equations that give the responses from time, dose and parameters.

    Attributes
    ----------
    text : str
        What states them: equal texts are equal equations.
    names : tuple of str
        Parameters, in the order in which the engine takes them.
    columns : tuple of str
        Columns of the data that they use.
    definitions : dict of str to Expression
        Intermediates in an order in which they can be computed.
    outputs : dict of str to Expression
        One by response.
    """

    text: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    definitions: Mapping[str, Expression]
    outputs: Mapping[str, Expression]


@dataclass(frozen=True)
class Differential:
    """Differential equations of states, and what is predicted from them.

    Attributes
    ----------
    text, names, columns, definitions, outputs
        As of `Explicit`.
    rates : dict of str to Expression
        Derivative in time, by state.
    initial, lag, bioavailability, duration : dict of str to Expression
        By state; a state that is not there begins at 0, and doses enter it at once and whole.
    dosing : tuple of tuple of int
        States, by index, that a dose enters: of the doses with CMT 1, 2, …; CMT 0 is CMT 1.
    stiff : bool, optional
        None: found by subject.
    rtol, atol : float
        Errors allowed.
    """

    text: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    definitions: Mapping[str, Expression]
    outputs: Mapping[str, Expression]
    rates: Mapping[str, Expression]
    initial: Mapping[str, Expression]
    lag: Mapping[str, Expression]
    bioavailability: Mapping[str, Expression]
    duration: Mapping[str, Expression]
    dosing: tuple[tuple[int, ...], ...]
    stiff: bool | None
    rtol: float
    atol: float

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states, in order of their equations."""
        return tuple(self.rates)


System = Explicit | Differential


def times_moved_by(said: Kinetics | System | None) -> frozenset[str]:
    """Parameters that move events in time: those of which lags and durations of what enters are made.

    What else is a time, a half-life or a mean transit time, bends a curve and moves nothing.
    """
    if isinstance(said, Kinetics):
        return frozenset(name for entry in said.inputs for name in (entry.lag, entry.duration) if name is not None)
    if not isinstance(said, Differential):
        return frozenset()
    asked, seen = [*said.lag.values(), *said.duration.values()], set[str]()
    while asked:
        names = {name.name for name in names_in(asked.pop())} - seen
        seen |= names
        asked += [said.definitions[name] for name in names if name in said.definitions]
    return frozenset(seen & set(said.names))
