"""`workbench doctor` says what is missing, and how to get it."""

import importlib.metadata
import sys

import pytest

from workbench import cli, installation


def states():
    return {found.what: found for found in installation.examined()}


def test_a_whole_installation_is_well(capsys):
    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "All that is needed is there."
    assert "ok     the engine computes" in said and "ok     the part of bqplot that runs in the browser" in said


def test_what_is_missing_or_old_is_named(monkeypatch, capsys):
    def version(name):
        if name == "pint":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.1rc1" if name == "scipy" else importlib.metadata.version(name)

    monkeypatch.setattr(installation, "version", version)
    assert cli.main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert 'WRONG  pint is missing — pip install "pint>=0.24.4"' in lines
    assert any(line.startswith("WRONG  scipy 0.1rc1 — at least 1.15 is needed") for line in lines)
    assert lines[-1] == "2 to mend."


def test_a_browser_that_does_not_know_the_widgets(monkeypatch, tmp_path):
    paths = pytest.importorskip("jupyter_core.paths")
    monkeypatch.setattr(paths, "jupyter_path", lambda *names: [str(tmp_path)])
    found = states()["the part of ipywidgets that runs in the browser is missing"]
    assert found.state == "wrong" and "pip install --force-reinstall ipywidgets" in found.mend


def test_an_engine_that_does_not_run_is_reported(monkeypatch):
    import workbench as wb

    def broken(*given):
        raise OSError("illegal instruction")

    monkeypatch.setattr(wb, "predict", broken)
    assert states()["the engine does not run: OSError: illegal instruction"].state == "wrong"


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    assert any(found.state == "wrong" and "3.11 or newer" in found.mend for found in states().values())
