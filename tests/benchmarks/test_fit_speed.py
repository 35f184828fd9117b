"""Speed of fits. Run on request: pytest tests/benchmarks --benchmark-only

`numpy_pass` and `numpy_reference` are fixed pieces of numpy work run beside the fits, so that figures of different days
and machines can be put as ratios to them.
"""

import os
import pickle
import subprocess
import sys
import time
import tracemalloc
from contextlib import nullcontext

import joblib
import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.engine.objectives.objective import Objective
from workbench.engine.predictions import threads
from workbench.engine.problem.compile import compile

ORAL = wb.pk(absorption="first-order")
TIMES = np.array([0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 24.0])


def simulated(subjects):
    """Oral one-compartment data, 10 samples a subject, and a model to start from."""
    n = len(TIMES) + 1
    frame = pd.DataFrame({"ID": np.repeat(np.arange(1, subjects + 1), n), "TIME": np.tile(np.r_[0, TIMES], subjects)})
    frame["EVID"] = np.tile(np.r_[1, np.zeros(n - 1, int)], subjects)
    frame["AMT"] = np.where(frame["EVID"] == 1, 100.0, 0.0)
    frame["DV"] = 0.0
    parameters = [wb.Parameter("ka", 1.5, iiv=0.5), wb.Parameter("CL", 3.0, iiv=0.3), wb.Parameter("V", 30.0, iiv=0.2)]
    truth = wb.Model(ORAL, parameters, error=wb.Combined2(0.05, 0.1))
    frame.loc[frame["EVID"] == 0, "DV"] = wb.simulate(truth, wb.read_data(frame), seed=1)["DV"].to_numpy()
    return truth.with_values({"ka": 1.0, "CL": 4.0, "V": 25.0}), wb.read_data(frame)


def test_numpy_pass(benchmark):
    x = np.random.default_rng(1).normal(size=(200, 200))
    benchmark(lambda: np.linalg.svd(x))


def numpy_reference():
    """3,000 predictions of 132 points: what a fit of theophylline that calls numpy would take for them alone."""
    time = np.tile([0.0, 0.25, 0.5, 1, 2, 3.5, 5, 7, 9, 12, 24], 12)
    for number in range(3_000):
        ka, k = 1.5 + 1e-5 * number, 0.08
        curve = 4.0 * ka / (0.5 * (ka - k)) * (np.exp(-k * time) - np.exp(-ka * time))
    return curve


def test_numpy_reference(benchmark):
    benchmark(numpy_reference)


@pytest.mark.parametrize("error", [wb.Constant(), wb.Combined2()], ids=lambda e: e.title)
def test_theophylline_from_nothing(benchmark, error):
    data = wb.load_example("theophylline")
    model = wb.Model(ORAL, error=error)
    fit = benchmark(lambda: wb.fit(model, data))
    benchmark.extra_info["ofv"] = fit.ofv
    assert fit.converged


@pytest.mark.parametrize("error", [wb.Constant(), wb.Combined2()], ids=lambda e: e.title)
def test_theophylline_from_values(benchmark, error):
    data = wb.load_example("theophylline")
    model = wb.initial_values(wb.Model(ORAL, error=error), data)
    fit = benchmark(lambda: wb.fit(model, data, covariance=False))
    benchmark.extra_info["evaluations"] = fit.evaluations
    assert fit.converged


def test_phenobarbital_from_nothing(benchmark):
    model, data = wb.Model(wb.pk(), error=wb.Proportional()), wb.load_example("phenobarbital")
    assert benchmark(lambda: wb.fit(model, data)).converged


def test_phenobarbital_from_values(benchmark):
    data = wb.load_example("phenobarbital")
    model = wb.initial_values(wb.Model(wb.pk(), error=wb.Proportional()), data)
    fit = benchmark(lambda: wb.fit(model, data, covariance=False))
    benchmark.extra_info["evaluations"] = fit.evaluations
    assert fit.converged


def growth():
    """The orange trees as a logistic curve, from round values."""
    return wb.Model(
        wb.equation("Asym/(1 + exp((xmid - t)/scal))"),
        [
            wb.Parameter("Asym", 190, iiv=30, transform="identity"),
            wb.Parameter("xmid", 700, transform="identity"),
            wb.Parameter("scal", 350, transform="identity"),
        ],
        error=wb.Constant(10),
    )


@pytest.mark.parametrize("covariance", [True, False])
def test_orange_trees(benchmark, covariance):
    model, data = growth(), wb.load_example("orange_trees")
    assert benchmark(lambda: wb.fit(model, data, covariance=covariance)).converged


@pytest.mark.parametrize("method", ["fo", "foce", "focei", "laplace"])
def test_an_evaluation_of_theophylline(benchmark, method):
    """Objective and gradient, the modes being searched from where they are expected to be."""
    data = wb.load_example("theophylline")
    problem = compile(wb.initial_values(wb.Model(ORAL, error=wb.Constant()), data), data)
    objective = Objective(problem, method)
    objective.accept(objective.evaluate(problem.x))
    assert benchmark(lambda: objective.evaluate(problem.x + 0.01)).finite


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("subjects", [1_000, 10_000])
def test_an_evaluation_in_two_threads(benchmark, monkeypatch, subjects, workers):
    problem = compile(*simulated(subjects))
    monkeypatch.setattr(threads, "threads", lambda: workers)
    objective = Objective(problem)
    objective.accept(objective.evaluate(problem.x))
    assert benchmark.pedantic(lambda: objective.evaluate(problem.x + 0.05), rounds=9, warmup_rounds=1).finite


