"""Twelve kinds of faults in studies of published models, each with a sound study beside it.

A study is a model as somebody would state it and data that were simulated; whoever diagnoses its fit is given no more.
Typical values are about those of the publications: theophylline (Boeckmann, Sheiner & Beal 1994), phenytoin (Vozeh et
al. 1981), indomethacin (Kwan et al. 1976), orange trees (Draper & Smith 1981).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

import workbench as wb

Generator = np.random.Generator
Study = tuple[wb.Model, wb.GroupedData]
SUBJECTS = 20
RICH = (0.25, 0.5, 1.0, 2.0, 3.5, 5.0, 7.0, 9.0, 12.0, 24.0)
INVISIBLE = 0.1  # points of OFV: a part of a model that brings less cannot be seen in the data
CHANCE = 2.0  # and one that brings no more may be there by chance


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes
    ----------
    what : str
        The fault, in words.
    causes : tuple of str
        Kinds of cause that name it.
    names : tuple of str
        Of which the title or the account of the cause has to have one.
    faulty, sound : callable
        Make a study with the fault, and one like it without.
    shows : callable, optional
        Whether the fault can be seen in the data, from the best of many fits; where not, other data are drawn.
    """

    what: str
    causes: tuple[str, ...]
    names: tuple[str, ...]
    faulty: Callable[[Generator], Study]
    sound: Callable[[Generator], Study]
    shows: Callable[[Study, wb.FitResult], bool] | None = None


def _frame(rng: Generator, times: Sequence[float], dose: float, subjects: int = SUBJECTS) -> pd.DataFrame:
    """One dose at time 0 and records at `times`, a weight for each subject."""
    rows: list[tuple[float, ...]] = []
    for i in range(1, subjects + 1):
        weight = float(np.clip(70 * np.exp(0.2 * rng.standard_normal()), 40, 130))
        rows.append((i, 0.0, dose, 1, 1, np.nan, weight))
        rows += [(i, t, 0.0, 1, 0, np.nan, weight) for t in times]
    return pd.DataFrame(rows, columns=["ID", "TIME", "AMT", "CMT", "EVID", "DV", "WT"])


