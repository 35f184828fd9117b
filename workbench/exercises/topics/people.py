"""Exercises on how people differ: pooled and mixed, weight, correlation, occasions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.data import GroupedData
from workbench.exercises.answer import Answer
from workbench.exercises.marking import Mark, Truth, close, fitted, mixed, near
from workbench.exercises.secret import Draws
from workbench.exercises.topics.topic import Topic, data_of, frame, measured
from workbench.language.formula import columns_of
from workbench.methods import METHODS
from workbench.model import Model, Parameter, Proportional, pk

_DENSE = (0.5, 1, 2, 4, 8, 12, 18, 24)


# -- pooled and mixed ----------------------------------------------------------------------------------------------


def _pooling(draws: Draws) -> Truth:
    values = {
        "CL": draws.between("CL", 3, 6), "V": draws.between("V", 25, 40), "iiv_CL": draws.between("iiv_CL", 0.5, 0.7),
        "iiv_V": draws.between("iiv_V", 0.15, 0.25), "b": draws.between("b", 0.08, 0.12),
    }  # fmt: skip
    parameters = [Parameter(name, values[name], iiv=values[f"iiv_{name}"]) for name in ("CL", "V")]
    return Truth(Model(pk(), parameters, error=Proportional(values["b"])), values)


def _pooling_data(truth: Truth, draws: Draws) -> GroupedData:
    """Late samples are kept only where there is still something to measure, so that slow people have more of them."""
    table = measured(truth.model, frame(48, (1, 3, 6, 10, 16, 24)), draws)
    limit = 0.25 * 100 / truth.estimates["V"]
    kept = table["DV"].isna() | (table["TIME"] <= 3) | (table["DV"] > limit)
    return data_of(table[kept].reset_index(drop=True), "pooling")


def _pooling_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    if any(name in METHODS and not METHODS[name].is_mixed for name in answer.methods):
        compared = Mark("compared", 2, 2.0, "A fit without a population was looked at beside it.")
    else:
        compared = Mark("compared", 2, 0.0, 'No pooled fit is among the runs: fit with method="pooled" as well, and '
                        "hand it in with also=[…] where there is no Workbench.")  # fmt: skip
    return (
        fitted(answer), mixed(answer, 2), compared, near(answer, truth, "CL", 2, 0.3),
        near(answer, truth, "V", 1, 0.2), near(answer, truth, "iiv_CL", 2, 0.6),
    )  # fmt: skip


POOLING = Topic(
    "pooling",
    "Pooled or mixed?",
    "48 people were given 100 mg intravenously. Those who are slow to get rid of it were followed for longer. Estimate "
    "the CL of a typical person, its variability iiv_CL, and V; and look at what a pooled fit says beside it.",
    (
        "A pooled fit takes all measurements as those of one person: who has more of them counts for more.",
        'method="pooled" fits without random effects; a mixed-effects method such as "focei" gives each person their '
        "own CL and V.",
        "Compare the two estimates of CL, and their residual errors.",
    ),
    _pooling,
    _pooling_data,
    _pooling_judged,
)


# -- weight on clearance -------------------------------------------------------------------------------------------


def _weight(draws: Draws) -> Truth:
    exponent = draws.between("exponent", 0.6, 1.2)
    values = {
        "CL": draws.between("CL", 3, 6), "V": draws.between("V", 25, 40), "iiv_CL": draws.between("iiv_CL", 0.2, 0.28),
        "iiv_V": draws.between("iiv_V", 0.15, 0.22), "b": draws.between("b", 0.08, 0.12),
    }  # fmt: skip
    model = Model(
        pk(), [Parameter(name, values[name], iiv=values[f"iiv_{name}"]) for name in ("CL", "V")],
        error=Proportional(values["b"]),
    )  # fmt: skip
    model = model.with_covariate("CL", "WT", shape="power", reference=70, start=exponent)
    return Truth(model, values, {"exponent": exponent})


def _weight_data(truth: Truth, draws: Draws) -> GroupedData:
    noise = draws.generator("people")
    n = 60
    covariates = {
        "WT": np.round(np.clip(70 * np.exp(0.3 * noise.standard_normal(n)), 35, 140), 1),
        "AGE": np.round(noise.uniform(20, 75, n)),
        "SEX": noise.integers(0, 2, n),
    }
    table = measured(truth.model, frame(n, (1, 4, 8, 14, 24), covariates=covariates), draws)
    return data_of(table, "weight", units={"time": "h", "amount": "mg", "response": "mg/L", "WT": "kg", "AGE": "year"})


def _weight_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    stated = answer.stated
    acting = (
        {(p.name, column) for p in stated.parameters for e in p.covariates for column in columns_of(e.term)}
        if stated is not None
        else set()
    )
    right = ("CL", "WT") in acting
    found = (
        Mark("covariate", 3, 3.0, "WT acts on CL, as it did when the data were made.") if right
        else Mark("covariate", 3, 0.0, "What acts on CL was not found: screen the covariates, wb.screen(fit).")
    )  # fmt: skip
    wrong = sorted(f"{column} on {name}" for name, column in acting - {("CL", "WT")})
    if not right and not wrong:
        others = Mark("nothing else", 2, 0.0, "No covariate is in the model, so nothing was told apart.")
    elif wrong:
        lost = min(2, len(wrong))
        others = Mark("nothing else", 2, 2.0 - lost, f"Not in the truth: {', '.join(wrong)}.")
    else:
        others = Mark("nothing else", 2, 2.0, "Nothing was put in that has no effect.")
    slope = _slope(answer, data, "CL")
    power = (
        close("exponent", slope, truth.facts["exponent"], 2, 0.45) if slope is not None and right
        else Mark("exponent", 2, 0.0, "Without WT on CL in a fit there is no exponent to judge.")
    )  # fmt: skip
    return (
        fitted(answer),
        found,
        others,
        power,
        near(answer, truth, "iiv_CL", 1, 0.6),
        near(answer, truth, "V", 1, 0.2),
    )


def _slope(answer: Answer, data: GroupedData, name: str) -> float | None:
    """The slope of log CL at η = 0 by log WT, whatever the shape of the effect is."""
    typical = answer.typical.get(name)
    if typical is None or len(typical) != len(answer.subjects) or min(typical) <= 0:
        return None
    rows = data.content.frame[["ID", "WT"]].drop_duplicates("ID")
    by_label = dict(zip(map(str, rows["ID"]), rows["WT"].astype(float), strict=True))
    known = [(by_label[s], v) for s, v in zip(answer.subjects, typical, strict=True) if s in by_label]
    if len(known) < 3:
        return None
    weight, value = np.log(np.array(known)).T
    return float(np.polyfit(weight, value, 1)[0])


WEIGHT = Topic(
    "weight",
    "Does weight matter?",
    "60 people were given 100 mg intravenously and sampled five times. Their weight WT, age AGE and sex SEX are known. "
    "Find what acts on what, estimate how CL grows with weight, and how much CL still differs between people.",
    (
        "Fit without covariates first, then plot each person's η against each covariate.",
        "wb.screen(fit) tests all of them; a small p for a pair is where to begin.",
        'model.with_covariate("CL", "WT", shape="power", reference=70) has the exponent as its coefficient.',
    ),
    _weight,
    _weight_data,
    _weight_judged,
)


# -- correlation ---------------------------------------------------------------------------------------------------


def _correlation(draws: Draws) -> Truth:
    rho = draws.between("rho", 0.55, 0.85) * draws.one_of("sign", (-1, 1))
    values = {
        "CL": draws.between("CL", 3, 6), "V": draws.between("V", 25, 40), "iiv_CL": draws.between("iiv_CL", 0.3, 0.4),
        "iiv_V": draws.between("iiv_V", 0.25, 0.35), "b": draws.between("b", 0.06, 0.1), "corr_CL_V": rho,
    }  # fmt: skip
    parameters = [Parameter(name, values[name], iiv=values[f"iiv_{name}"]) for name in ("CL", "V")]
    return Truth(Model(pk(), parameters, error=Proportional(values["b"])), values)


def _correlation_data(truth: Truth, draws: Draws) -> GroupedData:
    """Pairs of η are drawn here, and each subject's measurements from its own CL and V."""
    n, values = 80, truth.estimates
    noise = draws.generator("pairs")
    first, second = noise.standard_normal((2, n))
    rho = values["corr_CL_V"]
    second = rho * first + np.sqrt(1 - rho**2) * second
    table = frame(n, _DENSE)
    at = table["ID"].to_numpy() - 1
    clearance = values["CL"] * np.exp(values["iiv_CL"] * first[at])
    volume = values["V"] * np.exp(values["iiv_V"] * second[at])
    predicted = 100 / volume * np.exp(-clearance / volume * table["TIME"].to_numpy())
    got = predicted * (1 + values["b"] * noise.standard_normal(len(table)))
    response = [float(f"{v:.4g}") for v in got]
    table = table.assign(DV=pd.Series(response, index=table.index).where(table["DV"].notna()))
    return data_of(table, "correlation")


