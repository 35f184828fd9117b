"""Subjects with several modes, and modes at a corner: where a random effect moves an event in time."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.engine.objectives.integral import Integral
from workbench.engine.objectives.objective import Objective
from workbench.engine.problem.compile import compile
from workbench.model.kinetics import times_moved_by

TIMES = np.array([0.25, 0.5, 0.75, 1, 1.5, 2, 4, 6, 8, 12.0])
PARAMETERS = [
    wb.Parameter("ka", 1.5, iiv=0.5),
    wb.Parameter("CL", 3.0, iiv=0.3),
    wb.Parameter("V", 30.0, iiv=0.2),
    wb.Parameter("lag", 0.6, iiv=0.4),
]
LAGGED = wb.Model(wb.pk(absorption="first-order", lag=True), PARAMETERS, error=wb.Combined2(0.05, 0.1))


def simulated(seed, subjects=24):
    k = len(TIMES) + 1
    frame = pd.DataFrame({"ID": np.repeat(np.arange(1, subjects + 1), k), "TIME": np.tile(np.r_[0, TIMES], subjects)})
    frame["EVID"] = np.tile(np.r_[1, np.zeros(k - 1, int)], subjects)
    frame["AMT"], frame["DV"] = np.where(frame["EVID"] == 1, 100.0, 0.0), 0.0
    frame.loc[frame["EVID"] == 0, "DV"] = wb.simulate(LAGGED, wb.read_data(frame), seed=seed)["DV"].to_numpy()
    return wb.read_data(frame)


def brute_force(problem, method, starts=20):
    """The objective at the deepest modes that searches from draws of the population find."""
    target = Objective(problem, method)
    rng, depth, ofv = np.random.default_rng(5), np.full(problem.n_subjects, np.inf), np.full(problem.n_subjects, np.nan)
    for _ in range(starts):
        found = target.evaluate(problem.x, rng.standard_normal((problem.n_subjects, problem.n_random)))
        deeper = np.isfinite(found.by_subject) & (found.depth < depth - 1e-6)
        depth[deeper], ofv[deeper] = found.depth[deeper], found.by_subject[deeper]
    return depth, ofv


@pytest.mark.parametrize("method", ["focei", "foce", "laplace"])
@pytest.mark.parametrize("seed", [0, 1, 3, 5])
def test_the_objective_is_that_at_the_deepest_modes(seed, method):
    problem = compile(LAGGED, simulated(seed))
    found = Objective(problem, method).evaluate(problem.x)
    depth, ofv = brute_force(problem, method)
    assert found.finite
    # never less deep than what twenty starts a subject find; where the mode is the same, so is what it adds
    np.testing.assert_array_less(found.depth, depth + 1e-3)
    same = np.abs(found.depth - depth) < 1e-3
    assert same.sum() > 20
    np.testing.assert_allclose(found.by_subject[same], ofv[same], atol=1e-2)


@pytest.mark.parametrize("method", ["focei", "foce"])
def test_the_gradient_at_corners_is_exact(method):
    problem = compile(LAGGED, simulated(3))
    target = Objective(problem, method)
    at = target.evaluate(problem.x)
    assert at.at_corner.any()  # else the data do not show it
    target.accept(at)
    differences = np.empty_like(at.gradient)
    for m in range(len(differences)):
        ends = [problem.x.copy(), problem.x.copy()]
        ends[0][m] += 1e-5
        ends[1][m] -= 1e-5
        differences[m] = (target.evaluate(ends[0]).ofv - target.evaluate(ends[1]).ofv) / 2e-5
    np.testing.assert_allclose(at.gradient, differences, rtol=1e-5, atol=1e-5 * np.abs(differences).max())


def test_a_fit_says_that_modes_lie_at_corners_and_its_objective_is_that_of_its_model():
    data = simulated(3)
    fit = wb.fit(LAGGED, data, covariance=False)
    assert "at a corner" in fit.message and "importance" in fit.message
    assert fit.ofv == pytest.approx(wb.objective(fit.model, data), abs=1e-3)


ODE = wb.ode("d/dt D = -ka*D; d/dt A = ka*D - CL/V*A; C = A/V", dose="D", lag={"D": "lag"})


@pytest.mark.parametrize(
    ("structure", "movers"),
    [
        (wb.pk(), set()),
        (wb.pk(absorption="first-order", lag=True), {"lag"}),
        (wb.pk(absorption="zero-order"), {"Tk0"}),
        (wb.pk(absorption="first-order", parameters="half-life"), set()),
        (wb.pk(2, parameters="half-life"), set()),
        (wb.pk(absorption="transit", transits=3), set()),
        (wb.pk(absorption="transit", transits=3, elimination="michaelis-menten"), set()),
        (wb.pk(absorption="first-order", elimination="michaelis-menten", lag=True), {"lag"}),
        (ODE, {"lag"}),
        (wb.ode("d/dt A = -k*A; C = A/V", duration={"A": "2*D1"}, lag={"A": "0.5"}), {"D1"}),
        (wb.ode("half = log(2)/k; late = half*shift; d/dt A = -k*A; C = A/V", lag={"A": "late"}), {"k", "shift"}),
    ],
    ids=lambda value: " ".join(sorted(value)) or "none" if isinstance(value, set) else None,
)
def test_what_moves_events_in_time_is_known_by_what_it_does(structure, movers):
    """A half-life and a mean transit time are times as well, and move nothing; equations say where doses are late."""
    assert times_moved_by(structure.system if structure.kinetics is None else structure.kinetics) == movers
    assert times_moved_by(structure.as_ode().system) == movers  # written out as equations it is the same


@pytest.mark.parametrize("words", [{"parameters": "half-life"}, {"absorption": "transit", "transits": 2}])
def test_a_grid_serves_where_nothing_moves(words, theophylline):
    structure = wb.pk(**{"absorption": "first-order", **words})
    model = wb.initial_values(wb.Model(structure, error=wb.Constant()), theophylline)
    integral = Integral(problem := compile(model, theophylline), wb.Quadrature(nodes=3), problem.x)
    assert not integral.drawn
    assert integral.said == ""


def test_equations_with_a_lag_are_searched_as_the_closed_form_is():
    """The corners are those of the lag, whoever wrote it down."""
    data = simulated(3)
    closed = Objective(compile(LAGGED, data))
    written = Objective(compile(wb.Model(ODE, PARAMETERS, error=wb.Combined2(0.05, 0.1)), data))
    assert written.cornered and closed.cornered
    one, other = (target.evaluate(target.problem.x) for target in (closed, written))
    assert one.at_corner.any()
    names = {name: k for k, name in enumerate(closed.problem.scale.labels_of_x)}
    assert set(names) == set(written.problem.scale.labels_of_x)
    np.testing.assert_allclose(other.depth, one.depth, atol=1e-3)
    np.testing.assert_array_equal(other.at_corner, one.at_corner)
