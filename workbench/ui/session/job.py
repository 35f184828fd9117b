"""Fits and other long work beside the interface: a worker computes, a pump shows, neither waits for the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from workbench import engine
from workbench.data import GroupedData
from workbench.errors import ModelError
from workbench.model import Model
from workbench.results.fit import FitResult, Progress, Settings, Status
from workbench.ui.session.state import State, in_words
from workbench.ui.session.work import Job, Portion, Request

INTERVAL = 0.1  # seconds between redraws: a person sees motion, the browser is not drowned
_UNSAID = 0.15  # seconds that a live refit has before anything is said of it: most are done by then
_REPLAYED = 8  # a fit that is done before the first redraw is shown in that many steps all the same
_REPLAY_INTERVAL = 0.0625  # half a second in all
_IDLE: dict[str, Any] = {"activity": "", "awaited": False, "task": "", "progress": None, "portion": None}


class Fitting:
    """Does the work of a session one thing after the other, the latest request first, and shows it as it goes.

    Its pump thread is the only one that changes the state while a fit runs (the user's own edits apart).

    Parameters
    ----------
    state : State
    keep_pace : callable, optional
        Returns when what shows the state is ready for more.
    """

    def __init__(self, state: State, keep_pace: Callable[[], None] | None = None):
        self._state = state
        self._keep_pace = keep_pace
        self._changed = threading.Condition()  # never held while the state is updated
        self._request: Request | None = None
        self._due = 0.0
        self._asked: tuple[Model, GroupedData, object, Settings] | None = None
        self._warming = False
        self._job: Job | None = None
        self._pump: threading.Thread | None = None
        self._waiting = 0
        self._closed = False
        self._compiled = 0  # parts, before the job that is running

    # -- asked from outside ------------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Have the kernels compiled in the background."""
        with self._changed:
            self._warming = not engine.is_warm()
            if self._warming or not self._state.ready:
                self._ensure_pump()

    def start(
        self,
        model: Model,
        data: GroupedData,
        method: object,
        settings: Settings = (),
        *,
        after: float = 0.0,
        quietly: bool = False,
    ) -> None:
        """Fit, in the background; what is running is given up.

        Parameters
        ----------
        model, data, method, settings
            As `wb.fit` takes them.
        after : float
            Seconds without another request before it begins.
        quietly : bool
            Panels wait a moment for it, and show what changed together with what came of it.
        """

        def work(report: Callable[[Any], bool]) -> FitResult:
            more: dict[str, Any] = dict(settings)
            return engine.fit(model, data, method=method, callback=report, **more)  # type: ignore[arg-type]

        with self._changed:
            self._asked = model, data, method, settings
        with self._state.lock:
            self._state.awaited = quietly
        self.ask(Request("", work, self._keep, model, _UNSAID if quietly else 0.0), after)

    def is_asked(self, stated: tuple[Model, GroupedData, object, Settings]) -> bool:
        """Whether just this fit is waited for, or at work."""
        with self._changed:
            return self._pump is not None and self._asked == stated

    def ask(self, request: Request, after: float = 0.0) -> None:
        """Have some work done, in the background; what is running is given up."""
        with self._changed:
            if self._closed:
                raise ModelError("This Workbench is closed; make another one.")
            self._request, self._due = request, time.monotonic() + after
            self._changed.notify_all()
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
        elif job is None:
            self._state.update(awaited=False)

    def close(self) -> None:
        """Stop what runs, and begin nothing any more."""
        with self._changed:
            self._closed = True
            self._request = None
            self._due = 0.0
            if self._job is not None:
                self._job.stop()
            self._changed.notify_all()

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
                    while self._request is not None and (left := self._due - time.monotonic()) > 0:
                        self._changed.wait(left)
                    request, self._request = self._request, None
                    if request is None:
                        self._pump = None
                        self._changed.notify_all()
                        return
                    self._job = job = Job(request.work)
                self._compiled = engine.parts_compiled()
                job.start()
                if not (request.unsaid and job.done.wait(request.unsaid)):
                    activity = "working" if request.title else "fitting"
                    self._state.update(
                        activity=activity, awaited=False, task=request.title, problem="", progress=None, portion=None,
                        running=request.model,
                    )  # fmt: skip
                hidden = self._show_all(job)
                self._finish(job, request)
                if hidden:
                    self._state.update(problem=hidden)
            except Exception as error:
                self._state.update(**_IDLE, problem=in_words(error))

    def _prepare(self) -> None:
        job = Job(lambda report: engine.warm_up())
        if not engine.is_warm():
            self._compiled = engine.parts_compiled()
            self._state.update(activity="compiling")
            job.start()
            while not self._done(job):
                pass
        problem = in_words(job.error) if job.error else self._state.problem
        self._state.update(ready=True, activity="", problem=problem)

    def _show_all(self, job: Job) -> str:
        """Show a job until it has ended; says what kept it from being shown, which does not keep it from its end."""
        hidden = ""
        try:
            self._show(job)
        except Exception as error:
            hidden = in_words(error)
        job.join()
        return hidden

    def _show(self, job: Job) -> None:
        """Redraw at most every `INTERVAL`, and no faster than the browser keeps up."""
        redraws, last = 0, None
        while not self._done(job):
            latest = job.latest()
            if latest is not last and not job.stopped:
                self._draw(latest)
                redraws, last = redraws + 1, latest
        steady = job.error is None and not job.stopped and not self._state.live and self._state.replay
        if redraws == 0 and steady and isinstance(job.latest(), Progress):
            for snapshot in job.spread(_REPLAYED):
                if self._waiting or job.stopped or self._request is not None:
                    return
                self._draw(snapshot)
                time.sleep(_REPLAY_INTERVAL)

    def _done(self, job: Job) -> bool:
        """Wait a little for a job; says how many parts it has compiled as long as that is what takes the time."""
        done = job.done.wait(INTERVAL)
        compiling = engine.parts_compiled() - self._compiled if engine.is_compiling() and not done else 0
        self._state.update(compiling=compiling)
        return done

    def _draw(self, snapshot: Progress | Portion) -> None:
        if isinstance(snapshot, Progress):
            self._state.update(progress=snapshot)
        else:
            self._state.update(portion=snapshot)
        if self._keep_pace is not None and not self._waiting:
            self._keep_pace()  # but not while a cell waits, which may be what keeps the browser's answers from us

    def _finish(self, job: Job, request: Request) -> None:
        with self._changed:
            self._job = None
            superseded = self._request is not None
        if job.error is not None:
            self._state.update(**_IDLE, problem=in_words(job.error))
            return
        if superseded and isinstance(job.result, FitResult) and job.result.status is Status.stopped:
            return
        request.done(job.result)
        self._state.update(**_IDLE)

    def _keep(self, fit: FitResult) -> None:
        runs = self._state.with_run(fit)
        self._state.update(**_IDLE, runs=runs, run=runs[-1], problem="")
