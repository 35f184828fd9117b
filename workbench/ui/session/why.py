"""Why a fit is not simply sound: causes in words, and remedies that are pure edits of the model; knows of no widgets.

A cause is read off what the engine found: how the fit ended, estimates at an edge, rival solutions, estimates that the
data hardly determine, subjects with leverage. What a remedy brings is fitted before it is promised (`tried`), and so is
what only a fit can tell: whether another start ends lower, whether a part that is hardly known is needed at all, and
whether an estimate could be ten times as large.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workbench import engine, markup
from workbench.data import GroupedData
from workbench.errors import WorkbenchError
from workbench.model import Model
from workbench.model.residual import Combined, Combined2, Constant, Proportional
from workbench.results.fit import FitResult, Progress, Status
from workbench.results.runs import Run
from workbench.results.tables import Estimate
from workbench.ui.session.state import State
from workbench.ui.session.work import Portion, Request

STUDY = "why"
_ZERO = 1e-3  # a standard deviation of η below it lies at its edge
_SHARED = 0.98  # |correlation| above it is as good as 1
_HARDLY = 100.0  # per cent of RSE
_LEVER = 4.0  # a subject's OFV so many robust deviations above the others stands out
_FAR = 8.0  # and so does a random effect that is as many robust deviations from the others,
_WIDE = 2.5  # and as many standard deviations as were estimated with it
_STARTS = 5
_SUSPECT = 40.0  # per cent of RSE, from which on a fit tells whether a part of the model is needed,
_OPEN = 15.0  # and from which on one tells how far a value can go: a likelihood may be open to a side of a narrow peak
_NEEDED = 2.71  # of the OFV: 5 % of a variance that may only be positive (Self & Liang 1987, J Am Stat Assoc 82:605)
_KNOWN = 3.84  # of the OFV: 5 % of a value that may be anything
_TIMES = 10.0
_LOWER = 0.1  # of the OFV: another start ended elsewhere
_BETTER = 2.0  # of the OFV: a rival explains the data better, and not about as well


@dataclass(frozen=True)
class Remedy:
    """Something to try.

    Attributes
    ----------
    title : str
        What it supposes, and does.
    code : str
        The verbs, as they stand in a cell.
    model : Model
    data : GroupedData
    settings : tuple of (str, value)
        Further arguments of the fit.
    """

    title: str
    code: str
    model: Model
    data: GroupedData
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Cause:
    """Why a fit is not simply sound.

    Attributes
    ----------
    kind : str
        "start", "rival", "effects", "residual", "edge", "correlation", "flat", "leverage".
    title : str
        A sentence.
    about : str
        What was seen, with numbers.
    remedies : tuple of Remedy
        The likeliest first.
    rival : Model or None
        Whose typical curve the data cannot tell apart from that of the fit.
    is_aside : bool
        Whether it comes after all others: a rival that explains the data less well.
    """

    kind: str
    title: str
    about: str
    remedies: tuple[Remedy, ...]
    rival: Model | None = None
    is_aside: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a remedy brought when it was fitted; `error` in words where it could not be."""

    ofv: float
    said: str
    sound: bool
    error: str = ""


Outcomes = Mapping[str, Outcome]
_ORDER = ("start", "rival", "effects", "residual", "edge", "correlation", "flat", "leverage")


def causes(run: Run, outcomes: Outcomes | None = None) -> tuple[Cause, ...]:
    """Why a run is not simply sound, the likeliest cause first; empty where it is.

    Parameters
    ----------
    run : Run
    outcomes : mapping, optional
        What `tried` found: with it, what only further fits can tell is told as well.
    """
    outcomes = {} if outcomes is None else outcomes
    found = _leverage(run) + _correlated(run)
    if not is_plain(run):
        for look in (_rivals, _effects, _residual, _edges, _flat):
            found += look(run)
        found += _ended(run, outcomes)
    found += _needless(run, outcomes, found) + _unbounded(run, outcomes, found)
    return tuple(sorted(found, key=lambda cause: _ORDER.index(cause.kind) + len(_ORDER) * cause.is_aside))


