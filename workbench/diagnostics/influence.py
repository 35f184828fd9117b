"""Influence: what the estimates would be without some of the subjects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench import checks
from workbench.data import GroupedData
from workbench.engine.ending.uncertainty import hessian
from workbench.engine.fit import fit as refit_of
from workbench.errors import DataError, Fault, FitError, WorkbenchError
from workbench.inference.target import target_of
from workbench.markup.numbers import counted, short
from workbench.markup.shown import Shown
from workbench.methods import Subjects, method_of
from workbench.model import Model
from workbench.parallel import Callback, Work, each
from workbench.results.fit import FitResult

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_FAR = 1.0  # of Cook's distance: the estimates move by more than one standard error taken together


class _Without(NamedTuple):
    """A fit without a group."""

    estimates: Array
    ofv: float
    determinant: float  # log of that of the covariance
    status: str
    message: str


@dataclass(frozen=True, eq=False, repr=False)
class Influence(Shown):
    """Estimates without each group of subjects.

    Attributes
    ----------
    fit : FitResult
    groups : tuple of (str, tuple of labels)
        What was left out.
    names : tuple of str
        Estimates that are not fixed.
    values : float64[groups, k]
        Those without the group; NaN where they could not be computed.
    ofv : float64[groups]
        Of the others, at their own minimum; by a Newton step predicted.
    delta_ofv : float64[groups]
        Of the others at the estimates of all, less `ofv`: never below 0 but for rounding.
    cook : float64[groups]
        Cook's distance  √((p - p̂)ᵀ C⁻¹ (p - p̂)),  C the covariance of the estimates p̂, as PsN has it.
    covariance_ratio : float64[groups]
        √(det C without the group / det C); NaN by a Newton step.
    refitted : bool
        True: each was fitted again; False: one Newton step from the estimates.
    status, messages : tuple of str
    """

    fit: FitResult
    groups: tuple[tuple[str, tuple[Any, ...]], ...]
    names: tuple[str, ...]
    values: Array
    ofv: Array
    delta_ofv: Array
    cook: Array
    covariance_ratio: Array
    refitted: bool
    status: tuple[str, ...]
    messages: tuple[str, ...]

    @cached_property
    def table(self) -> pd.DataFrame:
        """By group, the most influential first: subjects, cook, covariance_ratio, ofv, delta_ofv, status, estimates."""
        import pandas as pd

        frame = pd.DataFrame(
            {
                "subjects": [len(members) for _, members in self.groups], "cook": self.cook,
                "covariance_ratio": self.covariance_ratio, "ofv": self.ofv, "delta_ofv": self.delta_ofv,
                "status": list(self.status),
            },
            index=pd.Index([name for name, _ in self.groups], name="left out"),
        )  # fmt: skip
        frame = frame.join(pd.DataFrame(self.values, columns=list(self.names), index=frame.index))
        return frame.sort_values("cook", ascending=False, kind="stable")

    @property
    def sentence(self) -> str:
        """Who moves the estimates most, and whether that is much."""
        how = "a fit without each" if self.refitted else "one Newton step without each"
        head = f"Influence of {counted(len(self.groups), 'group')} of subjects, by {how}."
        known = np.isfinite(self.cook)
        if not known.any():
            why = f" The fit has no covariance: {self.fit.se_reason}" if self.fit.covariance is None else ""
            return f"{head} No Cook's distance could be computed.{why}"
        most = int(np.nanargmax(self.cook))
        name, far = self.groups[most][0], int((self.cook[known] > _FAR).sum())
        verdict = f"{counted(far, 'group')} above {_FAR:g}" if far else f"none above {_FAR:g}"
        return f"{head} Largest Cook's distance {short(float(self.cook[most]), 3)} ({name}); {verdict}."

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        failed = [f"Without {self.groups[k][0]}: {message}" for k, message in enumerate(self.messages) if message]
        return [self.sentence, *failed[:10], self.table.drop(columns=list(self.names))]

    def plot(self) -> Figure:
        """Cook's distance over the covariance ratio (or ΔOFV, by a Newton step), by group (matplotlib)."""
        from workbench.diagnostics.plots import influence_figure

        other, name = (self.covariance_ratio, "covariance ratio") if self.refitted else (self.delta_ofv, "ΔOFV")
        return influence_figure([name for name, _ in self.groups], self.cook, other, name)


