"""Long work on a fit: another method, profiles, resampling, pooled and alone; and how a fit is done."""

import time

import numpy as np
import pytest

import workbench as wb
from workbench import engine
from workbench.results.fit import Status
from workbench.ui.panels.kept import shown_in

from .actions import open_tab, press


@pytest.fixture
def bench():
    bench = wb.Workbench(wb.load_example("theophylline"))
    bench.model = wb.Model(wb.pk(absorption="first-order"), [wb.Parameter(n, iiv=0.3) for n in ("ka", "CL", "V")])
    return bench


@pytest.fixture
def fitted(bench):
    bench.run()
    assert bench.wait(60)
    open_tab(bench, "Uncertainty")
    return bench


def test_there_is_nothing_to_do_before_a_fit(bench):
    open_tab(bench, "Uncertainty")
    panel = bench.uncertainty_panel
    assert "Fit a model first" in panel.about.value
    assert panel.body.layout.display == "none"


def test_another_method_stands_beside(fitted):
    panel = fitted.uncertainty_panel
    assert fitted.fit.method not in panel.method.options
    panel.method.value = "laplace"
    press(fitted, panel.compare)
    other = wb.fit(fitted.model, fitted.data, "laplace")
    assert fitted.runs[-1].fit.ofv == other.ofv
    assert fitted.fit.method == "focei"  # stays on show
    assert f"{other.ofv:.3f}" in panel.agreement.value and f"{fitted.fit.ofv:.3f}" in panel.agreement.value
    apart = (other.estimate("ka").value - fitted.fit.estimate("ka").value) / fitted.fit.estimate("ka").se
    assert f"{apart:+.2f}".replace("-", "−") in panel.agreement.value


def test_profiles(fitted):
    panel = fitted.uncertainty_panel
    panel.name.value = "CL"
    press(fitted, panel.profile)
    found = fitted.state.study("profiles")["CL"]
    assert found.interval == wb.profile(fitted.fit, "CL").interval
    assert "<svg" in panel.profiles.value and "wb.profile(fit, &quot;CL&quot;)" in panel.profiles.value
    panel.name.value = "V"
    press(fitted, panel.profile)
    assert set(fitted.state.study("profiles")) == {"CL", "V"}


def test_bootstrap_and_sir(fitted):
    panel = fitted.uncertainty_panel
    panel.count.value = 30
    press(fitted, panel.resample)
    found, code = fitted.state.study("bootstrap")
    assert code == "wb.bootstrap(fit, 30)"
    assert found.table.equals(wb.bootstrap(fitted.fit, 30).table)
    assert "30 replicates" in panel.resampled.value
    panel.kind.value = "parametric"
    assert panel.stratify.layout.display == "none"
    press(fitted, panel.resample)
    assert fitted.state.study("bootstrap")[1] == "wb.bootstrap(fit, 30, kind='parametric')"


def test_long_work_reports_is_cancelled_and_keeps_what_is_done(fitted):
    panel, state = fitted.uncertainty_panel, fitted.state
    panel.count.value = 100_000
    panel.resample.click()
    end = time.monotonic() + 30
    while state.portion is None or state.portion.done < 20:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert state.activity == "working" and state.portion.total == 100_000
    assert "Bootstrap … " in fitted.controls.status.value and "of 100,000" in fitted.controls.status.value
    assert not fitted.controls.cancel.disabled and panel.resample.disabled
    fitted.controls.cancel.click()
    assert fitted.wait(60)
    found, _ = state.study("bootstrap")
    assert 20 <= len(found.status) < 100_000
    assert "of 100000 replicates" in panel.resampled.value or f"{len(found.status)} of" in panel.resampled.value
    assert state.activity == "" and fitted.controls.cancel.disabled


def test_a_fit_that_takes_its_place_keeps_what_is_done(fitted):
    panel, state = fitted.uncertainty_panel, fitted.state
    panel.count.value = 100_000
    panel.resample.click()
    end = time.monotonic() + 30
    while state.portion is None or state.portion.done < 5:
        assert time.monotonic() < end
        time.sleep(0.02)
    fitted.run()
    assert fitted.wait(60)
    assert len(fitted.runs) == 2 and fitted.fit.converged
    found, _ = state.studies[1, "bootstrap"]
    assert 5 <= len(found.status) < 100_000