def is_plain(run: Run) -> bool:
    """Whether the engine had nothing to say of how a run ended."""
    return run.fit.status is Status.converged and not run.fit.message


def tried(run: Run, report: Callable[[Any], bool]) -> dict[str, Outcome]:
    """Fit what the remedies say, and what tells causes apart, one after the other.

    Parameters
    ----------
    run : Run
    report : callable
        Takes how far it is; its answer says whether to stop.

    Returns
    -------
    dict
        Outcomes by the code of what was fitted.
    """
    outcomes: dict[str, Outcome] = {}
    for _ in range(2):  # a cause that came to light has remedies of its own
        remedies = {r.code: r for r in (*_remedies(causes(run, outcomes)), *_probes(run)) if r.code not in outcomes}
        for number, remedy in enumerate(remedies.values()):

            def told(progress: Progress, number: int = number, total: int = len(remedies)) -> bool:
                return report(Portion(number, total, progress.seconds))

            outcome = _tried(run, remedy, told)
            if outcome.said == Status.stopped.name:
                return outcomes
            outcomes[remedy.code] = outcome
            if report(Portion(number + 1, len(remedies), 0.0)):
                return outcomes
    return outcomes


def ranked(found: Iterable[Cause], outcomes: Outcomes) -> list[Remedy]:
    """The remedies of causes in the order in which they are offered.

    Of each cause those that were tried and end well come first, the lowest before; those that failed come last.
    """

    def place(remedy: Remedy) -> tuple[int, float]:
        outcome = outcomes.get(remedy.code)
        if outcome is None:
            return 1, 0.0
        if outcome.error:
            return 3, 0.0
        return (0, outcome.ofv) if outcome.sound else (2, 0.0)

    return list({r.code: r for cause in found for r in sorted(cause.remedies, key=place)}.values())


def _remedies(found: Iterable[Cause]) -> list[Remedy]:
    return [remedy for cause in found for remedy in cause.remedies]


def _probes(run: Run) -> list[Remedy]:
    """What is fitted to tell causes apart."""
    found = [r for line in run.fit.lines if _is_suspect(line) for r in _simpler(run, line)]
    found += [r for line in run.fit.lines if _is_suspect(line, _OPEN) for r in _moved(run, line)]
    return found if run.fit.status is Status.converged else [*found, *_elsewhere(run)]


def promised(state: State, run: Run) -> Request:
    """Fit what the remedies say, one after the other, so that each can say where it ends."""

    def work(report: Callable[[Any], bool]) -> dict[str, Outcome]:
        return tried(run, report)

    def done(outcomes: dict[str, Outcome]) -> None:
        before = state.studies.get((run.number, STUDY)) or {}
        state.keep(run, STUDY, {**before, **outcomes})

    return Request("Trying the remedies", work, done)


def fitting(state: State) -> Request:
    """Fit what is stated now."""
    model, data = state.model, state.data
    method, settings = state.method, dict(state.settings)

    def work(report: Callable[[Any], bool]) -> FitResult:
        fit: Any = engine.fit
        found: FitResult = fit(model, data, method=method, callback=report, **settings)
        return found

    def done(found: FitResult) -> None:
        runs = state.with_run(found)
        state.update(runs=runs, run=runs[-1], activity="", progress=None, problem="")

    return Request("", work, done, model)


def _tried(run: Run, remedy: Remedy, report: Callable[[Progress], bool]) -> Outcome:
    fit: Any = engine.fit
    settings = {**dict(run.settings), **dict(remedy.settings)}
    try:
        found: FitResult = fit(remedy.model, remedy.data, method=run.method, callback=report, **settings)
    except WorkbenchError as error:
        return Outcome(math.nan, "", False, str(error))
    how = {Status.converged: "converged", Status.boundary: "at an edge"}.get(found.status, found.status.name)
    return Outcome(found.ofv, how, found.status is Status.converged and not found.message)


