"""Noncompartmental analysis: `nca`, and the table that it makes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import checks
from workbench.data import GroupedData
from workbench.errors import DataError, Fault, WorkbenchError
from workbench.markup.numbers import counted
from workbench.markup.printed import COLOURS, figure_class, in_unit
from workbench.markup.shown import Shown
from workbench.noncompartmental.curve import (
    TRAPEZOIDS,
    Array,
    Terminal,
    at_time,
    back_extrapolated,
    best_terminal,
    chosen_terminal,
    trapezoids,
)
from workbench.noncompartmental.profiles import BLQ_RULES, ROUTES, Profile, profiles_of
from workbench.noncompartmental.quantities import QUANTITIES, cdisc, unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Wanted = int | tuple[float, float] | Sequence[float]


@dataclass(frozen=True, eq=False)
class Curve:
    """One analysed curve.

    Attributes
    ----------
    profile : Profile
    time, conc : float64[n]
        As they were integrated, a point at time 0 included.
    interval : (float, float)
        After the dose; the second may be infinite.
    terminal : Terminal, optional
    found : dict of str to float
        By the names of `quantities`; NaN where it could not be computed.
    reasons : tuple of str
        What could not be computed or was assumed, and why.
    """

    profile: Profile
    time: Array
    conc: Array
    interval: tuple[float, float]
    terminal: Terminal | None
    found: Mapping[str, float]
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Noncompartmental(Shown):
    """What a noncompartmental analysis found.

    Attributes
    ----------
    data : GroupedData
    curves : tuple of Curve
    trapezoids, blq, names : str
        As asked for.
    code : str
        Python that makes it, given `data`.
    """

    data: GroupedData
    curves: tuple[Curve, ...]
    trapezoids: str
    blq: str
    names: str
    code: str = field(repr=False)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for each curve, one column for each quantity that can be asked of one of them.

        The index has the subject and, where there are several, response, occasion, dose and interval. Missing values
        could not be computed; `remarks` says why. Units are in `units`, meanings in `meanings`.
        """
        import pandas as pd

        asked = [q.name for q in QUANTITIES if any(q.name in curve.found for curve in self.curves)]
        frame = pd.DataFrame(
            [[curve.found.get(name, math.nan) for name in asked] for curve in self.curves], columns=asked,
            index=self._index,
        )  # fmt: skip
        return frame.rename(columns=self._written)

    @property
    def _index(self) -> pd.Index[Any]:
        import pandas as pd

        profiles = [curve.profile for curve in self.curves]
        levels: dict[str, list[Any]] = {"subject": [p.subject for p in profiles]}
        others = {
            "response": [p.response for p in profiles],
            "occasion": [p.occasion for p in profiles],
            "dose": [p.number for p in profiles],
            "interval": [f"{curve.interval[0]:g}–{curve.interval[1]:g}".replace("inf", "∞") for curve in self.curves],
        }
        for name, values in others.items():
            several = len(set(values)) > 1
            if several and (name != "interval" or len(profiles) > len(set(zip(*levels.values(), strict=True)))):
                levels[name] = values
        if len(levels) == 1:
            index: pd.Index[Any] = pd.Index(levels["subject"], name="subject")
            return index
        return pd.MultiIndex.from_arrays(list(levels.values()), names=list(levels))

    def _written(self, name: str) -> str:
        return cdisc(name, self.curves[0].profile.route) if self.names == "cdisc" else name

    @property
    def units(self) -> dict[str, str]:
        """Unit by column of `table`, for those that have one."""
        found = {self._written(q.name): unit(q.name, self.data.units) for q in QUANTITIES}
        return {name: text for name, text in found.items() if text and name in self.table.columns}

    @property
    def meanings(self) -> dict[str, str]:
        """What each column of `table` is."""
        return {self._written(q.name): q.meaning for q in QUANTITIES if self._written(q.name) in self.table.columns}

    @cached_property
    def remarks(self) -> pd.DataFrame:
        """What could not be computed, was left out or assumed: a row for each curve and reason."""
        import pandas as pd

        rows = [
            (k, reason) for k, curve in enumerate(self.curves) for reason in (*curve.profile.remarks, *curve.reasons)
        ]
        return pd.DataFrame({"reason": [r for _, r in rows]}, index=self._index[[k for k, _ in rows]])

    def summary(self, by: str | None = None) -> pd.DataFrame:
        """Statistics over curves.

        Parameters
        ----------
        by : str, optional
            A column of the data, or a level of the table's index, whose values are summarised apart.

        Returns
        -------
        DataFrame
            A row for each quantity (and group): n, mean, SD, CV (%), geometric mean, geometric CV (%) =
            100 √(exp(s²) - 1) with s the SD of the logarithms, median, minimum and maximum. The geometric ones need
            values above 0 only.
        """
        import pandas as pd

        groups: dict[Any, np.ndarray[Any, Any]] = {None: np.ones(len(self.curves), dtype=bool)}
        if by is not None:
            values = np.array(self._values_of(by), dtype=object)
            groups = {value: values == value for value in dict.fromkeys(values)}
        parts = {}
        for value, rows in groups.items():
            of_group = self.table[rows]
            parts[value] = pd.DataFrame({name: _statistics(of_group[name].to_numpy()) for name in of_group}).T
        return parts[None] if by is None else pd.concat(parts, names=[by, "quantity"])

    def _values_of(self, by: str) -> list[Any]:
        if by in self.table.index.names:
            return list(self.table.index.get_level_values(by))
        frame = self.data.frame
        if by not in frame.columns:
            have = ", ".join([*map(str, self.table.index.names), *map(str, frame.columns)])
            raise DataError(Fault(f"by={by!r}; allowed are {have}"), self.data.name)
        events = self.data.events
        return [frame[by].to_numpy()[events.row[curve.profile.row]] for curve in self.curves]

    def plot(self, subjects: Sequence[Any] | None = None, *, log: bool = True, columns: int = 4) -> Figure:
        """The curves with their terminal lines, a panel for each (matplotlib).

        Parameters
        ----------
        subjects : sequence of labels, optional
            All by default, at most 24.
        log : bool
            Logarithmic concentrations.
        columns : int

        Raises
        ------
        WorkbenchError
            If matplotlib is not installed.
        """
        wanted = None if subjects is None else {str(label) for label in subjects}
        shown = [(k, c) for k, c in enumerate(self.curves) if wanted is None or str(c.profile.subject) in wanted][:24]
        columns = max(1, min(columns, len(shown)))
        rows = max(1, math.ceil(len(shown) / columns))
        figure = figure_class()(figsize=(2.6 * columns, 2.1 * rows), layout="constrained")
        for panel, (k, curve) in zip(figure.subplots(rows, columns, squeeze=False).flat, shown, strict=False):
            seen = curve.conc > 0 if log else np.ones(len(curve.conc), dtype=bool)
            panel.plot(curve.time[seen], curve.conc[seen], "o-", color=COLOURS[0], markersize=3, linewidth=0.8)
            if curve.terminal is not None:
                t = np.array([curve.terminal.points[0], max(curve.terminal.points[-1], float(curve.time[-1]))])
                panel.plot(t, curve.terminal.at(t), "--", color=COLOURS[1], linewidth=1.2)
            panel.set_yscale("log" if log else "linear")
            label = self.table.index[k]
            panel.set_title(" · ".join(map(str, label)) if isinstance(label, tuple) else str(label), fontsize=8)
            panel.tick_params(labelsize=7)
        for panel in list(figure.axes)[len(shown) :]:
            panel.set_visible(False)
        given = self.data.units
        figure.supxlabel(f"time after dose{in_unit(given.get('time'))}", fontsize=8)
        figure.supylabel(f"concentration{in_unit(given.get('response'))}", fontsize=8)
        return figure

    @property
    def sentence(self) -> str:
        """What was done, and what is to be known before the numbers are believed."""
        counts = {route: sum(c.profile.route == route for c in self.curves) for route in ROUTES}
        routes = " and ".join(f"{n} {route}" for route, n in counts.items() if n)
        without = sum(curve.terminal is None for curve in self.curves)
        count = counted(len(self.curves), "curve")
        parts = [f"Noncompartmental analysis of {count} ({routes}), {self.trapezoids} trapezoids."]
        if without:
            parts.append(f"{counted(without, 'curve')} without a terminal slope: see `remarks`.")
        far = [
            c for c in self.curves if c.found.get("AUC_%Extrap_obs", 0.0) > 20.0 and math.isinf(c.interval[1])
        ]  # fmt: skip
        if far:
            parts.append(f"In {counted(len(far), 'curve')} more than 20 % of AUC∞ is extrapolated.")
        return " ".join(parts)

    def _shown(self) -> Sequence[str | pd.DataFrame]:
        usual = ["n", "geometric mean", "geometric CV", "median", "minimum", "maximum"]
        asked = [n for n in _USUAL if self._written(n) in self.table.columns]
        return [self.sentence, self.summary().loc[[self._written(n) for n in asked], usual]]


