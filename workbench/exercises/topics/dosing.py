"""An exercise on a decision: the dose that most people need."""

from __future__ import annotations

import math

from workbench.checks import is_number
from workbench.data import GroupedData
from workbench.exercises.answer import Answer
from workbench.exercises.marking import Mark, Truth, fitted, near
from workbench.exercises.secret import Draws
from workbench.exercises.topics.topic import Topic, data_of, frame, measured
from workbench.markup.numbers import percent
from workbench.model import Model, Parameter, Proportional, pk
from workbench.simulation import Design, Regimen, attainment, simulate

_REPLICATES = 2000


def _dose(draws: Draws) -> Truth:
    volume = draws.between("V", 25, 40)
    values = {
        "CL": float(f"{draws.between('k', 0.08, 0.12) * volume:.3g}"), "V": volume,
        "iiv_CL": draws.between("iiv_CL", 0.2, 0.3), "iiv_V": draws.between("iiv_V", 0.15, 0.2),
        "b": draws.between("b", 0.08, 0.12),
    }  # fmt: skip
    parameters = [Parameter(name, values[name], iiv=values[f"iiv_{name}"]) for name in ("CL", "V")]
    return Truth(Model(pk(), parameters, error=Proportional(values["b"])), values, {"target": draws.between("t", 2, 5)})


def _dose_data(truth: Truth, draws: Draws) -> GroupedData:
    return data_of(measured(truth.model, frame(60, (0.5, 2, 6, 12, 18, 24)), draws), "dose")


def reached(truth: Truth, dose: float) -> float:
    """The share of people who stay above the target with a dose every 12 h, before the seventh."""
    design = Design(Regimen(dose, every=12, times=6))
    people = simulate(truth.model, design, replicates=_REPLICATES, seed=1)
    return float(attainment(people, above=truth.facts["target"]).table["probability"].iloc[0])


def _dose_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    given = answer.values.get("dose")
    if not is_number(given) or not 0 < float(given) < math.inf:  # type: ignore[arg-type]
        decided = Mark("dose", 6, 0.0, 'No dose was answered: values={"dose": …}, in mg.')
    else:
        share = reached(truth, float(given))  # type: ignore[arg-type]
        said = f"With {float(given):g} mg every 12 h, {percent(share)} of the people stay above the target"  # type: ignore[arg-type]
        if 0.83 <= share <= 0.955:
            decided = Mark("dose", 6, 6.0, f"{said}; 90 % were asked for, and 83 to 95 % count as met.")
        elif 0.75 <= share <= 0.98:
            decided = Mark("dose", 6, 3.0, f"{said}; 90 % were asked for.")
        else:
            decided = Mark(
                "dose", 6, 0.0, f"{said}; 90 % were asked for{', with no more than is needed' * (share > 0.9)}."
            )
    return (
        fitted(answer), near(answer, truth, "CL", 1, 0.2), near(answer, truth, "V", 1, 0.2),
        near(answer, truth, "iiv_CL", 1, 0.5), decided,
    )  # fmt: skip


DOSE = Topic(
    "dose",
    "How much, then?",
    "60 people were given 100 mg intravenously once. Fit CL and V with their variability. Then find the least dose "
    "that, injected every 12 h, keeps 90 % of the people above {target} mg/L all through the interval after the sixth "
    "dose. "
    'Hand it in as values={{"dose": …}}.',
    (
        "A typical person is not enough: 90 % of people, so that variability counts.",
        "wb.find_dose scales a regimen until a target is met with a probability.",
        "wb.find_dose(fit, wb.Regimen(100, every=12, times=6), above=…, probability=0.9).amount",
    ),
    _dose,
    _dose_data,
    _dose_judged,
)
