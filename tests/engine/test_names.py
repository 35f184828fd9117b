"""Names among the estimates are one of a kind, whatever the parameters are called."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb


def declining(**columns):
    rng, rows = np.random.default_rng(1), []
    for i in range(8):
        A = 10 * np.exp(rng.normal(0, 0.2))
        rows += [(i + 1, t, A * np.exp(-0.3 * t) + 1 + rng.normal(0, 0.2)) for t in (0.5, 1, 2, 4, 8)]
    return wb.read_data(pd.DataFrame(rows, columns=["ID", "TIME", "DV"]).assign(**columns))


def decline(first, second, third, error):
    structure = wb.equation(f"{first}*exp(-{second}*t)+{third}")
    parameters = [wb.Parameter(first, 10, iiv=0.2), wb.Parameter(second, 0.3), wb.Parameter(third, 1)]
    return wb.Model(structure, parameters, error)


def test_parameters_called_as_those_of_the_residual_error():
    data = declining()
    plain = wb.fit(decline("A", "B", "C", wb.Combined2(0.2, 0.05)), data)
    fit = wb.fit(decline("a", "b", "c", wb.Combined2(0.2, 0.05)), data)
    assert list(fit.estimates.index) == ["a", "b", "c", "iiv_a", "error_a", "error_b"]
    np.testing.assert_allclose(fit.estimates["estimate"], plain.estimates["estimate"], rtol=1e-6)
    assert fit.model["a"].value == pytest.approx(plain.model["A"].value)
    assert [fit.model.error.a, fit.model.error.b] == pytest.approx([plain.model.error.a, plain.model.error.b])
    assert wb.objective(fit.model, data) == pytest.approx(fit.ofv, abs=1e-4)
    for name, other in (("a", "A"), ("error_a", "a")):
        ours, theirs = wb.profile(fit, name), wb.profile(plain, other)
        assert (ours.lower, ours.upper) == pytest.approx((theirs.lower, theirs.upper), rel=1e-3)


@pytest.mark.parametrize("method", ["saem", "two-stage", "individual", "pooled", "importance"])
def test_methods_keep_them_apart(method):
    fit = wb.fit(decline("b", "a", "c", wb.Constant(0.2)), declining(), method=method)
    assert fit.estimates.index.is_unique and fit.model["a"].value == pytest.approx(0.3, rel=0.5)
    assert fit.model.error.a == pytest.approx(fit.estimates.loc["error_a", "estimate"], rel=1e-6)


def test_responses_and_parameters_that_sound_alike():
    structure = wb.equation("z = a_x*exp(-k*t)", responses={"x": "z", "y": "z*2"})
    model = wb.Model(structure, [wb.Parameter("a_x", 1.0), wb.Parameter("k", 1.0)], wb.Constant(1.0))
    assert model.error_labels == (("error_a_x",), ("a_y",))


@pytest.mark.parametrize("name", ["iiv_A", "iov_A", "share_A", "corr_A_k", "corr_k_A", "corr_iov_A_k"])
def test_names_of_other_estimates_are_refused_at_once(name):
    with pytest.raises(wb.ModelError, match=f"called {name}, which names .* Give it another name"):
        wb.Model(wb.equation(f"A*exp(-k*t)+{name}"))
    wb.Model(wb.equation(f"B*exp(-q*t)+{name}"))  # of nothing that is there


def test_a_covariate_called_like_a_parameter():
    data = declining(k=np.repeat(np.arange(8.0), 5))
    fit = wb.fit(decline("A", "k", "c", wb.Constant(0.2)).with_covariate("A", "k"), data)
    assert fit.estimates.index.is_unique and fit.table().columns.is_unique
    assert fit.model["k"].value == pytest.approx(0.3, rel=0.3)
