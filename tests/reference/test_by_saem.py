"""SAEM ends where published runs by SAEM ended, within Monte Carlo error; it knows nothing of their estimates."""

from __future__ import annotations

import math

import pytest

from .by_saem import BY_SAEM, fitted
from .cases import Case, each
from .results import evaluated

pytestmark = pytest.mark.slow

UNCERTAIN = 0.3  # of -2 log L: the scatter that the sources state for theirs


@each(BY_SAEM)
def test_likelihood(case: Case) -> None:
    """-2 log L not above theirs: exact at both estimates, by our own run, and as their program states it."""
    fit = fitted(case)
    (ours, error), (theirs, their_error) = fit.ours, fit.theirs
    assert ours - theirs < max(3 * math.hypot(error, their_error), UNCERTAIN)
    assert abs(fit.result.minus2ll - ours) < max(3 * math.hypot(fit.error, error), UNCERTAIN)
    assert evaluated(fit.here) - fit.entry.published < max(3 * error, UNCERTAIN)


@each(BY_SAEM)
def test_estimates(case: Case) -> None:
    """Within 5 % or a quarter of the published standard error; where they are not, ours are the more likely ones."""
    fit = fitted(case)
    away = [estimate.name for estimate in fit.estimates if not estimate.agrees]
    assert bool(away) is bool(fit.why), away
    assert fit.result.converged or fit.why
    if fit.why:
        (ours, error), (theirs, their_error) = fit.ours, fit.theirs
        assert theirs - ours > 2 * math.hypot(error, their_error)


@each(BY_SAEM)
def test_standard_errors(case: Case) -> None:
    """Of typical values, within 10 % of the published ones."""
    fit = fitted(case)
    if fit.why:
        return
    theirs = {one.name: one.se for one in fit.estimates if one.name in ("ka", "CL", "V")}
    assert {name: fit.result.estimate(name).se for name in theirs} == pytest.approx(theirs, rel=0.1)