@dataclass(frozen=True)
class _Verb:
    """One pure edit, by its name and what it is given: what is printed is what is done."""

    name: str
    given: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        parts = [*map(repr, self.given), *(f"{name}={value!r}" for name, value in self.named)]
        return f".{self.name}({', '.join(parts)})"


def _remedy(run: Run, title: str, *verbs: _Verb, of: Literal["fit.model", "model"] = "fit.model") -> list[Remedy]:
    """A remedy that begins at the estimates of a run, or where it began, if the edits are some that the model takes."""
    model = run.fit.model if of == "fit.model" else run.model
    try:
        for verb in verbs:
            model = getattr(model, verb.name)(*verb.given, **dict(verb.named))
    except WorkbenchError:
        return []
    return [Remedy(title, of + "".join(map(str, verbs)), model, run.data)]


def _without_effect(name: str) -> _Verb:
    return _Verb("with_parameter", (name,), (("iiv", None),))


def _number(value: float) -> str:
    return f"{value:.4g}"


def _rivals(run: Run) -> list[Cause]:
    found = []
    for rival in run.fit.rivals[:2]:
        if rival.delta_ofv > 10:
            continue
        values = {
            p.name: float(_number(p.value)) for p in rival.model.parameters
            if p.value is not None and abs(p.value - (run.fit.model[p.name].value or 0.0)) > 1e-3 * abs(p.value)
        }  # fmt: skip
        # a variance that went to 0 at the one solution has to be given back for the other
        gone = [p.name for p in run.fit.model.parameters if isinstance(p.iiv, float) and p.iiv < _ZERO]
        verbs = [_Verb("with_values", (values,)), *(_Verb("with_iiv", (name,), (("sd", 0.3),)) for name in gone)]
        remedies = _remedy(run, f"Start at the other solution: {rival.what}", *verbs)
        about = f"The other solution: {rival.what}. {rival.said}"
        title = "Another solution explains the data better."
        if abs(rival.delta_ofv) <= _BETTER:
            title = "Two solutions explain the data about equally well."
            about += " Which of the two is right is your knowledge, not the data’s."
        elif rival.delta_ofv > 0:
            title = "There is another solution, which explains the data less well."
        aside = rival.delta_ofv > _BETTER
        found.append(Cause("rival", title, about, tuple(remedies), rival.model, aside))
    return found


def _edges(run: Run) -> list[Cause]:
    found = []
    for line in run.fit.lines:
        if line.kind != "iiv" or line.fixed or line.value > _ZERO:
            continue
        name = line.name.removeprefix("iiv_")
        remedies = [
            *_remedy(run, f"Leave out η of {name}", _without_effect(name)),
            *_remedy(run, f"Start η of {name} again, at 0.3", _Verb("with_iiv", (name,), (("sd", 0.3),))),
        ]
        about = (
            f"The standard deviation of η of {name} went to 0: beside the other random effects and the residual error, "
            f"these data show no spread of {name} between subjects."
        )
        found.append(Cause("edge", f"There is a random effect too many: η of {name}.", about, tuple(remedies)))
    return found


def _correlated(run: Run) -> list[Cause]:
    found = []
    for line in run.fit.lines:
        if line.kind != "correlation" or line.fixed or abs(line.value) < _SHARED:
            continue
        blocks = [block for block in run.model.correlate if all(name in line.name for name in block.names)]
        kept = [block for block in run.fit.model.correlate if block.names not in [b.names for b in blocks]]
        remedies = _remedy(run, "Take the correlation out", _Verb("with_correlate", (kept,)))
        about = f"{line.name} is {markup.decimals(line.value, 3)}: the two random effects cannot be told apart."
        found.append(Cause("correlation", "Two random effects are one.", about, tuple(remedies)))
    return found


