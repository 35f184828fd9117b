"""Structural models: which parameters they have and what those mean. The library of compartment models."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np

from workbench.errors import ModelError

if TYPE_CHECKING:
    from workbench.model.ode import Ode

Dimension = Literal[
    "clearance", "volume", "rate constant", "time", "fraction", "amount", "amount per time", "concentration",
    "per volume", "number", "effect", "",
]  # fmt: skip


@dataclass(frozen=True)
class ParameterInfo:
    """What a structural parameter means.

    Attributes
    ----------
    name : str
    meaning : str
        In words, for panels and reports.
    dimension : str
        One of "clearance", "volume", "rate constant", "time", "fraction", "amount", "amount per time",
        "concentration", "per volume", "number", "effect", or "" where nothing is known. Its unit follows from
        those of the data, see `workbench.data.derived_unit`.
    range : (float, float), optional
        Where values usually lie in people, if doses are in mg, times in h and concentrations in mg/L; a hint only.
    transform : str
        Scale on which the parameter is best estimated: "log", or "logit" for a fraction.
    """

    name: str
    meaning: str
    dimension: Dimension
    range: tuple[float, float] | None = None
    transform: str = "log"


class Structure(Protocol):
    """A structural model: anything that names its parameters, shows its equations and prints itself as Python."""

    @property
    def info(self) -> tuple[ParameterInfo, ...]:
        """The parameters, in the order in which the engine takes them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the same order."""

    @property
    def title(self) -> str:
        """One line for headings."""

    @property
    def responses(self) -> tuple[str, ...]:
        """Names of what is predicted; the labels of DVID in the data belong to them, in order."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the equations themselves use."""

    @property
    def needs_dose(self) -> bool:
        """Whether it predicts nothing of interest without a dose."""

    def equations(self) -> list[str]:
        """The equations, each as LaTeX without delimiters."""

    def diagram(self) -> str | None:
        """A drawing of the compartments as SVG; None where there is nothing to draw."""

    def _repr_latex_(self) -> str: ...

    def _repr_html_(self) -> str: ...


class Shown:
    """How a structure appears in a notebook: in the library and for equations of the user's own."""

    def _repr_latex_(self: Structure) -> str:
        from workbench.language.latex import aligned

        return aligned(self.equations())

    def _repr_html_(self: Structure) -> str:
        from workbench.model.library.drawing import render_html

        return render_html(self)


Absorption = Literal["first-order", "zero-order", "parallel", "transit"]
Elimination = Literal["linear", "michaelis-menten", "parallel"]
Parameters = Literal["clearance", "rate", "macro", "half-life"]
Lag = bool | Literal["first-order", "zero-order", "both"]

MOST_TRANSITS = 50