def test_ten_thousand_subjects_with_standard_errors(benchmark):
    model, data = simulated(10_000)
    assert benchmark.pedantic(lambda: wb.fit(model, data), rounds=1, warmup_rounds=1).converged


def test_two_stage_of_ten_thousand_subjects(benchmark):
    model, data = simulated(10_000)
    assert benchmark.pedantic(lambda: wb.fit(model, data, "two-stage"), rounds=2, warmup_rounds=1).converged


PEAK = """
import resource, sys
from tests.benchmarks.test_fit_speed import simulated, wb
model, data = simulated(int(sys.argv[1]))
fit = wb.fit(model, data, covariance=False)
assert fit.converged
print(fit.seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / int(sys.argv[1]))
"""


def test_bytes_of_a_subject(benchmark):
    """The most that a process holds for 100,000 subjects of 10 samples, the process itself and the data included."""

    def work():
        command = [sys.executable, "-c", PEAK, "100000"]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1])

    found = benchmark.pedantic(work, rounds=1, iterations=1)
    benchmark.extra_info["bytes of a subject"] = found
    assert found < 11_000


@pytest.mark.skipif("MILLION" not in os.environ, reason="minutes and 6 GB: on request, MILLION=1")
def test_a_million_subjects(benchmark):
    """10 observations each; the most that the process holds, the simulation of the data included, in bytes."""
    command = [sys.executable, "-c", PEAK, "1000000"]
    run = benchmark.pedantic(
        lambda: subprocess.run(command, capture_output=True, text=True, check=True), rounds=1, iterations=1
    )
    seconds, found = map(float, run.stdout.split())
    benchmark.extra_info["seconds of the fit"], benchmark.extra_info["bytes of a subject"] = seconds, found
    assert found < 6_000


@pytest.mark.parametrize("subjects", [120, 1_000, 10_000])
def test_simulated_subjects(benchmark, subjects):
    model, data = simulated(subjects)
    fit = benchmark.pedantic(lambda: wb.fit(model, data, covariance=False), rounds=3, warmup_rounds=1)
    benchmark.extra_info["evaluations"] = fit.evaluations
    benchmark.extra_info["microseconds per subject and evaluation"] = (
        1e6 * benchmark.stats["min"] / subjects / fit.evaluations
    )
    assert fit.converged


def test_memory_of_a_fit(benchmark):
    model, data = simulated(1_000)
    wb.fit(model, data)
    tracemalloc.start()
    fit = benchmark.pedantic(lambda: wb.fit(model, data), rounds=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    benchmark.extra_info["bytes per observation"] = peak / fit.n_observations
    assert peak / fit.n_observations < 1024


def run(code, **environment):
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **environment})


def test_import(benchmark):
    benchmark.pedantic(lambda: run("import workbench"), rounds=5)


FIRST_FIT = (
    "import workbench as wb\n"
    "assert wb.fit(wb.Model(wb.pk(absorption='first-order')), wb.load_example('theophylline')).converged"
)


def test_first_fit_of_a_second_process(benchmark):
    run(FIRST_FIT)
    benchmark.pedantic(lambda: run(FIRST_FIT), rounds=3)


def test_first_fit_after_a_fresh_install(benchmark, tmp_path):
    benchmark.pedantic(lambda: run(FIRST_FIT, NUMBA_CACHE_DIR=str(tmp_path)), rounds=1)


@pytest.mark.parametrize("method", ["focei", "laplace", "quadrature", "importance"])
def test_theophylline_by_method(benchmark, method):
    data = wb.load_example("theophylline")
    model = wb.initial_values(wb.Model(ORAL, error=wb.Constant()), data)
    fit = benchmark.pedantic(
        lambda: wb.fit(model, data, method, covariance=False), rounds=3, iterations=1, warmup_rounds=1
    )
    benchmark.extra_info["evaluations"] = fit.evaluations
    assert fit.converged


@pytest.mark.parametrize("error", [wb.Constant(), wb.Combined2()], ids=lambda e: e.title)
def test_saem_of_theophylline(benchmark, error):
    """The whole call, standard errors included."""
    data, model = wb.load_example("theophylline"), wb.Model(ORAL, error=error)
    fit = benchmark.pedantic(lambda: wb.fit(model, data, "saem"), rounds=3, iterations=1, warmup_rounds=1)
    benchmark.extra_info["ofv"] = fit.ofv
    assert fit.converged


@pytest.mark.parametrize("error", [wb.Constant(), wb.Combined2()], ids=lambda e: e.title)
@pytest.mark.parametrize("method", ["individual", wb.TwoStage("standard"), wb.TwoStage()], ids=str)
def test_theophylline_by_subject(benchmark, method, error):
    data = wb.load_example("theophylline")
    model = wb.initial_values(wb.Model(ORAL, error=error), data)
    fit = benchmark(lambda: wb.fit(model, data, method))
    benchmark.extra_info["rounds"] = fit.evaluations
    assert fit.status.ok


