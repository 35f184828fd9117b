"""Speed of predictions in closed form, by themselves. Run on request: pytest tests/benchmarks --benchmark-only

The figures are for one core; `extra_info` gives microseconds a record, or nanoseconds an observation.
"""

import subprocess
import sys
import time

import numpy as np
import pytest

from workbench.data.events import DOSE
from workbench.engine.predictions import threads
from workbench.engine.predictions.linear import LinearPredictor
from workbench.engine.predictions.schedule import Schedule
from workbench.engine.problem.layout import Layout
from workbench.model.library.pk import pk

TYPICAL = {"Fr": 0.0, "ka": np.log(1.2), "Tk0": 1.0, "CL": 1.0, "V": 3.0, "V1": 3.0, "Q": 0.7, "V2": 3.4, "Q2": 0.7,
           "Q3": -1.0, "V3": 5.0, "lag": -1.0, "F": 0.5, "k": -2.0, "k12": -2.3, "k21": -2.7}  # fmt: skip


def oral(structure, subjects, samples, doses, rows=1):
    """A predictor, and coordinates: doses every 12 hours, samples between them, `rows` design rows in turn."""
    given, seen = 12.0 * np.arange(doses), np.linspace(0.3, 12.0 * doses + 24.0, samples)
    time = np.concatenate([given, seen])
    order = np.argsort(time, kind="stable")
    is_dose = np.tile(order < doses, subjects)
    n = len(is_dose)
    zeros, none = np.zeros(n), np.zeros(n, dtype=np.int64)
    schedule = Schedule(
        start=(doses + samples) * np.arange(subjects + 1),
        time=np.tile(time[order], subjects),
        kind=np.where(is_dose, DOSE, 0),
        amount=np.where(is_dose, 100.0, 0.0),
        rate=zeros,
        duration=zeros,
        interval=zeros,
        steady_state=none,
        compartment=none,
        response=none,
        record=np.arange(n),
        origin=np.arange(n),
        slot=np.where(is_dose, -1, np.cumsum(~is_dose) - 1),
    )
    P = len(structure.names)
    layout = Layout(
        A=np.zeros((subjects, P, 0)),
        B=np.zeros((subjects, P, 0)),
        C=np.tile(np.eye(P), (rows, 1, 1)),
        offset=0.1 * np.arange(rows)[:, None] * np.ones(P),
        row=np.arange(n) % rows,
        origin=np.arange(n) % rows,
        transform=np.zeros(P, dtype=np.int64),
        lower=np.zeros(P),
        upper=np.ones(P),
        covariates=np.zeros((rows, 0)),
    )
    u = np.array([TYPICAL[name] for name in structure.names])
    return LinearPredictor(structure.kinetics, schedule, layout), u + np.random.default_rng(1).normal(
        0, 0.2, (subjects, P)
    )


def call(predictor, u, order=2):
    """A call that fills arrays made beforehand."""
    n, D = int(predictor.slot.max()) + 1, u.shape[1]
    f, fu, fuu, everyone = np.zeros(n), np.zeros((n, D)), np.zeros((n, D, D)), np.arange(len(u))
    return lambda: predictor.predict(everyone, u, order, f, fu, fuu)


def seconds(task, repeats=30):
    """The shortest of some runs."""
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - start)
    return best


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    monkeypatch.setattr(threads, "threads", lambda: 1)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_two_compartments_oral(benchmark, order):
    """120 subjects, 20 samples and 7 doses each: under 3 ms with both derivatives."""
    task = call(*oral(pk(2, "first-order"), 120, 20, 7), order)
    benchmark(task)
    benchmark.extra_info["µs a record"] = 1e6 * seconds(task) / (120 * 27)
    assert benchmark.stats.stats.min < 3e-3


@pytest.mark.parametrize("doses, samples", [(7, 20), (50, 50), (100, 20)])
def test_twice_the_records_cost_twice_the_time(benchmark, doses, samples):
    structure = pk(2, "first-order")
    once = seconds(call(*oral(structure, 60, samples, doses)))
    twice = benchmark.pedantic(lambda: seconds(call(*oral(structure, 60, 2 * samples, 2 * doses))), rounds=1)
    benchmark.extra_info["ratio"] = twice / once
    assert twice < 2.2 * once


@pytest.mark.parametrize(
    "structure, rows",
    [
        (pk(1), 1),
        (pk(1, "first-order"), 1),
        (pk(1, "first-order", lag=True, bioavailability=True), 1),
        (pk(2), 1),
        (pk(2, "first-order", lag=True), 1),
        (pk(2, "parallel"), 1),
        (pk(2, "first-order"), 2),
        (pk(3), 1),
        (pk(3, "first-order"), 1),
        (pk(3, "first-order"), 2),
    ],
    ids=lambda x: repr(x) if not isinstance(x, int) else f"{x} rows",
)
def test_structures(benchmark, structure, rows):
    task = call(*oral(structure, 120, 20, 7, rows))
    benchmark(task)
    benchmark.extra_info["µs a record"] = 1e6 * seconds(task) / (120 * 27)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(
    "structure",
    [pk(1), pk(1, "first-order"), pk(2), pk(2, "first-order"), pk(2, "first-order", lag=True)],
    ids=repr,
)
def test_an_observation(benchmark, structure, order):
    """1,000 subjects, one dose and 11 samples each: nanoseconds an observation, the subject's share included."""
    task = call(*oral(structure, 1000, 11, 1), order)
    benchmark(task)
    benchmark.extra_info["ns an observation"] = 1e9 * seconds(task) / 11_000


def test_one_subject(benchmark):
    benchmark(call(*oral(pk(2, "first-order"), 1, 20, 7)))


def test_nearly_equal_eigenvalues(benchmark):
    """The rare case that needs matrices: α and β within a hundredth of each other."""
    predictor, u = oral(pk(2, "first-order", parameters="rate"), 10, 20, 7)
    u[:] = np.log([1.2, 0.3, 20.0, 1e-6, 0.3])
    task = call(predictor, u)
    benchmark(task)
    benchmark.extra_info["µs a record"] = 1e6 * seconds(task, 3) / (10 * 27)


@pytest.mark.parametrize("cache", ["empty", "filled"])
def test_first_prediction_of_a_process(benchmark, cache, tmp_path_factory):
    """Seconds until the first numbers are there: compiled, and then read from the cache."""
    code = "from test_prediction_speed import *; call(*oral(pk(2, 'first-order'), 3, 20, 7))()"
    folder = tmp_path_factory.getbasetemp() / "kernels"
    environment = {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": ":".join([str(__file__).rsplit("/", 1)[0], *sys.path])}

    def run():
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)

    benchmark.pedantic(run, rounds=1)