_USUAL = ("Cmax", "Tmax", "AUClast", "AUCINF_obs", "AUC_TAU", "HL_Lambda_z", "Cl_F_obs", "Cl_obs", "CLss_F", "CLss",
          "Vz_F_obs", "Vz_obs", "Vss_obs")  # fmt: skip


def _statistics(values: Array) -> dict[str, float]:
    seen = values[np.isfinite(values)]
    n = len(seen)
    found = dict.fromkeys(
        ("n", "mean", "SD", "CV", "geometric mean", "geometric CV", "median", "minimum", "maximum"), math.nan
    )
    found["n"] = float(n)
    if n:
        found |= {"mean": seen.mean(), "median": np.median(seen), "minimum": seen.min(), "maximum": seen.max()}
        if (seen > 0).all():
            found["geometric mean"] = float(np.exp(np.log(seen).mean()))
    if n > 1:
        found["SD"] = float(seen.std(ddof=1))
        found["CV"] = 100.0 * found["SD"] / abs(found["mean"]) if found["mean"] else math.nan
        if (seen > 0).all():
            found["geometric CV"] = 100.0 * math.sqrt(math.expm1(float(np.log(seen).var(ddof=1))))
    return found


def nca(
    data: GroupedData,
    *,
    trapezoids: str = "lin-up/log-down",
    route: str | None = None,
    terminal: Wanted | Mapping[Any, Wanted] | None = None,
    intervals: Sequence[tuple[float, float]] | None = None,
    steady_state: bool | None = None,
    blq: str = "standard",
    names: str = "winnonlin",
) -> Noncompartmental:
    """Noncompartmental analysis of each subject's concentrations after each dose.

    Parameters
    ----------
    data : GroupedData
        Concentrations and doses; several responses, occasions and doses are analysed one by one.
    trapezoids : str
        "linear", "log" (wherever both ends are positive), "linear-log" (linear up to the highest concentration,
        logarithmic after it) or "lin-up/log-down" (logarithmic where concentrations fall).
    route : str, optional
        "extravascular", "bolus" or "infusion". By default doses with a rate or duration are infusions, all others
        extravascular: records do not tell a bolus into a vein from a tablet.
    terminal : optional
        Which points make the terminal slope: by default those with the best adjusted R². A number of last points,
        (first time, last time), or several times, all after the dose; or a mapping of these by subject, or by (subject,
        number of the dose).
    intervals : sequence of (float, float), optional
        Times after each dose between which areas are taken; the second may be infinite. By default all that was
        measured until the next dose.
    steady_state : bool, optional
        The intervals between doses are at steady state; by default those of doses with SS are.
    blq : str
        What a concentration below the limit of quantification, or 0, counts as. "standard": 0 before the first
        measurable one, left out between two, 0 after the last; "zero"; "missing"; "half" the limit.
    names : str
        "winnonlin" or "cdisc" (PPTESTCD).

    Returns
    -------
    Noncompartmental
        With `table`, `summary()`, `remarks`, `units`, `plot()` and `code`.

    Raises
    ------
    DataError
        There is nothing to analyse, or `terminal` names a subject that does not exist.
    WorkbenchError
        An argument is none of those that are allowed.

    Notes
    -----
    Without a sample at the time of the dose the curve begins at 0 after the first extravascular dose or infusion, at
    C0 (the line through the first two concentrations, extrapolated back) after a bolus, and at the lowest
    concentration of the interval at steady state. The terminal line is that of the last 3 or more measurable
    concentrations after the highest one (a bolus: with it) that has the best adjusted R²; of those within 1e-4 of it
    the longest. AUC∞ = AUClast + Clast/λz, AUMC∞ = AUMClast + Clast Tlast/λz + Clast/λz². An area that ends between
    two samples is interpolated as the trapezoids go; one that ends after the last is extrapolated by λz, and says so.

    Examples
    --------
    >>> import workbench as wb
    >>> found = wb.nca(wb.load_example("theophylline"))
    >>> float(found.table.loc[1, "Cmax"])
    10.5
    """
    if not isinstance(data, GroupedData):
        mend = "read them first: wb.nca(wb.read_data(…))"
        raise DataError(Fault(f"grouped data are analysed, got {type(data).__name__}", mend=mend))
    checks.one_of("trapezoids", trapezoids, TRAPEZOIDS, WorkbenchError)
    checks.one_of("blq", blq, BLQ_RULES, WorkbenchError)
    checks.one_of("names", names, ("winnonlin", "cdisc"), WorkbenchError)
    if route is not None:
        checks.one_of("route", route, ROUTES, WorkbenchError)
    if steady_state is not None:
        checks.flag("steady_state", steady_state, WorkbenchError)
    wanted = _terminals(terminal, data)
    spans = _intervals(intervals)
    profiles = profiles_of(data, route, blq, steady_state)
    if not profiles:
        raise DataError(Fault("no dose is followed by a measurement: there is nothing to analyse"), data.name)
    curves: list[Curve] = []
    first: dict[Any, float] = {}
    for profile in profiles:
        for span in spans or [(0.0, math.inf)]:
            label = str(profile.subject)
            own = wanted.get((label, profile.number), wanted.get((label, None), wanted.get((None, None))))
            curve = _analysed(profile, span, trapezoids, own)
            area, key = curve.found.get("AUC_TAU", math.nan), (profile.subject, profile.response)
            if profile.first and span == (spans or [(0.0, math.inf)])[0]:
                first[key] = area
            elif math.isfinite(area) and math.isfinite(first.get(key, math.nan)):
                curve = Curve(**{**vars(curve), "found": {**curve.found, "Accumulation_Ratio": area / first[key]}})
            curves.append(curve)
    options = {
        "trapezoids": (trapezoids, "lin-up/log-down"), "route": (route, None), "terminal": (terminal, None),
        "intervals": (intervals, None), "steady_state": (steady_state, None), "blq": (blq, "standard"),
        "names": (names, "winnonlin"),
    }  # fmt: skip
    said = "".join(f", {name}={value!r}" for name, (value, usual) in options.items() if value != usual)
    return Noncompartmental(data, tuple(curves), trapezoids, blq, names, f"wb.nca(data{said})")


