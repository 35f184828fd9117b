"""What a fit to data in parts reports: what all subjects say together, and what each part can still be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.partitions import Partitions
from workbench.markup import Shown, short
from workbench.model import Model
from workbench.results.fit import FitResult, Status
from workbench.results.tables import Estimate

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class PartitionedFit(Shown):
    """A finished fit to data in parts.

    Attributes
    ----------
    model, given : Model
        At the estimates, and as it was given.
    data : Partitions
    method : str
    status : Status
    message : str
        What there is to say beyond the status.
    ofv : float
        Objective function value without n·log 2π.
    trace : tuple of (int, float)
    seconds : float
    evaluations : int
    lines : tuple of Estimate
    covariance : float64[k, k] or None
    se_reason : str
    n_subjects, n_observations : int
    bytes_of_an_evaluation : int
        Sent to each part and back for one evaluation; 0 where all was done here.
    parts_made : int
        Parts that were read, those that replace lost ones included.
    """

    model: Model
    given: Model
    data: Partitions
    method: str
    status: Status
    message: str
    ofv: float
    trace: tuple[tuple[int, float], ...]
    seconds: float
    evaluations: int
    lines: tuple[Estimate, ...]
    covariance: Array | None
    se_reason: str
    n_subjects: int
    n_observations: int
    bytes_of_an_evaluation: int
    parts_made: int
    writes: Callable[[str], list[str]] = field(repr=False)
    gathers: Callable[[], FitResult] = field(repr=False)

    @property
    def converged(self) -> bool:
        """Whether the search ended at a minimum."""
        return self.status.ok

    @property
    def estimates(self) -> pd.DataFrame:
        """Estimates by name on the natural scale: estimate, se, rse (per cent), lower, upper, fixed."""
        import pandas as pd

        rows = [(e.name, e.value, e.se, e.rse, e.lower, e.upper, e.fixed) for e in self.lines]
        return pd.DataFrame(rows, columns=["name", "estimate", "se", "rse", "lower", "upper", "fixed"]).set_index(
            "name"
        )

    def write(self, folder: str) -> list[str]:
        """Write the random effects and the table of observations of each part as Parquet.

        Parts are written by who holds them, so that the folder must be one that all workers reach. Files are
        `etas-00001.parquet`, `table-00001.parquet` and so on, in the order of the parts.

        Returns
        -------
        list of str
            The files.
        """
        return self.writes(folder)

    def gather(self) -> FitResult:
        """All that a fit on one machine reports, once all parts are read here: the memory must hold them."""
        return self.gathers()

    def _shown(self) -> list[str | Any]:
        head = (
            f"{self.status.value} OFV {short(self.ofv, 8)} after {self.evaluations} evaluations in "
            f"{self.seconds:.1f} s; "
            f"{self.n_subjects} subjects with {self.n_observations} observations in {len(self.data)} parts."
        )
        errors = f"Standard errors: {self.se_reason}" if self.se_reason else ""
        return [head, self.estimates, *filter(None, (self.message, errors))]
