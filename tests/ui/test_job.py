"""The jobs beside the interface, and how far the browser is."""

from __future__ import annotations

import threading
import time

from workbench import engine
from workbench.ui.front_end import FrontEnd
from workbench.ui.panels.top import FitControls
from workbench.ui.session.background import Background
from workbench.ui.session.job import Fitting
from workbench.ui.session.state import State
from workbench.ui.session.work import Job, Request


def test_a_job_reports_and_ends():
    job = Job(lambda report: [report(k) for k in range(10)][-1])
    job.start()
    assert job.done.wait(5)
    assert job.latest() == 9 and job.result is False
    assert job.spread(4) == [0, 3, 6, 9]
    assert job.spread(40) == list(range(10))


def test_a_job_is_stopped_by_its_answer():
    def work(report):
        for k in range(10_000):
            if report(k):
                return k
            time.sleep(0.001)
        return None

    job = Job(work)
    job.start()
    time.sleep(0.05)
    job.stop()
    assert job.done.wait(5)
    assert 0 < job.result < 9_999


def test_what_a_job_raises_is_kept():
    def work(report):
        raise KeyboardInterrupt

    job = Job(work)
    job.start()
    assert job.done.wait(5)
    assert isinstance(job.error, KeyboardInterrupt)


def test_a_browser_that_does_not_answer_is_waited_for_once(monkeypatch):
    monkeypatch.setattr(FrontEnd, "TIMEOUT", 1.0)
    front = FrontEnd()
    begun = time.perf_counter()
    for _ in range(10):
        front.keep_pace()
    assert 0.9 < time.perf_counter() - begun < 9  # waiting each time would take ten


def test_a_slow_browser_is_waited_for(monkeypatch):
    monkeypatch.setattr(FrontEnd, "TIMEOUT", 60.0)
    front = FrontEnd()
    front.keep_pace()

    def answer():
        time.sleep(0.1)
        front._back.value = front._there.value

    threading.Thread(target=answer).start()
    begun = time.perf_counter()
    front.keep_pace()
    assert time.perf_counter() - begun > 0.08
    front.keep_pace()  # one behind is allowed
    assert time.perf_counter() - begun < 30  # nobody answers any more: waiting would take a minute


def test_of_what_one_name_asked_for_only_the_latest_is_done(caplog):
    background, gate, done = Background(), threading.Event(), []
    assert background.wait(1) and background.idle
    background.ask("slow", lambda: done.append(gate.wait(5)))
    for k in range(5):
        background.ask("curves", lambda k=k: done.append(k))
    background.ask("broken", lambda: 1 / 0)
    assert not background.wait(0.05) and not background.idle
    gate.set()
    assert background.wait(5)
    assert done == [True, 4]
    assert "ZeroDivisionError" in caplog.text
    background.ask("curves", lambda: done.append(5))
    assert background.wait(5) and done[-1] == 5


def test_what_is_compiled_is_said_as_long_as_it_takes_the_time(monkeypatch):
    state, parts, gate = State(), [100], threading.Event()
    controls = FitControls(state, lambda: None, lambda: None, lambda: None)
    controls.show()
    said = []
    state.watch(lambda changed: said.append(controls.status.value) if "compiling" in changed else None)
    monkeypatch.setattr(engine, "parts_compiled", lambda: parts[0])
    monkeypatch.setattr(engine, "is_compiling", lambda: parts[0] > 100)
    state.update(ready=True)
    fitting = Fitting(state)
    fitting.ask(Request("Likelihood profile", lambda report: gate.wait(10), lambda result: None))
    for _ in range(2):
        time.sleep(0.3)
        parts[0] += 7
    time.sleep(0.3)
    gate.set()
    assert fitting.wait(10)
    assert "7 parts so far" in said[0] and "14 parts so far" in said[1]
    assert state.compiling == 0 and "Compiling" not in controls.status.value


def test_what_cannot_be_shown_comes_to_its_end_all_the_same(monkeypatch):
    state, gate, kept = State(), threading.Event(), []
    state.update(ready=True)
    fitting = Fitting(state)

    def refuses(job):
        threading.Timer(0.2, gate.set).start()
        raise RuntimeError("no room")

    monkeypatch.setattr(fitting, "_show", refuses)
    fitting.ask(Request("Bootstrap", lambda report: gate.wait(10), kept.append))
    assert fitting.wait(10)
    assert kept == [True] and "no room" in state.problem and state.activity == ""