def _terminals(stated: Any, data: GroupedData) -> dict[tuple[str | None, int | None], Wanted]:
    """By subject and number of the dose; None for any."""
    if stated is None:
        return {}
    if not isinstance(stated, Mapping):
        return {(None, None): _terminal(stated)}
    keys: dict[Any, tuple[str, int | None]] = {}
    for key in stated:
        is_pair = isinstance(key, tuple) and len(key) == 2 and checks.is_whole(key[1])
        keys[key] = (str(key[0]), int(key[1])) if is_pair else (str(key), None)
    have = {str(label) for label in data.events.subjects}
    unknown = [label for label, _ in keys.values() if label not in have]
    if unknown:
        raise DataError(Fault(f"terminal= names {', '.join(unknown)}; there is no such subject"), data.name)
    return {keys[key]: _terminal(value) for key, value in stated.items()}


def _terminal(value: Any) -> Wanted:
    if checks.is_whole(value):
        return checks.whole("terminal", value, 2, WorkbenchError)
    try:
        times = tuple(checks.finite(one, "a time of terminal=", WorkbenchError) for one in value)
    except TypeError:
        times = ()
    if len(times) < 2:
        raise WorkbenchError(
            f"terminal={value!r}; a number of points (2 or more), (first time, last time) or several times are needed."
        )
    return times


