"""The library of compartment models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from workbench.checks import one_of
from workbench.errors import ModelError
from workbench.model.kinetics import Flow, Input, Kinetics, WrittenIn
from workbench.model.library import differential, drawing, twins
from workbench.model.ode import Ode
from workbench.model.structure import Choice, ParameterInfo, Shown, quoted_value

Absorption = Literal["first-order", "zero-order", "parallel", "transit"]
Elimination = Literal["linear", "michaelis-menten", "parallel"]
Parameters = WrittenIn
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
_ALWAYS = ("compartments", "absorption", "elimination", "parameters", "bioavailability")
_TRANSITS = 3
CHOICES = (
    Choice("compartments", "Compartments", options=(("1", 1), ("2", 2), ("3", 3))),
    Choice("lag", "lag", "tick", about="doses act later, by a lag time", beside="compartments"),
    Choice(
        "absorption",
        "Absorption",
        options=(
            ("none (iv)", None), ("first-order", "first-order"), ("zero-order", "zero-order"),
            ("first + zero", "parallel"), ("transit chain", "transit"),
        ),
    ),
    Choice("transits", "transits", "number", (("fewest", 1), ("most", MOST_TRANSITS), ("usual", _TRANSITS)),
           about="how many transit compartments", beside="absorption"),
    Choice("lag_of", "which part lags", about="which part of the dose lags", beside="absorption", options=(
        ("one lag for both", True), ("first-order part", "first-order"), ("zero-order part", "zero-order"),
        ("a lag for each", "both"),
    )),
    Choice("elimination", "Elimination", options=(
        ("linear", "linear"), ("Michaelis-Menten", "michaelis-menten"), ("linear and M.-M.", "parallel"),
    )),
    Choice("bioavailability", "bioavailability", "tick", about="a fraction F of the doses arrives",
           beside="elimination"),
    Choice("parameters", "Parameters", options=(
        ("clearance: CL", "clearance"), ("rate: k", "rate"), ("macro: A, alpha", "macro"),
        ("half-life: t_half", "half-life"),
    )),
)  # fmt: skip
"""What panels offer for a compartment model; `PK.chosen` and `PK.with_choice` read and set it."""


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
    def dosing(self) -> tuple[str, ...]:
        """The compartments that doses can go into; CMT counts them from 1, and 0 means 1."""
        route = {None: (), "zero-order": ("central, at zero order",), "parallel": ("both routes",)}
        first = route.get(self.absorption, ("transit chain",) if self.absorption == "transit" else ("depot",))
        peripheral = ((), ("peripheral",), ("peripheral 1", "peripheral 2"))[self.compartments - 1]
        return (*first, "central", *peripheral)

    @property
    def timed(self) -> tuple[int, ...]:
        """Numbers (CMT) of the compartments whose doses have a duration that is a parameter."""
        return (1,) if self.absorption in ("zero-order", "parallel") else ()

    # -- what computes with it ---------------------------------------------------------------------------------

    @cached_property
    def kinetics(self) -> Kinetics:
        """What flows where."""
        return Kinetics(
            parameters=self.names,
            written_in=self.parameters,
            relations=_relations(self),
            flows=_flows(self),
            inputs=_inputs(self),
            volume=_volume(self),
            peripherals=_peripherals(self),
            absorbs=self.absorption is not None,
            transits=self.transits or 0,
            saturable=self.elimination != "linear",
        )

    def ode_text(self) -> str:
        """The same model as text for `wb.ode`; doses, lags and fractions are in `as_ode`."""
        return differential.written(self.kinetics).text

    def as_ode(self) -> Ode:
        """The same model as `wb.ode(…)`: same parameters in the same order, same compartments for doses."""
        return differential.written(self.kinetics).as_ode()

    def twin(self, values: Mapping[str, float]) -> dict[str, float] | None:
        """Values that give the same typical curve: the rates of absorption and elimination exchanged (flip-flop).

        ka' = k, k' = ka, V' = V·k/ka, CL' = CL. Of one compartment with first-order absorption, where that is the
        slower; NaN for what follows from a value that is not given.
        """
        if self.compartments != 1 or self.absorption != "first-order" or self.elimination != "linear":
            return None
        ka, k = values.get("ka", math.nan), _elimination(values)
        if not 0.0 < ka < k:
            return None
        larger = values.get("V", math.nan) * k / ka
        changed = {
            "clearance": {"V": larger},
            "rate": {"V": larger, "k": ka},
            "macro": {"A": values.get("A", math.nan) * ka / k, "alpha": ka},
            "half-life": {"V": larger, "t_half": math.log(2.0) / ka},
        }
        return {"ka": k, **changed[self.parameters]}

    def twins(self, values: Mapping[str, float]) -> tuple[dict[str, float], ...]:
        """All other values that give the same typical curve.

        The rate of absorption may be exchanged with that of any exponential of the disposition, where the
        compartments can have it (ka/V and the rates back from peripheral compartments stay, and so does CL); two
        peripheral compartments, or two exponentials, may be exchanged.
        """
        if self.elimination != "linear":
            return ()
        of = twins.disposition_of(self.parameters, self.compartments, values)
        if of is None:
            return ()
        found = list(twins.relabelled(self.parameters, self.compartments, values))
        if self.absorption in ("first-order", "transit"):
            for ka, other in twins.exchanged(values.get("ka", math.nan), of):
                named = twins.named(other)
                changed = (name for name in self.names if name in named and name != "CL")
                found.append({"ka": ka, **{name: named[name] for name in changed}})
        return tuple(found)

    # -- how it looks ------------------------------------------------------------------------------------------

    def equations(self) -> list[str]:
        """Differential equations of the amounts, input, concentration and secondary relations, as LaTeX."""
        return drawing.equations(self.kinetics)

    def diagram(self) -> str:
        """The compartments as SVG."""
        return drawing.diagram(self.kinetics, self.title)

    def chosen(self) -> dict[str, Any]:
        """What is chosen, by the field of each of `CHOICES` that has a meaning now."""
        found: dict[str, Any] = {name: getattr(self, name) for name in _ALWAYS} | {"lag": bool(self.lag)}
        if self.absorption == "parallel" and self.lag:
            found["lag_of"] = self.lag
        if self.absorption == "transit":
            found["transits"] = self.transits
        return found

    def with_choice(self, field: str, value: Any, before: Mapping[str, Any] | None = None) -> PK:
        """Another choice, without what only the former one had.

        Parameters
        ----------
        field : str
            One of `CHOICES`.
        value : object
        before : mapping, optional
            What was chosen last in fields that had no meaning: how many transit compartments.
        """
        changes: dict[str, Any] = {"lag" if field == "lag_of" else field: value}
        absorption = changes.get("absorption", self.absorption)
        if absorption != "parallel":
            changes["lag"] = bool(changes.get("lag", self.lag))
        if field != "transits" or absorption != "transit":
            usual = self.transits or (before or {}).get("transits", _TRANSITS)
            changes["transits"] = usual if absorption == "transit" else None
        return replace(self, **changes)

    def __repr__(self) -> str:
        changed = [f for f in fields(self) if f.name == "compartments" or getattr(self, f.name) != f.default]
        parts = (f"{f.name}={quoted_value(getattr(self, f.name))}" for f in changed)
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
        one_of(f"pk: {argument}", getattr(structure, argument), allowed)
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
            f"is {quoted_value(structure.absorption)}. Write lag=True."
        )
    if structure.absorption == "transit":
        if type(transits) is not int or not 1 <= transits <= MOST_TRANSITS:
            raise ModelError(
                f'pk(absorption="transit", transits={transits!r}): allowed is a whole number from 1 to '
                f"{MOST_TRANSITS}, how many transit compartments there are; write transits=3."
            )
    elif transits is not None:
        raise ModelError(
            f'pk(transits={transits!r}): that is for absorption="transit"; here it is '
            f'{quoted_value(structure.absorption)}. Leave transits out, or write absorption="transit".'
        )


# -- what flows where ---------------------------------------------------------------------------------------------


def _volume(pk: PK) -> str:
    """Name of the central volume."""
    return "V1" if "V1" in pk.names or (pk.parameters in ("macro", "half-life") and pk.compartments > 1) else "V"


def _relations(pk: PK) -> dict[str, str]:
    """Rate constants and central volume from the parameters, in an order in which they can be computed.

    For macro constants: the response to a unit dose, Σ A_i exp(-λ_i t), has the Laplace transform
    (s + k21)(s + k31) / V / Π(s + λ_i); comparing coefficients gives all of them.
    """
    v = _volume(pk)
    linear = {} if pk.elimination == "michaelis-menten" else {"k": f"CL/{v}"}
    match pk.parameters, pk.compartments:
        case "clearance", 1:
            return linear
        case "clearance", 2:
            return {**linear, "k12": "Q/V1", "k21": "Q/V2"}
        case "clearance", 3:
            return {**linear, "k12": "Q2/V1", "k21": "Q2/V2", "k13": "Q3/V1", "k31": "Q3/V3"}
        case "macro", 1:
            return {"V": "1/A", "k": "alpha"}
        case "half-life", 1:
            return {"k": "log(2)/t_half"}
        case ("macro" | "half-life") as parameters, 2:
            rates = {"alpha": "log(2)/t_half_alpha", "beta": "log(2)/t_half_beta"} if parameters == "half-life" else {}
            return {
                **rates,
                "V1": "1/(A + B)",
                "k21": "(A*beta + B*alpha)*V1",
                "k": "alpha*beta/k21",
                "k12": "A*B*V1**2*(alpha - beta)**2/k21",  # = α + β - k21 - k, without its cancellation
            }
        case "macro", 3:
            return {
                "V1": "1/(A + B + C)",
                "p": "(A*(beta + gamma) + B*(alpha + gamma) + C*(alpha + beta))*V1",  # k21 + k31
                "q": "(A*beta*gamma + B*alpha*gamma + C*alpha*beta)*V1",  # k21·k31
                "k21": "(p + sqrt(p**2 - 4*q))/2",
                "k31": "q/k21",
                "k": "alpha*beta*gamma/q",
                "k12": "(alpha - k21)*(beta - k21)*(gamma - k21)/(k21*(k21 - k31))",
                "k13": "(alpha - k31)*(beta - k31)*(gamma - k31)/(k31*(k31 - k21))",
            }
    return {}


def _flows(pk: PK) -> tuple[Flow, ...]:
    """All flows but saturable elimination."""
    shown = _relations(pk) if pk.parameters == "clearance" else {}
    rates: list[tuple[str, str | None, str]] = []
    if pk.absorption == "transit":
        chain = [f"transit{i}" for i in range((pk.transits or 0) + 1)]
        rates += [(source, target, "ktr") for source, target in zip(chain, [*chain[1:], "depot"], strict=True)]
    if "ka" in pk.names:
        rates.append(("depot", "central", "ka"))
    if pk.elimination != "michaelis-menten":
        rates.append(("central", None, "k"))
    for peripheral, out, back in zip(_peripherals(pk), ("k12", "k13"), ("k21", "k31"), strict=False):
        rates += [("central", peripheral, out), (peripheral, "central", back)]
    return tuple(Flow(source, target, rate, shown.get(rate, rate)) for source, target, rate in rates)


def _inputs(pk: PK) -> tuple[Input, ...]:
    """Where the doses of the route that absorption, lag and bioavailability are about go in."""
    F = "F" if pk.bioavailability else None
    lag = "lag" if pk.lag else None
    match pk.absorption:
        case "first-order":
            return (Input("depot", None, F, lag),)
        case "transit":
            return (Input("transit0", None, F, lag),)
        case "zero-order":
            return (Input("central", None, F, lag, "Tk0"),)
        case "parallel":
            first = Input("depot", "Fr", F, None if pk.lag == "zero-order" else lag)
            lag0 = {"first-order": None, "both": "lag0"}.get(str(pk.lag), lag)
            return (first, Input("central", "(1 - Fr)", F, lag0, "Tk0"))
    return (Input("central", None, F, lag),)


def _elimination(values: Mapping[str, float]) -> float:
    """Rate constant of elimination from one compartment, by whatever states it; NaN if nothing does."""
    if "CL" in values and values.get("V"):
        return values["CL"] / values["V"]
    if values.get("t_half"):
        return math.log(2.0) / values["t_half"]
    return values.get("k", values.get("alpha", math.nan))


def _peripherals(pk: PK) -> tuple[str, ...]:
    return ((), ("peripheral",), ("peripheral1", "peripheral2"))[pk.compartments - 1]
