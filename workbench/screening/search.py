"""The steps of a covariate search: which models are fitted, from where, and which of them is gone on from."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

from workbench import engine
from workbench.checks import one_of, share, whole
from workbench.data import GroupedData
from workbench.errors import FitError, WorkbenchError
from workbench.methods import USUAL, Ability, Options, method_of
from workbench.model import Block, Model
from workbench.parallel import Work, in_order
from workbench.results.fit import FitResult, Status
from workbench.screening.linearised import Linearisation
from workbench.screening.scope import Candidate, RefusedEffect, as_it_acts, follows

Criterion = Literal["lrt", "aic", "bic"]
Direction = Literal["base", "forward", "backward"]
Effects = frozenset[Candidate]

_NOW_AND_THEN = 0.1  # seconds
_HIGHER = 1e-2  # of the OFV: a larger model that is worse by this is not at its minimum
_OFF_ZERO = 0.2  # of a standard deviation of the base: smaller ones do not come back from 0 in a search
_SMALL = 0.05  # the smallest of a base that counts
_OFF_ONE = 0.95  # a correlation beyond it does not come back from 1


@dataclass(frozen=True)
class Trial:
    """One fit of a search.

    Attributes
    ----------
    step : int
        From 1; 0 is the base.
    direction : {"base", "forward", "backward"}
    parameter, covariate, shape : str
        The effect that was added or taken away.
    predicted : float
        ΔOFV of adding it by the linearised likelihood; NaN where there is no prediction.
    delta_ofv : float
        OFV without the effect less OFV with it: positive where it helps, in both directions.
    df : int
        Coefficients.
    p : float
        Of the likelihood-ratio test.
    kept : bool
        Whether the effect is in the model after the step.
    ofv, aic, bic : float
        Of the model that was fitted.
    status : str
    message : str
        What there is to say beyond the status, or why there is no fit.
    model : Model
        At the estimates.
    estimates : tuple of (str, float)
    seconds : float
    """

    step: int
    direction: Direction
    parameter: str
    covariate: str
    shape: str
    predicted: float
    delta_ofv: float
    df: int
    p: float
    kept: bool
    ofv: float
    aic: float
    bic: float
    status: str
    message: str
    model: Model = field(repr=False)
    estimates: tuple[tuple[str, float], ...] = field(repr=False)
    seconds: float

    @property
    def candidate(self) -> Candidate:
        """The effect."""
        return Candidate(self.parameter, self.covariate, self.shape)

    @property
    def ok(self) -> bool:
        """Whether the fit ended at a minimum."""
        return self.status in (Status.converged.name, Status.boundary.name)


class StepProgress(NamedTuple):
    """What the callback of a search gets; it stops the search by returning True.

    Attributes
    ----------
    step : int
    direction : str
    done, of : int
        Fits of this step.
    trial : Trial or None
        The one that has just ended; None now and then while fits run.
    candidate : Candidate or None
        The effect whose fit is the next one to end; None where there is none.
    """

    step: int
    direction: Direction
    done: int
    of: int
    trial: Trial | None
    candidate: Candidate | None = None


@dataclass(frozen=True)
class Rule:
    """When an effect comes in or leaves, and how hard its model is fitted: the arguments of `stepwise` of these names.

    Raises
    ------
    FitError
        If one of them is not allowed.
    """

    criterion: Criterion = "lrt"
    forward: float = 0.05
    backward: float = 0.01
    top: int | None = None
    starts: int = 5
    seed: int = 1

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "criterion": one_of("criterion", self.criterion, get_args(Criterion), FitError),
            "forward": share("forward", self.forward, 0.05, ends=True, error=FitError),
            "backward": share("backward", self.backward, 0.01, ends=True, error=FitError),
            "top": None if self.top is None else whole("top", self.top, 1, FitError),
            "starts": whole("starts", self.starts, 1, FitError),
            "seed": whole("seed", self.seed, 0, FitError),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def check_method(stated: object, *needed: Ability) -> None:
    """Refuse a method that is none, or one that lacks an ability, with the reason.

    Raises
    ------
    ModelError, FitError
    """
    method = method_of(stated)
    for ability in needed:
        if not method.can(ability):
            raise FitError(
                f"method={method.name!r} is not for a covariate search: it {method.cannot[ability]}. "
                f"Use method={USUAL!r}."
            )


class Fitted(NamedTuple):
    """What is kept of a fit: all of it where the search went on from there."""

    model: Model
    ofv: float
    aic: float
    bic: float
    n_estimated: int
    status: str
    message: str
    estimates: tuple[tuple[str, float], ...]
    result: FitResult | None

    @property
    def ok(self) -> bool:
        return self.status in (Status.converged.name, Status.boundary.name)


class Ask:
    """Asks the callback whether to stop, between fits and now and then during them; mute in another process."""

    def __init__(self, callback: Callable[[StepProgress], object] | None):
        self._callback = callback
        self.stopped = False
        self.now = StepProgress(0, "base", 0, 1, None)
        self._last = time.perf_counter()

    def __call__(self, _: object) -> bool:
        if self._callback is not None and not self.stopped and time.perf_counter() - self._last > _NOW_AND_THEN:
            self.tell(None)
        return self.stopped

    def tell(self, trial: Trial | None) -> None:
        """Report what was done, and hear whether to stop."""
        self._last = time.perf_counter()
        if self._callback is not None and self._callback(self.now._replace(trial=trial)):
            self.stopped = True

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_callback": None}


class _Plan(NamedTuple):
    """A model to be fitted: which effect makes it, the effects that it has, and where to start."""

    candidate: Candidate
    key: Effects
    starts: tuple[Model, ...]
    predicted: float
    p: float


@dataclass(eq=False)
class Search:
    """The progress of a search; `done` holds each model that was fitted by its effects."""

    model: Model
    data: GroupedData
    method: str | Options
    rule: Rule
    jobs: int | None
    ask: Ask
    tried: list[Candidate]
    done: dict[Effects, Fitted] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    refused: list[RefusedEffect] = field(default_factory=list)

    def __post_init__(self) -> None:
        there: dict[tuple[str, str], Candidate] = {}
        for candidate in self.tried:
            if candidate.effects(self.model) and candidate.place not in there:
                there[candidate.place] = as_it_acts(candidate, self.model, self.data)
        held = {place for place, c in there.items() if all(e.fixed for e in c.effects(self.model))}
        self.begun_with = frozenset(c for place, c in there.items() if place not in held)
        self.tried = [c for c in self.tried if c.place not in there]
        self._attempts = _Attempts(self.data, self.method, self.rule, self.ask)

    def run(self, done: dict[Effects, Fitted]) -> list[Candidate]:
        """Search; the effects of the last model."""
        self.done = done
        effects = sorted(self.begun_with)
        self._base()
        step = 0
        while (best := self._step(step := step + 1, "forward", effects)) is not None:
            effects.append(best)
        while self.rule.backward < 1 and (worst := self._step(step := step + 1, "backward", effects)) is not None:
            effects.remove(worst)
        return effects

    def _base(self) -> None:
        key, seconds = self.begun_with, 0.0
        if key not in self.done or not self.done[key].ok:
            rule = self.rule
            result, why, seconds = attempt((self.model,), self.data, self.method, math.inf, rule.starts, rule.seed,
                                            self.ask)  # fmt: skip
            if result is None or not (result.converged or self.ask.stopped):
                raise FitError(f"The base model does not end at a minimum: {why}")
            self.done[key] = _kept(result)
        self.trials.append(_trial(0, "base", None, self.done[key], self.done[key], math.nan, seconds))
        self.ask.now = StepProgress(0, "base", 1, 1, None)
        self.ask.tell(self.trials[-1])

    def result_of(self, effects: Effects) -> FitResult:
        """The fit of a model that was fitted before."""
        known = self.done[effects]
        if known.result is None:
            known = _kept(engine.fit(known.model, self.data, self.method, covariance=False))
            self.done[effects] = known
        assert known.result is not None
        return known.result

    def _step(self, step: int, direction: Direction, effects: list[Candidate]) -> Candidate | None:
        """Fit the models of a step; the effect that comes in, or leaves, if there is one."""
        if self.ask.stopped:
            return None
        now = self.done[frozenset(effects)]
        plans = self._larger(effects) if direction == "forward" else self._smaller(effects)
        order = [*(plan.candidate for plan in sorted(plans, key=lambda plan: plan.key not in self.done)), None]
        self.ask.now = StepProgress(step, direction, 0, len(plans), None, order[0])
        first = len(self.trials)
        for done, (plan, found, seconds) in enumerate(self._fits(plans, now, direction), 1):
            self.trials.append(_trial(step, direction, plan.candidate, now, found, plan.predicted, seconds))
            self.ask.now = self.ask.now._replace(done=done, candidate=order[done])
            self.ask.tell(self.trials[-1])
        mine = [k for k in range(first, len(self.trials)) if self.trials[k].ok]
        chosen = None
        if mine and not self.ask.stopped:
            chosen = min(mine, key=lambda k: self._rank(self.trials[k], direction))
            if not self._changes(self.trials[chosen], direction, now):
                chosen = None
        if chosen is not None:
            self.trials[chosen] = replace(self.trials[chosen], kept=direction == "forward")
        winner = self.trials[chosen].candidate if chosen is not None else None
        for plan in plans:
            if plan.candidate != winner and plan.key in self.done and plan.key != self.begun_with:
                self.done[plan.key] = self.done[plan.key]._replace(result=None)
        return winner

    def _rank(self, trial: Trial, direction: Direction) -> tuple[float, float]:
        """The lower, the more a trial speaks for changing the model."""
        if self.rule.criterion != "lrt":
            return (trial.aic if self.rule.criterion == "aic" else trial.bic), 0.0
        sign = 1.0 if direction == "forward" else -1.0
        return sign * trial.p, -sign * trial.delta_ofv

    def _changes(self, trial: Trial, direction: Direction, now: Fitted) -> bool:
        """Whether the best trial of a step is good enough to change the model."""
        if self.rule.criterion == "aic":
            return trial.aic < now.aic
        if self.rule.criterion == "bic":
            return trial.bic < now.bic
        return trial.p < self.rule.forward if direction == "forward" else not trial.p < self.rule.backward

    # -- models of a step ----------------------------------------------------------------------------------------

    def _larger(self, effects: list[Candidate]) -> list[_Plan]:
        """Models with one effect more, the most promising first."""
        taken = {c.place for c in effects}
        open_ = [c for c in self.tried if c.place not in taken]
        if not open_:
            return []
        now, key = self.result_of(frozenset(effects)), frozenset(effects)
        try:
            linearised = Linearisation(now)
        except FitError:
            linearised = None
        plans = []
        for candidate in open_:
            if self.ask(None):
                return []
            larger = candidate.added_to(now.model).with_centred(self.data)
            if follows(candidate, larger, self.data):
                why = f"it follows from the other effects on {candidate.parameter}"
                refusal = RefusedEffect(candidate.parameter, candidate.covariate, candidate.shape, why)
                self.refused += [refusal] if refusal not in self.refused else []
                continue
            begins, delta, p = [larger], math.nan, math.inf
            if linearised is not None:
                with contextlib.suppress(WorkbenchError):
                    prediction, expected = linearised.predict(candidate)
                    begins, delta, p = [expected, larger], prediction.delta_ofv, prediction.p
            starts = tuple(startable(begin, self._reference()) for begin in begins)
            plans.append(_Plan(candidate, key | {candidate}, starts, delta, p))
        plans.sort(key=lambda plan: (plan.p, -plan.predicted if math.isfinite(plan.predicted) else math.inf))
        return plans[: self.rule.top]

    def _smaller(self, effects: list[Candidate]) -> list[_Plan]:
        """Models with one effect less."""
        key = frozenset(effects)
        now = self.done[key]
        return [
            _Plan(c, key - {c}, (startable(now.model.without_covariate(*c.place), self._reference()),), math.nan, 1.0)
            for c in effects
        ]

    def _reference(self) -> Model:
        return self.done[self.begun_with].model

    def _fits(self, plans: Sequence[_Plan], now: Fitted, direction: Direction) -> Iterator[tuple[_Plan, Fitted, float]]:
        """Each plan with its fit and how long it took, those done before first; ends early when stopped."""
        yield from ((plan, self.done[plan.key], 0.0) for plan in plans if plan.key in self.done)
        new = [plan for plan in plans if plan.key not in self.done]
        ceiling = now.ofv if direction == "forward" else math.inf
        outcomes: Iterator[tuple[FitResult | None, str, float]] = in_order(
            self._attempts, [(p.starts, ceiling) for p in new], self.jobs, lambda: self.ask.stopped,
            lambda: self.ask(None),
        )  # fmt: skip
        for plan, (result, why, seconds) in zip(new, outcomes, strict=False):
            if result is not None and result.status is Status.stopped:
                continue
            self.done[plan.key] = _kept(result, why) if result is not None else _no_fit(plan.starts[0], why)
            yield plan, self.done[plan.key], seconds


@dataclass(frozen=True, eq=False)
class _Attempts:
    """Fits to the same data, each from its starting models and with its ceiling."""

    data: GroupedData
    method: str | Options
    rule: Rule
    ask: Ask

    def __call__(self) -> Work:
        def fitted(item: tuple[Sequence[Model], float]) -> tuple[FitResult | None, str, float]:
            begins, ceiling = item
            return attempt(begins, self.data, self.method, ceiling, self.rule.starts, self.rule.seed, self.ask)

        return fitted


def attempt(
    begins: Sequence[Model],
    data: GroupedData,
    method: str | Options,
    ceiling: float,
    starts: int,
    seed: int,
    ask: Callable[[object], bool] | None,
) -> tuple[FitResult | None, str, float]:
    """Fit from one starting model after the other, then from many, until a minimum at or below the ceiling is found.

    Returns
    -------
    result : FitResult or None
        The best one; None where nothing could be computed.
    why : str
        What was wrong with it; "" where nothing was.
    seconds : float
    """
    begun = time.perf_counter()
    best: FitResult | None = None
    why = ""
    for model, points in (*((model, 1) for model in begins), *([(begins[-1], starts)] if starts > 1 else [])):
        try:
            result = engine.fit(model, data, method, callback=ask, covariance=False, starts=points, seed=seed)
        except WorkbenchError as error:
            why = why or " ".join(str(error).split())
            continue
        if best is None or _order(result) < _order(best):
            best = result
        if result.status is Status.stopped:
            return result, "it was stopped", time.perf_counter() - begun
        if best.converged and best.ofv <= ceiling + _HIGHER:
            break
    if best is not None:
        why = "" if best.converged else best.status.value
        if best.converged and best.ofv > ceiling + _HIGHER:
            why = f"The OFV is {best.ofv - ceiling:.2f} above that of the smaller model: this is no minimum."
    return best, why, time.perf_counter() - begun


def _order(result: FitResult) -> tuple[bool, float]:
    return not result.converged, result.ofv


def _kept(result: FitResult, why: str = "") -> Fitted:
    status = Status.stalled.name if why and result.converged else result.status.name
    estimates = tuple((e.name, e.value) for e in result.lines)
    message = " ".join(filter(None, (why, result.message)))
    return Fitted(result.model, result.ofv, result.aic, result.bic, result.n_estimated, status, message,
                   estimates, result)  # fmt: skip


def _no_fit(model: Model, why: str) -> Fitted:
    return Fitted(model, math.nan, math.nan, math.nan, 0, "failed", why, (), None)


def _trial(
    step: int,
    direction: Direction,
    candidate: Candidate | None,
    now: Fitted,
    found: Fitted,
    predicted: float,
    seconds: float,
) -> Trial:
    from scipy.stats import chi2

    sign = 1.0 if direction == "forward" else -1.0
    delta = sign * (now.ofv - found.ofv) if candidate else math.nan
    df = int(sign) * (found.n_estimated - now.n_estimated) if candidate and found.n_estimated else 0
    return Trial(
        step=step,
        direction=direction,
        parameter=candidate.parameter if candidate else "",
        covariate=candidate.covariate if candidate else "",
        shape=candidate.shape if candidate else "",
        predicted=predicted,
        delta_ofv=delta,
        df=df,
        p=float(chi2.sf(max(delta, 0.0), df)) if df > 0 and math.isfinite(delta) else math.nan,
        kept=direction != "forward",
        ofv=found.ofv,
        aic=found.aic,
        bic=found.bic,
        status=found.status,
        message=found.message,
        model=found.model,
        estimates=found.estimates,
        seconds=seconds,
    )


def startable(model: Model, reference: Model) -> Model:
    """A model to start from: no deviation near 0 and no correlation near ±1, which a search could not leave."""
    for parameter in model.parameters:
        for part in ("iiv", "iov"):
            now, known = getattr(parameter, part), getattr(reference[parameter.name], part)
            if part in parameter.fixed_parts or not isinstance(now, float):
                continue
            lowest = _OFF_ZERO * max(known if isinstance(known, float) else 0.0, _SMALL)
            if now < lowest:
                model = model.with_parameter(parameter.name, **{part: lowest})
    blocks = [
        block
        if block.fixed
        else Block(*block.names, correlations=[_OFF_ONE * r for r in block.correlations], level=block.level)
        if max(map(abs, block.correlations), default=0.0) > _OFF_ONE
        else block
        for block in model.correlate
    ]
    return model.with_correlate(blocks)