def _simulated(rng: Generator, truth: wb.Model, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with simulated responses."""
    observed = frame["EVID"] == 0
    frame = frame.assign(DV=np.where(observed, 1.0, np.nan))
    seed = int(rng.integers(1, 2**31))
    frame.loc[observed, "DV"] = wb.simulate(truth, wb.read_data(frame), seed=seed)["DV"].to_numpy()
    return frame


def _study(rng: Generator, truth: wb.Model, frame: pd.DataFrame, stated: wb.Model | None = None) -> Study:
    """Data of the truth, and a model whose values are a third off."""
    model = truth if stated is None else stated
    off = {
        p.name: float(f"{p.value * rng.choice([0.75, 1.3]):.3g}") for p in model.parameters if p.value and not p.fixed
    }
    return model.with_values(off), wb.read_data(_simulated(rng, truth, frame))


def _oral(
    spreads: tuple[float | None, float | None, float | None] = (0.5, 0.25, 0.2), error: object = None, **named: object
) -> wb.Model:  # fmt: skip
    ka, cl, v = spreads
    values = [wb.Parameter("ka", 1.5, iiv=ka), wb.Parameter("CL", 2.8, iiv=cl), wb.Parameter("V", 32.0, iiv=v)]
    return wb.Model(wb.pk(absorption="first-order"), values, error=error or wb.Proportional(0.1), **named)


# -- random effects ----------------------------------------------------------------------------------------------------


def _no_spread(rng: Generator) -> Study:
    return _study(rng, _oral((0.5, 0.25, None)), _frame(rng, RICH, 320.0), _oral((0.5, 0.25, 0.2)))


def _spread(rng: Generator) -> Study:
    return _study(rng, _oral(), _frame(rng, RICH, 320.0))


def _brings_nothing(
    edit: Callable[[wb.Model], wb.Model], most: float = INVISIBLE
) -> Callable[[Study, wb.FitResult], bool]:
    """Whether the model without a part explains the data as well."""

    def shows(study: Study, best: wb.FitResult) -> bool:
        return wb.fit(edit(best.model), study[1], covariance=False).ofv - best.ofv < most

    return shows


def _correlated(own: bool) -> Callable[[Generator], Study]:
    """Doses of which a share arrives that differs between subjects; beside that, CL and V differ, or not."""

    def study(rng: Generator) -> Study:
        values = [wb.Parameter("ka", 1.5, iiv=0.3), wb.Parameter("CL", 2.8, iiv=0.25 if own else None),
                  wb.Parameter("V", 32.0, iiv=0.25 if own else None),
                  wb.Parameter("F", 1.0, iiv=0.4, transform="log")]  # fmt: skip
        truth = wb.Model(wb.pk(absorption="first-order", bioavailability=True), values, error=wb.Proportional(0.1))
        return _study(rng, truth, _frame(rng, RICH, 320.0), _oral((0.3, 0.3, 0.3), correlate=[("CL", "V")]))

    return study


def _is_one(study: Study, best: wb.FitResult) -> bool:
    return any(line.kind == "correlation" and abs(line.value) > 0.995 for line in best.lines)


def _sampled(records: int) -> Callable[[Generator], Study]:
    """Three random effects for subjects with so many records each."""

    def study(rng: Generator) -> Study:
        frame = _frame(rng, RICH, 320.0, 40)
        kept = [
            i for _, part in frame.groupby("ID")
            for i in (part.index[0], *np.sort(rng.choice(part.index[1:], records, replace=False)))
        ]  # fmt: skip
        return _study(rng, _oral(), frame.loc[kept].reset_index(drop=True))

    return study


# -- residual error ----------------------------------------------------------------------------------------------------


def _erring(truth: object) -> Callable[[Generator], Study]:
    """Data with a residual error of which a combined one is stated."""

    def study(rng: Generator) -> Study:
        stated = _oral(error=wb.Combined2(0.3, 0.15))
        return _study(rng, _oral(error=truth), _frame(rng, RICH, 320.0), stated)

    return study


# -- what the data do not determine ------------------------------------------------------------------------------------


def _absorbed(into_vein: bool) -> Callable[[Generator], Study]:
    """A bioavailability to estimate, with doses by mouth alone or half of them into a vein."""

    def study(rng: Generator) -> Study:
        values = [wb.Parameter("ka", 1.5, iiv=0.5), wb.Parameter("CL", 2.8, iiv=0.25), wb.Parameter("V", 32.0, iiv=0.2),
                  wb.Parameter("F", 0.7)]  # fmt: skip
        model = wb.Model(wb.pk(absorption="first-order", bioavailability=True), values, error=wb.Proportional(0.1))
        frame = _frame(rng, RICH, 320.0)
        frame["CMT"] = np.where((frame["EVID"] == 1) & (frame["ID"] % 2 == 0) & into_vein, 2, 1)
        frame.loc[frame["EVID"] == 0, "CMT"] = 2
        return _study(rng, model, frame)

    return study


def _from(times: Sequence[float]) -> Callable[[Generator], Study]:
    """Samples at some times; no spread of ka is stated."""

    def study(rng: Generator) -> Study:
        return _study(rng, _oral((None, 0.25, 0.2)), _frame(rng, times, 320.0))

    return study


def _saturable(dose: float) -> Callable[[Generator], Study]:
    """Phenytoin into a vein."""

    def study(rng: Generator) -> Study:
        values = [wb.Parameter("Vm", 18.0, iiv=0.25), wb.Parameter("Km", 5.0), wb.Parameter("V", 45.0, iiv=0.2)]
        model = wb.Model(wb.pk(elimination="michaelis-menten"), values, error=wb.Proportional(0.1))
        return _study(rng, model, _frame(rng, (0.5, 2.0, 6.0, 12.0, 18.0, 24.0, 36.0, 48.0), dose))

    return study


def _compartments(true: int) -> Callable[[Generator], Study]:
    """Indomethacin into a vein, of which two compartments are stated."""

    def study(rng: Generator) -> Study:
        two = [wb.Parameter("CL", 8.0, iiv=0.2), wb.Parameter("V1", 9.0, iiv=0.2), wb.Parameter("Q", 6.0),
               wb.Parameter("V2", 18.0)]  # fmt: skip
        one = [wb.Parameter("CL", 8.0, iiv=0.2), wb.Parameter("V", 16.0, iiv=0.2)]
        model = wb.Model(wb.pk(compartments=2), two, error=wb.Proportional(0.1))
        truth = model if true == 2 else wb.Model(wb.pk(), one, error=wb.Proportional(0.1))
        return _study(rng, truth, _frame(rng, (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0), 25.0), model)

    return study


# -- where the search begins -------------------------------------------------------------------------------------------


def _exchanged(flipped: bool) -> Callable[[Generator], Study]:
    """A start where absorption is the slower, or the faster, of two rates."""

    def study(rng: Generator) -> Study:
        model, data = _study(rng, _oral(), _frame(rng, RICH, 320.0))
        return (model.with_values({"ka": 0.09, "V": 1.9}) if flipped else model), data

    return study


def _grown(lost: bool) -> Callable[[Generator], Study]:
    """Orange trees, with a start of the right size, or with one that may be off by factors of a thousand."""

    def study(rng: Generator) -> Study:
        structure = wb.equation("Asym/(1 + exp(-(t - xmid)/scal))")
        values = [wb.Parameter("Asym", 192.0, iiv=0.16), wb.Parameter("xmid", 728.0), wb.Parameter("scal", 348.0)]
        truth = wb.Model(structure, values, error=wb.Constant(8.0))
        times = (118.0, 484.0, 664.0, 1004.0, 1231.0, 1372.0, 1582.0)
        rows = [(i, t, np.nan, 0) for i in range(1, 13) for t in times]
        model, data = _study(rng, truth, pd.DataFrame(rows, columns=["ID", "TIME", "DV", "EVID"]))
        far = np.exp(rng.uniform(-7.0, 0.0, 2))
        return (model.with_values({"xmid": 728.0 * far[0], "scal": 348.0 * far[1]}) if lost else model), data

    return study


def _is_above(study: Study, best: wb.FitResult) -> bool:
    """Whether a fit from the stated values ends above the best; what is refused has no fit that could be diagnosed."""
    try:
        return wb.fit(*study, covariance=False).ofv > best.ofv + INVISIBLE
    except wb.FitError:
        return False


# -- subjects ----------------------------------------------------------------------------------------------------------


def _measured(factor: float) -> Callable[[Generator], Study]:
    """The records of subject 7 in another unit."""

    def study(rng: Generator) -> Study:
        model, data = _study(rng, _oral(), _frame(rng, RICH, 320.0))
        frame = data.frame.copy()
        frame.loc[frame["ID"] == 7, "DV"] *= factor
        return model, wb.read_data(frame)

    return study


def _without(name: str) -> Callable[[wb.Model], wb.Model]:
    return lambda model: model.with_parameter(name, iiv=None)


def _linear(model: wb.Model) -> wb.Model:
    """With an elimination that is never saturated."""
    return wb.Model(wb.pk(), [wb.Parameter("CL", 4.0, iiv=0.25), model["V"]], error=model.error)


def _with(kind: type, part: str) -> Callable[[wb.Model], wb.Model]:
    return lambda model: model.with_error(kind(getattr(model.error, part)))


KINDS: dict[str, Kind] = {
    "no spread": Kind(
        "a random effect of V that does not differ between subjects", ("edge", "flat"), ("V",),
        _no_spread, _spread, _brings_nothing(_without("V")),
    ),
    "one effect": Kind(
        "random effects of CL and V that are one", ("correlation",), ("CL", "V"),
        _correlated(False), _correlated(True), _is_one,
    ),
    "few records": Kind(
        "three random effects for one record a subject", ("effects",), ("random effects",),
        _sampled(1), _sampled(5),
    ),
    "no constant part": Kind(
        "a constant part of the residual error that is not there", ("residual",), ("a ", "constant"),
        _erring(wb.Proportional(0.15)), _erring(wb.Combined2(0.4, 0.15)), _brings_nothing(_with(wb.Proportional, "b")),
    ),
    "no proportional part": Kind(
        "a proportional part of the residual error that is not there", ("residual",), ("b ", "proportional"),
        _erring(wb.Constant(0.5)), _erring(wb.Combined2(0.4, 0.15)), _brings_nothing(_with(wb.Constant, "a")),
    ),
    "bioavailability": Kind(
        "a bioavailability, with doses by mouth alone", ("flat",), ("F", "CL", "V"), _absorbed(False), _absorbed(True),
    ),
    "absorption": Kind(
        "absorption that was over before the first sample", ("flat",), ("ka",),
        _from((8.0, 10.0, 12.0, 16.0, 24.0, 30.0)), _from(RICH),
    ),
    "saturation": Kind(
        "elimination far from saturation", ("flat",), ("Vm", "Km"), _saturable(4.0), _saturable(700.0),
        _brings_nothing(_linear, CHANCE),
    ),
    "compartment": Kind(
        "a peripheral compartment that is not there", ("flat",), ("Q", "V2"), _compartments(1), _compartments(2),
    ),
    "exchanged": Kind(
        "a start where absorption is slower than elimination", ("rival",), ("ka",), _exchanged(True), _exchanged(False),
        _is_above,
    ),
    "lost": Kind(
        "a start far from where the data are", ("start",), ("",), _grown(True), _grown(False), _is_above,
    ),
    "unit": Kind(
        "the records of one subject in another unit", ("leverage",), ("7",), _measured(10.0), _measured(1.0),
    ),
}  # fmt: skip
