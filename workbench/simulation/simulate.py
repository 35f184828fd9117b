"""`simulate`: new people, new measurements, if wanted new parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from workbench.checks import whole
from workbench.data import GroupedData
from workbench.engine.predict import owners
from workbench.engine.problem.observations import responses_of
from workbench.errors import ModelError
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.simulation.design import Design, design_of
from workbench.simulation.individual import Individual
from workbench.simulation.people import Source, simulated
from workbench.simulation.replicates import Seed, drawn, generator
from workbench.simulation.result import Simulation
from workbench.simulation.uncertainty import Uncertain

if TYPE_CHECKING:
    import pandas as pd


@overload
def simulate(
    model: Model | FitResult,
    data: GroupedData | None = None,
    replicates: int | None = None,
    seed: Seed = None,
    uncertainty: Uncertain = False,
) -> pd.DataFrame: ...
@overload
def simulate(
    model: Source,
    data: Design | Sequence[Design],
    replicates: int | None = None,
    seed: Seed = None,
    uncertainty: Uncertain = False,
) -> Simulation: ...
def simulate(
    model: Source,
    data: GroupedData | Design | Sequence[Design] | None = None,
    replicates: int | None = None,
    seed: Seed = None,
    uncertainty: Uncertain = False,
) -> pd.DataFrame | Simulation:
    """Simulate the observations of data, or new people under a design.

    Parameters
    ----------
    model : Model, FitResult or Individual
        With all values stated; a fit stands for its model at the estimates. An individual (see `individualise`), for a
        design, with its own covariates where the design does not say others.
    data : GroupedData, Design or list of Design, optional
        Of data the doses, times, occasions and covariates are used, the observations are not. Those of the fit by
        default.
    replicates : int, optional
        1 for data, 1,000 for a design.
    seed : int or numpy Generator, optional
        The same seed gives the same numbers; a Generator is drawn from where it stands.
    uncertainty : bool, Bootstrap or Sir
        Draw new parameters for every replicate, too: True by the covariance of the fit, normal on the scale of the
        search; else from a bootstrap or from sampling importance resampling.

    Returns
    -------
    DataFrame or Simulation
        For data, columns replicate (from 1), ID, TIME, IPRED, DV; one row per observation and replicate, indexed by the
        row in the data. DVID names the response where there are several. For a design, the typical curve, the interval
        between people, and how uncertain the curve is.

    Raises
    ------
    ModelError
        If model and data do not fit together.
    FitError
        If parameters are to be drawn and it is not known how uncertain they are.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.initial_values(wb.Model(wb.pk(absorption="first-order")), data)
    >>> simulated = wb.simulate(model, data, replicates=2, seed=1)
    >>> list(simulated.columns)
    ['replicate', 'ID', 'TIME', 'IPRED', 'DV']
    >>> design = wb.Design(wb.Regimen(4, every=12, times=3))
    >>> wb.simulate(model, design, replicates=100, seed=1).table.columns.tolist()
    ['typical', 'median', 'lower', 'upper', 'measured_lower', 'measured_upper']
    """
    import pandas as pd

    if isinstance(data, Design | list | tuple):
        if not isinstance(model, Model | FitResult | Individual):
            raise ModelError(
                f"The first argument is a wb.Model(…), a fit or an individual, got {type(model).__name__}."
            )
        replicates = 1000 if replicates is None else whole("replicates", replicates, 1)
        return simulated(
            model, design_of(data), replicates, generator(seed), uncertainty, _code(replicates, seed, uncertainty)
        )
    if isinstance(model, Individual):
        raise ModelError("An individual is simulated for a design: wb.simulate(individual, wb.Design(…)).")
    assert not isinstance(data, Sequence)
    replicates = 1 if replicates is None else whole("replicates", replicates, 1)
    values = drawn(model, data, replicates, generator(seed), uncertainty)
    if isinstance(model, FitResult):
        data = model.data if data is None else data
        model = model.model
    assert data is not None
    events = data.events
    at = events.observed
    columns = {
        "replicate": np.repeat(np.arange(1, replicates + 1), int(at.sum())),
        "ID": np.tile(owners(data)[at], replicates),
        "TIME": np.tile(events.time[at], replicates),
        "IPRED": values.ipred.ravel(),
        "DV": values.dv.ravel(),
    }
    if len(model.structure.responses) > 1:
        names = np.asarray(model.structure.responses, dtype=object)
        columns["DVID"] = np.tile(names[responses_of(model, data)[at]], replicates)
    return pd.DataFrame(columns, index=np.tile(data.frame.index[events.row[at]], replicates))


def _code(replicates: int, seed: Seed, uncertainty: Uncertain) -> str:
    said = ["fit, design"]
    if replicates != 1000:
        said.append(f"replicates={replicates}")
    if seed is not None and not isinstance(seed, np.random.Generator):
        said.append(f"seed={seed}")
    if uncertainty is not False:
        said.append(f"uncertainty={'True' if uncertainty is True else type(uncertainty).__name__.lower()}")
    return f"wb.simulate({', '.join(said)})"
