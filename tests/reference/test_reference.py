"""Every published run, stated as a model, has the published objective at the published values."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile

from .cases import CASES, Case, each, named
from .fits import fits
from .marginal import exact, linearised
from .material import PUBLISHED
from .results import evaluated, individuals

PREDICTIONS = {"nmtests_dosing"}  # see test_dosing.py


def test_every_case_is_stated() -> None:
    assert {path.stem for path in PUBLISHED.glob("*.json")} == {case.name for case in CASES} | PREDICTIONS


@each()
def test_published_value(case: Case) -> None:
    entries = list(case.entries())
    assert entries
    for entry in entries:
        difference = abs(evaluated(entry) - entry.published)
        agrees = difference <= entry.tolerance  # not so where it is not a number
        assert agrees is not bool(entry.disagrees), f"{entry.label}: they differ by {difference:.3g}"


@each()
def test_counts(case: Case) -> None:
    for entry in case.entries():
        assert int(entry.data.events.observed.sum()) == entry.observations


@each()
def test_models_print_themselves(case: Case) -> None:
    for entry in case.entries():
        assert eval(repr(entry.model), {"wb": wb}) == entry.model


@each()
def test_subjects(case: Case) -> None:
    """Random effects to 1e-3 of their standard deviation; contributions to 1e-3, for digits that are not printed."""
    found = individuals(case)
    if found is None:
        return
    agree = np.abs(found.contributions - found.published).max() <= 1e-3
    if found.ours.size:
        agree &= (np.abs(found.ours - found.theirs) / found.sd).max() <= 1e-3
    assert agree is not ("final" in case.disagrees)


@each([case for case in CASES if case.name.startswith("monolix")])
def test_subjects_of_monolix(case: Case) -> None:
    tolerance = {"linearised": 1e-3, "exact": 0.5}[case.kind]
    (entry,) = case.entries()
    published = {str(one["ID"]): one["minus2LL"] for one in case.known["evaluate"][0]["individual"]}
    theirs = np.array([published[str(label)] for label in entry.data.events.subjects])
    ours, errors = linearised(entry.model, entry.data), np.zeros(len(theirs))
    if case.kind == "exact":
        ours, errors = exact(entry.model, entry.data)
    np.testing.assert_array_less(np.abs(ours - theirs), tolerance + 4 * errors)


@pytest.mark.reference
def test_two_modes_of_a_subject() -> None:
    """mox3: from the mode in which NONMEM left subject 127, the objective is NONMEM's."""
    entry = next(entry for entry in named("mox3_focei").entries() if entry.disagrees)
    problem = compile(entry.model, entry.data)
    objective = Objective(problem, "focei")
    ours = objective.evaluate(problem.x)
    i = list(map(str, entry.data.events.subjects)).index("127")
    start = ours.zeta.copy()
    start[i] = np.linalg.solve(ours.point.L, [0.112, 0.612, 0.663])
    theirs = objective.evaluate(problem.x, start)
    assert theirs.ofv == pytest.approx(entry.published, abs=1e-5)
    assert ours.depth[i] < theirs.depth[i] - 30


@each()
def test_fits(case: Case) -> None:
    """The published minimum or a lower one, and at the same minimum the published estimates."""
    for fit in fits(case):
        above = fit.result.ofv - fit.published
        assert (above < 0.01) is not bool(fit.why), fit.entry.label
        assert fit.result.converged
        if abs(above) < 2e-4:  # sources stop short of the minimum, where estimates still move
            assert fit.away < 0.01