def test_what_a_method_does_not_have_is_not_offered(fitted):
    fitted.method = wb.Saem(20, 10, samples=50)
    fitted.run()
    assert fitted.wait(60)
    panel = fitted.uncertainty_panel
    assert panel.resample.disabled and panel.profile.disabled and not panel.compare.disabled
    assert "A fit by saem has no profile and no resampling." in panel.about.value
    fitted.method = "importance"
    fitted.run()
    assert fitted.wait(60)
    assert panel.resample.disabled and not panel.profile.disabled
    panel.kind.value = "sir"
    assert not panel.resample.disabled and "has no" not in panel.about.value


def test_what_goes_wrong_is_said_and_nothing_is_lost(fitted, monkeypatch):
    def broken(*arguments, **more):
        raise wb.FitError("Nothing <b>can</b> be drawn.")

    fit, panel = fitted.fit, fitted.uncertainty_panel
    monkeypatch.setattr("workbench.ui.session.studies.inference.bootstrap", broken)
    press(fitted, panel.resample)
    assert "Nothing &lt;b&gt;can&lt;/b&gt; be drawn." in fitted.controls.status.value
    assert fitted.fit is fit and fitted.state.study("bootstrap") is None and not panel.resample.disabled


def test_studies_belong_to_their_run(fitted):
    panel = fitted.uncertainty_panel
    panel.name.value = "ka"
    press(fitted, panel.profile)
    fitted.method = "foce"
    fitted.run()
    assert fitted.wait(60)
    assert panel.profiles.value == ""
    fitted.restore(1)
    assert "<svg" in panel.profiles.value


def test_strata_are_offered_where_there_are_any():
    data = wb.load_example("quinidine")
    from workbench.ui.panels.uncertainty import _strata

    class Shown:
        pass

    run = Shown()
    run.data = data
    assert "race" in {name.lower() for name in _strata(run)}


def test_pooled_and_alone_lie_beside(bench):
    open_tab(bench, "Individual fits")
    panel = bench.individual_panel
    assert panel.beside.disabled
    bench.run()
    assert bench.wait(60)
    assert not panel.beside.disabled and not panel.cells[0].alone.visible
    panel.beside.value = True
    assert bench.wait(60)
    found = bench.state.study("beside")
    assert found.pooled.ofv == wb.fit(bench.model, bench.data, "pooled", covariance=False).ofv
    cell = panel.cells[3]
    assert cell.alone.visible and cell.pooled.visible and cell.individual.visible
    seen = found.alone.table().query("ID == 4")
    at = np.interp(seen["TIME"], cell.alone.x, cell.alone.y)
    assert at[2:] == pytest.approx(seen["IPRED"].to_numpy()[2:], rel=0.03)
    assert "pooled" in panel.legend.value and "alone" in panel.table.value
    panel.beside.value = False
    assert not cell.alone.visible and panel.table.value == ""
    assert len(bench.runs) == 1


# -- how a fit is done -----------------------------------------------------------------------------------------------


def test_settings_are_those_of_the_fit(bench):
    open_tab(bench, "Estimates")
    row = bench.fit_panel.settings
    assert row.seed.layout.display == "none"
    row.starts.value = 4
    row.errors.value = "sandwich"
    assert bench.state.settings == (("covariance", "sandwich"), ("starts", 4))
    assert row.seed.layout.display is None
    bench.run()
    assert bench.wait(60)
    assert len(bench.fit.tried) == 4 and bench.fit.settings == bench.state.settings
    assert "4 starting points" in bench.fit_panel.starts.value
    assert "method=\"focei\", covariance='sandwich', starts=4)" in bench.code
    namespace = {}
    exec(bench.code, namespace)  # what the panel shows is Python
    assert namespace["fit"].ofv == bench.fit.ofv
    row.starts.value = 1
    row.errors.value = True
    assert bench.state.settings == ()
    assert "settings have changed" in bench.controls.status.value


def test_a_cell_with_settings_is_read(bench):
    bench.code = bench.code.replace('method="focei"', 'method="focei", covariance="S", starts=3, seed=7')
    assert bench.state.settings == (("covariance", "S"), ("starts", 3), ("seed", 7))
    open_tab(bench, "Estimates")
    assert (bench.fit_panel.settings.starts.value, bench.fit_panel.settings.seed.value) == (3, 7)
    assert bench.fit_panel.settings.errors.value == "S"


