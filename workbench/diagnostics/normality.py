"""Is a sample normal?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST = 5000  # values that the approximation of Shapiro and Wilk's p is made for (Royston 1995, AS R94)


def shapiro_wilk(x: NDArray[np.float64]) -> float:
    """p of Shapiro and Wilk's test; of more than 5,000 values every second, third, ... is taken.

    Parameters
    ----------
    x : float64[n]
        Finite values, three or more.
    """
    from scipy import stats

    return float(stats.shapiro(x[:: max(1, -(-len(x) // LARGEST))]).pvalue)
