"""Shrinkage: how the population draws the values of each subject to its own, at any size of Ψ; knows of no widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile
from workbench.methods import Approximation
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.results.runs import Run

Array = NDArray[np.float64]
_INSIDE = 4.605170185988092  # χ² with two degrees of freedom: 90 % of it lie below
_STEPS = 61


@dataclass(frozen=True, eq=False)
class Shrunk:
    """Values of the subjects where all standard deviations of η are multiplied by a factor.

    Attributes
    ----------
    factor : float
    etas : float64[N, R]
        The most likely random effects, given the data and this Ψ.
    mixed, typical : float64[N, P]
        Parameters of each subject with its random effects, and without.
    left : dict of str to float
        By random effect, 1 − SD(η̂) / SD of η: the shrinkage, as a share.
    """

    factor: float
    etas: Array
    mixed: Array
    typical: Array
    left: dict[str, float]


class Shrinkage:
    """The subjects of a fit under other Ψ; all else stays as it was estimated.

    Parameters
    ----------
    run : Run
        With random effects between subjects only.
    """

    def __init__(self, run: Run):
        self.model, self.data = run.fit.model, run.data
        self._kept: dict[float, Shrunk] = {}

    @cached_property
    def effects(self) -> tuple[str, ...]:
        """The parameters that have a random effect of their own."""
        return tuple(p.name for p in self.model.parameters if isinstance(p.iiv, float) and p.iiv > 0)

    def model_at(self, factor: float) -> Model:
        """The model with all standard deviations of η multiplied."""
        model = self.model
        for name in self.effects:
            sd = model[name].iiv
            if isinstance(sd, float):
                model = model.with_iiv(name, sd=sd * factor)
        return model

    def at(self, factor: float) -> Shrunk:
        """The subjects at a factor; those of the last few are kept."""
        if factor not in self._kept:
            while len(self._kept) > 30:
                self._kept.pop(next(iter(self._kept)))
            self._kept[factor] = self._found(self.model_at(factor), self.data, factor)
        return self._kept[factor]

    def _found(self, model: Model, data: GroupedData, factor: float) -> Shrunk:
        problem = compile(model, data)
        etas = Objective(problem, Approximation.FOCEI).evaluate(problem.x).eta
        point = problem.scale.point(problem.x)
        names, left = problem.scale.subject.names, {}
        for k, name in enumerate(names):
            sd = model[name].iiv
            if isinstance(sd, float) and sd > 0 and len(etas) > 1:
                left[name] = 1 - float(np.std(etas[:, k], ddof=1)) / sd
        return Shrunk(factor, etas, problem.parameters(point, etas), problem.parameters(point), left)

    def column(self, name: str) -> int:
        """The place of a parameter among those of the structure."""
        return list(self.model.structure.names).index(name)

    def place(self, name: str, values: Array) -> Array:
        """Where values of a parameter stand on an axis: log10 where it is positive, else as they are."""
        if not self.model[name].link.is_positive:
            return values
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(values > 0, np.log10(values), np.nan)

    def ellipse(self, names: Sequence[str], shrunk: Shrunk, typical: Sequence[float]) -> tuple[Array, Array]:
        """Around the typical values of two parameters, where 90 % of people lie; on the axes of `place`."""
        model = self.model_at(shrunk.factor)
        sds = [float(model[name].iiv or 0.0) for name in names]
        r = _correlation(model, names[0], names[1])
        angle = np.linspace(0, 2 * np.pi, _STEPS)
        u, v = np.sqrt(_INSIDE) * np.array([np.cos(angle), np.sin(angle)])
        away = sds[0] * u, sds[1] * (r * u + np.sqrt(max(0.0, 1 - r * r)) * v)
        sides = []
        for name, middle, step in zip(names, typical, away, strict=True):
            parameter = model[name]
            bounds = parameter.limits if parameter.link.needs_bounds else (0.0, 1.0)
            z = parameter.link.to(middle, bounds)
            natural = np.array([parameter.link.back(z + one, bounds)[0] for one in step.tolist()])
            sides.append(self.place(name, natural))
        return sides[0], sides[1]


def alone_of(fit: FitResult | str | None, subjects: Sequence[object], names: Sequence[str]) -> Array | None:
    """Parameters of each subject fitted alone, float64[N, P], NaN where that failed; None without such a fit."""
    if not isinstance(fit, FitResult):
        return None
    return np.asarray(fit.individual.reindex(list(subjects))[list(names)].to_numpy(dtype=float))


def _correlation(model: Model, first: str, second: str) -> float:
    for block in model.correlate:
        if block.level == "subject" and {first, second} <= set(block.names):
            return float(block.matrix()[block.names.index(first), block.names.index(second)])
    return 0.0