def _effects(run: Run) -> list[Cause]:
    """As many random effects as there are observations of a subject, or more."""
    names = [line.name.removeprefix("iiv_") for line in run.fit.lines if line.kind == "iiv" and not line.fixed]
    counts = _observations(run)
    if len(names) < 2 or not len(counts) or float(np.median(counts)) > len(names):
        return []
    spread = {line.name.removeprefix("iiv_"): line.value for line in run.fit.lines if line.kind == "iiv"}
    kept = max(names, key=lambda name: spread[name] if spread[name] < 1.5 else 0.0)
    blocks = [_Verb("with_correlate", ([],))] if run.model.correlate else []
    remedies = []
    for name in dict.fromkeys((kept, *names)):
        verbs = blocks + [_without_effect(other) for other in names if other != name]
        remedies += _remedy(run, f"Leave all random effects out but η of {name}", *verbs, of="model")
    about = (
        f"There are {len(names)} random effects (η of {', '.join(names)}) and a residual error, and the median subject "
        f"has {float(np.median(counts)):g} observations: too few to tell subjects from noise."
    )
    return [Cause("effects", "There are too many random effects for so few observations.", about, tuple(remedies))]


def _simpler(run: Run, line: Estimate) -> list[Remedy]:
    """The model without a random effect, or without a part of the residual error."""
    if line.kind == "iiv":
        name = line.name.removeprefix("iiv_")
        return _remedy(run, f"Leave out η of {name}", _without_effect(name))
    simpler = {"a": Proportional, "b": Constant}
    if line.kind != "error" or len(run.model.errors) != 1 or not isinstance(run.model.error, Combined | Combined2):
        return []
    kind = simpler[line.name]
    other = next(e for e in run.fit.lines if e.kind == "error" and e.name != line.name)
    value = float(_number(other.value))
    return _remedy(run, f"Take the {kind.__name__.lower()} error", _Verb("with_error", (kind(value),)))


def _residual(run: Run) -> list[Cause]:
    """A part of the residual error that is 0, or that the data hardly determine."""
    found = []
    typical = float(np.nanmedian(np.abs(run.fit.y))) if len(run.fit.y) else 1.0
    for line in run.fit.lines:
        remedies = _simpler(run, line) if line.kind == "error" and not line.fixed else []
        small = line.value < 1e-3 * (typical if line.name == "a" else 1.0)
        if remedies and (small or (math.isfinite(line.rse) and line.rse > _HARDLY)):
            what = "went to 0" if small else f"has a relative standard error of {line.rse:.0f} %"
            about = f"{line.name} is {markup.number(line.value)} and {what}: the data do not show it."
            found.append(Cause("residual", _needless_part(line), about, tuple(remedies)))
    return found


def _needless_part(line: Estimate) -> str:
    return f"The {'constant' if line.name == 'a' else 'proportional'} part of the residual error is not needed."


def _needless(run: Run, outcomes: Outcomes, known: list[Cause]) -> list[Cause]:
    """Random effects and parts of the residual error without which the data are explained as well."""
    found = []
    for line in filter(_is_suspect, run.fit.lines):
        for remedy in _simpler(run, line):
            costs = outcomes[remedy.code].ofv - run.fit.ofv if remedy.code in outcomes else math.nan
            if not costs < _NEEDED or any(r.code == remedy.code for r in _remedies(known)):
                continue
            name = line.name.removeprefix("iiv_")
            kind, title = "residual", _needless_part(line)
            if line.kind == "iiv":
                kind, title = "edge", f"There is a random effect too many: η of {name}."
            about = (
                f"{line.name} is {markup.number(line.value)} with a relative standard error of {line.rse:.0f} %, and "
                f"without it the OFV is {_higher(costs)}."
            )
            found.append(Cause(kind, title, about, (remedy,)))
    return found


