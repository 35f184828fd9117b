"""Exercises on what is measured: residual errors, values below the limit, a slip in the file."""

from __future__ import annotations

from workbench.data import GroupedData
from workbench.exercises.answer import Answer
from workbench.exercises.marking import Mark, Truth, error_kind, fitted, near
from workbench.exercises.secret import Draws
from workbench.exercises.topics.topic import Topic, data_of, frame, measured
from workbench.model import Combined2, Constant, Model, Parameter, Proportional, ResidualError, pk

# -- the residual error --------------------------------------------------------------------------------------------


def _error(draws: Draws) -> Truth:
    kind = draws.one_of("kind", ("constant", "proportional", "combined"))
    volume = draws.between("V", 25, 35)
    values = {
        "CL": float(f"{draws.between('k', 0.075, 0.095) * volume:.3g}"), "V": volume,
        "iiv_CL": draws.between("iiv_CL", 0.2, 0.25), "iiv_V": draws.between("iiv_V", 0.15, 0.2),
    }  # fmt: skip
    error: ResidualError
    if kind == "constant":
        values["a"] = draws.between("a", 0.05, 0.065)
        error = Constant(values["a"])
    elif kind == "proportional":
        values["b"] = draws.between("b", 0.12, 0.18)
        error = Proportional(values["b"])
    else:
        values["a"], values["b"] = draws.between("a", 0.06, 0.08), draws.between("b", 0.12, 0.16)
        error = Combined2(values["a"], values["b"])
    parameters = [Parameter(name, values[name], iiv=values[f"iiv_{name}"]) for name in ("CL", "V")]
    return Truth(Model(pk(), parameters, error=error), values, {"kind": kind})


def _error_data(truth: Truth, draws: Draws) -> GroupedData:
    return data_of(measured(truth.model, frame(36, (0.25, 0.5, 1, 2, 4, 8, 12, 16, 20, 24)), draws), "error-model")


def _error_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    stated, true = answer.stated, truth.facts["kind"]
    got = error_kind(stated.error) if stated is not None else ""
    if not got:
        chosen = Mark("error model", 4, 0.0, "No model was handed in; hand in a fit or a Workbench.")
    elif got == true:
        chosen = Mark("error model", 4, 4.0, f"The error is {true}, as it was when the data were made.")
    elif got == "combined":
        chosen = Mark("error model", 4, 2.0, f"A combined error holds the true one, {true}, with a part too much: a "
                      "criterion such as BIC, or the interval of that part, tells.")  # fmt: skip
    else:
        chosen = Mark("error model", 4, 0.0, f"A {got} error does not describe these data; look at the residuals "
                      "against the predictions.")  # fmt: skip
    sizes = [name for name in ("a", "b") if name in truth.estimates]
    return (
        fitted(answer), chosen, *(near(answer, truth, name, 2 / len(sizes), 0.35) for name in sizes),
        near(answer, truth, "CL", 2, 0.15), near(answer, truth, "V", 1, 0.15),
    )  # fmt: skip


ERROR_MODEL = Topic(
    "error-model",
    "How large is an error?",
    "36 people were given 100 mg intravenously. The laboratory's error is constant (wb.Constant), proportional "
    "(wb.Proportional) or both (wb.Combined2). Find which, and estimate its a, b or both, and CL and V.",
    (
        "Plot residuals against predictions: a trumpet means that the error grows with the concentration.",
        "Fit all three, and compare AIC or BIC.",
        "A combined error whose a or b is next to nothing is one of the other two.",
    ),
    _error,
    _error_data,
    _error_judged,
)


# -- below the limit -----------------------------------------------------------------------------------------------


def _below(draws: Draws) -> Truth:
    volume = draws.between("V", 25, 40)
    values = {
        "CL": float(f"{draws.between('k', 0.18, 0.26) * volume:.3g}"), "V": volume,
        "iiv_CL": draws.between("iiv_CL", 0.25, 0.35), "iiv_V": draws.between("iiv_V", 0.15, 0.25),
        "b": draws.between("b", 0.1, 0.15),
    }  # fmt: skip
    parameters = [Parameter(name, values[name], iiv=values[f"iiv_{name}"]) for name in ("CL", "V")]
    return Truth(Model(pk(), parameters, error=Proportional(values["b"]), blq="M3"), values)


def _below_data(truth: Truth, draws: Draws) -> GroupedData:
    table = measured(truth.model, frame(36, (0.5, 2, 4, 8, 12, 16, 24)), draws)
    limit = float(f"{table['DV'].quantile(0.28):.2g}")
    cells = [("" if v != v else f"<{limit:g}" if v < limit else f"{v:.4g}") for v in table["DV"]]  # noqa: PLR0124
    return data_of(table.assign(DV=cells), "below-limit")


