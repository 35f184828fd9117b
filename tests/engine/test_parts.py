"""Fits to data in parts: as if they were in one place, here and on workers, also when one of them is killed."""

import os
import signal
import warnings

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench import parallel
from workbench.engine.objectives.objective import Objective
from workbench.engine.objectives.sharded import Shard, Sharded
from workbench.engine.problem.compile import compile
from workbench.engine.search.optimise import minimise

ORAL = wb.pk(absorption="first-order")


def close(first, second, tolerance=1e-9):
    return abs(first - second) <= tolerance * abs(second)


@pytest.fixture(scope="module")
def data():
    """Oral data of 90 subjects with a covariate, an odd number of whose values are different."""
    times, N = np.array([0.5, 1, 2, 4, 8, 12, 24.0]), 90
    n = len(times) + 1
    frame = pd.DataFrame({"ID": np.repeat(np.arange(1, N + 1), n), "TIME": np.tile(np.r_[0, times], N)})
    frame["AMT"] = np.where(frame["TIME"] == 0, 100.0, 0.0)
    frame["EVID"] = (frame["TIME"] == 0).astype(int)
    frame["WT"] = np.random.default_rng(3).normal(70, 12, N).round(1)[frame["ID"] - 1]
    frame["DV"] = 0.0
    parameters = [wb.Parameter("ka", 1.5, iiv=0.4), wb.Parameter("CL", 3.0, iiv=0.3), wb.Parameter("V", 30.0, iiv=0.2)]
    truth = wb.Model(ORAL, parameters, error=wb.Combined2(0.05, 0.1))
    frame.loc[frame["EVID"] == 0, "DV"] = wb.simulate(truth, wb.read_data(frame), seed=1)["DV"].to_numpy()
    return wb.read_data(frame)


@pytest.fixture(scope="module")
def model():
    return wb.Model(ORAL, error=wb.Combined2()).with_covariate("CL", "WT")


@pytest.fixture(scope="module")
def whole(model, data):
    return wb.fit(model, data)


@pytest.fixture
def stated(model, data):
    return wb.initial_values(model.with_centred(data), data)


class Here:
    """Shards of this process, each asked in turn."""

    def __init__(self, *shards):
        self.shards = shards

    def ask(self, name, *arguments):
        return [getattr(shard, name)(*arguments) for shard in self.shards]


def sharded(model, data, parts, method="focei"):
    parted = wb.Partitions.of(data, parts)
    shards = [Shard(Objective(compile(model, parted.part(k)), method)) for k in range(parts)]
    return Sharded(Here(*shards), Objective(compile(model, data), method))


@pytest.mark.parametrize("method", ["fo", "foce", "focei", "laplace"])
def test_sums_are_those_of_one_place(stated, data, method):
    whole, parts = Objective(compile(stated, data), method), sharded(stated, data, 4, method)
    x = whole.problem.x
    for moved in (x, x + 0.05, x - 0.02):
        one, other = whole.evaluate(moved), parts.evaluate(moved)
        assert close(other.ofv, one.ofv, 1e-12)
        assert np.allclose(other.gradient, one.gradient, rtol=1e-9, atol=1e-9)
        assert np.allclose(other.scores.T @ other.scores, one.scores.T @ one.scores, rtol=1e-9, atol=1e-9)
        whole.accept(one)
        parts.accept(other)


def test_the_order_of_the_parts_does_not_change_a_bit(stated, data):
    parts = sharded(stated, data, 5)
    x = parts.problem.x
    first = parts.evaluate(x)
    parts._places.shards = parts._places.shards[::-1]
    again = parts.evaluate(x)
    assert first.ofv == again.ofv and np.array_equal(first.gradient, again.gradient)


def test_a_search_goes_the_same_way(stated, data):
    whole, parts = Objective(compile(stated, data)), sharded(stated, data, 3)
    one, other = minimise(whole, whole.problem.x), minimise(parts, parts.problem.x)
    assert one.status is other.status and len(one.trace) == len(other.trace)
    assert close(other.evaluation.ofv, one.evaluation.ofv, 1e-12)


