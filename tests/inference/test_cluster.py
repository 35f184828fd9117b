"""What comes in many pieces, on a cluster of two worker processes: the same bits as here, also when one is killed."""

import os
import signal
import threading
import time
import warnings

import joblib
import pytest

import workbench as wb
from workbench import parallel
from workbench.parallel import clusters

distributed = pytest.importorskip("distributed")
ORAL = wb.pk(absorption="first-order")


@pytest.fixture(scope="module")
def cluster():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with wb.cluster(2) as found:
            yield found


@pytest.fixture(scope="module")
def theophylline_fit():
    return wb.fit(wb.Model(ORAL, error=wb.Constant()), wb.load_example("theophylline"))


def alone(work):
    """What some work gives without the cluster."""
    with parallel.in_one_thread():
        return work()


def kill_a_worker(client, after):
    """Kill one of the worker processes in a while."""

    def kill():
        time.sleep(after)
        pid = client.run(os.getpid, workers=[next(iter(client.nthreads()))])
        os.kill(next(iter(pid.values())), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.mark.parametrize("kind", ["subjects", "parametric"])
def test_bootstrap_of_a_fit(cluster, theophylline_fit, kind):
    seen = []
    found = wb.bootstrap(theophylline_fit, 40, kind=kind, callback=lambda done, of: seen.append(done))
    serial = alone(lambda: wb.bootstrap(theophylline_fit, 40, kind=kind))
    assert found.table.equals(serial.table)
    assert sorted(set(seen)) == list(range(1, 41))


def test_a_killed_worker_loses_nothing(cluster, theophylline_fit):
    before = set(cluster.client.nthreads())
    killing = kill_a_worker(cluster.client, 0.4)
    found = wb.bootstrap(theophylline_fit, 300)
    killing.join()
    assert found.table.equals(alone(lambda: wb.bootstrap(theophylline_fit, 300)).table)
    end = time.monotonic() + 30
    while len(cluster.client.nthreads()) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert set(cluster.client.nthreads()) != before


def test_cancel(cluster, theophylline_fit):
    found = wb.bootstrap(theophylline_fit, 2000, callback=lambda done, of: done >= 5)
    assert 5 <= len(found.table) < 500
    assert found.table.equals(alone(lambda: wb.bootstrap(theophylline_fit, len(found.table))).table)


def test_sir_and_profile(cluster, theophylline_fit):
    for study in (
        lambda: wb.sir(theophylline_fit, (60, 60), (20, 20)).table,
        lambda: wb.profile(theophylline_fit, "V", points=3).table,
    ):
        assert study().equals(alone(study))


def test_starts(cluster):
    data, model = wb.load_example("theophylline"), wb.Model(ORAL, error=wb.Constant())

    def fit():
        return wb.fit(model, data, starts=6, covariance=False)

    here, there = alone(fit), fit()
    assert (here.ofv, here.evaluations, here.trace) == (there.ofv, there.evaluations, there.trace)
    assert here.starts.equals(there.starts) and here.model == there.model


def test_searches_for_covariates(cluster):
    data, model = wb.load_example("phenobarbital"), wb.Model(wb.pk(), error=wb.Proportional())

    def search():
        found = wb.stepwise(model, data, {"CL": ["WT"], "V": ["WT"]}, covariance=False)
        return found.effects, [trial.ofv for trial in found.trials], found.fit.ofv

    assert alone(search) == search()


def test_another_thread_sees_it(cluster):
    """As the panels do, whose work runs in threads."""
    seen = []
    thread = threading.Thread(target=lambda: seen.append(parallel.current()))
    thread.start()
    thread.join()
    assert seen == [cluster] and parallel.at_once(None) == 2 and parallel.at_once(1) == 1


def test_the_backend_of_joblib_goes_on_working(cluster, theophylline_fit):
    serial = alone(lambda: wb.bootstrap(theophylline_fit, 20))
    with cluster.client.as_current(), joblib.parallel_config("dask"):
        assert wb.bootstrap(theophylline_fit, 20).table.equals(serial.table)


def test_what_is_no_cluster(monkeypatch):
    monkeypatch.setattr(clusters, "_PATIENCE", "1s")
    with pytest.raises(wb.FitError, match="address of a scheduler"):
        wb.cluster(1.5)
    with pytest.raises(wb.FitError, match="No scheduler of dask answers"):
        wb.cluster("tcp://127.0.0.1:1")


def test_bits_are_not_left_to_other_versions(cluster, monkeypatch):
    monkeypatch.setattr(clusters, "_versions", lambda: {"llvmlite": "0.0"})
    monkeypatch.setattr(cluster.client, "run", lambda _: {"tcp://there": {"llvmlite": "1.0"}})
    with pytest.raises(wb.FitError, match=r"tcp://there has llvmlite 1\.0, here 0\.0"):
        wb.cluster(cluster.client)


def test_a_closed_one_is_none(theophylline_fit):
    assert parallel.current() is None or parallel.current().is_open