@dataclass(frozen=True, eq=False)
class _Refits:
    """Fits without each of the groups, from the estimates of all."""

    model: Model
    data: GroupedData
    method: Any
    free: NDArray[np.bool_]

    def __call__(self) -> Work:
        def without(members: tuple[Any, ...]) -> _Without:
            nothing = np.full(int(self.free.sum()), np.nan)
            try:
                found = refit_of(self.model, self.data.exclude(members), self.method)
            except WorkbenchError as error:
                return _Without(nothing, math.nan, math.nan, "not computable", str(error))
            values = np.array([line.value for line in found.lines])[self.free]
            message = "" if found.converged else found.status.value
            return _Without(values, found.ofv, _log_determinant(found.covariance), found.status.name, message)

        return without


def influence(
    fit: FitResult,
    groups: Any = None,
    *,
    refit: bool = True,
    jobs: int | None = None,
    callback: Callback | None = None,
) -> Influence:
    """What the estimates and the objective are without each subject, or each group of subjects.

    Parameters
    ----------
    fit : FitResult
    groups : optional
        None: each subject. A number: so many groups of subjects that follow one another, as equal as can be. The name
        of a column: subjects by its (first) value. Lists of labels, or a dict of them by name.
    refit : bool
        Fit again without each, from the estimates of all; False: one Newton step by scores and Hessian at the
        estimates (Cook & Weisberg 1982, Residuals and Influence in Regression, 5.2), for a first look at many subjects.
    jobs : int, optional
        Fits at the same time; see `bootstrap`.
    callback : callable, optional
        Called with (done, groups); stops by returning something true, and what is done is kept.

    Returns
    -------
    Influence

    Raises
    ------
    FitError, DataError
        The fit did not converge or is of subjects alone; there are fewer than three subjects; a group is unknown,
        empty, or all there is.

    Examples
    --------
    >>> import workbench as wb
    >>> fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))
    >>> len(wb.influence(fit, refit=False).table)
    12
    """
    if not isinstance(fit, FitResult):
        raise FitError(f"wb.influence takes a fit as wb.fit(…) gives it, got {type(fit).__name__}.")
    checks.flag("refit", refit, FitError)
    by = method_of(fit.method)
    if by.subjects is Subjects.ALONE:
        raise FitError(f"A fit by {fit.method!r} is of each subject alone: none has influence on the others.")
    if not fit.converged:
        raise FitError(f"The fit has no minimum to leave anything out of: {fit.status.value}")
    parts = _groups(fit.data, groups)
    lines = [line for line in fit.lines if not line.fixed]
    free = np.array([not line.fixed for line in fit.lines])
    own = np.array([line.value for line in lines])
    places = _places(fit.data, parts)
    if refit:
        refits = _Refits(fit.model, fit.data, fit.options or fit.method, free)
        found: list[_Without] = each(refits, [members for _, members in parts], jobs, callback)
        parts, places = parts[: len(found)], places[: len(found)]
        values = np.array([one.estimates for one in found]).reshape(len(parts), len(own))
        ofv = np.array([one.ofv for one in found])
        delta = np.array([fit.ofv - fit.subject_ofv[at].sum() for at in places]) - ofv
        ratio = np.exp(0.5 * (np.array([one.determinant for one in found]) - _log_determinant(fit.covariance)))
        status, messages = tuple(one.status for one in found), tuple(one.message for one in found)
    else:
        values, delta = _stepped(fit, places, free)
        ofv = np.array([fit.ofv - fit.subject_ofv[at].sum() for at in places]) - delta
        ratio = np.full(len(parts), np.nan)
        status, messages = ("newton",) * len(parts), ("",) * len(parts)
    return Influence(
        fit, parts, tuple(line.name for line in lines), values, ofv, delta, _cook(values - own, fit.covariance), ratio,
        refit, status, messages,
    )  # fmt: skip


