"""Work in many pieces: the same results in the same order, wherever they are done, and whatever is lost on the way."""

import os
import signal
import time
from dataclasses import dataclass

import joblib
import pytest

from workbench import parallel
from workbench.parallel import handing, places


@dataclass(frozen=True, eq=False)
class Roots:
    """Square roots, each of which takes its time."""

    seconds: float = 0.0
    fails_at: int = -1
    kills_at: int = -1
    owner: int = os.getpid()

    def __call__(self):
        def root(number):
            time.sleep(self.seconds)
            if number == self.fails_at:
                raise KeyError(number)
            if number >= self.kills_at >= 0 and os.getpid() != self.owner:
                os.kill(os.getpid(), signal.SIGKILL)
            return number**0.5, os.getpid(), parallel.is_alone()

        return root


def values(results):
    return [result[0] for result in results]


def owners(results):
    return {result[1] for result in results}


EXPECTED = [number**0.5 for number in range(60)]


@pytest.fixture
def ready():
    """Processes that are there."""
    found = places.Processes(Roots(), 1)
    end = time.monotonic() + 60
    while found.room() == 0 and time.monotonic() < end:
        time.sleep(0.05)
    assert places.processes_are_there(1)


def test_little_work_stays_here():
    found = parallel.each(Roots(), range(60), jobs=2)
    assert values(found) == EXPECTED and owners(found) == {os.getpid()}


def test_processes_that_are_there_help(ready):
    found = parallel.each(Roots(0.01), range(60), jobs=2)
    assert values(found) == EXPECTED and len(owners(found)) == 2
    assert all(alone for _, owner, alone in found if owner != os.getpid())
    again = parallel.each(Roots(0.01), range(60), jobs=2)
    assert owners(again) == owners(found)  # they are kept


def test_long_pieces_are_for_threads(monkeypatch):
    monkeypatch.setattr(handing, "_KERNELS", 0.005)
    begun = time.perf_counter()
    found = parallel.each(Roots(0.02), range(60), jobs=4)
    assert values(found) == EXPECTED and owners(found) == {os.getpid()}
    assert time.perf_counter() - begun < 60 * 0.02  # what one thread has to sleep


def test_a_process_that_is_killed_loses_nothing(ready):
    found = parallel.each(Roots(0.01, kills_at=30), range(60), jobs=2)
    assert values(found) == EXPECTED
    assert values(parallel.each(Roots(0.01), range(60), jobs=2)) == EXPECTED


@pytest.mark.parametrize("how", [None, "threading", "loky"])
def test_what_a_piece_raises_is_raised_after_the_results_before_it(ready, how):
    seen = []
    work = Roots(0.01, fails_at=40)
    with pytest.raises(KeyError, match="40"):
        if how is None:
            parallel.each(work, range(60), 2, lambda done, _: seen.append(done))
        else:
            with joblib.parallel_config(how, n_jobs=2):
                parallel.each(work, range(60), None, lambda done, _: seen.append(done))
    assert seen == list(range(1, 41))


def test_it_stops_when_it_is_asked_to(ready):
    found = parallel.each(Roots(0.01), range(60), 2, lambda done, _: done == 20)
    assert 20 <= len(found) < 40 and values(found) == EXPECTED[: len(found)]


def test_work_inside_of_work_stays_where_it_is():
    with parallel.in_one_thread():
        assert parallel.at_once(4) == 1
    assert parallel.at_once(4) == 4 and parallel.at_once(None) == 1
    with joblib.parallel_config(n_jobs=3):
        assert parallel.at_once(None) == 3


def test_what_was_prepared_is_sent_once(ready, monkeypatch):
    made = []
    parcel = places.parcel_of
    monkeypatch.setattr(places, "parcel_of", lambda prepare: made.append(parcel(prepare)) or made[-1])
    work = Roots(0.01)
    for _ in range(2):
        parallel.each(work, range(60), jobs=2)
    assert made[0] is made[-1] and os.path.exists(made[0].path)
