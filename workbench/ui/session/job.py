"""Fits and other long work beside the interface: a worker computes, a pump shows, neither waits for the other."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ipywidgets import IntText, jslink

from workbench import engine
from workbench.data import GroupedData
from workbench.model import Model
from workbench.results.fit import FitResult, Progress, Status
from workbench.results.runs import Settings
from workbench.ui.session.state import State, in_words

INTERVAL = 0.1  # seconds between redraws: a person sees motion, the browser is not drowned
_REPLAYED = 6  # a fit that is done before the first redraw is shown in that many steps all the same
_REPLAY_INTERVAL = 0.07


class FrontEnd:
    """How far the browser is: a number sent to it comes back when it has worked through all that was sent before.

    Where there is no browser nothing comes back: after one time-out it is no longer waited for, until something does.
    """

    WINDOW = 2
    TIMEOUT = 1.0

    def __init__(self) -> None:
        self._there, self._back = IntText(), IntText()
        self._link = jslink((self._there, "value"), (self._back, "value"))
        self._news = threading.Condition()
        self._present = True
        self._back.observe(self._returned, "value")

    def _returned(self, change: Any) -> None:
        with self._news:
            self._present = True
            self._news.notify_all()

    def keep_pace(self) -> None:
        """Return when the browser is at most `WINDOW` redraws behind."""
        self._there.value += 1
        with self._news:
            if self._present:
                self._present = self._news.wait_for(
                    lambda: self._there.value - self._back.value < self.WINDOW, self.TIMEOUT
                )


class Job:
    """Work in a thread; it reports snapshots and learns from the answer whether to stop."""

    def __init__(self, work: Callable[[Callable[[Any], bool]], Any]):
        self._work = work
        self._lock = threading.Lock()
        self._snapshots: deque[Any] = deque(maxlen=64)
        self.stopped = False
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="workbench-fit", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the work to end at its next report."""
        self.stopped = True

    def latest(self) -> Any:
        """The last snapshot; None before the first."""
        with self._lock:
            return self._snapshots[-1] if self._snapshots else None

    def spread(self, count: int) -> list[Any]:
        """At most `count` snapshots, evenly from the first to the last of those kept."""
        with self._lock:
            kept = list(self._snapshots)
        if len(kept) <= count:
            return kept
        return [kept[round(i * (len(kept) - 1) / (count - 1))] for i in range(count)]

    def _report(self, snapshot: Any) -> bool:
        with self._lock:
            self._snapshots.append(snapshot)
        return self.stopped

    def _run(self) -> None:
        try:
            self.result = self._work(self._report)
        except BaseException as error:  # shown in the panel, whatever it is
            self.error = error
        finally:
            self.done.set()


@dataclass(frozen=True)
class Portion:
    """How much of some work is done: the snapshot of what is no single fit.

    Attributes
    ----------
    done, total : int
        `total` is 0 where it is not known.
    seconds : float
        Since it began.
    """

    done: int
    total: int
    seconds: float

    @property
    def left(self) -> float:
        """Seconds that the rest will take; NaN where that is not known."""
        return self.seconds / self.done * (self.total - self.done) if self.done and self.total else math.nan


@dataclass(frozen=True)
class Request:
    """Work to be done.

    Attributes
    ----------
    title : str
        What the status line calls it; "" for a fit.
    work : callable
        Takes what to report snapshots to, a `Progress` or a `Portion`; told to stop, it returns what there is.
    done : callable
        Brings what it returned into the state.
    model : Model or None
        What is fitted.
    """

    title: str
    work: Callable[[Callable[[Any], bool]], Any]
    done: Callable[[Any], None]
    model: Model | None = None