def test_a_cell_states_whatever_a_fit_takes(bench):
    stated = {"max_iterations": 2, "covariance": False, "starts": 2, "seed": 7}
    assert stated.keys() == engine.keywords().keys()
    bench.code = bench.code.replace('method="focei"', f'"focei", **{stated}')
    assert dict(bench.state.settings) == stated
    bench.run()
    assert bench.wait(60)
    assert dict(bench.fit.settings) == stated and len(bench.fit.trace) <= 3
    assert 'method="focei", max_iterations=2, covariance=False, starts=2, seed=7)' in bench.code
    namespace = {}
    exec(bench.code, namespace)
    assert namespace["fit"].ofv == bench.fit.ofv
    open_tab(bench, "Estimates")
    bench.fit_panel.settings.starts.value = 1  # what the row does not show stays
    assert bench.state.settings == (("max_iterations", 2), ("covariance", False), ("seed", 7))
    for wrong in ("callback=None", "nodes=3"):
        with pytest.raises(wb.ModelError, match=wrong.split("=")[0]):
            bench.code = bench.code.replace("max_iterations=2", wrong)


def test_options_of_a_method(bench):
    open_tab(bench, "Estimates")
    row = bench.fit_panel.settings
    bench.method = "quadrature"
    row.input("nodes").value = 5
    assert bench.method == wb.Quadrature(5)
    row.input("nodes").value = 0
    assert bench.method == "quadrature"
    bench.method = wb.Saem(exploration=50)
    assert row.input("exploration").value == 50 and row.input("chains").value == 0
    assert row.starts not in shown_in(row.view)
    row.input("smoothing").value = 0  # not allowed: said, and put back
    assert "smoothing" in bench.controls.status.value
    assert row.input("smoothing").value == 200 and bench.method == wb.Saem(exploration=50)
    bench.method = "two-stage"
    row.input("kind").value = "standard"
    assert bench.method == wb.TwoStage("standard")


def test_estimates_are_traced_while_a_fit_runs_and_after(bench):
    open_tab(bench, "Estimates")
    bench.method = wb.Saem(200, 50, samples=50)
    seen = []
    bench.state.watch(lambda changed: seen.append(bench.fit_panel.paths.value) if "progress" in changed else None)
    bench.run()
    assert bench.wait(60)
    assert bench.fit.status is not Status.stopped
    drawn = [value for value in seen if "<path" in value]
    assert drawn and all(name in drawn[0] for name in ("ka", "iiv_CL"))
    assert bench.fit_panel.paths.value.count("<svg") == len(bench.fit.lines)


def test_settings_that_the_method_does_not_have_are_left(bench):
    """Their inputs are hidden: the fit would be refused for what nobody sees."""
    open_tab(bench, "Estimates")
    row = bench.fit_panel.settings
    row.starts.value, row.errors.value = 3, "S"
    assert bench.state.settings == (("covariance", "S"), ("starts", 3))
    bench.controls.method.value = "two-stage"
    assert bench.state.settings == (("covariance", "S"),)
    bench.run()
    assert bench.wait(60)
    assert bench.fit.method == "two-stage" and bench.state.problem == ""
    bench.code = bench.code.replace("\"two-stage\", covariance='S'", '"focei", starts=3')
    assert bench.state.settings == (("starts", 3),)
    bench.method = wb.Saem(seed=2**31 - 1)
    assert bench.state.settings == () and row.input("seed").value == 2**31 - 1


def test_no_subject_alone_where_nothing_is_estimated(bench):
    fixed = [wb.Parameter(n, v, fixed=True) for n, v in (("ka", 1.5), ("CL", 0.04), ("V", 0.46))]
    bench.model = wb.Model(wb.pk(absorption="first-order"), fixed, error=wb.Constant(0.7)).with_iiv("V")
    open_tab(bench, "Individual fits")
    bench.run()
    assert bench.wait(60)
    bench.individual_panel.beside.value = True
    assert bench.wait(60)
    found = bench.state.study("beside")
    assert found.pooled.converged and found.alone.startswith("No parameter is estimated")
    assert "No parameter is estimated" in bench.individual_panel.table.value and bench.state.problem == ""
