"""What a compartment model is made of: relations, flows, inputs. Its ODE, LaTeX and drawing follow from them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from workbench.model.structure import PK

if TYPE_CHECKING:
    from workbench.model.library.pkpd import PKPD
    from workbench.model.ode import Ode


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
    share, lag, duration : str or None
        Expressions; None: all of it, at once.
    """

    target: str
    share: str | None
    lag: str | None
    duration: str | None = None


@dataclass(frozen=True)
class Kinetics:
    """An ODE as `wb.ode` takes it."""

    parameters: tuple[str, ...]
    lines: tuple[str, ...]
    response: dict[str, str]
    dose: dict[int, list[str]] | None = None
    lag: dict[str, str] = field(default_factory=dict)
    bioavailability: dict[str, str] = field(default_factory=dict)
    duration: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """One statement a line."""
        return "\n".join(self.lines)

    def as_ode(self) -> Ode:
        """The structure that `wb.ode` makes of it."""
        from workbench.model.ode import ode

        return ode(
            self.text,
            response=self.response,
            dose=self.dose,
            lag=self.lag or None,
            bioavailability=self.bioavailability or None,
            duration=self.duration or None,
            parameters=self.parameters,
        )


def volume(pk: PK) -> str:
    """Name of the central volume."""
    return "V1" if "V1" in pk.names or (pk.parameters in ("macro", "half-life") and pk.compartments > 1) else "V"


def peripherals(pk: PK) -> tuple[str, ...]:
    """The peripheral compartments."""
    return ((), ("peripheral",), ("peripheral1", "peripheral2"))[pk.compartments - 1]


def relations(pk: PK) -> dict[str, str]:
    """Rate constants and central volume from the parameters, in an order in which they can be computed.

    For macro constants: the response to a unit dose, Σ A_i exp(-λ_i t), has the Laplace transform
    (s + k21)(s + k31) / V / Π(s + λ_i); comparing coefficients gives all of them.
    """
    v = volume(pk)
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


def flows(pk: PK) -> tuple[Flow, ...]:
    """All flows but saturable elimination."""
    shown = relations(pk) if pk.parameters == "clearance" else {}
    rates: list[tuple[str, str | None, str]] = []
    if pk.absorption == "transit":
        chain = [f"transit{i}" for i in range((pk.transits or 0) + 1)]
        rates += [(source, target, "ktr") for source, target in zip(chain, [*chain[1:], "depot"], strict=True)]
    if "ka" in pk.names:
        rates.append(("depot", "central", "ka"))
    if pk.elimination != "michaelis-menten":
        rates.append(("central", None, "k"))
    for peripheral, out, back in zip(peripherals(pk), ("k12", "k13"), ("k21", "k31"), strict=False):
        rates += [("central", peripheral, out), (peripheral, "central", back)]
    return tuple(Flow(source, target, rate, shown.get(rate, rate)) for source, target, rate in rates)


def inputs(pk: PK) -> tuple[Input, ...]:
    """Where the doses of the route that absorption, lag and bioavailability are about go in."""
    F = "F" if pk.bioavailability else None
    lag = "lag" if pk.lag else None
    match pk.absorption:
        case "first-order":
            return (Input("depot", F, lag),)
        case "transit":
            return (Input("transit0", F, lag),)
        case "zero-order":
            return (Input("central", F, lag, "Tk0"),)
        case "parallel":
            first = Input("depot", f"{F}*Fr" if F else "Fr", None if pk.lag == "zero-order" else lag)
            lag0 = {"first-order": None, "both": "lag0"}.get(str(pk.lag), lag)
            return (first, Input("central", f"{F}*(1 - Fr)" if F else "(1 - Fr)", lag0, "Tk0"))
    return (Input("central", F, lag),)


def kinetics(structure: PK | PKPD) -> Kinetics:
    """The model as an ODE."""
    if isinstance(structure, PK):
        return _compartments(structure)
    return _with_effect(structure)