def _correlation_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    true = truth.estimates["corr_CL_V"]
    line = answer.line("corr_CL_V") or answer.line("corr_V_CL")
    if line is None:
        block = Mark("block", 3, 0.0, 'CL and V are taken to be independent; correlate=[("CL", "V")] lets them vary '
                     "together.")  # fmt: skip
        size = Mark("correlation", 3, 0.0, "There is no correlation among the estimates.")
    else:
        block = Mark("block", 3, 3.0, "CL and V vary together, in one block of Ψ.")
        off = abs(line.estimate - true)
        said = f"The correlation {line.estimate:.2f} is {off:.2f} away from the truth"
        if line.estimate * true <= 0:
            size = Mark("correlation", 3, 0.0, f"{said}: it has the wrong sign.")
        elif off <= 0.3:
            size = Mark("correlation", 3, 3.0, f"{said}; 0.3 counts as met.")
        elif off <= 0.45:
            size = Mark("correlation", 3, 1.5, f"{said}; up to 0.45 is half of the way.")
        else:
            size = Mark("correlation", 3, 0.0, f"{said}; 0.3 is allowed.")
    return (
        fitted(answer), block, size, near(answer, truth, "CL", 1, 0.2), near(answer, truth, "iiv_CL", 1, 0.5),
        near(answer, truth, "iiv_V", 1, 0.5),
    )  # fmt: skip