_ABSORPTION: dict[str | None, tuple[str, ...]] = {
    None: (),
    "first-order": ("ka",),
    "zero-order": ("Tk0",),
    "parallel": ("Fr", "ka", "Tk0"),
    "transit": ("mtt", "ka"),
}
_DISPOSITION: dict[str, dict[int, tuple[str, ...]]] = {
    "clearance": {1: ("CL", "V"), 2: ("CL", "V1", "Q", "V2"), 3: ("CL", "V1", "Q2", "V2", "Q3", "V3")},
    "rate": {1: ("k", "V"), 2: ("k", "V1", "k12", "k21"), 3: ("k", "V1", "k12", "k21", "k13", "k31")},
    "macro": {1: ("A", "alpha"), 2: ("A", "alpha", "B", "beta"), 3: ("A", "alpha", "B", "beta", "C", "gamma")},
    "half-life": {1: ("V", "t_half"), 2: ("A", "t_half_alpha", "B", "t_half_beta")},
}
_INFO = {
    info.name: info
    for info in (
        ParameterInfo("ka", "absorption rate constant", "rate constant", (0.05, 10.0)),
        ParameterInfo("Tk0", "duration of zero-order absorption", "time", (0.1, 24.0)),
        ParameterInfo("Fr", "fraction absorbed at first order", "fraction", (0.05, 0.95), "logit"),
        ParameterInfo("mtt", "mean transit time from the dose to the depot", "time", (0.1, 10.0)),
        ParameterInfo("CL", "clearance", "clearance", (0.1, 100.0)),
        ParameterInfo("V", "volume of distribution", "volume", (1.0, 1000.0)),
        ParameterInfo("V1", "volume of the central compartment", "volume", (1.0, 300.0)),
        ParameterInfo("Q", "clearance between the central and the peripheral compartment", "clearance", (0.1, 100.0)),
        ParameterInfo("V2", "volume of the peripheral compartment", "volume", (1.0, 1000.0)),
        ParameterInfo("Q2", "clearance between the central and the second compartment", "clearance", (0.1, 100.0)),
        ParameterInfo("Q3", "clearance between the central and the third compartment", "clearance", (0.05, 50.0)),
        ParameterInfo("V3", "volume of the third compartment", "volume", (1.0, 3000.0)),
        ParameterInfo("k", "elimination rate constant", "rate constant", (0.005, 5.0)),
        ParameterInfo("k12", "rate constant, central to peripheral compartment", "rate constant", (0.01, 10.0)),
        ParameterInfo("k21", "rate constant, peripheral to central compartment", "rate constant", (0.01, 10.0)),
        ParameterInfo("k13", "rate constant, central to third compartment", "rate constant", (0.005, 5.0)),
        ParameterInfo("k31", "rate constant, third to central compartment", "rate constant", (0.002, 2.0)),
        ParameterInfo("A", "first coefficient, concentration per unit dose", "per volume", (0.001, 1.0)),
        ParameterInfo("alpha", "first rate of decline", "rate constant", (0.05, 20.0)),
        ParameterInfo("B", "second coefficient, concentration per unit dose", "per volume", (0.0005, 0.5)),
        ParameterInfo("beta", "second rate of decline", "rate constant", (0.005, 2.0)),
        ParameterInfo("C", "third coefficient, concentration per unit dose", "per volume", (0.0001, 0.1)),
        ParameterInfo("gamma", "third rate of decline", "rate constant", (0.001, 0.2)),
        ParameterInfo("t_half", "elimination half-life", "time", (0.2, 200.0)),
        ParameterInfo("t_half_alpha", "half-life of the first exponential", "time", (0.05, 10.0)),
        ParameterInfo("t_half_beta", "half-life of the second exponential", "time", (0.5, 200.0)),
        ParameterInfo("Vm", "maximal rate of saturable elimination", "amount per time", (0.1, 1000.0)),
        ParameterInfo("Km", "concentration at half the maximal rate", "concentration", (0.01, 100.0)),
        ParameterInfo("lag", "lag time of absorption", "time", (0.05, 4.0)),
        ParameterInfo("lag0", "lag time of zero-order absorption", "time", (0.05, 4.0)),
        ParameterInfo("F", "bioavailability", "fraction", (0.05, 0.99), "logit"),
    )
}
_OF_THREE = {  # where the second compartment is not the only peripheral one
    "V2": "volume of the second compartment",
    "k12": "rate constant, central to second compartment",
    "k21": "rate constant, second to central compartment",
}


