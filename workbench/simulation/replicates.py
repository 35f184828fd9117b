"""Replicates of a data set as arrays: what simulations, visual predictive checks and the like are made of."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.checks import whole
from workbench.data import GroupedData
from workbench.engine.predict import of_all, warn_of_failures
from workbench.engine.problem.compile import compile
from workbench.engine.replicates import Replicates
from workbench.errors import ModelError
from workbench.methods import method_of
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.simulation.levels import for_others
from workbench.simulation.uncertainty import Uncertain, points_of

Array = NDArray[np.float64]
Seed = int | np.random.Generator | None


class Drawn(NamedTuple):
    """Simulated values in the order of the observations of a data set.

    Attributes
    ----------
    ipred, dv : float64[K, n]
        Individual predictions and observations, on the scale of the data (logarithms where these are).
    """

    ipred: Array
    dv: Array


def drawn(
    model: Model | FitResult,
    data: GroupedData | None = None,
    replicates: int = 1,
    rng: np.random.Generator | None = None,
    uncertainty: Uncertain = False,
) -> Drawn:
    """Draw new random effects and residual errors for the subjects of a data set, many times.

    Parameters
    ----------
    model : Model or FitResult
        With all values stated; a fit stands for its model at the estimates.
    data : GroupedData, optional
        Those of the fit by default. Predicted are its observations, censored ones included.
    replicates : int
        K.
    rng : Generator, optional
        Drawn from replicate by replicate: the first ones do not depend on how many there are.
    uncertainty : bool, Bootstrap or Sir
        Draw parameters, too, see `simulate`.

    A fit that did not converge is simulated all the same, with a warning.

    Returns
    -------
    Drawn
        Its bits do not depend on how many threads there are.
    """
    data = _data_of(model, data)
    settled = settled_model(model, data)
    if isinstance(model, FitResult) and not model.converged:
        warnings.warn(f"What is simulated are no estimates to rely on. {model.status.value}", stacklevel=3)
    problem = compile(of_all(settled, data), data, likelihood=False)
    rng = np.random.default_rng() if rng is None else rng
    points = points_of(model, problem, settled, uncertainty, replicates, rng)
    many = Replicates(problem, replicates)
    f, y = many.drawn(points, rng)
    warn_of_failures(problem, f, data)
    return Drawn(*many.as_data(f, y))


def settled_model(model: Model | FitResult, data: GroupedData) -> Model:
    """The model as it is for the data, whatever levels of the categories there are in them.

    Raises
    ------
    ModelError
        If the first argument is neither a model nor a fit, the second are no data, or a level is not known.
    """
    stated = model_of(model)
    if not isinstance(data, GroupedData):
        raise ModelError(
            f"The second argument is data as wb.read_data(…) gives them, or a wb.Design(…), got {type(data).__name__}."
        )
    return for_others(stated, model.data if isinstance(model, FitResult) else None, data)


def model_of(model: Model | FitResult) -> Model:
    """The model that is simulated; of a fit, that at its estimates.

    Raises
    ------
    ModelError
        If it is neither.
    """
    if isinstance(model, Model):
        return model
    if not isinstance(model, FitResult):
        raise ModelError(f"The first argument is a wb.Model(…) or a fit, got {type(model).__name__}.")
    return at_estimates(model)


def at_estimates(fit: FitResult) -> Model:
    """The model of a fit at its estimates, without what its method leaves out (random effects, by "pooled")."""
    return method_of(fit.method).fitted(fit.model)


def _data_of(model: Model | FitResult, data: GroupedData | None) -> GroupedData:
    if data is None and isinstance(model, FitResult):
        return model.data
    if data is None:
        raise ModelError("A model needs data to be simulated for: wb.simulate(model, data). A fit has its own.")
    return data


def generator(seed: Seed) -> np.random.Generator:
    """The generator of a seed; one that is given is drawn from where it stands."""
    given = seed is None or isinstance(seed, np.random.Generator)
    return np.random.default_rng(seed if given else whole("seed", seed))
