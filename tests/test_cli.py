"""The `workbench` command: what it prints, what it copies, how it exits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import get_args

import pandas as pd
import pytest

import workbench
from workbench import cli
from workbench.cli import app, convert, fit, lab, serving
from workbench.data.examples import EXAMPLES, examples_folder
from workbench.model.library.pk import Absorption, Parameters
from workbench.model.residual import ERROR_MODELS
from workbench.results.fit import Status


@pytest.fixture(scope="module")
def theophylline():
    return str(examples_folder() / "theophylline.csv")


def run(*arguments):
    """Run the command and return its exit status, that of wrong usage included."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        return exit_.code


# -- what may be typed ---------------------------------------------------------------------------------------------


def test_choices_are_those_of_the_package():
    assert set(fit.ERRORS) == {error.title for error in ERROR_MODELS}
    assert set(fit.PARAMETERS) == set(get_args(Parameters))
    assert set(fit.ABSORPTION) - {"none"} == set(get_args(Absorption))


def test_version_in_a_process_of_its_own():
    command = [sys.executable, "-m", "workbench.cli", "--version"]
    assert subprocess.check_output(command, text=True).strip() == f"workbench {workbench.__version__}"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fit",),
        ("dance",),
        ("fit", "x.csv", "--method", "magic"),
        ("fit", "x.csv", "--start", "CL"),
        ("fit", "x.csv", "--start", "CL=fast"),
        ("fit", "x.csv", "--role", "subject"),
        ("fit", "x.csv", "--out", "no/such/folder/table.csv"),
    ],
)
def test_wrong_usage(arguments, capsys):
    assert run(*arguments) == cli.USAGE
    assert "usage: workbench" in capsys.readouterr().err


def test_examples_are_listed(capsys):
    assert run("examples") == 0
    out = capsys.readouterr().out
    assert all(name in out and example.title in out for name, example in EXAMPLES.items())


# -- fit -----------------------------------------------------------------------------------------------------------


def test_fit_prints_the_estimates_of_the_python_call(theophylline, tmp_path, capsys):
    table = tmp_path / "table.csv"
    options = ["--absorption", "first-order", "--error", "constant", "--out", table]
    assert run("fit", theophylline, *options) == cli.CONVERGED
    captured = capsys.readouterr()
    model = workbench.Model(workbench.pk(absorption="first-order"), error=workbench.Constant())
    fit = workbench.fit(model, workbench.load_example("theophylline"))
    for name, estimate in fit.estimates["estimate"].items():
        line = next(line for line in captured.out.splitlines() if f"│ {name} " in line)
        assert f"{estimate:.4g}" in line
    assert f"OFV {fit.ofv:.3f}" in captured.out
    assert Status.converged.value in captured.out
    assert "Assumed" not in captured.out
    assert captured.err == ""
    pd.testing.assert_frame_equal(pd.read_csv(table), fit.table().reset_index(drop=True), check_dtype=False)


def test_fit_says_what_it_assumes(tmp_path, capsys):
    assert run("fit", "theophylline") == cli.CONVERGED
    assert "Assumed --absorption first-order: the response rises after the dose in 12 of 12" in capsys.readouterr().out

    file = tmp_path / "bolus.csv"
    rows = [f"{i},{t},{10 * (t == 0)},{9 - i - t}" for i in (1, 2) for t in range(5)]
    file.write_text("\n".join(["ID,TIME,AMT,DV", *rows]))
    run("fit", file, "--iiv", "none")
    out = capsys.readouterr().out
    assert "Assumed --absorption none: the response rises after the dose in 0 of 2 subjects" in out
    assert "intravenous bolus" in out


