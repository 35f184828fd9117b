"""Kinetics as differential equations, as `wb.ode` takes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from workbench.model.kinetics import Kinetics, Pharmacodynamics
from workbench.model.ode import Ode, ode


@dataclass(frozen=True)
class Written:
    """Arguments of `wb.ode`."""

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
        return ode(
            self.text,
            response=self.response,
            dose=self.dose,
            lag=self.lag or None,
            bioavailability=self.bioavailability or None,
            duration=self.duration or None,
            parameters=self.parameters,
        )


def written(kinetics: Kinetics) -> Written:
    """Write out kinetics."""
    base = _compartments(kinetics)
    return base if kinetics.effect is None else _with_effect(base, kinetics.effect)


def _compartments(kinetics: Kinetics) -> Written:
    """Those of the amounts.

    Doses of the zero-order route have a duration, a lag and a fraction that intravenous doses into the same compartment
    have not. So what came in at zero order is counted apart, as `absorbed`, until it leaves the central compartment.
    """
    entering = {"absorbed" if entry.duration else entry.target: entry for entry in kinetics.inputs}
    counted = ("central", "absorbed") if "absorbed" in entering else ("central",)
    inside = " + ".join(counted)
    total = f"({inside})" if len(counted) > 1 else inside
    v = kinetics.volume

    before = list(dict.fromkeys(flow.source for flow in kinetics.before))
    states = [*before, "central", *kinetics.peripherals]
    if "absorbed" in entering:
        states.insert(len(states) if before else 0, "absorbed")
    leaving = [flow.rate for flow in kinetics.flows if flow.source == "central"]
    leaving += ["saturable"] if kinetics.saturable else []
    loss = leaving[0] if len(leaving) == 1 else f"({' + '.join(leaving)})"
    gains: dict[str, list[str]] = {state: [] for state in states}
    losses = {state: f"{loss}*{state}" for state in counted}
    for flow in kinetics.flows:
        if flow.target is not None:
            gains[flow.target].append(f"{flow.rate}*{total if flow.source == 'central' else flow.source}")
        if flow.source != "central":
            losses[flow.source] = f"{flow.rate}*{flow.source}"
    lines = [f"{name} = {value}" for name, value in kinetics.relations.items()]
    if kinetics.transits:
        lines.append(f"ktr = {kinetics.transits + 1}/mtt")
    if kinetics.saturable:
        lines.append(f"saturable = Vm/(Km*{v} + {inside})")
    for state in states:
        gained = f"{' + '.join(gains[state])} - " if gains[state] else "-"
        lines.append(f"d/dt {state} = {gained}{losses[state]}")
    route = list(entering) if kinetics.absorbs else []
    targets = [*([route] if route else []), ["central"], *([state] for state in kinetics.peripherals)]
    return Written(
        kinetics.parameters,
        tuple(lines),
        {"concentration": f"{total}/{v}"},
        None if targets == [[state] for state in states] else dict(enumerate(targets, 1)),
        {state: entry.lag for state, entry in entering.items() if entry.lag},
        {state: entry.fraction for state, entry in entering.items() if entry.fraction},
        {state: entry.duration for state, entry in entering.items() if entry.duration},
    )


def _with_effect(base: Written, effect: Pharmacodynamics) -> Written:
    """Those of the amounts, with an effect."""
    acts = "site" if effect.link == "effect compartment" else "conc"
    # log(c/half) keeps the derivatives finite while c falls to nothing; at 0 itself there is no effect
    shown = effect.text(acts, "effect", "where({c} > 0, expit(log({c}/{half})*gamma), 0)")
    lines = [*base.lines, f"conc = {base.response['concentration']}"]
    if effect.is_turnover:
        lines += ["effect(0) = kin/kout", f"d/dt effect = {shown}"]
        shown = "effect"
    elif effect.link == "effect compartment":
        lines.append("d/dt site = ke0*(conc - site)")
    states = [line.split()[1] for line in base.lines if line.startswith("d/dt")]
    return replace(
        base,
        lines=tuple(lines),
        response={"concentration": "conc", "effect": shown},
        dose=base.dose or {cmt: [state] for cmt, state in enumerate(states, 1)},
    )