def _moved(run: Run, line: Estimate) -> list[Remedy]:
    """A typical value kept at ten times its estimate, and at a tenth of it."""
    parameter = next((p for p in run.model.parameters if p.name == line.name), None)
    if parameter is None or line.kind in ("iiv", "iov", "error") or not parameter.link.is_logarithm:
        return []
    values = [float(_number(line.value * factor)) for factor in (_TIMES, 1 / _TIMES)]
    return [r for v in values for r in _remedy(run, f"Keep {line.name} at {v:g}", _kept(line.name, v))]


def _kept(name: str, value: float) -> _Verb:
    return _Verb("with_parameter", (name,), (("value", value), ("fixed", True)))


def _unbounded(run: Run, outcomes: Outcomes, known: list[Cause]) -> list[Cause]:
    """Typical values that could as well be ten times as large, or a tenth."""
    found: list[Cause] = []
    said = {cause.title for cause in known if cause.kind == "flat"}
    for line in run.fit.lines:
        if not _is_suspect(line, _OPEN) or _not_determined(line.name) in said:
            continue
        costs = {
            word: outcomes[r.code].ofv - run.fit.ofv
            for word, r in zip(("ten times that value", "a tenth of it"), _moved(run, line), strict=False)
            if r.code in outcomes
        }
        open_to = {word: by for word, by in costs.items() if by < _KNOWN}
        if open_to:
            at = " and ".join(f"at {word} the OFV is {_higher(by)}" for word, by in open_to.items())
            about = f"{line.name} is {markup.number(line.value)}, but {at}: other curves explain the data as well."
            found.append(Cause("flat", _not_determined(line.name), about, tuple(_at_stated(run, line))))
    return found


def _higher(by: float) -> str:
    if abs(by) < 0.005:
        return "the same"
    return f"only {markup.decimals(by, 2)} higher" if by > 0 else f"{markup.decimals(-by, 2)} lower"


def _is_suspect(line: Estimate, from_rse: float = _SUSPECT) -> bool:
    return not line.fixed and math.isfinite(line.rse) and line.rse > from_rse


def _not_determined(name: str) -> str:
    return f"The data do not determine {name}."


def _at_stated(run: Run, line: Estimate) -> list[Remedy]:
    """The value of a parameter kept where it was stated."""
    known = [p for p in run.model.parameters if p.name == line.name]
    if not known:
        return []
    value = float(_number(known[0].value if known[0].value is not None else line.value))
    return _remedy(run, f"Keep {line.name} at {value:g}", _kept(line.name, value))


def _named_flat(run: Run) -> list[str]:
    """Names of the estimates of which the engine said that the data do not determine them."""
    said = re.search(r"Not determined by the data: (.+?)(?:, which moved .*)?\.(?: |$)", run.fit.message)
    return said.group(1).split(", ") if said else []


def _flat(run: Run) -> list[Cause]:
    found = []
    said = _named_flat(run)
    doubtful = [line for line in run.fit.lines if (line.doubt or line.name in said) and not line.fixed]
    named = [line for line in doubtful if line.kind not in ("error", "iiv", "iov", "correlation")]
    spreads = [line for line in doubtful if line.kind in ("iiv", "iov") and line.value > _ZERO]
    for line in named[:2]:
        others = [name for name in said if name != line.name]
        seen = line.doubt or f"the objective is flat along it{', together with ' + ', '.join(others) if others else ''}"
        about = f"{line.name}: {seen}. Other values of it give the same curves, with the others moved along."
        found.append(Cause("flat", _not_determined(line.name), about, tuple(_at_stated(run, line))))
    for line in spreads[:1]:
        name = line.name.removeprefix("iiv_")
        remedies = _remedy(run, f"Leave out η of {name}", _without_effect(name))
        about = f"{line.name}: {line.doubt or 'the objective is flat along it'}."
        found.append(Cause("flat", f"The data hardly determine the spread of {name}.", about, tuple(remedies)))
    return found


def _elsewhere(run: Run) -> list[Remedy]:
    """The stated model from other initial values."""
    stated = run.model
    plain = stated.without_values()
    remedies = []
    if plain != stated:
        remedies.append(Remedy("Start from automatic values", "model.without_values()", plain, run.data))
    many = (("starts", _STARTS),)
    remedies.append(
        Remedy(f"Try {_STARTS} starting points", f"wb.fit(model, data, starts={_STARTS})", stated, run.data, many)
    )
    return remedies


