"""The models of the published runs, and their data as the notes on them say.

Each takes the values under the names of its case; `omega` and `sigma` there are variances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

import workbench as wb

At = dict[str, Any]
Matrix = Sequence[Sequence[float]]
Stated = Callable[[At], wb.Model]
Records = pd.DataFrame | Path
Read = Callable[[Records], wb.GroupedData]


# -- reading -----------------------------------------------------------------------------------------------------------


def plain(records: Records) -> wb.GroupedData:
    """As it is."""
    return wb.read_data(records)


def micrograms(records: Records) -> wb.GroupedData:
    """expo1: doses in mg, concentrations in ug/L, for which the source writes 1000·A/V."""
    return wb.read_data(records, units={"amount": "mg"}).filter("BLQ == 0").convert(amount="ug")


def single_dose(records: Records) -> wb.GroupedData:
    """bolus_2cpt: SS and II hold codes of missing values."""
    return wb.read_data(records, roles={"steady_state": None, "interval": None}).filter("SD == 1")


def concentrations(records: Records) -> wb.GroupedData:
    """Warfarin: the first of two responses."""
    return wb.read_data(records, roles={"response_id": None}).filter("AMT > 0 or DVID == 1")


def flagged_occasions(records: Records) -> wb.GroupedData:
    """Phenobarbital: doses are one occasion and observations the other."""
    return wb.read_data(records, roles={"occasion": "FA1"})


def after_the_dose(records: Records) -> wb.GroupedData:
    """Theophylline without the observations at time 0, where the prediction is 0."""
    return wb.read_data(records).filter("AMT > 0 or TIME > 0")


def logarithms(records: Records) -> wb.GroupedData:
    """The responses as their logarithms."""
    frame = records if isinstance(records, pd.DataFrame) else pd.read_csv(records)
    return wb.read_data(frame.assign(DV=np.log(frame["DV"].where(frame["EVID"] == 0, 1.0))))


# -- stating -----------------------------------------------------------------------------------------------------------


def deviations(omega: Matrix) -> list[float]:
    """Standard deviations of a covariance matrix."""
    return [float(sd) for sd in np.sqrt(np.diag(np.array(omega)))]


def block(names: Sequence[str], omega: Matrix, level: Literal["subject", "occasion"] = "subject") -> wb.Block:
    """Its correlations."""
    sd = deviations(omega)
    correlation = np.array(omega) / np.outer(sd, sd)
    return wb.Block(*names, correlations=correlation[np.tril_indices(len(names), -1)].tolist(), level=level)


def part(omega: Matrix, first: int, last: int) -> Matrix:
    """A diagonal block of a matrix."""
    return [list(row[first:last]) for row in omega[first:last]]


def log_normal(
    structure: Any,
    values: Mapping[str, float],
    effects: Sequence[str],
    omega: Matrix,
    error: Any,
    correlate: Sequence[wb.Block] | None = None,
) -> wb.Model:
    """Parameters in the order of `values`; `effects` are those with a random effect, in the order of `omega`.

    `correlate` is found from `omega`: all in one block unless it is diagonal.
    """
    sd = dict(zip(effects, deviations(omega), strict=True))
    parameters = [wb.Parameter(name, value, iiv=sd.get(name)) for name, value in values.items()]
    if correlate is None and np.count_nonzero(omega) > len(effects):
        correlate = [block(effects, omega)]
    return wb.Model(structure, parameters, error, correlate)


def additive(structure: wb.model.Structure, at: At, effects: Sequence[str], diagonal: bool) -> wb.Model:
    """nlme: every parameter on the scale of the estimation, random effects added to it."""
    sd = dict(zip(effects, deviations(at["omega"]), strict=True))
    parameters = [wb.Parameter(n, at[n], iiv=sd.get(n), transform="identity") for n in structure.names]
    correlate = None if diagonal else [block(effects, at["omega"])]
    return wb.Model(structure, parameters, wb.Constant(at["sigma_sd"]), correlate)


def proportional(at: At) -> wb.Proportional:
    return wb.Proportional(math.sqrt(at["sigma"]["sigma2_prop"]))


ORAL = wb.pk(absorption="first-order")


def bauer402(at: At) -> wb.Model:
    values = {"V1": at["TVV1"], "CL": at["TVCL"], "V2": at["TVV2"], "Q": at["TVQ"]}
    return log_normal(wb.pk(compartments=2), values, tuple(values), at["omega"], proportional(at))


def bauer504f(at: At) -> wb.Model:
    model = log_normal(wb.pk(), {"CL": at["TVCL"], "V": at["TVV"]}, ("CL", "V"), at["omega"], proportional(at))
    for name in ("CL", "V"):
        weight = wb.Effect("log(WT/70)", at[f"a{name}_WT"], fixed=True)
        age = wb.Effect("log(AGE/50)", at[f"a{name}_AGE"], fixed=name == "V")
        sex = wb.Effect("SEX", math.log(at[f"s{name}"]), fixed=True)  # s^SEX = exp(SEX·log s)
        model = model.with_parameter(name, covariates=[weight, age, sex])
    return model


def bolus_2cpt(at: At) -> wb.Model:
    values = {name: math.exp(at[f"l{name}"]) for name in ("CL", "V1", "Q", "V2")}
    return log_normal(wb.pk(compartments=2), values, tuple(values), at["omega"], wb.Proportional(at["prop_sd"]))


def expo1(at: At) -> wb.Model:
    sigma = at["sigma"]
    error = wb.Constant(math.sqrt(sigma["sigma2_add"])) if "sigma2_add" in sigma else proportional(at)
    if "lQ" not in at:
        values = {"ka": math.exp(at["lKA"]), "V": math.exp(at["lV"]), "CL": math.exp(at["lCL"])}
        return log_normal(ORAL, values, ("ka", "V", "CL"), at["omega"], error)
    theirs = {"ka": "lKA", "V1": "lV2", "CL": "lCL", "V2": "lV3", "Q": "lQ"}
    values = {name: math.exp(at[other]) for name, other in theirs.items()}
    structure = wb.pk(compartments=2, absorption="first-order")
    return log_normal(structure, values, ("ka", "V1", "CL"), at["omega"], error)


def expo1_allometric(at: At) -> wb.Model:
    return expo1(at).allometric("WT", 70)


def mox1(at: At) -> wb.Model:
    values = {"CL": at["TVCL"], "V": at["TVV"], "ka": at["TVKA"]}
    error = wb.Exponential(math.sqrt(at["sigma"]["sigma2_add_log"]), log_data=True, floor=0.025)
    correlate = [block(("CL", "V"), part(at["omega"], 0, 2))]
    return log_normal(ORAL, values, tuple(values), at["omega"], error, correlate)


def mox3(at: At) -> wb.Model:
    values = {"V": at["TVV"], "CL": at["TVCL"], "ka": 1.0 / at["TVMAT"]}  # log ka = -log MAT, of the same variance
    correlate = [block(("V", "CL"), part(at["omega"], 0, 2))]
    return log_normal(ORAL, values, tuple(values), at["omega"], proportional(at), correlate)


def pheno(at: At) -> wb.Model:
    if "TVCL" in at:
        values = {"CL": at["TVCL"], "V": at["TVV"]}
    else:
        values = {"CL": math.exp(at["lCL"]), "V": math.exp(at["lV"])}
    error = wb.Constant(at["add_sd"]) if "add_sd" in at else proportional(at)
    return log_normal(wb.pk(), values, ("CL", "V"), at["omega"], error)


def pheno_real(at: At) -> wb.Model:
    weight = wb.Effect("log(WGT)", 1.0, fixed=True)
    asphyxia = wb.Effect("(APGR < 5)", at["dV"], fractional=True)
    return pheno(at).with_parameter("CL", covariates=[weight]).with_parameter("V", covariates=[weight, asphyxia])


def pheno_iov(at: At) -> wb.Model:
    between, within = part(at["omega"], 0, 2), part(at["omega"], 2, 4)
    model = pheno(at | {"omega": between})
    for name, sd in zip(("CL", "V"), deviations(within), strict=True):
        model = model.with_parameter(name, iov=sd)
    return model.with_correlate([*model.correlate, block(("CL", "V"), within, level="occasion")])


def theo320(at: At) -> wb.Model:
    sigma = at["sigma"]
    values = {"ka": at["TVKA"], "V": at["TVV"], "k": at["TVK"]}
    error = wb.Combined2(math.sqrt(sigma["sigma2_add"]), math.sqrt(sigma["sigma2_prop"]))
    structure = wb.pk(absorption="first-order", parameters="rate")
    return log_normal(structure, values, tuple(values), at["omega"], error)


def theophylline_nlmixr2(at: At) -> wb.Model:
    values = {"ka": math.exp(at["tka"]), "CL": math.exp(at["tcl"]), "V": math.exp(at["tv"])}
    error: Any
    if "add.sd" not in at:
        error = wb.Proportional(at["prop.sd"])
    elif "prop.sd" not in at:
        error = wb.Constant(at["add.sd"])
    else:
        error = wb.Combined2(at["add.sd"], at["prop.sd"])
    return log_normal(ORAL, values, tuple(values), at["omega"], error)


def pheno_nlmixr2(at: At) -> wb.Model:
    values = {"CL": math.exp(at["tcl"]), "V": math.exp(at["tv"])}
    return log_normal(wb.pk(), values, tuple(values), at["omega"], wb.Proportional(at["prop.sd"]))


def wang(error: Callable[[float], Any]) -> Stated:
    def model(at: At) -> wb.Model:
        sd = at["prop_sd"] if "prop_sd" in at else math.sqrt(at["sigma"]["sigma2"])
        values = {"k": at["TVKE"], "V": 1.0}
        model = log_normal(wb.pk(parameters="rate"), values, ("k",), at["omega"], error(sd))
        return model.with_parameter("V", fixed=True)

    return model


def warfarin(at: At) -> wb.Model:
    values = {"ka": math.exp(at["lKA"]), "CL": math.exp(at["lCL"]), "V": math.exp(at["lV"])}
    return log_normal(ORAL, values, tuple(values), at["omega"], wb.Combined2(at["add_sd"], at["prop_sd"]))


def warfarin_ode(at: At) -> wb.Model:
    """As its source states it."""
    text = "d/dt gut = -ka*gut; d/dt cen = ka*gut - CL/V*cen"
    model = warfarin(at)
    return wb.Model(wb.ode(text, response="cen/V"), model.parameters, model.error)


def saemix(at: At) -> wb.Model:
    sd = at["sigma"]["residual SDs"]
    error = wb.Combined2(sd["a"], sd["b"]) if "b" in sd else wb.Constant(sd["a"])
    values = {name: at[name] for name in ("ka", "V", "CL")}
    return log_normal(ORAL, values, tuple(values), at["omega"], error)


def monolix(at: At) -> wb.Model:
    theirs = {"lag": "Tlag_pop", "ka": "ka_pop", "V": "V_pop", "CL": "Cl_pop"}
    values = {name: at[other] for name, other in theirs.items() if other in at}
    structure = wb.pk(absorption="first-order", lag="lag" in values)
    return log_normal(structure, values, tuple(values), at["omega"], wb.Combined(at["a"], at["b"]))


INDOMETHACIN = wb.equation("A1*exp(-exp(lrc1)*t) + A2*exp(-exp(lrc2)*t)")
THEOPHYLLINE = wb.equation(
    "ke = exp(lKe); ka = exp(lKa); V = exp(lCl)/ke; dose/V*ka/(ka - ke)*(exp(-ke*t) - exp(-ka*t))"
)


def indomethacin_nlme(at: At) -> wb.Model:
    return additive(INDOMETHACIN, at, ("A1", "lrc1", "A2"), diagonal=True)


def theophylline_nlme(at: At) -> wb.Model:
    return additive(THEOPHYLLINE, at, ("lKa", "lCl"), diagonal=at["omega"][0][1] == 0)


FRIBERG = wb.ode(
    """
    d/dt Ac = 204/V2I*Ap - (CLI + 204)/V1I*Ac
    d/dt Ap = 204/V1I*Ac - 204/V2I*Ap
    ktr = 4/MTT
    d/dt prol = ktr*prol*((1 - SLOPE*Ac/V1I)*(CIRC0/circ)^GAMMA - 1)
    d/dt t1 = ktr*(prol - t1)
    d/dt t2 = ktr*(t1 - t2)
    d/dt t3 = ktr*(t2 - t3)
    d/dt circ = ktr*(t3 - circ)
    prol(0) = CIRC0; t1(0) = CIRC0; t2(0) = CIRC0; t3(0) = CIRC0; circ(0) = CIRC0
    """,
    response="circ",
    dose="Ac",
    covariates=("CLI", "V1I", "V2I"),
)


def friberg(at: At) -> wb.Model:
    """MTT = e^-17 h makes the equations as stiff as can be; the cells stay at CIRC0, as SLOPE = e^-44."""
    values = {name: math.exp(at[f"l{name}"]) for name in ("CIRC0", "MTT", "SLOPE", "GAMMA")}
    model = log_normal(FRIBERG, values, ("CIRC0",), at["omega"], wb.Proportional(at["prop_sd"]))
    for name in ("MTT", "SLOPE", "GAMMA"):
        model = model.with_parameter(name, fixed=True)
    return model