def _below_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    stated = answer.stated
    way = stated.blq if stated is not None else None
    if answer.changed.left_out or way == "M1":
        blq = Mark("below the limit", 4, 1.0, "What is below the limit was left out: people with low concentrations "
                   "then count for less. M3 and M4 use what is known of them.")  # fmt: skip
    elif answer.changed.altered:
        blq = Mark("below the limit", 4, 0.0, "Values below the limit were replaced by others, which nobody measured.")
    elif way in ("M3", "M4"):
        blq = Mark("below the limit", 4, 4.0, f"{way} takes the probability to be below the limit into the likelihood.")
    else:
        blq = Mark("below the limit", 4, 0.0, 'The model does not say what a value below the limit means: blq="M3".')
    return (
        fitted(answer), blq, near(answer, truth, "CL", 2, 0.2), near(answer, truth, "V", 1, 0.15),
        near(answer, truth, "iiv_CL", 1, 0.6), near(answer, truth, "b", 1, 0.35),
    )  # fmt: skip


BELOW_LIMIT = Topic(
    "below-limit",
    "Less than could be measured",
    "36 people were given 100 mg intravenously; more than a quarter of the measurements are below the limit of "
    'quantification, and written as "<" and the limit. Estimate CL, V, iiv_CL and the proportional error b without '
    "throwing anything away.",
    (
        "Leaving them out keeps the high values of those times alone, and bends the curve upwards.",
        'The likelihood of "below the limit" is a probability; Beal (2001) calls it M3.',
        'wb.Model(wb.pk(), error=wb.Proportional(), blq="M3"); method="laplace" goes with it.',
    ),
    _below,
    _below_data,
    _below_judged,
)


# -- a slip in the file --------------------------------------------------------------------------------------------


def _slip(draws: Draws) -> Truth:
    values = {
        "CL": draws.between("CL", 2.5, 5), "V": draws.between("V", 25, 40), "iiv_CL": draws.between("iiv_CL", 0.2, 0.3),
        "iiv_V": draws.between("iiv_V", 0.15, 0.2), "b": draws.between("b", 0.08, 0.12),
    }  # fmt: skip
    parameters = [Parameter(name, values[name], iiv=values[f"iiv_{name}"]) for name in ("CL", "V")]
    facts = {"subject": draws.one_of("subject", tuple(range(1, 21))), "factor": draws.one_of("factor", (10, 0.1, 1000))}
    return Truth(Model(pk(), parameters, error=Proportional(values["b"])), values, facts)


def _slip_data(truth: Truth, draws: Draws) -> GroupedData:
    table = measured(truth.model, frame(20, (0.5, 1, 2, 4, 8, 12, 24)), draws)
    theirs = table["ID"] == truth.facts["subject"]
    slipped = [float(f"{v * truth.facts['factor']:.4g}") for v in table.loc[theirs, "DV"]]
    table.loc[theirs, "DV"] = slipped
    return data_of(table, "slip")


def _slip_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    who = str(truth.facts["subject"])
    owner = dict(zip(map(str, data.content.frame.index), map(str, data.content.frame["ID"]), strict=True))
    touched = {owner[row] for row in (*answer.changed.left_out, *answer.changed.altered) if row in owner}
    touched |= set(answer.changed.subjects)
    named = str(answer.values.get("subject", "")).removesuffix(".0")
    if touched == {who}:
        found = Mark("found", 4, 4.0, f"Subject {who} is the one whose values are in another unit, and nobody else was "
                     "touched.")  # fmt: skip
    elif who in touched:
        found = Mark("found", 4, 2.0, f"Subject {who} was found, but others were changed or left out as well: "
                     f"{', '.join(sorted(touched - {who}))}.")  # fmt: skip
    elif named == who:
        found = Mark("found", 4, 3.0, f"Subject {who} was named, but is still in the data that were fitted.")
    else:
        found = Mark("found", 4, 0.0, "The slip is still in the data: look at each subject's curve on a logarithmic "
                     "axis.")  # fmt: skip
    sound = touched == {who}
    spread = near(answer, truth, "iiv_V", 2, 0.6)
    return (
        fitted(answer, rows=not sound), found, near(answer, truth, "CL", 2, 0.25), near(answer, truth, "V", 1, 0.2),
        spread,
    )  # fmt: skip


SLIP = Topic(
    "slip",
    "One of these is not like the others",
    "20 people were given 100 mg intravenously. Somebody typed the concentrations of one of them in another unit. Find "
    "who it is, leave that person out (or put the values right), and estimate CL, V and iiv_V of the others.",
    (
        "Look at all curves on a logarithmic axis: one lies apart, in parallel.",
        "data.check() lists what is odd in a file; influence and individual fits show the same person.",
        "data.exclude(subject=…) leaves a subject out, and says so in the history of the data.",
    ),
    _slip,
    _slip_data,
    _slip_judged,
)
