"""What a student who gets everything right would do, by exercise."""

import numpy as np

import workbench as wb


def _bolus(task, **options):
    return wb.fit(wb.Model(wb.pk(), error=wb.Proportional(), **options), task.data)


def _flip_flop(task):
    usual = wb.fit(wb.Model(wb.pk(absorption="first-order"), error=wb.Proportional()), task.data)
    line = usual.estimate
    if line("ka").value < line("CL").value / line("V").value:
        return {"work": usual}
    return {"work": wb.fit(usual.rivals[0].model, task.data)}


def _pooling(task):
    return {"work": _bolus(task), "also": [wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), task.data, "pooled")]}


def _error_model(task):
    errors = (wb.Constant(), wb.Proportional(), wb.Combined2())
    return {"work": min((wb.fit(wb.Model(wb.pk(), error=e), task.data) for e in errors), key=lambda fit: fit.bic)}


def _slip(task):
    rows = task.data.content.frame.dropna(subset="DV")
    level = np.log(rows["DV"]).groupby(rows["ID"]).mean()
    who = (level - level.median()).abs().idxmax()
    return {"work": wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), task.data.exclude(subject=who))}


def _weight(task):
    model = wb.Model(wb.pk(), error=wb.Proportional()).with_covariate("CL", "WT", shape="power", reference=70)
    return {"work": wb.fit(model, task.data)}


def _growth(task):
    parameters = [wb.Parameter("A", iiv=True), wb.Parameter("tm", iiv=True), wb.Parameter("s")]
    model = wb.Model(wb.equation("A/(1 + exp(-(t - tm)/s))"), parameters, error=wb.Constant())
    return {"work": wb.fit(model, task.data)}


def _dose(task):
    fit = _bolus(task)
    target = float(task.task.split("above ")[1].split(" mg/L")[0])
    found = wb.find_dose(fit, wb.Regimen(100, every=12, times=6), above=target, probability=0.9)
    return {"work": fit, "values": {"dose": round(found.amount)}}


SOLUTIONS = {
    "intravenous": lambda task: {"work": _bolus(task)},
    "absorption": lambda task: {
        "work": wb.fit(wb.Model(wb.pk(absorption="first-order"), error=wb.Proportional()), task.data)
    },
    "pooling": _pooling,
    "error-model": _error_model,
    "below-limit": lambda task: {
        "work": wb.fit(wb.Model(wb.pk(), error=wb.Proportional(), blq="M3"), task.data, "laplace")
    },
    "slip": _slip,
    "weight": _weight,
    "correlation": lambda task: {"work": _bolus(task, correlate=[("CL", "V")])},
    "occasions": lambda task: {
        "work": wb.fit(wb.Model(wb.pk(), error=wb.Proportional()).with_iov("CL"), task.data)
    },
    "flip-flop": _flip_flop,
    "growth": _growth,
    "dose": _dose,
}  # fmt: skip