def test_fit_takes_the_whole_model(theophylline, capsys, monkeypatch):
    asked = {}

    def fit(model, data, method, callback):
        asked.update(model=model, data=data, method=method)
        raise workbench.FitError("seen enough")

    monkeypatch.setattr(workbench, "fit", fit, raising=False)
    options = "--absorption first-order --parameters rate --error combined --method foce --iiv ka,V --correlate ka,V"
    values = "--start ka=1.5 --start iiv_V=0.25 --start a=0.3 --fix k=0.09 --role covariates= --filter TIME<12"
    assert run("fit", theophylline, *options.split(), *values.split()) == cli.FAILED
    assert "seen enough" in capsys.readouterr().err
    model = asked["model"]
    assert model.structure == workbench.pk(absorption="first-order", parameters="rate")
    assert model["ka"] == workbench.Parameter("ka", 1.5, iiv=True)
    assert model["V"] == workbench.Parameter("V", iiv=0.25)
    assert model["k"] == workbench.Parameter("k", 0.09, fixed=True)
    assert model.error == workbench.Combined(a=0.3)
    assert [block.names for block in model.correlate] == [("ka", "V")]
    assert asked["method"] == "foce"
    assert asked["data"].covariate_names == ()
    assert asked["data"].frame["TIME"].max() < 12


def test_full_correlation_and_no_random_effects(theophylline, monkeypatch):
    models = []
    monkeypatch.setattr(workbench, "fit", lambda model, *_, **__: models.append(model) or 1 / 0, raising=False)
    for options in (["--correlate", "full"], ["--iiv", "none"]):
        with pytest.raises(ZeroDivisionError):  # a fault of ours keeps its traceback
            run("fit", theophylline, "--absorption", "first-order", *options)
    assert [block.names for block in models[0].correlate] == [("ka", "CL", "V")]
    assert models[1].random_effects == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--start", "Cl=3"], "There are ka, CL, V, iiv_ka"),
        (["--fix", "Q=3"], "It has ka, CL, V"),
        (["--iiv", "ka,Q"], "It has ka, CL, V"),
        (["--compartments", "7"], "compartments=7"),
        (["--role", "subject=WHO"], "'WHO'"),
        (["--filter", "TIME >"], "TIME >"),
        (["--error", "proportional"], "prediction is zero"),
    ],
)
def test_what_is_wrong_is_said_in_words(theophylline, options, words, capsys):
    assert run("fit", theophylline, "--absorption", "first-order", *options) == cli.FAILED
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.startswith("workbench: ")
    assert all(line.startswith("warning: ") for line in captured.out.splitlines())  # what the doctor says of the data


def test_no_such_file(tmp_path, capsys):
    assert run("fit", tmp_path / "nothing.csv") == cli.FAILED
    assert "no such file" in capsys.readouterr().err


def test_names_from_the_data_are_not_markup(theophylline, tmp_path, capsys):
    file = tmp_path / "[red] :smile: .csv"
    shutil.copyfile(theophylline, file)
    assert run("fit", file, "--absorption", "first-order") == cli.CONVERGED
    assert file.name in capsys.readouterr().out


def test_interrupt_stops_the_fit_at_its_best_point(capsys, monkeypatch):
    fit = workbench.fit

    def interrupted(*args, callback, **kwargs):
        def watch(progress):
            if progress.iteration == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return callback(progress)

        return fit(*args, callback=watch, **kwargs)

    monkeypatch.setattr(workbench, "fit", interrupted, raising=False)
    before = signal.getsignal(signal.SIGINT)
    assert run("fit", "theophylline", "--absorption", "first-order") == cli.NOT_CONVERGED
    assert Status.stopped.value in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before


def test_a_fit_that_did_not_converge_has_an_exit_status_of_its_own(monkeypatch, capsys):
    fit = workbench.fit
    monkeypatch.setattr(workbench, "fit", lambda *a, **k: fit(*a, **k, max_iterations=1), raising=False)
    assert run("fit", "theophylline", "--absorption", "first-order") == cli.NOT_CONVERGED
    out = capsys.readouterr().out
    assert Status.max_iterations.value in out
    assert "│ CL " in out


# -- check ---------------------------------------------------------------------------------------------------------

CODED = "ID,TIME,DV,WT\n1,0,3,70\n1,1,2,70\n2,0,4,-99\n2,1,3,-99\n3,0,4,60\n3,1,3,60\n"


