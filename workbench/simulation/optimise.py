"""Better times of a design: `optimise` moves them within windows, so that the information grows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.checks import finite, one_of, whole
from workbench.engine.information import Expansion, expansions
from workbench.engine.information import information as of_subject
from workbench.errors import FitError, ModelError
from workbench.markup.numbers import percent, quantity, short
from workbench.markup.printed import COLOURS, figure_class, in_unit
from workbench.markup.shown import Shown
from workbench.methods import Approximation
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.simulation.design import Design, Times, design_of
from workbench.simulation.information import (
    KINDS,
    METHODS,
    Information,
    information,
    log_determinant,
    log_determinants,
    random_effects,
)
from workbench.simulation.people import known_units, problem_for

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Window = tuple[float, float]

_FIRST = 60  # candidates in a window
_FINER = 21  # and around the best of them, in each further round
_ROUNDS = 3
_SWEEPS = 30
_GAIN = 1e-7  # of log det: less is no improvement
_LOW = 0.01  # of the largest prediction
_FOCE = 20  # draws of η while times are moved


@dataclass(frozen=True, eq=False, repr=False)
class Optimised(Shown):
    """A design with better times.

    Attributes
    ----------
    design, given : Design
        With the times that were found, and as it was.
    after, before : Information
        Of these.
    windows : tuple of tuple of (float, float)
        For each group, for each time.
    remarks : tuple of str
        What is to be known before the times are taken.
    code : str
        Python that makes it.
    unit : str
        Of times, where it is known.
    """

    design: Design
    given: Design
    after: Information
    before: Information
    windows: tuple[tuple[Window, ...], ...]
    remarks: tuple[str, ...]
    code: str = field(repr=False)
    unit: str = ""

    @property
    def efficiency(self) -> float:
        """(det after / det before)^(1/k): with so many times the subjects, the given design would tell as much."""
        gain = self.after.log_determinant - self.before.log_determinant
        return math.exp(gain / len(self.after.names)) if math.isfinite(gain) else math.inf

    @property
    def table(self) -> pd.DataFrame:
        """By group and number of the time: the window, the time given and the time found."""
        import pandas as pd

        rows = []
        for g, (old, new, windows) in enumerate(zip(self.given.groups, self.design.groups, self.windows, strict=True)):
            for k, (one, other, window) in enumerate(zip(_flat(old.times), _flat(new.times), windows, strict=True)):
                rows.append((g + 1, k + 1, one[0], *window, one[1], other[1]))
        frame = pd.DataFrame(rows, columns=["group", "number", "response", "lower", "upper", "given", "found"])
        frame = frame if frame["response"].notna().any() else frame.drop(columns="response")
        return frame.set_index(["group", "number"])

    @property
    def sentence(self) -> str:
        """How much more the design tells."""
        if not math.isfinite(self.efficiency):
            told = f"The given times do not determine {self.before.flat}; these do."
        else:
            saved = 1 - 1 / self.efficiency
            told = f"The information is {short(self.efficiency, 3)} times as large in each direction (D-efficiency): "
            told += f"as much as before needs {percent(saved)} fewer subjects." if saved > 0.005 else "hardly a gain."
        times = "; ".join(", ".join(short(t) for _, t in _flat(group.times)) for group in self.design.groups)
        return " ".join([told, f"Times: {quantity(times, self.unit)}.", self.after.sentence, *self.remarks])

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        import pandas as pd

        rse = pd.DataFrame({"rse before": self.before.table["rse"], "rse after": self.after.table["rse"]})
        return [self.sentence, self.table, rse]

    def plot(self) -> Figure:
        """Windows, and the times given and found (matplotlib)."""
        table = self.table.reset_index()
        figure = figure_class()(figsize=(6.4, 0.8 + 0.25 * len(table)), layout="constrained")
        panel = figure.subplots()
        y = np.arange(len(table))[::-1]
        panel.hlines(y, table["lower"], table["upper"], color="#bbbbbb", linewidth=4)
        panel.plot(table["given"], y, "o", color="#777777", label="given")
        panel.plot(table["found"], y, "o", color=COLOURS[1], label="found")
        panel.set_yticks(y, [f"{a}.{b}" for a, b in zip(table["group"], table["number"], strict=True)])
        panel.set_xlabel(f"time{in_unit(self.unit)}")
        panel.legend(frameon=False, fontsize=8)
        return figure


def optimise(
    design: Design | Sequence[Design],
    model: Model | FitResult,
    windows: Window | Sequence[Window] | Sequence[Sequence[Window]] | None = None,
    *,
    kind: str = "reduced",
    method: str = "fo",
    starts: int = 3,
    seed: int = 1,
) -> Optimised:
    """Move the times of a design within windows so that the determinant of the expected information is largest.

    Each time in turn goes to the best of the candidates in its window, until none moves any more; then the candidates
    become denser around what was found. The search begins at the given times, and again at times drawn from the
    windows; what it finds is the best of several ends, not proved to be the best there is.

    Parameters
    ----------
    design : Design or list of Design
        With times; those that fall together are one measurement taken twice.
    model : Model or FitResult
        At the values that are expected.
    windows : (low, high), or a list of them, optional
        For all times, or one for each time (a list of such lists for several groups). From 0 to the last time unless
        said.
    kind, method : str
        As of `information`.
    starts, seed : int

    Returns
    -------
    Optimised

    Raises
    ------
    ModelError
        If the design has no times, windows are none, or model and design do not fit together.
    FitError
        If no times determine the estimates.

    Examples
    --------
    >>> import workbench as wb
    >>> values = [wb.Parameter("CL", 2.0, iiv=0.3), wb.Parameter("V", 20.0, iiv=0.2)]
    >>> model = wb.Model(wb.pk(), values, error=wb.Proportional(0.1))
    >>> found = wb.optimise(wb.Design(wb.Regimen(100), times=[1, 2, 3], subjects=30), model, windows=(0.25, 36))
    >>> found.efficiency > 1
    True
    """
    if isinstance(design, Model | FitResult):
        raise ModelError("The design comes first, then the model or fit: wb.optimise(design, model).")
    design = design_of(design)
    one_of("kind", kind, KINDS)
    one_of("method", method, METHODS)
    starts, seed = whole("starts", starts, 1), whole("seed", seed)
    if any(group.times is None for group in design.groups):
        raise ModelError("The design has no times that could be moved: times=[…] of each wb.Design(…).")
    limits = _windows(design, windows)
    before = information(model, design, kind=kind, method=method)
    search = _Search(design, model, kind == "reduced", method, seed)
    rng = np.random.default_rng(seed)
    best, most = search.given, -math.inf
    for start in range(starts):
        times = [t.copy() for t in search.given] if start == 0 else [rng.uniform(*np.array(w).T) for w in limits]
        times, value = search.improved(times, limits)
        if value > most:
            best, most = times, value
    if not math.isfinite(most):
        raise FitError(
            f"No times within the windows determine {before.flat or 'all estimates'}: it needs other doses or people."
        )
    found = design.with_times([_put_back(g.times, t) for g, t in zip(design.groups, best, strict=True)])
    after = information(model, found, kind=kind, method=method)
    if not after.log_determinant > before.log_determinant:
        found, after = design, before
    said = [f"windows={windows!r}" if windows is not None else "", f"kind={kind!r}" if kind != "reduced" else "",
            f"method={method!r}" if method != Approximation.FO else ""]  # fmt: skip
    unit = known_units(model).get("time", "")
    code = f"wb.optimise({', '.join(['design', 'model', *filter(None, said)])})"
    return Optimised(found, design, after, before, limits, _remarks(found, model, unit), code, unit)


def _remarks(design: Design, model: Model | FitResult, unit: str) -> tuple[str, ...]:
    """Says where times went to predictions of nearly 0, which a proportional error takes for exact."""
    data, _, _ = design.kinds()
    problem, _ = problem_for(model, data)
    f, response = problem.predictions(problem.scale.point(problem.x)), problem.observations.response
    most = np.zeros(len(problem.errors))
    np.maximum.at(most, response, np.abs(f))
    vanishing = np.array([error.vanishes() for error in problem.errors])[response]
    low = vanishing & (np.abs(f) < _LOW * most[response])
    if not low.any():
        return ()
    when = sorted(set(data.events.time[data.events.observed][low].tolist()))
    at = quantity(", ".join(map(short, when)), unit)
    return (
        f"At {at} the prediction is nearly 0, and by this residual error so is the "
        "error there; but an assay measures nothing below its limit. Narrow the windows, or give the error a constant "
        "part.",
    )


class _Search:
    """The information of times, where predictions at all candidates are computed at once."""

    def __init__(self, design: Design, model: Model | FitResult, reduced: bool, method: str, seed: int):
        self.design, self.model, self.reduced, self.method, self.seed = design, model, reduced, method, seed
        self.given = [np.array([t for _, t in _flat(group.times)]) for group in design.groups]
        self.responses = [[r for r, _ in _flat(group.times)] for group in design.groups]

    def improved(self, times: list[Array], limits: tuple[tuple[Window, ...], ...]) -> tuple[list[Array], float]:
        """Times from which no exchange of one leads further, and log det there."""
        value = -math.inf
        width = [np.array([b - a for a, b in windows]) for windows in limits]
        for round_ in range(_ROUNDS):
            candidates = []
            for g, windows in enumerate(limits):
                mine = []
                for k, (low, high) in enumerate(windows):
                    if round_ == 0:
                        grid = _spread(low, high, _FIRST)
                    else:
                        half = width[g][k]
                        grid = np.linspace(max(low, times[g][k] - half), min(high, times[g][k] + half), _FINER)
                    mine.append(np.unique(np.append(grid, min(max(times[g][k], low), high))))
                candidates.append(mine)
            times, value = self._exchanged(times, candidates)
            for g in range(len(times)):
                steps = [np.diff(c).max(initial=0.0) for c in candidates[g]]
                near = [_gap(c, t) for c, t in zip(candidates[g], times[g], strict=True)]
                width[g] = np.minimum(steps, near)
        return times, value

    def _exchanged(self, times: list[Array], candidates: list[list[Array]]) -> tuple[list[Array], float]:
        tables = [np.unique(np.concatenate(mine)) for mine in candidates]
        expanded = self._expanded(tables)
        at = [
            np.array([int(np.argmin(np.abs(table - t))) for t in mine])
            for table, mine in zip(tables, times, strict=True)
        ]
        places = [[np.searchsorted(tables[g], c) for c in mine] for g, mine in enumerate(candidates)]
        for g, mine in enumerate(places):
            at[g] = np.array([options[np.argmin(np.abs(options - a))] for options, a in zip(mine, at[g], strict=True)])
        totals = np.array([self._matrices(expanded[g], g, at[g][None])[0] for g in range(len(times))])
        value = log_determinant(totals.sum(axis=0))
        for _ in range(_SWEEPS):
            last = value
            for g in range(len(times)):
                others = totals.sum(axis=0) - totals[g]
                for k, options in enumerate(places[g]):
                    trials = np.repeat(at[g][None], len(options), axis=0)
                    trials[:, k] = options
                    matrices = self._matrices(expanded[g], g, trials)
                    values = log_determinants(matrices + others)
                    top = int(np.argmax(values))
                    if values[top] > value + _GAIN:
                        at[g], totals[g], value = trials[top], matrices[top], float(values[top])
            if not value > last + _GAIN:
                break
        return [table[a] for table, a in zip(tables, at, strict=True)], value

    def _expanded(self, tables: list[Array]) -> list[list[tuple[int, Expansion]]]:
        """For each group its subjects: how many, and their predictions at all candidates of each response."""
        finer = []
        for g in range(len(tables)):
            names = dict.fromkeys(self.responses[g])
            every = tuple(tables[g].tolist())
            finer.append(every if None in names else tuple((str(name), every) for name in names))
        data, count, of = self.design.with_times(finer).kinds()
        problem, _ = problem_for(self.model, data)
        self.problem, self.point = problem, problem.scale.point(problem.x)
        eta = random_effects(problem, self.method, _FOCE, self.seed)
        subjects = expansions(problem, self.point, eta)
        events = data.events
        when = events.time[events.observed]
        first = problem.observations.first
        self.records: list[dict[Any, Index]] = []
        for g in range(len(tables)):
            i = int(np.flatnonzero(of == g)[0])
            mine, response = when[first[i] : first[i + 1]], problem.observations.response[first[i] : first[i + 1]]
            called = list(dict.fromkeys(self.responses[g]))
            structure = problem.structure.responses
            found = {}
            for name in called:
                which = 0 if name is None else structure.index(name) if name in structure else called.index(name)
                some = np.flatnonzero(response == which)
                found[name] = some[np.searchsorted(mine[some], tables[g])]
            self.records.append(found)
        return [[(int(count[i]), subjects[i]) for i in np.flatnonzero(of == g)] for g in range(len(tables))]

    def _matrices(self, subjects: list[tuple[int, Expansion]], g: int, trials: Index) -> Array:
        """The information of a group for choices of its times, int64[k, times] among the candidates."""
        records = np.column_stack([self.records[g][r][a] for r, a in zip(self.responses[g], trials.T, strict=True)])
        k, size = len(trials), self.problem.scale.size
        total = np.zeros((k, size, size))
        for count, subject in subjects:
            each = of_subject(self.problem, self.point, subject.at(records), self.reduced)
            total += count * each.reshape(-1, k, size, size).mean(axis=0)
        return np.where(np.isfinite(total), total, 0.0)


def _spread(low: float, high: float, count: int) -> Array:
    """Candidates, half of them evenly and half as the logarithm is: what is early changes fast."""
    if not high > low:
        return np.array([low])
    even = np.linspace(low, high, count // 2)
    least = max(low, (high - low) / 500)
    return np.unique(np.concatenate([even, np.geomspace(least, high, count - count // 2)]))


def _gap(candidates: Array, t: float) -> float:
    """The distance to the next candidate, on the side where it is larger."""
    k = int(np.argmin(np.abs(candidates - t)))
    return float(np.diff(candidates[max(0, k - 1) : k + 2]).max(initial=0.0))


def _windows(design: Design, windows: Any) -> tuple[tuple[Window, ...], ...]:
    counts = [len(_flat(group.times)) for group in design.groups]
    if windows is None:
        return tuple(
            ((0.0, max(t for _, t in _flat(group.times))),) * n for group, n in zip(design.groups, counts, strict=True)
        )
    wanted = (
        "windows= is (low, high) for all times, or a list of one for each time"
        f"{' of each group, as lists' if len(counts) > 1 else ''}; there are {', '.join(map(str, counts))} times"
    )
    if _is_window(windows):
        found = [[windows] * n for n in counts]
    elif isinstance(windows, Iterable) and not isinstance(windows, str):
        parts = list(windows)
        found = [parts] * len(counts) if all(map(_is_window, parts)) else [list(part) for part in parts]
    else:
        raise ModelError(f"{wanted}; got {windows!r:.80}.")
    if [len(part) for part in found] != counts or not all(_is_window(w) for part in found for w in part):
        raise ModelError(f"{wanted}; got {windows!r:.120}.")
    made = []
    for part in found:
        mine = [(finite(low, "A window's beginning"), finite(high, "A window's end")) for low, high in part]
        bad = [window for window in mine if window[0] < 0 or window[1] < window[0]]
        if bad:
            raise ModelError(f"The window {bad[0]} ends before it begins, or begins before 0.")
        made.append(tuple(mine))
    return tuple(made)


def _is_window(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) == 2
        and not any(isinstance(end, Sequence) for end in value)
    )


def _flat(times: Times) -> list[tuple[str | None, float]]:
    """Times one by one, with the response where it is named."""
    if not times:
        return []
    parts: Any = times
    if isinstance(times[0], tuple):
        return [(name, t) for name, some in parts for t in some]
    return [(None, t) for t in parts]


def _put_back(times: Times, found: Array) -> Times:
    """Other times in the form that they had, in order, with the digits that matter."""
    flat = [(name, float(f"{t:.6g}")) for (name, _), t in zip(_flat(times), found.tolist(), strict=True)]
    if flat[0][0] is None:
        return tuple(sorted(t for _, t in flat))
    names = dict.fromkeys(name for name, _ in flat)
    return tuple((str(name), tuple(sorted(t for n, t in flat if n == name))) for name in names)