def _intervals(stated: Any) -> list[tuple[float, float]]:
    found = []
    for span in stated or ():
        try:
            begin, end = (float(one) for one in span)
        except (TypeError, ValueError):
            begin, end = math.nan, math.nan
        if not 0.0 <= begin < end:
            raise WorkbenchError(f"intervals has {span!r}; (begin, end) with 0 <= begin < end is needed.")
        found.append((begin, end))
    return found


def _analysed(profile: Profile, span: tuple[float, float], rule: str, wanted: Wanted | None) -> Curve:
    """All quantities of one curve between two times."""
    reasons: list[str] = []
    time, conc, c0 = _begun(profile, reasons)
    terminal = _slope(profile, time, conc, wanted, reasons)
    begin, end = span
    inside = (time >= begin) & (time <= end)
    t, c = time[inside], conc[inside]
    if begin > 0.0 and (not len(t) or t[0] > begin):
        edge = at_time(time, conc, begin, rule)
        if math.isnan(edge):
            reasons.append(f"nothing was measured before {begin:g}: areas begin at the first sample after it")
        else:
            t, c = np.concatenate([[begin], t]), np.concatenate([[edge], c])
    values = _values(profile, t, c, c0, terminal, span, rule, reasons)
    tau = profile.interval if math.isinf(end) else end - begin
    if math.isfinite(tau) and (math.isfinite(end) or math.isfinite(profile.until) or profile.steady):
        values |= _over_interval(profile, time, conc, begin, begin + tau, terminal, rule, reasons)
    return Curve(profile, t, c, span, terminal, values, tuple(reasons))


