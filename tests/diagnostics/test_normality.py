import numpy as np
import pytest
from scipy import stats

from workbench.diagnostics.normality import shapiro_wilk


@pytest.mark.parametrize(("count", "every"), [(3, 1), (5000, 1), (5001, 2), (9999, 2), (12000, 3)])
def test_no_more_values_are_taken_than_the_approximation_is_made_for(count, every):
    x = np.random.default_rng(1).normal(size=count)
    assert shapiro_wilk(x) == stats.shapiro(x[::every]).pvalue
