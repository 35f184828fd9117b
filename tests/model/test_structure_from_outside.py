"""A structure of one's own, made in this file alone: stated, checked, fitted, shown; and what is said of half a one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import workbench as wb
from workbench.errors import ModelError
from workbench.model.structure import ParameterInfo, Shown
from workbench.ui.panels.model import unshown


@dataclass(frozen=True)
class TwoDepots(Shown):
    """A first-order absorption whose dose is split over two depots."""

    title = "two depots"
    responses = ("C",)
    info = (
        ParameterInfo("ka", "quick absorption", "rate constant"),
        ParameterInfo("slower", "slow absorption, as a share of the quick one", "fraction", transform="logit"),
        ParameterInfo("CL", "clearance", "clearance"),
        ParameterInfo("V", "volume", "volume"),
    )

    def as_ode(self):
        return wb.ode(
            "d/dt one = -ka*one; d/dt two = -ka*slower*two; d/dt A = ka*one + ka*slower*two - CL/V*A; C = A/V",
            response="C",
            dose={1: ["one", "two"]},
            bioavailability={"one": "0.5", "two": "0.5"},
            parameters=self.names,
        )


class Nothing(Shown):
    title, responses, info = "nothing", ("C",), (ParameterInfo("k", "rate", "rate constant"),)


class Half:
    info, names, title, responses, columns, needs_dose = (), (), "half", ("C",), (), False

    def equations(self):
        return []

    def diagram(self):
        return None


VALUES = [
    wb.Parameter("ka", 1.5, iiv=0.4),
    wb.Parameter("slower", 0.8, transform="logit", fixed=True),
    wb.Parameter("CL", 2.8, iiv=0.3),
    wb.Parameter("V", 32.0),
]


def test_it_is_stated_checked_shown_and_fitted():
    data = wb.load_example("theophylline")
    model = wb.Model(TwoDepots(), VALUES, error=wb.Constant(1.0))
    assert model.check(data) == []
    assert model.structure.dosing == ("one and two",) and model.structure.timed == ()
    assert "slow absorption" in model.structure._repr_html_() and r"\mathit{CL}" in model.structure._repr_latex_()
    assert unshown(model) == ["the structure two depots"]
    fit = wb.fit(model, data)
    assert fit.status.ok and fit.ofv < wb.objective(model, data)
    same = wb.fit(model.with_structure(TwoDepots().as_ode()), data)
    assert fit.ofv == pytest.approx(same.ofv, abs=1e-6)
    assert np.isfinite(wb.predict(fit.model, data)["PRED"]).all()


def test_one_that_does_not_say_how_it_is_computed_is_refused_by_name():
    data = wb.load_example("theophylline")
    model = wb.Model(Nothing(), [wb.Parameter("k", 1.0)], error=wb.Constant(1.0))
    with pytest.raises(ModelError, match=r"`kinetics` have no closed form, and its `system` is None"):
        wb.objective(model, data)


def test_half_a_structure_is_refused_by_the_names_of_the_missing_answers():
    data = wb.load_example("theophylline")
    model = wb.Model(Half(), [], error=wb.Constant(1.0))
    (finding,) = model.check(data)
    assert finding.where == "structure" and "it does not say dosing, timed, kinetics, system" in finding.message
    with pytest.raises(ModelError, match="does not say dosing"):
        wb.predict(model, data)
    with pytest.raises(ModelError, match="does not say info, title"):
        wb.Model(type("Named", (), {"names": ()})())
