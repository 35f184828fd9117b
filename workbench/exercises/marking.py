"""Points with their reasons: how an answer is compared with a truth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workbench.exercises.answer import Answer
from workbench.markup.numbers import percent, short
from workbench.methods import Subjects, method_of
from workbench.model import Model, ResidualError


class Mark(NamedTuple):
    """Points for one thing that was asked, and why.

    Attributes
    ----------
    name : str
    points : float
        That can be had.
    earned : float or None
        None where it takes the lecturer's key to tell.
    reason : str
        A sentence.
    """

    name: str
    points: float
    earned: float | None
    reason: str

    @property
    def passed(self) -> bool:
        """Whether all points were earned."""
        return self.earned is not None and self.earned >= self.points


@dataclass(frozen=True)
class Truth:
    """What is hidden: a complete model, its values by the names that estimates have, and other facts."""

    model: Model
    estimates: Mapping[str, float]
    facts: Mapping[str, Any] = field(default_factory=dict)


def fitted(answer: Answer, points: float = 1.0, *, rows: bool = True) -> Mark:
    """A fit that converged, of the data of the exercise."""
    name = "fit"
    if answer.source not in ("Workbench", "fit") or not answer.lines or not answer.method:
        return Mark(name, points, 0.0, "Nothing was fitted; hand in a fit, or a Workbench that shows one.")
    if not answer.converged:
        return Mark(name, points, 0.0, f"The fit did not end well. {answer.ending}")
    changed = answer.changed
    if rows and (changed.left_out or changed.altered):
        said = f"{len(changed.left_out)} rows were left out and {len(changed.altered)} changed"
        return Mark(name, points, points / 2, f"The fit converged, but not on the data as they were given: {said}.")
    return Mark(name, points, points, "The fit converged on the data of the exercise.")


def near(answer: Answer, truth: Truth, name: str, points: float, tolerance: float) -> Mark:
    """An estimate close to its truth: within the factor 1 + tolerance all points, within its square half of them."""
    line, true = answer.line(name), truth.estimates[name]
    if line is None:
        return Mark(name, points, 0.0, f"There is no {name} among the estimates; name the parameters as the task does.")
    return close(name, line.estimate, true, points, tolerance)


def close(name: str, got: float, true: float, points: float, tolerance: float) -> Mark:
    """A number close to another, by their ratio."""
    if not got > 0:
        return Mark(name, points, 0.0, f"{name} is {short(got)}; a number above 0 is needed.")
    off = abs(math.log(got / true))
    full, half = (share if got > true else share / (1 + share) for share in (tolerance, (1 + tolerance) ** 2 - 1))
    said = f"{name} {short(got)} is {percent(abs(got / true - 1))} {'above' if got > true else 'below'} the truth"
    if off <= math.log1p(tolerance):
        return Mark(name, points, points, f"{said}; up to {percent(full)} counts as met.")
    if off <= 2 * math.log1p(tolerance):
        return Mark(name, points, points / 2, f"{said}; {percent(full)} would be met, up to {percent(half)} is half.")
    return Mark(name, points, 0.0, f"{said}; up to {percent(full)} would be met.")


def structured(answer: Answer, points: float, compartments: int, absorption: str | None) -> Mark:
    """The right compartments and absorption."""
    name, model = "structure", answer.stated
    if model is None:
        return Mark(name, points, 0.0, "No model was handed in; hand in a fit or a Workbench.")
    structure = model.structure
    n, way = getattr(structure, "compartments", None), getattr(structure, "absorption", None)
    if n is None:
        return Mark(name, points, 0.0, f"{structure.title} is no compartment model; start from wb.pk(…).")
    parts = (n == compartments) + (way == absorption)
    if parts == 2:
        return Mark(name, points, points, f"{structure.title} is the structure that made these data.")
    wrong = []
    if n != compartments:
        wrong.append(f"the number of compartments is another than {n}")
    if way != absorption:
        wrong.append("the drug is not taken up as the model says")
    return Mark(name, points, points / 2 * parts, f"{structure.title}: {' and '.join(wrong)}.")


def mixed(answer: Answer, points: float) -> Mark:
    """A method that has random effects."""
    if not answer.method:
        return Mark("mixed effects", points, 0.0, "Nothing was fitted.")
    method = method_of(answer.method)
    if method.subjects is Subjects.POPULATION:
        return Mark("mixed effects", points, points, f"{method.short} takes the subjects as a sample of a population.")
    return Mark(
        "mixed effects", points, 0.0,
        f"{method.short} has no random effects drawn from one population; use a mixed-effects method such as FOCEI.",
    )  # fmt: skip


def error_kind(error: ResidualError) -> str:
    """The kind of a residual error in one word; combined and combined2 are one."""
    title = error.title
    return "combined" if title.startswith("combined") else title
