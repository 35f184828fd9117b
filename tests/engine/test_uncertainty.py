"""Covariance of the estimates: three kinds of it, their relations, and what is made from them."""

import numpy as np
import pytest

import workbench as wb

ORAL = wb.pk(absorption="first-order")


@pytest.fixture(scope="module")
def fits():
    data = wb.load_example("theophylline")
    start = wb.fit(wb.Model(ORAL, error=wb.Constant()), data).model
    return {kind: wb.fit(start, data, covariance=kind) for kind in (True, "R", "S", "sandwich")}


def test_the_sandwich_is_made_of_the_others(fits):
    R, S, sandwich = (fits[kind].covariance for kind in ("R", "S", "sandwich"))
    assert np.allclose(R @ np.linalg.inv(S) @ R, sandwich, rtol=1e-6)
    assert np.array_equal(fits[True].covariance, R)


def test_correlation_and_condition(fits):
    fit = fits["R"]
    matrix = fit.correlation
    assert list(matrix.columns) == [e.name for e in fit.lines if not e.fixed]
    assert np.allclose(np.diag(matrix), 1) and np.allclose(matrix, matrix.T)
    values = np.linalg.eigvalsh(matrix)
    assert fit.condition_number == pytest.approx(values.max() / values.min())


def test_variability(fits):
    fit = fits["R"]
    table = fit.variability
    assert table["cv"]["ka"] == pytest.approx(100 * np.sqrt(np.exp(fit.estimate("iiv_ka").value ** 2) - 1))
    assert table["variance"].to_numpy() == pytest.approx(np.diag(fit.omega))
    assert table["shrinkage"]["V"] == pytest.approx(fit.shrinkage["sd"]["V"])


def test_without_a_covariance_there_is_no_correlation():
    fit = wb.fit(wb.Model(ORAL, error=wb.Constant()), wb.load_example("theophylline"), covariance=False)
    assert fit.correlation is None and np.isnan(fit.condition_number) and fit.se_reason


def test_more_estimates_than_subjects():
    """S has no more directions than there are subjects; R has."""
    data = wb.load_example("theophylline")
    few = data.filter(" or ".join(f"ID == {k}" for k in (1, 2, 3, 4, 5)))
    model = wb.Model(ORAL, error=wb.Constant())
    assert "5 subjects do not determine 7 estimates" in wb.fit(model, few, covariance="S").se_reason
    assert wb.fit(model, few, covariance="R").covariance is not None


def test_other_words_are_refused():
    with pytest.raises(wb.ModelError, match="'R', 'S' and 'sandwich'"):
        wb.fit(wb.Model(ORAL), wb.load_example("theophylline"), covariance="hessian")
