"""New people under a design: from a model, a fit, or one individual whose random effects are known more or less."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.predict import as_data, warn_of_failures
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.views import of_subjects
from workbench.engine.replicates import Replicates, effects
from workbench.errors import ModelError
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.simulation.design import DESIGN, Design
from workbench.simulation.individual import Individual
from workbench.simulation.levels import for_others
from workbench.simulation.replicates import at_estimates
from workbench.simulation.result import Curve, Simulation
from workbench.simulation.uncertainty import Uncertain, points_of
from workbench.simulation.units import units_of

Array = NDArray[np.float64]
Source = Model | FitResult | Individual

_MOST = 60_000_000  # values that are kept for each kind of prediction


def simulated(
    source: Source, design: Design, replicates: int, rng: np.random.Generator, uncertainty: Uncertain, code: str
) -> Simulation:
    """Simulate new people under a design; see `simulate`.

    Raises
    ------
    ModelError
        If model and design do not fit together, or there is too much of it.
    """
    source, design = _with_own_covariates(source, design)
    data, count, group = design.kinds()
    problem, settled = problem_for(source, data)
    total = replicates * int((np.diff(problem.observations.first) * count).sum())
    if total > _MOST:
        raise ModelError(
            f"{total:,} values would be simulated, more than {_MOST:,}: take fewer replicates, subjects or times."
        )
    if isinstance(source, Individual) and uncertainty is not False:
        raise ModelError(
            "uncertainty= is for a population. What is not known of an individual is drawn in any case; the population "
            "behind it is taken as known."
        )
    stated = source.model if isinstance(source, Individual) else source
    points = points_of(stated, problem, settled, uncertainty, replicates, rng)
    kinds = np.repeat(np.arange(problem.n_subjects), count)
    everybody = of_subjects(problem, kinds) if len(kinds) > problem.n_subjects else problem
    many = Replicates(everybody, replicates)
    N, Q = everybody.n_subjects, everybody.n_random
    z = rng.standard_normal((replicates, N * Q + everybody.schedule.n_slots))
    effect, error = z[:, : N * Q].reshape(replicates, N, Q), z[:, N * Q :]
    centre = problem.scale.point(problem.x)
    people = many.predictions([centre], _random_effects([centre], effect, source))
    certain = uncertainty is False
    predicted = people if certain else many.predictions(points, _random_effects(points, effect, source))
    analysed = many.analysed(predicted)
    with np.errstate(invalid="ignore"):
        measured = many.as_data(predicted, analysed + np.sqrt(many.residual_variance(points, analysed)) * error)[1]
    mode = _random_effects([centre], np.zeros((1, problem.n_subjects, Q)), source)
    typical = Replicates(problem, 1).predictions([centre], mode)[0]
    uncertain = None
    if not certain:
        each = np.broadcast_to(mode, (replicates, *mode.shape[1:]))
        uncertain = Replicates(problem, replicates).predictions(points, each)
    warn_of_failures(problem, typical, data)
    model = _model_of(source)
    response = problem.observations.response
    units = known_units(source)
    curves = []
    first = everybody.observations.first
    for g, one in enumerate(design.groups):
        of_kind = np.flatnonzero(group == g)
        of_all = np.flatnonzero(group[kinds] == g)
        begin = problem.observations.first[of_kind]
        width = int(problem.observations.first[of_kind[0] + 1] - begin[0])
        for r, name in enumerate(model.structure.responses):
            mine = np.flatnonzero(response[begin[0] : begin[0] + width] == r)
            if not len(mine):
                continue

            def taken(values: Array, starts: NDArray[np.int64], r: int = r, mine: Any = mine) -> Array:
                picked = values[:, (starts[:, None] + mine).ravel()].reshape(-1, len(mine))
                return as_data(model, picked, np.full(len(mine), r))

            events = data.events
            time = events.time[events.observed][begin[0] + mine]
            own = first[of_all]
            curves.append(
                Curve(
                    label=one.in_words(units),
                    response=name,
                    group=one,
                    time=time,
                    typical=np.median(taken(typical[None], begin), axis=0),
                    uncertain=None if uncertain is None else _over_kinds(taken(uncertain, begin), replicates),
                    people=taken(people, own),
                    predicted=taken(predicted, own),
                    measured=measured[:, (own[:, None] + mine).ravel()].reshape(-1, len(mine)),
                )
            )
    return Simulation(design, tuple(curves), replicates, 0.9, units, _remarks(source, model), code)


def known_units(source: Source) -> dict[str, str]:
    """Those of time, amount, response and covariates; none of a model alone."""
    if isinstance(source, Individual):
        return source.units
    return units_of(source.model, source.data) if isinstance(source, FitResult) else {}


def problem_for(source: Source, data: GroupedData) -> tuple[Problem, Model]:
    """A model over a design, with the model as it is for that.

    Raises
    ------
    ModelError
        If they do not fit together.
    """
    model = _model_of(source)
    fitted = None
    if not isinstance(source, Model):
        fitted = source.fitted if isinstance(source, Individual) else source.data
    absent = [name for name in model.columns if name not in data.content.frame.columns]
    if absent:
        raise ModelError(
            f"The model needs {', '.join(absent)}, which the design does not say: covariates={{'{absent[0]}': …}}."
        )
    if data.name == DESIGN and not (data.events.amount > 0).any() and model.structure.kinetics is not None:
        raise ModelError("No dose of the design is above 0, and without one the model predicts 0 everywhere.")
    named = data.responses if "response_id" in data.roles and data.name == DESIGN else ()
    unknown = [str(name) for name in named if name not in model.structure.responses]
    if unknown:
        raise ModelError(
            f"The design measures {', '.join(unknown)}; the responses of the model are "
            f"{', '.join(model.structure.responses)}."
        )
    settled = for_others(model, fitted, data)
    return compile(settled, data, likelihood=False), settled


def _model_of(source: Source) -> Model:
    if isinstance(source, FitResult):
        return at_estimates(source)
    return source.model if isinstance(source, Individual) else source


def _with_own_covariates(source: Source, design: Design) -> tuple[Source, Design]:
    """An individual brings its covariates, as they were last, where the design does not say others."""
    if not isinstance(source, Individual):
        return source, design
    groups = []
    for group in design.groups:
        said = dict(group.covariates)
        own = {name: value for name, value in source.covariates.items() if name not in said}
        groups.append(replace(group, covariates=(*group.covariates, *own.items())))
    return source, Design.of(groups)


def _random_effects(points: Any, z: Array, source: Source) -> Array:
    """η of new people; of an individual, from what is known of it, while its next occasion is as new as any."""
    eta = effects(points, z)
    if isinstance(source, Individual):
        k = len(source.names)
        eta[..., :k] = source.mode + np.einsum("pq,kiq->kip", source.factor, z[..., :k])
    return eta


def _over_kinds(values: Array, replicates: int) -> Array:
    """The median over kinds of subjects, for each replicate."""
    kinds = values.reshape(replicates, -1, values.shape[-1])
    return kinds[:, 0] if kinds.shape[1] == 1 else np.asarray(np.median(kinds, axis=1))


def _remarks(source: Source, model: Model) -> tuple[str, ...]:
    found = []
    if isinstance(source, FitResult) and not source.converged:
        found.append(f"These are no estimates to rely on: {source.status.value}")
    if not model.random_effects and not model.occasion_effects:
        found.append("The model has no random effects: people do not differ but by their covariates.")
    return tuple(found)