def _ended(run: Run, outcomes: Outcomes) -> list[Cause]:
    """A search that did not end at a minimum, or at one that is not the lowest."""
    others = _elsewhere(run)
    ends = [
        (run.fit.ofv - outcomes[r.code].ofv, r) for r in others if r.code in outcomes and not outcomes[r.code].error
    ]
    lower = sorted(((by, r) for by, r in ends if by > _LOWER), key=lambda end: -end[0])
    if lower:
        nearly = [r for by, r in ends if by > lower[0][0] - 0.01]  # the simplest of those that end lowest
        remedies = (nearly[0], *(r for r in others if r is not nearly[0]))
        about = (
            f"From other initial values the same model ends {markup.decimals(lower[0][0], 2)} points of OFV lower. "
            "What is said of estimates here says little about the data."
        )
        return [Cause("start", "The search began too far from the minimum.", about, remedies)]
    if run.fit.status in (Status.converged, Status.boundary, Status.undetermined):
        return []
    again = Remedy("Go on from where it stopped", "fit.model", run.fit.model, run.data)
    remedies = tuple(others)
    if run.fit.status in (Status.max_iterations, Status.stopped, Status.stalled):
        remedies = (again, *others)
    return [Cause("start", "The search did not end at a minimum.", run.fit.status.value, remedies)]


def _observations(run: Run) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How many observations each subject has."""
    observed = run.data.events.observed
    start = run.data.events.start
    return np.add.reduceat(observed.astype(np.int64), start[:-1])


def _leverage(run: Run) -> list[Cause]:
    values = np.asarray(run.fit.subject_ofv, dtype=float)
    known = values[np.isfinite(values)]
    if len(known) < 8:
        return []
    middle = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - middle)))
    worst = int(np.nanargmax(values))
    counts = np.diff(run.data.events.start)
    label, about = run.data.events.subjects[worst], ""
    if spread > 0 and values[worst] > middle + 3 * _LEVER * spread and counts[worst] <= 2 * np.median(counts):
        about = (
            f"Subject {label} adds {markup.decimals(float(values[worst]), 1)} to the OFV, the median subject "
            f"{markup.decimals(middle, 1)}."
        )
    elif (apart := _apart(run)) is not None:
        worst, name, far = apart
        label = run.data.events.subjects[worst]
        about = f"η of {name} of subject {label} lies {far:.0f} robust standard deviations from those of the others."
    if not about:
        return []
    try:
        data = run.data.exclude(subject=label)
    except WorkbenchError:
        return []
    remedy = Remedy(f"See the fit without subject {label}", f"data.exclude(subject={label!r})", run.fit.model, data)
    about += " Look at its data, its doses and its units before you leave it out."
    return [Cause("leverage", f"One subject pulls at the fit: {label}.", about, (remedy,))]


def _apart(run: Run) -> tuple[int, str, float] | None:
    """The subject whose random effect is farthest from all others, if that is far: its place, the effect, how far."""
    etas = np.asarray(run.fit.eta_matrix, dtype=float)[:, : len(run.fit.random_effects)]
    sd = np.sqrt(np.diag(np.asarray(run.fit.omega_matrix, dtype=float)))
    if etas.shape[1] == 0 or etas.shape[1] != len(sd) or not np.isfinite(etas).all():
        return None
    away = np.abs(etas - np.median(etas, axis=0))
    scale = 1.4826 * np.median(away, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where((scale > 0.2 * sd) & (away > _WIDE * sd), away / scale, 0.0)
    worst, effect = np.unravel_index(int(np.argmax(far)), far.shape)
    if not far[worst, effect] > _FAR:
        return None
    return int(worst), run.fit.random_effects[int(effect)], float(far[worst, effect])
