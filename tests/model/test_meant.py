"""Names of columns in equations, and the model to begin with."""

from __future__ import annotations

import pytest

import workbench as wb
from workbench.model import usual_model
from workbench.model.meant import meant_otherwise

TREES = wb.load_example("orange_trees")


@pytest.mark.parametrize(
    ("structure", "severity", "words"),
    [
        (wb.equation("Asym/(1 + exp(-(AGE - xmid)/scal))"), "error", "AGE names the times of the data.*Write t"),
        (wb.equation("Asym/(1 + exp(-(time - xmid)/scal))"), "error", "time names the times"),
        (wb.equation("A*exp(-k*t) + AGE"), "error", "AGE names the times"),
        (wb.equation("A*t + CIRCUMFERENCE"), "error", "is the response"),
        (wb.ode("d/dt A = -k*A*AGE; A(0) = A0", response="A", dose="A"), "error", "Write t"),
        (wb.equation("A + B"), "warning", "uses nothing of the data"),
    ],
)
def test_names_of_columns_are_recognised(structure, severity, words):
    findings = wb.Model(structure).check(TREES)
    assert any(f.severity == severity for f in findings)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(" ".join(map(str, findings)))


def test_covariates_and_doses_are_recognised():
    data = wb.load_example("theophylline")
    found = [str(f) for f in meant_otherwise(wb.equation("DOSE*exp(-CL/V*t)/V*WT"), data)]
    assert any("Write dose" in text for text in found) and any("covariates=['WT']" in text for text in found)
    assert not list(meant_otherwise(wb.equation("dose*exp(-CL/V*t)/V*WT", covariates="WT"), data))
    assert not list(meant_otherwise(wb.pk(), data))


def test_a_model_that_makes_the_time_a_parameter_is_not_fitted():
    with pytest.raises(wb.ModelError, match="Write t for the time"):
        wb.fit(wb.Model(wb.equation("Asym/(1 + exp(-(AGE - xmid)/scal))")), TREES)


def test_infusions_have_no_absorption():
    text = "ID,TIME,AMT,DUR,DV\n" + "".join(
        f"{i},0,100,4,.\n{i},1,.,.,2\n{i},2,.,.,4\n{i},4,.,.,7\n{i},8,.,.,3\n" for i in (1, 2, 3)
    )
    data = wb.read_data(text.encode())
    assert data.events.duration.max() == 4
    assert usual_model(data).structure == wb.pk()


def test_growth_is_given_no_dose():
    text = "animal,day,size,dose\n" + "".join(
        f"{i},{t},{10 + 3 * t + i},{d}\n" for i, d in enumerate((1, 1, 2, 2), 1) for t in (0, 2, 4, 6, 8)
    )
    data = wb.read_data(text.encode(), roles={"response": "size", "time": "day"})
    assert isinstance(usual_model(data).structure, type(wb.equation("A*t")))
