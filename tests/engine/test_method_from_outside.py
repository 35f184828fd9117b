"""A method that is no part of the package: registered here, it fits, and is offered wherever methods are.

It pulls the typical values to those that the model states, as a normal prior on the scale of the search would do.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from workbench import cli, methods
from workbench.engine.methods.gradient import ByGradient
from workbench.engine.objectives.objective import Objective
from workbench.methods import METHODS, Ability, Approximation, Method, Options, described, option

PRIOR = "carries what was stated, which is no part of the likelihood"


@described
class Anchored(Options):
    """Typical values are held near those that are stated: `wb.fit(model, data, method=Anchored(weight=2.5))`."""

    weight: float = option("of a squared distance of one on the scale of the search", default=1.0, least=0, real=True)


class AnchoredObjective(Objective):
    def __init__(self, problem, approximation, weight):
        super().__init__(problem, approximation)
        self.weight = np.where(np.arange(problem.scale.size) < problem.scale.theta_free.sum(), weight, 0.0)

    def evaluate(self, x, start=None):
        at, away = super().evaluate(x, start), x - self.problem.x
        gradient = at.gradient + 2.0 * self.weight * away
        return replace(at, ofv=at.ofv + float((self.weight * away**2).sum()), gradient=gradient)

    def accuracy(self, at):
        return "The OFV has the distance to the stated values in it."


class ByAnchor(ByGradient):
    def target(self, problem, method, options):
        return AnchoredObjective(problem, method.approximation, options.weight)


@pytest.fixture
def anchored():
    method = Method(
        "anchored", "FOCE near the stated values", "anchored",
        approximation=Approximation.FOCE, way=ByAnchor(), options=Anchored,
        converged="The fit converged, as near to the stated values as the data let it.",
        cannot={Ability.TEST: PRIOR, Ability.BOOTSTRAP: "weighs no subjects"},
    )  # fmt: skip
    methods.register(method)
    yield method
    methods.withdraw(method.name)


@pytest.fixture(scope="module")
def data():
    return wb.load_example("theophylline")


@pytest.fixture(scope="module")
def model():
    parameters = [wb.Parameter("ka", 1.0, iiv=0.5), wb.Parameter("CL", 0.03, iiv=0.3), wb.Parameter("V", 0.6, iiv=0.2)]
    return wb.Model(wb.pk(absorption="first-order"), parameters, error=wb.Combined2(0.5, 0.1))


def test_it_fits(anchored, model, data):
    foce, free = wb.fit(model, data, "foce"), wb.fit(model, data, Anchored(0))
    assert free.ofv == pytest.approx(foce.ofv, abs=1e-4)
    assert free.estimate("CL").value == pytest.approx(foce.estimate("CL").value, rel=1e-3)
    near, held = wb.fit(model, data, "anchored"), wb.fit(model, data, Anchored(weight=1e6))
    stated = {parameter.name: parameter.value for parameter in model.parameters}

    def away(fit):
        return sum(np.log(fit.estimate(name).value / value) ** 2 for name, value in stated.items())

    assert 1e-6 > away(held) < away(near) < away(foce)
    assert foce.ofv < near.ofv < held.ofv
    assert near.status is wb.Status.converged and np.isfinite(near.estimate("V").se)
    assert held.estimate("V").se < foce.estimate("V").se
    assert wb.objective(model, data, "anchored") == pytest.approx(wb.objective(model, data, "foce"))


def test_its_result_says_what_it_is(anchored, model, data):
    fit = wb.fit(model, data, "anchored", starts=2)
    assert "FOCE near the stated values" in fit.summary() and "FOCE near the stated values" in fit._repr_html_()
    assert fit.said.startswith(anchored.converged) and "distance to the stated values" in fit.said
    assert len(fit.tried) == 2 and np.isfinite(fit.table()["CWRES"]).all() and (fit.shrinkage["sd"] < 100).all()
    assert repr(wb.fit(model, data, Anchored(3), covariance=False).options) == "wb.Anchored(weight=3.0)"


def test_what_it_can_is_done_and_what_it_cannot_is_refused(anchored, model, data):
    fit = wb.fit(model, data, "anchored")
    lower, upper = wb.profile(fit, "CL").interval
    assert lower < fit.estimate("CL").value < upper
    with pytest.raises(wb.FitError, match=r"for fits by .*; this one is by anchored, which weighs no subjects"):
        wb.bootstrap(fit)
    with pytest.raises(wb.FitError, match=PRIOR):
        wb.likelihood_ratio_test(fit, wb.fit(model.with_covariate("V", "WT"), data, "anchored"))
    with pytest.raises(wb.FitError, match=PRIOR):
        wb.stepwise(model, data, method="anchored")
    with pytest.raises(wb.ModelError, match="'two-stage', 'anchored'"):
        wb.fit(model, data, "none")
    with pytest.raises(wb.ModelError, match=r"the residual variance at η = 0.* use one of 'focei', 'laplace'"):
        wb.fit(model.with_blq("M3"), data, "anchored")
    with pytest.raises(wb.ModelError, match=r"Anchored: weight=-1.*0 or more"):
        Anchored(weight=-1)


def test_the_panels_offer_it(anchored, model, data):
    bench = wb.Workbench(data)
    bench.model = model
    assert ("anchored", "anchored") in bench.controls.method.options
    bench.controls.method.value = "anchored"
    bench.fit_panel.show()
    row = bench.fit_panel.settings
    assert row.input("weight").value == 1.0 and row.starts in row.view.children
    row.input("weight").value = 2.5
    assert bench.method == Anchored(2.5)
    bench.run()
    assert bench.wait(60)
    assert bench.fit.options == Anchored(2.5) and bench.fit.said.startswith(anchored.converged)
    code = bench.code
    assert "method=wb.Anchored(weight=2.5)" in code
    bench.method = "fo"
    bench.code = code
    assert bench.method == Anchored(2.5)
    bench.uncertainty_panel.show()
    assert "A fit by anchored has no resampling." in bench.uncertainty_panel.about.value
    bench.method = "fo"
    bench.run()
    assert bench.wait(60)
    assert "anchored" in dict(bench.uncertainty_panel.method.options).values()


def test_the_command_offers_it(anchored, capsys):
    asked = ["fit", "theophylline", "--method"]
    assert cli.main([*asked, "anchored", "--option", "weight=1e6", "--start", "CL=0.05"]) == 0
    said = capsys.readouterr().out
    assert "anchored" in said and "0.05" in next(line for line in said.splitlines() if "CL" in line)
    assert cli.main([*asked, "anchored", "--option", "wait=1"]) == 1
    assert "allowed are 'weight'" in capsys.readouterr().err
    assert cli.main([*asked, "foce", "--option", "weight=1"]) == 1
    assert "foce has no options" in capsys.readouterr().err


def test_it_is_gone_afterwards(model, data):
    assert "anchored" not in METHODS
    with pytest.raises(wb.ModelError, match="allowed are"):
        wb.fit(model, data, "anchored")
    with pytest.raises(wb.ModelError, match="There is a method 'fo' already"):
        methods.register(Method("fo", "", ""))


# -- the table is the only one -----------------------------------------------------------------------------------------

ELSEWHERE = {
    ("ui/panels/band.py", "individual"),  # a prediction
    ("ui/session/board/errors.py", "individual"),
    ("ui/session/board/kinds.py", "individual"),
    ("ui/session/terms.py", "individual"),  # a curve
    ("ui/session/terms.py", "pooled"),
    ("reporting/page.py", "individual"),  # a table of parameters
    ("reporting/tables.py", "individual"),
    ("simulation/dose.py", "individual"),  # a person
    ("engine/methods/integration.py", "importance"),  # an attribute of options
}


def test_names_of_methods_stand_in_one_file():
    """Elsewhere they are the default of an argument only."""
    package = Path(wb.__file__).parent
    found = set()
    for path in sorted(package.rglob("*.py")):
        where = path.relative_to(package).as_posix()
        # `data` knows names of columns and no methods, `exchange` what other programs call theirs.
        if where == "methods.py" or where.startswith(("data/", "exchange/")):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defaults = {
            id(node)
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            for node in (*function.args.defaults, *function.args.kw_defaults)
        }
        found |= {
            (where, node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and node.value in METHODS and id(node) not in defaults
        }
    assert found == ELSEWHERE
