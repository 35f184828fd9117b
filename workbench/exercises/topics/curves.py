"""Exercises on the shape of curves: one compartment, absorption, flip-flop, an equation of one's own."""

from __future__ import annotations

import math

import numpy as np

from workbench.data import GroupedData
from workbench.exercises.answer import Answer
from workbench.exercises.marking import Mark, Truth, close, fitted, near, structured
from workbench.exercises.secret import Draws
from workbench.exercises.topics.topic import Topic, data_of, frame, measured
from workbench.model import Constant, Model, Parameter, Proportional, equation, pk

ORAL = (0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 24)


# -- one compartment -----------------------------------------------------------------------------------------------


def _intravenous(draws: Draws) -> Truth:
    values = {
        "CL": draws.between("CL", 2, 6), "V": draws.between("V", 20, 50), "iiv_CL": draws.between("iiv_CL", 0.25, 0.4),
        "iiv_V": draws.between("iiv_V", 0.2, 0.3), "b": draws.between("b", 0.08, 0.14),
    }  # fmt: skip
    parameters = [Parameter(name, values[name], iiv=values[f"iiv_{name}"]) for name in ("CL", "V")]
    return Truth(Model(pk(), parameters, error=Proportional(values["b"])), values)


def _intravenous_data(truth: Truth, draws: Draws) -> GroupedData:
    return data_of(measured(truth.model, frame(32, (0.5, 1, 2, 4, 8, 12, 18, 24)), draws), "intravenous")


def _intravenous_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    return (
        fitted(answer), structured(answer, 2, 1, None), near(answer, truth, "CL", 2, 0.25),
        near(answer, truth, "V", 2, 0.2), near(answer, truth, "iiv_CL", 1, 0.7), near(answer, truth, "iiv_V", 1, 0.7),
        near(answer, truth, "b", 1, 0.35),
    )  # fmt: skip


INTRAVENOUS = Topic(
    "intravenous",
    "Read one compartment",
    "32 people were given 100 mg intravenously and their blood was drawn eight times. Find the structure, and estimate "
    "CL and V, how much both differ between people (iiv_CL, iiv_V), and the proportional residual error b.",
    (
        "Plot the concentrations on a logarithmic axis: one straight line for each person means one compartment.",
        "CL and V are the parameters of wb.pk(compartments=1); both need a random effect.",
        "wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), data) is nearly all of it.",
    ),
    _intravenous,
    _intravenous_data,
    _intravenous_judged,
)


# -- absorption ----------------------------------------------------------------------------------------------------


def _absorption(draws: Draws) -> Truth:
    values = {
        "ka": draws.between("ka", 0.9, 2.2), "CL": draws.between("CL", 2, 5), "V": draws.between("V", 25, 40),
        "iiv_ka": draws.between("iiv_ka", 0.3, 0.5), "iiv_CL": draws.between("iiv_CL", 0.2, 0.35),
        "iiv_V": draws.between("iiv_V", 0.15, 0.25), "b": draws.between("b", 0.08, 0.12),
    }  # fmt: skip
    return Truth(_oral(values), values)


def _oral(values: dict[str, float]) -> Model:
    parameters = [Parameter(name, values[name], iiv=values[f"iiv_{name}"]) for name in ("ka", "CL", "V")]
    return Model(pk(absorption="first-order"), parameters, error=Proportional(values["b"]))


def _absorption_data(truth: Truth, draws: Draws) -> GroupedData:
    return data_of(measured(truth.model, frame(32, ORAL), draws), "absorption")


def _absorption_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    return (
        fitted(answer), structured(answer, 2, 1, "first-order"), near(answer, truth, "ka", 2, 0.4),
        near(answer, truth, "CL", 2, 0.2), near(answer, truth, "V", 1, 0.2), near(answer, truth, "iiv_ka", 1, 0.7),
        near(answer, truth, "iiv_CL", 1, 0.6),
    )  # fmt: skip


ABSORPTION = Topic(
    "absorption",
    "The way up and the way down",
    "32 people swallowed 100 mg. Find how the drug gets into the blood, and estimate ka, CL and V (apparent: all that "
    "was swallowed is taken to arrive), and how much people differ in ka and CL.",
    (
        "The concentrations rise before they fall: an injection does not do that.",
        'First-order absorption is wb.pk(absorption="first-order"), with ka, CL and V.',
        "The residual error grows with the concentration: wb.Proportional().",
    ),
    _absorption,
    _absorption_data,
    _absorption_judged,
)


# -- flip-flop -----------------------------------------------------------------------------------------------------


def _flip_flop(draws: Draws) -> Truth:
    rate, clearance = draws.between("k", 0.5, 0.9), draws.between("CL", 8, 16)
    values = {
        "ka": draws.between("ka", 0.06, 0.11), "CL": clearance, "V": float(f"{clearance / rate:.3g}"),
        "iiv_ka": draws.between("iiv_ka", 0.15, 0.25), "iiv_CL": draws.between("iiv_CL", 0.2, 0.3),
        "iiv_V": draws.between("iiv_V", 0.15, 0.25), "b": draws.between("b", 0.08, 0.12),
    }  # fmt: skip
    told = math.log(2) * values["V"] / values["CL"] * draws.between("told", 0.92, 1.08)
    return Truth(_oral(values), values, {"half_life": f"{told:.2g}"})


def _flip_flop_data(truth: Truth, draws: Draws) -> GroupedData:
    times = (0.25, 0.5, 1, 2, 3, 4, 6, 9, 12, 18, 24, 36, 48)
    return data_of(measured(truth.model, frame(32, times), draws), "flip-flop")


