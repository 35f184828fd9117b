"""Whole numbers and other arguments that a user gives, of whatever type."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench import checks
from workbench.methods import Options


@pytest.fixture(scope="module")
def data():
    return wb.load_example("theophylline")


@pytest.fixture(scope="module")
def model():
    return wb.Model(wb.pk(absorption="first-order"), error=wb.Constant())


@pytest.fixture(scope="module")
def fit(model, data):
    return wb.fit(model, data)


@pytest.fixture(scope="module")
def full(model, data):
    return wb.fit(model.with_covariate("V", "WT"), data)


def _refused(call):
    with pytest.raises(wb.FileError) as caught:
        call()
    return str(caught.value)


SCOPE = {"V": ["WT"]}
DESIGN = wb.Design(wb.Regimen(4), times=[0.5, 2, 5, 24], subjects=12)
CALLS = {
    "Importance": lambda n, given: wb.Importance(samples=n(20), seed=n(2)),
    "Quadrature": lambda n, given: wb.Quadrature(nodes=n(5)),
    "Saem": lambda n, given: wb.Saem(n(3), n(2), n(1), n(20), n(2)),
    "bootstrap": lambda n, given: wb.bootstrap(given("fit"), n(2), seed=n(3), jobs=n(1)).table,
    "bootstrap_inclusion": lambda n, given: wb.bootstrap_inclusion(
        given("model"), given("data"), SCOPE, n(1), seed=n(2), jobs=n(1), starts=n(1), top=n(1)
    ).table,
    "fit": lambda n, given: wb.fit(
        given("model"), given("data"), max_iterations=n(9), starts=n(2), seed=n(3), covariance=False
    ).settings,
    "full_covariate_model": lambda n, given: wb.full_covariate_model(
        given("model"), given("data"), SCOPE, starts=n(2)
    ).table,
    "pk": lambda n, given: wb.pk(n(2), absorption="transit", transits=n(3)),
    "profile": lambda n, given: wb.profile(given("fit"), "V", points=n(1)).table,
    "randomisation_test": lambda n, given: wb.randomisation_test(
        given("fit"), given("full"), n(2), seed=n(1), starts=n(1), jobs=n(1)
    ).p,
    "screen": lambda n, given: wb.screen(given("fit"), covariates=["WT"], draws=n(2), seed=n(3)).table,
    "simulate": lambda n, given: wb.simulate(given("fit").model, given("data"), n(1), n(5)),
    "find_dose": lambda n, given: wb.find_dose(
        given("fit"), wb.Regimen(4, every=12, times=n(2)), above=1.0, replicates=n(20), seed=n(2)
    ).table,
    "information": lambda n, given: wb.information(
        given("fit"), DESIGN, method="foce", replicates=n(4), seed=n(2)
    ).table,
    "influence": lambda n, given: wb.influence(given("fit"), n(3), refit=False, jobs=n(1)).table,
    "load": lambda n, given: _refused(lambda: wb.load(given("fit").save(given("tmp_path") / "x"), largest=n(255))),
    "report": lambda n, given: wb.report(given("fit"), given("tmp_path") / "x.html", replicates=n(20)).name,
    "npde": lambda n, given: wb.npde(given("fit"), n(30), seed=n(2)).table,
    "random_effects": lambda n, given: wb.random_effects(given("fit"), n(5), seed=n(2)).table,
    "residuals": lambda n, given: wb.residuals(given("fit"), replicates=n(30), seed=n(2)),
    "vpc": lambda n, given: wb.vpc(given("fit"), n(30), quantile_type=n(6), bins=n(4), seed=n(2)).table,
    "optimise": lambda n, given: wb.optimise(DESIGN, given("fit"), (0.25, 24), starts=n(1), seed=n(2)).table,
    "sir": lambda n, given: wb.sir(given("fit"), [n(40), n(40)], [n(20), n(20)], seed=n(2), jobs=n(1)).table,
    "stepwise": lambda n, given: wb.stepwise(
        given("model"), given("data"), SCOPE, jobs=n(1), top=n(1), starts=n(2), seed=n(2), covariance=False
    ).steps,
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_whole_numbers_of_any_type_are_taken(request, name, kind):
    ours, theirs = (CALLS[name](n, request.getfixturevalue) for n in (int, kind))
    assert theirs.equals(ours) if hasattr(ours, "equals") else theirs == ours
    assert repr(theirs) == repr(ours)


def test_options_print_plain_numbers(model, data):
    options = wb.Saem(seed=np.int64(3), chains=np.int32(2))
    assert options == wb.Saem(seed=3, chains=2)
    assert repr(options) == "wb.Saem(chains=2, seed=3)"
    assert eval(repr(options)) == options
    fit = wb.fit(model, data, starts=np.int64(2), seed=np.int8(4))
    assert fit.settings == (("starts", 2), ("seed", 4)) and type(fit.settings[0][1]) is int


def test_every_public_function_that_takes_whole_numbers_is_tried():
    taking = set()
    for name in wb.__all__:
        value = getattr(wb, name)
        if inspect.isfunction(value) or (inspect.isclass(value) and issubclass(value, Options)):
            stated = inspect.signature(value).parameters.values()
            hints = [p.annotation for p in stated if p.name not in ("callback", "resume")]
            if any(re.search(r"\bint\b", str(hint)) for hint in hints):
                taking.add(name)
    assert taking <= set(CALLS) | {"read_data", "ode"}


def test_numbers_of_any_type_are_numbers():
    frame = pd.DataFrame({"ID": [1, 1], "TIME": [0.5, 1.0], "DV": [2.0, 3.0]})
    dosed, same = (wb.read_data(frame, dose=dose, dose_time=dose * 0) for dose in (320, np.int64(320)))
    assert dosed.hash == same.hash
    ode = {"response": "A", "dose": {np.int64(1): "A"}}
    assert wb.ode("d/dt A = -k*A", **ode) == wb.ode("d/dt A = -k*A", response="A", dose={1: "A"})


@pytest.mark.parametrize("bad", [True, 1.0, "3", None, -1, np.float64(2), np.bool_(True)])
def test_others_are_not(bad):
    with pytest.raises(wb.ModelError, match=r"seed=.*; a whole number, 0 or more, is needed"):
        checks.whole("seed", bad)


@pytest.mark.parametrize("bad", [True, 0, -2, 1.5, "all"])
def test_jobs_are_whole_numbers_or_all_cores(bad):
    assert checks.jobs(None) is None and checks.jobs(np.int8(-1)) == -1
    with pytest.raises(wb.FitError, match=r"jobs=.*; a whole number, 1 or more, is needed, or -1 for all cores"):
        checks.jobs(bad)


def test_what_was_got_and_what_is_allowed_is_said():
    for check, said in (
        (lambda: checks.one_of("kind", "x", ("a", "b", "c")), "kind='x'; allowed are 'a', 'b', 'c'."),
        (lambda: checks.one_of("kind", True, (1, 2)), "kind=True; allowed are 1 and 2."),
        (lambda: checks.share("level", 95, 0.95), "level=95; a number between 0 and 1 is needed, such as 0.95."),
        (lambda: checks.share("level", 1, 0.95), "level=1; a number between 0 and 1 is needed, such as 0.95."),
        (lambda: checks.positive("dose", "3"), "dose='3'; a positive number is needed."),
        (lambda: checks.finite(np.inf, "The value of CL"), "The value of CL is inf; a finite number is needed."),
        (lambda: checks.several_whole("samples", []), "samples=[]; a whole number, 1 or more, is needed, or several."),
        (lambda: checks.flag("fixed", 1), "fixed=1; allowed are True and False."),
    ):
        with pytest.raises(wb.ModelError) as raised:
            check()
        assert str(raised.value) == said
    assert checks.share("p", 1, 0.05, ends=True) == 1.0
    assert checks.flag("fixed", np.bool_(True)) is True
    assert checks.names_out_of(True, ("a", "b"), ("a",)) == ("a",)
    assert checks.names_out_of("b", ("a", "b"), ()) == ("b",)
    assert checks.names_out_of(["b", 3], ("a", "b"), ()) is None
