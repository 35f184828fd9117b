"""Whole numbers that a user gives, of whatever type of integer."""

import numpy as np
import pytest

import workbench as wb
from workbench.errors import whole


def test_integers_of_numpy_are_whole_numbers():
    options = wb.Saem(seed=np.int64(3), chains=np.int32(2))
    assert options == wb.Saem(seed=3, chains=2)
    assert repr(options) == "wb.Saem(chains=2, seed=3)"
    assert eval(repr(options)) == options
    assert wb.Quadrature(np.int64(5)) == wb.Quadrature(5)
    data = wb.load_example("theophylline")
    fit = wb.fit(
        wb.Model(wb.pk(absorption="first-order"), error=wb.Constant()), data, starts=np.int64(2), seed=np.int8(4)
    )
    assert fit.settings == (("starts", 2), ("seed", 4)) and type(fit.settings[0][1]) is int
    assert wb.bootstrap(fit, np.int64(3), seed=np.uint8(1)).table.equals(wb.bootstrap(fit, 3).table)


@pytest.mark.parametrize("bad", [True, 1.0, "3", None, -1, np.float64(2), np.bool_(True)])
def test_others_are_not(bad):
    with pytest.raises(wb.ModelError, match=r"seed=.*; a whole number, 0 or more, is needed"):
        whole("seed", bad)