def test_check_prints_every_finding_with_its_mend(tmp_path, capsys):
    file = tmp_path / "coded.csv"
    file.write_text(CODED)
    assert run("check", file) == 0
    out = capsys.readouterr().out
    assert "subjects: 3" in out and "-99 in 2 rows" in out and "--mend read_codes_as_missing" in out
    assert run("check", file, "--strict") == cli.FAILED
    capsys.readouterr()
    assert run("check", file, "--na", "-99", "--mend", "fill_covariates", "--strict") == 0
    assert "Nothing to mend." in capsys.readouterr().out


def test_check_takes_what_says_how_a_file_is_read(tmp_path, capsys):
    file = tmp_path / "odd.txt"
    file.write_text("made by hand\nsubject;hours;y\n1;0;3\n1;1;BLQ\n2;0;4\n2;1;3\n")
    options = ["--skip", "1", "--role", "subject=subject", "--unit", "time=h", "--lloq", "0.5", "--separator", ";"]
    assert run("check", file, *options) == 0
    out = capsys.readouterr().out
    assert "censored: 1" in out and "time: 0–1 h" in out
    assert run("check", file, "--skip", "1") == cli.FAILED
    assert "drop_unknown_limits" in capsys.readouterr().out


def test_strict_stops_a_fit_at_a_finding(tmp_path, capsys):
    file = tmp_path / "coded.csv"
    file.write_text(CODED.replace("DV,WT", "DV,AGE"))
    assert run("fit", file, "--strict") == cli.FAILED
    captured = capsys.readouterr()
    assert "-99 in 2 rows" in captured.out and "--strict" in captured.err


# -- lab -----------------------------------------------------------------------------------------------------------


def test_examples_are_copied_once_and_never_over_what_was_changed(tmp_path):
    folder = tmp_path / "new" / "folder"
    assert cli.copy_examples(folder) == []
    notebook, data = folder / "quickstart.ipynb", folder / "data" / "theophylline.csv"
    assert workbench.read_data(data)
    assert notebook.is_file()

    notebook.write_text("mine")
    data.unlink()
    assert cli.copy_examples(folder) == ["quickstart.ipynb"]
    assert notebook.read_text() == "mine"
    assert data.is_file()


def test_copies_can_be_written_although_the_installation_cannot(tmp_path, monkeypatch):
    shipped = tmp_path / "shipped"
    for name in ("notebooks", "data"):
        (shipped / name / ".ipynb_checkpoints").mkdir(parents=True)
        (shipped / name / ".ipynb_checkpoints" / "old").touch()
        (shipped / name / f"{name}.txt").touch(mode=0o444)
    monkeypatch.setattr(lab, "_shipped", shipped.joinpath)
    cli.copy_examples(tmp_path / "lab")
    copied = sorted(path for path in (tmp_path / "lab").rglob("*") if path.is_file())
    assert [path.name for path in copied] == ["data.txt", "notebooks.txt"]
    assert all(path.stat().st_mode & 0o200 for path in copied)


def test_lab_without_jupyterlab_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lab, "find_spec", lambda name: None)
    assert run("lab", "--no-browser", "--dir", tmp_path / "lab") == cli.FAILED
    said = capsys.readouterr().err
    assert 'JupyterLab is not installed. It comes with the extra "lab": pip install ' in said and len(said) < 200
    assert not (tmp_path / "lab").exists()


def test_lab_in_a_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run("lab", "--no-browser", "--dir", tmp_path / "file" / "lab") == cli.FAILED
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_app_without_voila_says_how_to_get_it_and_needs_a_file_that_is_there(tmp_path, monkeypatch, capsys):
    pytest.importorskip("voila")
    assert run("app", tmp_path / "none.csv") == cli.FAILED
    assert "none.csv" in capsys.readouterr().err
    monkeypatch.setattr(app, "find_spec", lambda name: None)
    assert run("app") == cli.FAILED
    assert 'Voila is not installed. It comes with the extra "app": pip install ' in capsys.readouterr().err