class Fitting:
    """Does the work of a session one thing after the other, the latest request first, and shows it as it goes.

    Its pump thread is the only one that changes the state while a fit runs (the user's own edits apart).
    """

    def __init__(self, state: State):
        self._state = state
        self._front_end = FrontEnd()
        self._changed = threading.Condition()  # never held while the state is updated
        self._request: Request | None = None
        self._warming = False
        self._job: Job | None = None
        self._pump: threading.Thread | None = None
        self._waiting = 0

    # -- asked from outside ------------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Have the kernels compiled in the background."""
        with self._changed:
            self._warming = not engine.is_warm()
            if self._warming or not self._state.ready:
                self._ensure_pump()

    def start(self, model: Model, data: GroupedData, method: object, settings: Settings = ()) -> None:
        """Fit, in the background; what is running is given up."""

        def work(report: Callable[[Any], bool]) -> FitResult:
            more: dict[str, Any] = dict(settings)
            return engine.fit(model, data, method=method, callback=report, **more)  # type: ignore[arg-type]

        self.ask(Request("", work, self._keep, model))

    def ask(self, request: Request) -> None:
        """Have some work done, in the background; what is running is given up."""
        with self._changed:
            self._request = request
            if self._job is not None:
                self._job.stop()
            self._ensure_pump()

    def cancel(self) -> None:
        """Stop at the best point found."""
        with self._changed:
            self._request = None
            job = self._job
            if job is not None:
                job.stop()
        if job is not None and self._state.activity in ("fitting", "working"):
            self._state.update(activity="stopping")

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing is running any more; False if it still is after `timeout` seconds."""
        with self._changed:
            self._waiting += 1
            try:
                return self._changed.wait_for(lambda: self._pump is None, timeout)
            finally:
                self._waiting -= 1

    @property
    def idle(self) -> bool:
        """Whether nothing is running."""
        return self._pump is None

    # -- the pump ----------------------------------------------------------------------------------------------

    def _ensure_pump(self) -> None:
        if self._pump is None:
            self._pump = threading.Thread(target=self._run, name="workbench-pump", daemon=True)
            self._pump.start()

    def _run(self) -> None:
        while True:
            try:
                if not self._state.ready:
                    self._prepare()
                with self._changed:
                    request, self._request = self._request, None
                    if request is None:
                        self._pump = None
                        self._changed.notify_all()
                        return
                    self._job = job = Job(request.work)
                activity = "working" if request.title else "fitting"
                self._state.update(
                    activity=activity, task=request.title, problem="", progress=None, portion=None,
                    running=request.model,
                )  # fmt: skip
                job.start()
                self._show(job)
                self._finish(job, request)
            except Exception as error:
                self._state.update(activity="", task="", progress=None, portion=None, problem=in_words(error))

    def _prepare(self) -> None:
        job = Job(lambda report: engine.warm_up())
        if not engine.is_warm():
            self._state.update(activity="compiling")
            job.start()
            job.done.wait()
        problem = in_words(job.error) if job.error else self._state.problem
        self._state.update(ready=True, activity="", problem=problem)

    def _show(self, job: Job) -> None:
        """Redraw at most every `INTERVAL`, and no faster than the browser keeps up."""
        redraws, last = 0, None
        while not job.done.wait(INTERVAL):
            latest = job.latest()
            if latest is not last:
                self._draw(latest)
                redraws, last = redraws + 1, latest
        steady = job.error is None and not job.stopped and not self._state.live
        if redraws == 0 and steady and isinstance(job.latest(), Progress):
            for snapshot in job.spread(_REPLAYED):
                if self._waiting or job.stopped or self._request is not None:
                    return
                self._draw(snapshot)
                time.sleep(_REPLAY_INTERVAL)

    def _draw(self, snapshot: Progress | Portion) -> None:
        if isinstance(snapshot, Progress):
            self._state.update(progress=snapshot)
        else:
            self._state.update(portion=snapshot)
        if not self._waiting:  # a cell that waits may be what keeps the browser's answers from us
            self._front_end.keep_pace()

    def _finish(self, job: Job, request: Request) -> None:
        with self._changed:
            self._job = None
            superseded = self._request is not None
        if job.error is not None:
            problem = in_words(job.error)
            self._state.update(activity="", task="", progress=None, portion=None, problem=problem)
            return
        if superseded and isinstance(job.result, FitResult) and job.result.status is Status.stopped:
            return
        request.done(job.result)
        self._state.update(activity="", task="", progress=None, portion=None)

    def _keep(self, fit: FitResult) -> None:
        runs = self._state.runs.add(fit)
        self._state.update(runs=runs, run=runs[-1], activity="", progress=None, problem="")