def _begun(profile: Profile, reasons: list[str]) -> tuple[Array, Array, float]:
    """The curve with a point at time 0; and C0."""
    time, conc = profile.time, profile.conc
    bolus = profile.route == "bolus"
    if len(time) and time[0] == 0.0:
        return time, conc, float(conc[0]) if bolus else math.nan
    if not len(time):
        return time, conc, math.nan
    c0 = math.nan
    if bolus:
        start = c0 = back_extrapolated(time, conc)
        if len(conc) < 2 or not conc[0] > conc[1] > 0:
            reasons.append("C0 is the first concentration: no two that fall follow the dose")
    elif profile.first:
        start = 0.0
    elif profile.steady:
        start = float(conc.min())
    else:
        reasons.append("no sample at the time of the dose: areas begin at the first sample after it")
        return time, conc, math.nan
    return np.concatenate([[0.0], time]), np.concatenate([[start], conc]), c0


def _slope(profile: Profile, time: Array, conc: Array, wanted: Wanted | None, reasons: list[str]) -> Terminal | None:
    if not (conc > 0).any():
        reasons.append("no measurable concentration")
        return None
    if wanted is not None:
        found = chosen_terminal(time, conc, wanted)
    else:
        bolus = profile.route == "bolus"
        highest = float(profile.time[int(np.argmax(profile.conc))])
        begin = max(highest, profile.duration if profile.route == "infusion" and profile.duration > 0 else 0.0)
        measured = np.isin(time, profile.time)  # not an extrapolated C0
        found = best_terminal(time[measured], conc[measured], begin, bolus or begin > highest)
    if isinstance(found, str):
        reasons.append(f"no terminal slope: {found}")
        return None
    return found