CORRELATION = Topic(
    "correlation",
    "Two that go together",
    "80 people were given 100 mg intravenously. Do those with a large V have a large CL as well, or a small one? "
    "Estimate the correlation of their random effects (corr_CL_V), and both variabilities.",
    (
        "Fit without a correlation, and plot the η of CL against those of V.",
        'model.with_correlate([("CL", "V")]) puts both into one block of Ψ.',
        "The OFV falls by far more than 3.84 when the block is right.",
    ),
    _correlation,
    _correlation_data,
    _correlation_judged,
)


# -- occasions -----------------------------------------------------------------------------------------------------


def _occasions(draws: Draws) -> Truth:
    values = {
        "CL": draws.between("CL", 3, 6), "V": draws.between("V", 25, 40), "iiv_CL": draws.between("iiv_CL", 0.22, 0.32),
        "iov_CL": draws.between("iov_CL", 0.25, 0.35), "iiv_V": draws.between("iiv_V", 0.15, 0.22),
        "b": draws.between("b", 0.08, 0.12),
    }  # fmt: skip
    parameters = [Parameter("CL", values["CL"], iiv=values["iiv_CL"], iov=values["iov_CL"]),
                  Parameter("V", values["V"], iiv=values["iiv_V"])]  # fmt: skip
    return Truth(Model(pk(), parameters, error=Proportional(values["b"])), values)


def _occasions_data(truth: Truth, draws: Draws) -> GroupedData:
    table = frame(42, (1, 4, 10, 20), occasions=(0.0, 168.0, 336.0))
    return data_of(measured(truth.model, table, draws), "occasions")


def _occasions_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    stated = answer.stated
    acting = stated.occasion_effects if stated is not None else ()
    residual = answer.line("b")
    if "CL" in acting:
        lost = 1.0 if len(acting) > 1 else 0.0
        more = f", and {', '.join(n for n in acting if n != 'CL')}, which did not" if lost else ""
        found = Mark("occasions", 4, 4 - lost, f"CL changes between occasions{more}.")
    elif acting:
        found = Mark("occasions", 4, 1.0, f"{', '.join(acting)} changes between occasions in this model; in truth it "
                     "is another parameter.")  # fmt: skip
    else:
        swollen = (
            f" What changed between weeks is now in the residual error, b = {residual.estimate:.2g}."
            if residual
            else ""
        )
        found = Mark("occasions", 4, 0.0, f"Nothing changes between occasions in this model.{swollen}")
    return (
        fitted(answer), found, near(answer, truth, "iov_CL", 2, 0.4), near(answer, truth, "iiv_CL", 1, 1.0),
        near(answer, truth, "CL", 1, 0.25), near(answer, truth, "V", 1, 0.2),
    )  # fmt: skip


OCCASIONS = Topic(
    "occasions",
    "The same person, another week",
    "42 people were given 100 mg intravenously in three weeks (OCC). People differ, and the same person differs from "
    "week to week in one of CL and V. Find in which, and estimate both variabilities of it (iiv_…, iov_…).",
    (
        "Fit without occasions, and plot each person's residuals week by week.",
        'iov=True for a parameter, or model.with_iov("V"), lets it change between the occasions.',
        "Try each of the two, and compare the OFV.",
    ),
    _occasions,
    _occasions_data,
    _occasions_judged,
)