def _compartments(pk: PK) -> Kinetics:
    """A compartment model as an ODE.

    Doses of the zero-order route have a duration, a lag and a fraction that intravenous doses into the same compartment
    have not. So what came in at zero order is counted apart, as `absorbed`, until it leaves the central compartment.
    """
    entering = {"absorbed" if entry.duration else entry.target: entry for entry in inputs(pk)}
    counted = ("central", "absorbed") if "absorbed" in entering else ("central",)
    inside = " + ".join(counted)
    total = f"({inside})" if len(counted) > 1 else inside
    v = volume(pk)

    before = list(dict.fromkeys(flow.source for flow in flows(pk) if flow.source.startswith(("transit", "depot"))))
    states = [*before, "central", *peripherals(pk)]
    if "absorbed" in entering:
        states.insert(len(states) if before else 0, "absorbed")
    leaving = [flow.rate for flow in flows(pk) if flow.source == "central"]
    leaving += ["saturable"] if pk.elimination != "linear" else []
    loss = leaving[0] if len(leaving) == 1 else f"({' + '.join(leaving)})"
    gains: dict[str, list[str]] = {state: [] for state in states}
    losses = {state: f"{loss}*{state}" for state in counted}
    for flow in flows(pk):
        if flow.target is not None:
            gains[flow.target].append(f"{flow.rate}*{total if flow.source == 'central' else flow.source}")
        if flow.source != "central":
            losses[flow.source] = f"{flow.rate}*{flow.source}"
    lines = [f"{name} = {value}" for name, value in relations(pk).items()]
    if pk.absorption == "transit":
        lines.append(f"ktr = {(pk.transits or 0) + 1}/mtt")
    if pk.elimination != "linear":
        lines.append(f"saturable = Vm/(Km*{v} + {inside})")
    for state in states:
        gained = f"{' + '.join(gains[state])} - " if gains[state] else "-"
        lines.append(f"d/dt {state} = {gained}{losses[state]}")
    route = list(entering) if pk.absorption else []
    targets = [*([route] if route else []), ["central"], *([state] for state in peripherals(pk))]
    return Kinetics(
        pk.names,
        tuple(lines),
        {"concentration": f"{total}/{v}"},
        None if targets == [[state] for state in states] else dict(enumerate(targets, 1)),
        {state: entry.lag for state, entry in entering.items() if entry.lag},
        {state: entry.share for state, entry in entering.items() if entry.share},
        {state: entry.duration for state, entry in entering.items() if entry.duration},
    )


def effect(structure: PKPD, c: str, E: str, hill: str) -> str:
    """The effect as text, or for an indirect response its rate of change.

    Parameters
    ----------
    structure : PKPD
    c, E : str
        Names of the concentration that acts, and of the effect.
    hill : str
        c^gamma/(half^gamma + c^gamma), with {c} and {half} where the names go.
    """
    inhibits = "imax" in structure.response
    largest, half = ("Imax", "IC50") if inhibits else ("Emax", "EC50")
    if structure.response == "linear":
        drug = f"slope*{c}"
    elif structure.response.startswith("sigmoid"):
        drug = f"{largest}*{hill.format(c=c, half=half)}"
    else:
        drug = f"{largest}*{c}/({half} + {c})"
    factor = f"(1 {'-' if inhibits else '+'} {drug})"
    if structure.is_turnover:
        return f"kin*{factor} - kout*{E}" if structure.link.endswith("input") else f"kin - kout*{factor}*{E}"
    return f"E0*{factor}" if inhibits else f"E0 + {drug}"


def _with_effect(structure: PKPD) -> Kinetics:
    """A compartment model with an effect as an ODE."""
    base = _compartments(structure.pk)
    acts = "site" if structure.link == "effect compartment" else "conc"
    # log(c/half) keeps the derivatives finite while c falls to nothing; at 0 itself there is no effect
    shown = effect(structure, acts, "effect", "where({c} > 0, expit(log({c}/{half})*gamma), 0)")
    lines = [*base.lines, f"conc = {base.response['concentration']}"]
    if structure.is_turnover:
        lines += ["effect(0) = kin/kout", f"d/dt effect = {shown}"]
        shown = "effect"
    elif structure.link == "effect compartment":
        lines.append("d/dt site = ke0*(conc - site)")
    return replace(
        base,
        parameters=structure.names,
        lines=tuple(lines),
        response={"concentration": "conc", "effect": shown},
        dose=base.dose or {cmt: [state] for cmt, state in enumerate(_states(base), 1)},
    )


def _states(kinetics: Kinetics) -> list[str]:
    return [line.split()[1] for line in kinetics.lines if line.startswith("d/dt")]