def _values(
    profile: Profile, t: Array, c: Array, c0: float, terminal: Terminal | None, span: tuple[float, float], rule: str,
    reasons: list[str],
) -> dict[str, float]:  # fmt: skip
    iv = profile.route != "extravascular"
    names = [q.name for q in QUANTITIES[: [q.name for q in QUANTITIES].index("Tau")]]
    values = {name: math.nan for name in names if _asked(name, profile)}
    values["Dose"] = profile.amount
    measurable = np.flatnonzero(c > 0)
    if terminal is not None:
        values |= {
            "Rsq": terminal.r2, "Rsq_adjusted": terminal.adjusted_r2, "Corr_XY": terminal.correlation,
            "No_points_lambda_z": float(len(terminal.points)), "Lambda_z": terminal.rate,
            "Lambda_z_lower": terminal.points[0], "Lambda_z_upper": terminal.points[-1],
            "HL_Lambda_z": terminal.half_life,
        }  # fmt: skip
    if "C0" in values:
        values["C0"] = c0
    if not len(measurable):
        if len(c):
            values |= {"Cmax": 0.0, "AUClast": 0.0, "AUCall": 0.0}
        return values
    last = int(measurable[-1])
    if not iv:
        values["Tlag"] = float(t[max(int(measurable[0]) - 1, 0)]) if measurable[0] else 0.0
    highest = _highest(profile, t, c)
    values |= {"Cmax": float(c[highest]), "Tmax": float(t[highest]), "Tlast": float(t[last]), "Clast": float(c[last])}
    auc, aumc = trapezoids(t, c, rule)
    to_last, moment = float(auc[:last].sum()), float(aumc[:last].sum())
    beyond = 0.5 * float(t[last + 1] - t[last]) * float(c[last]) if last + 1 < len(t) else 0.0
    half = 0.5 * profile.duration if profile.route == "infusion" else 0.0
    values |= {"AUClast": to_last, "AUCall": to_last + beyond, "AUMClast": moment}
    values["MRTlast"] = moment / to_last - half if to_last > 0 else math.nan
    values["Cmax_D"] = values["Cmax"] / profile.amount if profile.amount > 0 else math.nan
    if terminal is None or math.isfinite(span[1]) or span[0] > 0:
        if math.isfinite(span[1]):
            for name in [n for n in values if "INF" in n or "Extrap" in n or n.startswith(("Vz", "Cl_", "Vss"))]:
                del values[name]
        return values
    rate, tail = terminal.rate, float(t[last])
    values["Clast_pred"] = float(terminal.at(tail))
    first = float(auc[0]) if math.isfinite(c0) and len(auc) and profile.time[0] > 0 else 0.0
    for which, clast in (("obs", float(c[last])), ("pred", values["Clast_pred"])):
        whole = to_last + clast / rate
        mean = moment + clast * tail / rate + clast / rate**2
        residence = mean / whole - half
        values |= {
            f"AUCINF_{which}": whole, f"AUC_%Extrap_{which}": 100.0 * (whole - to_last) / whole,
            f"AUMCINF_{which}": mean, f"AUMC_%Extrap_{which}": 100.0 * (mean - moment) / mean,
            f"MRTINF_{which}": residence,
        }  # fmt: skip
        if profile.route == "bolus":
            values[f"AUC_%Back_Ext_{which}"] = 100.0 * first / whole
        if not profile.amount > 0:
            continue
        by_dose = whole / profile.amount
        values[f"AUCINF_D_{which}"] = by_dose
        if not profile.first:  # what earlier doses left is in the area
            continue
        f = "" if iv else "_F"
        values |= {f"Vz{f}_{which}": 1.0 / (rate * by_dose), f"Cl{f}_{which}": 1.0 / by_dose}
        if iv:
            values[f"Vss_{which}"] = residence / by_dose
    if profile.amount > 0 and not profile.first:
        reasons.append("clearance and volume by AUC∞ are those of a first dose: earlier doses are still in this area")
    return values