def test_app_serves_the_data_with_a_look_that_fetches_nothing_from_elsewhere(tmp_path, monkeypatch):
    pytest.importorskip("voila")
    for name in ("JUPYTER_PATH", "WORKBENCH_RUNS"):
        monkeypatch.setenv(name, "")
    served = {}

    def serve(page, options, token):
        served["code"] = json.loads(page.read_text())["cells"][0]["source"]
        served["look"] = (page.parent / "voila" / "templates" / "workbench" / "index.html.j2").read_text()
        served["options"], served["token"] = options, token
        return 0

    monkeypatch.setattr(app, "_serve_alone", serve)
    file = tmp_path / "it's.csv"
    file.write_text("ID,TIME,DV,AMT\n1,0,.,4\n1,1,3,.\n2,0,.,4\n2,1,2,.\n")
    assert run("app", file, "--no-browser", "--port", "8999") == 0
    compile(served["code"], "cell", "exec")
    assert repr(str(file.resolve())) in served["code"]
    assert os.environ["WORKBENCH_RUNS"] == "memory"
    assert "//cdn." not in served["look"] and "--port=8999" in served["options"]
    assert f"--token={served['token']}" in served["options"] and len(served["token"]) > 40


def test_a_method_whose_name_is_a_word_is_no_capitals(capsys):
    arguments = ["fit", "theophylline", "--absorption", "first-order", "--error", "constant", "--method", "pooled"]
    assert cli.main(arguments) == 0
    assert "constant error, pooled\n" in capsys.readouterr().out


def test_lab_compiles_beside_and_stops_with_it(monkeypatch):
    started = []

    def popen(command, **options):
        started.append(command)
        return real([sys.executable, "-c", "import time; time.sleep(60)"], **options)

    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", popen)
    with serving.compiling_beside() as process:
        assert "warm_everything" in started[0][-1] and process.poll() is None
    assert process.poll() is not None


# -- workbench convert ---------------------------------------------------------------------------------------------


@pytest.fixture
def stream(tmp_path):
    import workbench as wb

    pytest.importorskip("pharmpy")
    model = wb.Model(
        wb.pk(absorption="first-order"),
        [wb.Parameter("ka", 1.5, iiv=0.6), wb.Parameter("CL", 2.8, iiv=0.3), wb.Parameter("V", 32, iiv=0.1)],
        error=wb.Combined2(0.5, 0.1),
    )
    return wb.write_nonmem(model, tmp_path / "run1", wb.load_example("theophylline"), method="foce")


def test_forms_are_those_of_the_package():
    from workbench.exchange.forms import FORMS

    assert tuple(FORMS) == convert.FORMS


@pytest.mark.parametrize(("form", "said"), [("nlmixr2", "linCmt()"), ("mlxtran", "<MODEL>"), ("python", "wb.Model(")])
def test_a_control_stream_is_converted(stream, form, said, capsys):
    before = stream.with_suffix(".csv").read_text()
    assert run("convert", stream, "--to", form) == cli.CONVERGED
    printed = capsys.readouterr().out
    place = next(stream.parent.glob(f"run1_{form}.*[!v]"))
    assert "run1.mod read" in printed and f"Wrote {place}" in printed
    assert said in place.read_text()
    assert stream.with_suffix(".csv").read_text() == before


def test_a_conversion_replaces_nothing_unasked(stream, capsys):
    assert run("convert", stream, "--to", "nlmixr2", "-o", stream.with_suffix(".R")) == cli.FAILED
    assert "run1.csv exists already" in capsys.readouterr().err
    assert not stream.with_suffix(".R").exists()
    assert run("convert", stream, "--to", "nlmixr2", "--published", "-o", stream.with_name("x.R")) == cli.FAILED
    assert "no .ext" in capsys.readouterr().err


def test_a_control_stream_is_fitted_by_its_own_method(stream, capsys):
    assert run("fit", stream, "--covariance", "none", "--json") == cli.CONVERGED
    out, err = capsys.readouterr()
    assert json.loads(out)["method"] == "foce" and "run1.mod read" in err
    assert run("fit", stream, "--compartments", "2", "--fix", "CL=1") == cli.FAILED
    assert "--compartments, --fix" in capsys.readouterr().err