def _groups(data: GroupedData, wanted: Any) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Names of the groups and labels of their subjects."""
    labels = data.events.subjects
    if len(labels) < 3:
        raise FitError(f"There are {len(labels)} subjects: what is left without one of them tells nothing.")
    if wanted is None:
        return tuple((f"{label}", (label,)) for label in labels)
    if checks.is_whole(wanted):
        count = checks.whole("groups", wanted, 2, FitError)
        if count > len(labels):
            raise FitError(f"groups={count}; there are {len(labels)} subjects.")
        cut = np.array_split(np.arange(len(labels)), count)
        return tuple((f"{labels[at[0]]} to {labels[at[-1]]}", tuple(labels[i] for i in at)) for at in cut)
    if isinstance(wanted, str):
        if wanted not in data.frame.columns:
            have = ", ".join(map(str, data.frame.columns))
            raise DataError(Fault(f"groups={wanted!r}; there are {have}"), data.name)
        first = data.frame[wanted].to_numpy()[data.events.row[data.events.start[:-1]]]
        found: dict[Any, list[Any]] = {}
        for label, value in zip(labels, first, strict=True):
            found.setdefault(value, []).append(label)
        named = [(f"{wanted} {value}", tuple(members)) for value, members in found.items()]
    else:
        known = {str(label): label for label in labels}
        named = []
        for name, members in _lists(wanted):
            unknown = [str(m) for m in members if str(m) not in known]
            if unknown:
                raise DataError(Fault(f"groups= names {', '.join(unknown)}; there is no such subject"), data.name)
            named.append((name, tuple(known[str(m)] for m in members)))
    for name, chosen in named:
        if not 0 < len(chosen) < len(labels):
            raise FitError(f"The group {name!r} has {len(chosen)} of {len(labels)} subjects: some must stay, some go.")
    return tuple(named)


def _lists(wanted: Any) -> list[tuple[str, list[Any]]]:
    """Groups that are given as lists of labels, or as a dict of them by name."""
    try:
        if isinstance(wanted, dict):
            items = wanted.items()
            return [(str(name), [one] if isinstance(one, str) else list(one)) for name, one in items]
        lists = [[one] if isinstance(one, str) else list(one) for one in wanted]
    except TypeError:
        raise FitError(f"groups={wanted!r}; a number, a column, or lists of labels are needed.") from None
    return [(", ".join(map(str, members)), members) for members in lists]


def _places(data: GroupedData, parts: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Index]:
    index = {label: i for i, label in enumerate(data.events.subjects)}
    return [np.array([index[label] for label in members], dtype=np.int64) for _, members in parts]


def _stepped(fit: FitResult, places: Sequence[Index], free: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Estimates after one Newton step without each group, and the fall of the others' objective that it predicts."""
    target, at = target_of(fit.model, fit.data, fit.method, fit.options)
    bend = hessian(target, at)
    values, delta = np.full((len(places), int(free.sum())), np.nan), np.full(len(places), np.nan)
    if bend is None:
        return values, delta
    inverse = np.linalg.pinv(bend)
    scale, x = target.problem.scale, at.x
    for k, mine in enumerate(places):
        gradient = at.gradient - at.scores[mine].sum(axis=0)
        step = -inverse @ gradient
        values[k] = scale.estimates(x + step)[free]
        delta[k] = -0.5 * float(gradient @ step) if np.isfinite(step).all() else math.nan
    return values, delta


def _cook(moved: Array, covariance: Array | None) -> Array:
    """Cook's distance of moves [groups, k]; NaN where there is no covariance."""
    if covariance is None or not np.isfinite(covariance).all():
        return np.full(len(moved), np.nan)
    inverse = np.linalg.pinv(covariance, hermitian=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(np.einsum("gk,kl,gl->g", moved, inverse, moved)))


def _log_determinant(covariance: Array | None) -> float:
    if covariance is None or not np.isfinite(covariance).all():
        return math.nan
    sign, log = np.linalg.slogdet(covariance)
    return float(log) if sign > 0 else math.nan