def _highest(profile: Profile, t: Array, c: Array) -> int:
    """Place of the highest measured concentration: not of an extrapolated C0."""
    measured = np.isin(t, profile.time)
    return int(np.flatnonzero(measured)[np.argmax(c[measured])]) if measured.any() else int(np.argmax(c))


def _asked(name: str, profile: Profile) -> bool:
    """Whether a quantity belongs to a route."""
    if name in ("C0",) or name.startswith("AUC_%Back_Ext"):
        return profile.route == "bolus"
    if name == "Tlag" or name.startswith(("Vz_F", "Cl_F")):
        return profile.route == "extravascular"
    if name.startswith(("Vz_", "Cl_", "Vss_")):
        return profile.route != "extravascular"
    return True


def _over_interval(
    profile: Profile, time: Array, conc: Array, begin: float, end: float, terminal: Terminal | None, rule: str,
    reasons: list[str],
) -> dict[str, float]:  # fmt: skip
    """Quantities over an interval that has an end."""
    names = ["Tau", "AUC_TAU", "AUMC_TAU", "AUC_TAU_D", "AUC_TAU_%Extrap", "Ctau", "Tmin", "Cmin", "Cavg"]
    values = {**dict.fromkeys(names, math.nan), "Tau": end - begin}
    t, c = time, conc
    if begin > 0.0:
        edge = at_time(time, conc, begin, rule)
        t, c = time[time > begin], conc[time > begin]
        if math.isfinite(edge):
            t, c = np.concatenate([[begin], t]), np.concatenate([[edge], c])
    inside = t <= end
    samples = t[inside], c[inside]
    if not len(samples[0]) or not (samples[1] > 0).any():
        return values
    highest, lowest = int(np.argmax(samples[1])), int(np.argmin(samples[1]))
    extrapolated = 0.0
    at_end = at_time(t, c, end, rule)
    if math.isfinite(at_end):
        if samples[0][-1] < end:
            samples = np.append(samples[0], end), np.append(samples[1], at_end)
    elif terminal is not None:
        clast, last = float(samples[1][-1]), float(samples[0][-1])
        at_end = clast * math.exp(-terminal.rate * (end - last))
        extrapolated = (clast - at_end) / terminal.rate
    else:
        reasons.append(f"nothing was measured until {end:g} and there is no terminal slope: no AUC_TAU")
        return values
    auc, aumc = trapezoids(*samples, rule)
    area, moment = float(auc.sum()), float(aumc.sum())
    if extrapolated:
        last, rate = float(samples[0][-1]), terminal.rate if terminal is not None else math.nan
        clast = float(samples[1][-1])
        moment += (clast * last - at_end * end) / rate + (clast - at_end) / rate**2
    whole = area + extrapolated
    cmin = float(samples[1][lowest])
    values |= {
        "AUC_TAU": whole, "AUMC_TAU": moment, "AUC_TAU_%Extrap": 100.0 * extrapolated / whole, "Ctau": at_end,
        "AUC_TAU_D": whole / profile.amount, "Tmin": float(samples[0][lowest]), "Cmin": cmin,
        "Cavg": whole / (end - begin),
    }  # fmt: skip
    if profile.steady:
        peak = float(samples[1][highest])
        values |= {
            "Swing": (peak - cmin) / cmin if cmin > 0 else math.nan,
            "Fluctuation%": 100.0 * (peak - cmin) / values["Cavg"],
            "CLss" if profile.route != "extravascular" else "CLss_F": profile.amount / whole,
        }
    if terminal is not None:
        values["Accumulation_Index"] = 1.0 / -math.expm1(-terminal.rate * (end - begin))
    return values
