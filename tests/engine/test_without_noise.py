"""Data without noise, or almost without: an answer in words."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb


def oral(noise):
    rng, rows = np.random.default_rng(1), []
    for i in range(12):
        ka, CL, V = np.array([1.5, 2.8, 32.0]) * np.exp(rng.normal(0, [0.4, 0.3, 0.2]))
        rows.append((i + 1, 0.0, 320.0, 1, np.nan))
        for t in (0.25, 0.5, 1, 2, 4, 7, 12, 24):
            c = 320 * ka / (V * (ka - CL / V)) * (np.exp(-CL / V * t) - np.exp(-ka * t))
            rows.append((i + 1, t, 0.0, 0, c * (1 + noise * rng.normal())))
    return wb.read_data(pd.DataFrame(rows, columns=["ID", "TIME", "AMT", "EVID", "DV"]))


@pytest.mark.parametrize("noise", [0.0, 1e-9])
@pytest.mark.parametrize("method", ["focei", "foce", "laplace", "quadrature", "importance", "saem"])
def test_no_noise_is_said(method, noise):
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), oral(noise), method=method)
    assert not fit.converged and fit.message.startswith("The data have no noise")


def test_little_noise_is_noise():
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order"), error=wb.Proportional()), oral(1e-3))
    assert fit.converged and fit.estimates.loc["b", "estimate"] == pytest.approx(1e-3, rel=0.2)


@pytest.mark.parametrize("method", ["individual", "two-stage"])
def test_subjects_alone_without_noise(method):
    """The curves of the subjects go through all observations: not one has a residual error, or it goes to nothing."""
    with pytest.raises(wb.FitError, match="The data have no noise"):
        wb.fit(wb.Model(wb.pk(absorption="first-order")), oral(0.0), method=method)
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), oral(1e-9), method=method)
    assert not fit.converged and fit.message.startswith("The data have no noise")