def _flip_flop_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    lines = {name: answer.line(name) for name in ("ka", "CL", "V")}
    if any(line is None or not line.estimate > 0 for line in lines.values()):
        order = Mark("slower step", 4, 0.0, "ka, CL and V are needed to tell which step is the slower one.")
    else:
        ka, clearance, volume = (line.estimate for line in lines.values() if line is not None)
        said = f"ka {ka:.3g} 1/h against CL/V {clearance / volume:.3g} 1/h"
        if ka < clearance / volume:
            order = Mark("slower step", 4, 4.0, f"{said}: absorption is the slower step, as the half-life after "
                         "injection asks.")  # fmt: skip
        else:
            order = Mark("slower step", 4, 0.0, f"{said}: with these the half-life after an injection would be "
                         f"{math.log(2) * volume / clearance:.2g} h, not {truth.facts['half_life']} h.")  # fmt: skip
    return (
        fitted(answer), structured(answer, 1, 1, "first-order"), order, near(answer, truth, "ka", 2, 0.25),
        near(answer, truth, "CL", 1, 0.2), near(answer, truth, "V", 1, 0.4),
    )  # fmt: skip


FLIP_FLOP = Topic(
    "flip-flop",
    "Which step is the slower one?",
    "32 people swallowed 100 mg in a slow-release form. After an injection the half-life of this drug is about "
    "{half_life} h. Two sets of ka, CL and V describe such data equally well: estimate the one that is true.",
    (
        "Exchange ka and CL/V in a first-order model, and the curve keeps its shape.",
        "The half-life after injection is log(2)·V/CL: the end of these curves is much slower than that.",
        "State initial values on the right side, such as a small ka and a small V, or take the other minimum that the "
        "fit names among its rivals (fit.rivals).",
    ),
    _flip_flop,
    _flip_flop_data,
    _flip_flop_judged,
)


# -- growth --------------------------------------------------------------------------------------------------------

LOGISTIC = "A/(1 + exp(-(t - tm)/s))"


def _growth(draws: Draws) -> Truth:
    values = {
        "A": draws.between("A", 150, 260), "tm": draws.between("tm", 4, 6), "s": draws.between("s", 0.9, 1.4),
        "iiv_A": draws.between("iiv_A", 0.12, 0.22), "iiv_tm": draws.between("iiv_tm", 0.08, 0.14),
        "a": draws.between("a", 3, 6),
    }  # fmt: skip
    parameters = [Parameter("A", values["A"], iiv=values["iiv_A"]), Parameter("tm", values["tm"], iiv=values["iiv_tm"]),
                  Parameter("s", values["s"])]  # fmt: skip
    return Truth(Model(equation(LOGISTIC), parameters, error=Constant(values["a"])), values)


def _growth_data(truth: Truth, draws: Draws) -> GroupedData:
    table = frame(36, tuple(range(1, 13)), dose=None)
    return data_of(measured(truth.model, table, draws), "growth", units={"time": "week", "response": "g"})


def _growth_judged(answer: Answer, truth: Truth, data: GroupedData) -> tuple[Mark, ...]:
    stated = answer.stated
    own = stated is not None and not hasattr(stated.structure, "compartments")
    curved = Mark("curve", 4, 0.0, "Nothing was fitted, so there is no typical curve.")
    if answer.curve:
        time, typical = np.array(answer.curve).T
        true = truth.estimates["A"] / (1 + np.exp(-(time - truth.estimates["tm"]) / truth.estimates["s"]))
        off = float(np.max(np.abs(typical - true)) / truth.estimates["A"])
        said = f"The typical curve is at most {100 * off:.1f} % of the final size away from the true one"
        curved = (
            Mark("curve", 4, 4.0, f"{said}; 10 % counts as met.") if off <= 0.1
            else Mark("curve", 4, 2.0, f"{said}; up to 20 % is half of the way.") if off <= 0.2
            else Mark("curve", 4, 0.0, f"{said}; look at the individual fits.")
        )  # fmt: skip
    effects = stated.random_effects if stated is not None else ()
    between = (
        Mark("differences", 2, 2.0, f"Plants differ in {', '.join(effects)}.") if len(effects) >= 2
        else Mark("differences", 2, 1.0, f"Plants differ in {effects[0]} alone; their timing differs, too.") if effects
        else Mark("differences", 2, 0.0, "All plants are taken to grow alike; give parameters a random effect.")
    )  # fmt: skip
    residual = answer.line("a")
    return (
        fitted(answer),
        Mark("equation", 1, 1.0, f"{stated.structure.title}: an equation of your own.")
        if own and stated is not None
        else Mark("equation", 1, 0.0, "Nothing is dosed here: state the curve by wb.equation(…) or wb.ode(…)."),
        curved,
        between,
        close("a", residual.estimate, truth.estimates["a"], 2, 0.3)
        if residual is not None
        else Mark("a", 2, 0.0, "There is no a among the estimates: the scales that were used err by a constant."),
    )


GROWTH = Topic(
    "growth",
    "An equation of your own",
    "36 plants were weighed every week for twelve weeks. Growth is slow, then fast, then levels off. Write an equation "
    "for it, fit it, and estimate the constant error a of the scales.",
    (
        "An S-shaped curve has a final size, a time at which half of it is reached, and a pace.",
        f'The logistic curve is wb.equation("{LOGISTIC}").',
        "Let the final size and the time of half of it differ between plants; the error is wb.Constant().",
    ),
    _growth,
    _growth_data,
    _growth_judged,
)