@dataclass(frozen=True, repr=False)
class PK(Shown):
    """A compartment model; `pk` makes one and describes the choices.

    Attributes
    ----------
    compartments : {1, 2, 3}
    absorption : {None, "first-order", "zero-order", "parallel", "transit"}
    elimination : {"linear", "michaelis-menten", "parallel"}
    parameters : {"clearance", "rate", "macro", "half-life"}
    lag : bool or {"first-order", "zero-order", "both"}
    bioavailability : bool
    transits : int, optional
    """

    compartments: int = 1
    absorption: Absorption | None = None
    elimination: Elimination = "linear"
    parameters: Parameters = "clearance"
    lag: Lag = False
    bioavailability: bool = False
    transits: int | None = None

    def __post_init__(self) -> None:
        _check(self)

    # -- parameters --------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order in which the engine takes them."""
        disposition = _DISPOSITION[self.parameters][self.compartments]
        if self.elimination == "michaelis-menten":
            disposition = ("Vm", "Km", *disposition[1:])
        elif self.elimination == "parallel":
            disposition = (*disposition, "Vm", "Km")
        lags = ("lag", "lag0") if self.lag == "both" else ("lag",) if self.lag else ()
        return (*_ABSORPTION[self.absorption], *disposition, *lags, *(("F",) if self.bioavailability else ()))

    @property
    def info(self) -> tuple[ParameterInfo, ...]:
        """The parameters, in the same order."""
        return tuple(self._about(_INFO[name]) for name in self.names)

    def _about(self, info: ParameterInfo) -> ParameterInfo:
        meaning = info.meaning
        if self.compartments == 3:
            meaning = _OF_THREE.get(info.name, meaning)
        if info.name == "lag" and self.absorption is None:
            meaning = "lag time of the dose"
        if info.name == "lag" and self.lag in ("first-order", "zero-order", "both"):
            meaning = f"lag time of {'zero' if self.lag == 'zero-order' else 'first'}-order absorption"
        if info.name in ("k", "CL") and self.elimination == "parallel":
            meaning = {"k": "rate constant of linear elimination", "CL": "clearance of linear elimination"}[info.name]
        return replace(info, meaning=meaning)

    # -- what it is --------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """One line for headings."""
        absorption = {
            None: "intravenous bolus or infusion",
            "first-order": "first-order absorption",
            "zero-order": "zero-order absorption",
            "parallel": "parallel first- and zero-order absorption",
            "transit": f"absorption through {self.transits} transit compartment{'' if self.transits == 1 else 's'}",
        }[self.absorption]
        lag = {
            True: "lag", "first-order": "first-order lag", "zero-order": "zero-order lag", "both": "two lags",
        }.get(self.lag) if self.lag else None  # fmt: skip
        extras = [extra for extra in (lag, "bioavailability" if self.bioavailability else None) if extra]
        parts = [f"{self.compartments}-compartment", absorption + (f" with {' and '.join(extras)}" if extras else "")]
        if self.elimination != "linear":
            linear = "linear and " if self.elimination == "parallel" else ""
            parts.append(f"{linear}Michaelis-Menten elimination")
        return ", ".join(parts)

    @property
    def responses(self) -> tuple[str, ...]:
        """What is predicted: the concentration in the central compartment."""
        return ("concentration",)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the equations use: none."""
        return ()

    @property
    def needs_dose(self) -> bool:
        """Whether it predicts 0 everywhere without a dose."""
        return True

    @property
    def dosing(self) -> tuple[str, ...]:
        """The compartments that doses can go into; CMT counts them from 1, and 0 means 1."""
        route = {None: (), "zero-order": ("central, at zero order",), "parallel": ("both routes",)}
        first = route.get(self.absorption, ("transit chain",) if self.absorption == "transit" else ("depot",))
        peripheral = ((), ("peripheral",), ("peripheral 1", "peripheral 2"))[self.compartments - 1]
        return (*first, "central", *peripheral)

    @property
    def is_linear(self) -> bool:
        """Whether the predictions have a closed form; otherwise the engine integrates `as_ode()`."""
        return self.elimination == "linear" and self.absorption != "transit"

    # -- equations ---------------------------------------------------------------------------------------------

    def ode_text(self) -> str:
        """The same model as text for `wb.ode`; doses, lags and fractions are in `as_ode`."""
        from workbench.model.library.kinetics import kinetics

        return kinetics(self).text

    def as_ode(self) -> Ode:
        """The same model as `wb.ode(…)`: same parameters in the same order, same compartments for doses."""
        from workbench.model.library.kinetics import kinetics

        return kinetics(self).as_ode()

    def equations(self) -> list[str]:
        """Differential equations of the amounts, input, concentration and secondary relations, as LaTeX."""
        from workbench.model.library.drawing import equations

        return equations(self)

    def diagram(self) -> str:
        """The compartments as SVG."""
        from workbench.model.library.drawing import diagram

        return diagram(self)

    def __repr__(self) -> str:
        changed = [f for f in fields(self) if f.name == "compartments" or getattr(self, f.name) != f.default]
        parts = (f"{f.name}={_quoted(getattr(self, f.name))}" for f in changed)
        return f"wb.pk({', '.join(parts)})"


def pk(
    compartments: int = 1,
    absorption: Absorption | None = None,
    elimination: Elimination = "linear",
    parameters: Parameters = "clearance",
    lag: Lag = False,
    bioavailability: bool = False,
    transits: int | None = None,
) -> PK:
    """State a compartment model; the doses come from the data.

    Parameters
    ----------
    compartments : {1, 2, 3}
        The central compartment and none, one or two peripheral ones.
    absorption : {None, "first-order", "zero-order", "parallel", "transit"}
        None: doses go into the central compartment, as a bolus or, where the data state a rate or a duration, as
        an infusion. "first-order": into a depot that empties into the central compartment at rate `ka`.
        "zero-order": into the central compartment at a constant rate during `Tk0`. "parallel": the fraction `Fr` into
        the depot, the rest at zero order. "transit": through a chain of compartments, see `transits`.
    elimination : {"linear", "michaelis-menten", "parallel"}
        "michaelis-menten": Vm·C/(Km + C) in amount per time. "parallel": linear elimination besides it.
    parameters : {"clearance", "rate", "macro", "half-life"}
        "clearance": CL, V; CL, V1, Q, V2; CL, V1, Q2, V2, Q3, V3. "rate": rate constants k, k12, k21, k13, k31 and the
        central volume. "macro": coefficients and rates of the exponentials after a unit dose into the central
        compartment, C(t) = A·exp(-alpha·t) + B·exp(-beta·t) + C·exp(-gamma·t). "half-life": V, t_half; A,
        t_half_alpha, B, t_half_beta. The last two are for linear elimination.
    lag : bool or {"first-order", "zero-order", "both"}
        A lag time before absorption, or before each dose if there is no absorption. For parallel absorption: True is
        one `lag` for both parts, "first-order" and "zero-order" are for one part, "both" gives the
        first-order part `lag` and the zero-order part `lag0`.
    bioavailability : bool
        A fraction `F` of each dose that is absorbed (or given, if there is no absorption) arrives.
    transits : int, optional
        For absorption="transit": how many transit compartments, at most 50, lie between the one that takes the dose
        and the depot. Each of these is left at rate (transits + 1)/mtt, so that `mtt` is the mean time from
        the dose to the depot (Savic et al. 2007, J Pharmacokinet Pharmacodyn 34:711).

    Returns
    -------
    PK
        With an absorption, doses into compartment (CMT) 1 are absorbed, 2 is the central compartment, 3 and 4 are
        peripheral. Without, 1 is the central compartment, 2 and 3 are peripheral.

    Raises
    ------
    ModelError
        If an argument is none of those named, or if two of them do not go together.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.pk(compartments=1, absorption="first-order").names
    ('ka', 'CL', 'V')
    >>> wb.pk(compartments=2, absorption="first-order", lag=True, elimination="michaelis-menten").names
    ('ka', 'Vm', 'Km', 'V1', 'Q', 'V2', 'lag')
    """
    compartments = int(compartments) if isinstance(compartments, np.integer) else compartments
    transits = int(transits) if isinstance(transits, np.integer) else transits
    return PK(compartments, absorption, elimination, parameters, lag, bioavailability, transits)


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def one_of(function: str, argument: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Refuse a value that is not one of those allowed (1, 1.0 and True are not the same)."""
    if not any(type(value) is type(choice) and value == choice for choice in allowed):
        raise ModelError(f"{function}({argument}={value!r}): allowed is {' or '.join(map(_quoted, allowed))}.")