def test_screening_of_phenobarbital(benchmark):
    """Once statsmodels is imported."""
    model = wb.Model(wb.pk(), error=wb.Proportional())
    fit = wb.fit(model, wb.load_example("phenobarbital"), covariance=False)
    found = benchmark.pedantic(lambda: wb.screen(fit), rounds=5, iterations=1, warmup_rounds=1)
    benchmark.extra_info["tests"] = len(found.table)


@pytest.mark.parametrize("kind", [False, "R", "sandwich"], ids=str)
def test_covariance_step(benchmark, kind):
    model, data = simulated(120)
    fit = benchmark.pedantic(lambda: wb.fit(model, data, covariance=kind), rounds=3, iterations=1, warmup_rounds=1)
    assert fit.converged


@pytest.mark.parametrize("error", [wb.Constant(), wb.Combined2()], ids=lambda e: e.title)
@pytest.mark.parametrize("replicates", [200, 1_000])
def test_bootstrap_of_theophylline(benchmark, error, replicates):
    fit = wb.fit(wb.Model(ORAL, error=error), wb.load_example("theophylline"))
    found = benchmark.pedantic(lambda: wb.bootstrap(fit, replicates), rounds=1, iterations=1)
    benchmark.extra_info["failures"] = found.failures
    assert len(found.table) == replicates


@pytest.mark.parametrize("backend", [None, "threading", "loky"], ids=str)
@pytest.mark.parametrize("subjects, replicates", [(12, 1_000), (120, 100), (2_000, 10)])
def test_bootstrap_on_two_cores(benchmark, backend, subjects, replicates):
    model, data = simulated(subjects)
    fit = wb.fit(model, data, covariance=False)

    def run_it():
        with joblib.parallel_config(backend, n_jobs=2) if backend else nullcontext():
            return wb.bootstrap(fit, replicates)

    found = benchmark.pedantic(run_it, rounds=1, iterations=1, warmup_rounds=1)
    benchmark.extra_info["failures"] = found.failures


@pytest.mark.parametrize("subjects, replicates", [(12, 1_000), (120, 200), (1_000, 200)])
def test_bootstrap_by_processes_that_are_there(benchmark, subjects, replicates):
    """Two jobs; the ratio is to one job, which has the threads of its kernels."""
    model, data = simulated(subjects)
    fit = wb.fit(model, data, covariance=False)
    begun = time.perf_counter()
    alone = wb.bootstrap(fit, replicates, jobs=1)
    one = time.perf_counter() - begun
    wb.bootstrap(fit, replicates, jobs=2)
    found = benchmark.pedantic(lambda: wb.bootstrap(fit, replicates, jobs=2), rounds=1, iterations=1)
    benchmark.extra_info["ratio"] = one / benchmark.stats["min"]
    assert found.table.equals(alone.table)


def test_an_evaluation_of_a_part(benchmark):
    """What 20,000 subjects with ten observations take in one thread, and what they answer."""
    from workbench.engine.objectives.objective import Objective
    from workbench.engine.objectives.sharded import Shard
    from workbench.engine.problem.compile import compile
    from workbench.parallel import in_one_thread

    model, data = simulated(20_000)
    shard = Shard(Objective(compile(model, data)))
    x = shard.objective.problem.x
    shard.evaluate(x, None, shard.objective.tolerance)
    points = iter(range(1, 100))
    with in_one_thread():
        answer = benchmark.pedantic(
            lambda: shard.evaluate(x + 1e-3 * next(points), x, shard.objective.tolerance), rounds=3, iterations=1
        )
    benchmark.extra_info["bytes of an answer"] = len(pickle.dumps(answer))
    benchmark.extra_info["microseconds per subject"] = 1e6 * benchmark.stats["min"] / 20_000


@pytest.mark.parametrize("name", ["ka", "iiv_V", "corr_ka_CL"])
def test_profile_of_theophylline(benchmark, name):
    fit = wb.fit(wb.Model(ORAL, error=wb.Constant(), correlate=[("ka", "CL")]), wb.load_example("theophylline"))
    found = benchmark.pedantic(lambda: wb.profile(fit, name), rounds=3, iterations=1, warmup_rounds=1)
    benchmark.extra_info["fits"] = len(found.points) - 1
    assert not found.reason


def test_sir_of_theophylline(benchmark):
    fit = wb.fit(wb.Model(ORAL, error=wb.Constant()), wb.load_example("theophylline"))
    found = benchmark.pedantic(lambda: wb.sir(fit), rounds=1, iterations=1)
    benchmark.extra_info["ess"] = found.rounds[-1].ess


def test_many_starts_of_theophylline(benchmark):
    model, data = wb.Model(ORAL, error=wb.Constant()), wb.load_example("theophylline")
    fit = benchmark.pedantic(lambda: wb.fit(model, data, starts=20), rounds=1, iterations=1, warmup_rounds=1)
    assert fit.converged