def test_a_place_that_is_made_anew_answers_the_same(stated, data):
    objective = Objective(compile(stated, data))
    x = objective.problem.x
    old, new = Shard(objective), Shard(Objective(compile(stated, data)))
    old.evaluate(x, None, 1e-14)
    before = old.evaluate(x + 0.1, x, 1e-14)
    after = new.evaluate(x + 0.1, x, 1e-14)
    assert close(after.ofv, before.ofv, 1e-12)


@pytest.mark.parametrize("kind", ["R", "S", "sandwich"])
def test_a_fit_in_parts(model, data, kind):
    whole = wb.fit(model, data, covariance=kind)
    found = wb.fit(model, wb.Partitions.of(data, 4), covariance=kind)
    assert found.converged and close(found.ofv, whole.ofv)
    assert found.model.parameters[1].covariates[0].term == whole.model.parameters[1].covariates[0].term
    assert np.allclose(found.estimates["estimate"], whole.estimates["estimate"], rtol=1e-5)
    assert np.allclose(found.estimates["se"], whole.estimates["se"], rtol=1e-3)
    assert (found.n_subjects, found.n_observations) == (90, 630)
    assert "90 subjects with 630 observations in 4 parts" in repr(found)


def test_all_of_it_in_one_place_again(model, data):
    found = wb.fit(model, wb.Partitions.of(data, 4)).gather()
    assert close(found.ofv, wb.fit(model, data).ofv) and len(found.etas) == 90 and found.converged


def test_files(model, data, whole, tmp_path):
    pytest.importorskip("pyarrow")
    frame = data.frame
    for k, ids in enumerate(np.array_split(np.arange(1, 91), 3)):
        frame[frame["ID"].isin(ids)].to_parquet(tmp_path / f"part-{k}.parquet")
    parts = wb.read_data(str(tmp_path / "*.parquet"))
    assert isinstance(parts, wb.Partitions) and len(parts) == 3
    found = wb.fit(model, parts)
    assert close(found.ofv, whole.ofv)
    files = found.write(str(tmp_path / "out"))
    assert len(files) == 6
    etas = pd.concat([pd.read_parquet(f) for f in files if "etas" in f], ignore_index=True)
    assert np.allclose(etas["CL"], whole.etas["CL"], atol=1e-4)


def test_a_subject_in_two_parts_is_refused(model, data, tmp_path):
    frame = data.frame
    frame.iloc[:363].to_csv(tmp_path / "a.csv", index=False)
    frame.iloc[363:].to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(wb.DataError, match=r"subject 46 is in parts 1 and 2.*part the rows by subject"):
        wb.fit(model, wb.read_data(str(tmp_path / "*.csv"), allow="subject without dose"))


def test_what_parts_are_not_for(model, data, tmp_path):
    parts = wb.Partitions.of(data, 2)
    for given in ({"method": "saem"}, {"starts": 3}):
        with pytest.raises(wb.FitError, match=r"Data in parts are fitted by .*focei.* from one start"):
            wb.fit(model, parts, **given)
    with pytest.raises(wb.DataError, match="no file matches"):
        wb.read_data(str(tmp_path / "*.parquet"))
    with pytest.raises(wb.DataError, match="91 parts of 90 subjects"):
        wb.Partitions.of(data, 91)


def test_on_workers_one_of_which_is_killed(model, data, whole):
    pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with wb.cluster(2) as cluster:
            parts = wb.Partitions.of(data, 4)
            found = wb.fit(model, parts)
            assert close(found.ofv, whole.ofv)
            assert 0 < found.bytes_of_an_evaluation < 2048

            def kill(progress):
                if progress.iteration == 4 and not killed:
                    pid = cluster.client.run(os.getpid, workers=[next(iter(cluster.client.nthreads()))])
                    os.kill(next(iter(pid.values())), signal.SIGKILL)
                    killed.append(True)

            killed = []
            again = wb.fit(model, parts, callback=kill)
            assert killed and close(again.ofv, whole.ofv) and again.parts_made > found.parts_made
    assert parallel.current() is None


def test_corners_of_all_parts_are_counted(stated, data):
    parts = sharded(stated, data, 3)
    at = parts.evaluate(parts.problem.x)
    assert not at.at_corner.any()
    answers = parts._places.ask("evaluate", at.x, None, parts.tolerance)
    parts._places.ask = lambda *_: [answer._replace(corners=2) for answer in answers]
    found = parts.evaluate(at.x).at_corner
    assert (found.sum(), found.size) == (6, 90)