def _check(structure: PK) -> None:
    """Every argument is one of those allowed, and they go together."""
    parameters, elimination, lag, transits = (
        structure.parameters, structure.elimination, structure.lag, structure.transits,
    )  # fmt: skip
    if isinstance(elimination, str) and elimination in get_args(Parameters):
        mend = f'write parameters="{elimination}"'
        raise ModelError(f'pk(elimination="{elimination}"): that is a choice of parameters; {mend}.')
    for argument, allowed in (
        ("compartments", (1, 2, 3)),
        ("absorption", tuple(_ABSORPTION)),
        ("elimination", get_args(Elimination)),
        ("parameters", tuple(_DISPOSITION)),
        ("lag", (False, True, "first-order", "zero-order", "both")),
        ("bioavailability", (False, True)),
    ):
        one_of("pk", argument, getattr(structure, argument), allowed)
    if structure.compartments not in _DISPOSITION[parameters]:
        raise ModelError(
            f'pk(compartments={structure.compartments}, parameters="{parameters}"): half-lives are offered for 1 or 2 '
            'compartments; write parameters="macro", whose rates are log(2) over the half-lives.'
        )
    if elimination != "linear" and parameters in ("macro", "half-life"):
        raise ModelError(
            f'pk(elimination="{elimination}", parameters="{parameters}"): exponentials describe linear '
            'elimination only; write parameters="clearance" or "rate".'
        )
    if isinstance(lag, str) and structure.absorption != "parallel":
        raise ModelError(
            f'pk(lag="{lag}"): that is for absorption="parallel", which has a first- and a zero-order part; here it '
            f"is {_quoted(structure.absorption)}. Write lag=True."
        )
    if structure.absorption == "transit":
        if type(transits) is not int or not 1 <= transits <= MOST_TRANSITS:
            raise ModelError(
                f'pk(absorption="transit", transits={transits!r}): allowed is a whole number from 1 to '
                f"{MOST_TRANSITS}, how many transit compartments there are; write transits=3."
            )
    elif transits is not None:
        raise ModelError(
            f'pk(transits={transits!r}): that is for absorption="transit"; here it is {_quoted(structure.absorption)}. '
            'Leave transits out, or write absorption="transit".'
        )
