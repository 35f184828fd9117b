"""`workbench doctor` says what is missing, and how to get it."""

import importlib.metadata
import json
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


def test_what_only_some_uses_need_is_absent_with_its_extra(monkeypatch, capsys):
    real = installation.find_spec
    monkeypatch.setattr(installation, "find_spec", lambda name: None if name in ("voila", "pyarrow") else real(name))
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for what, extra in (("Voila for `workbench app`: voila", "app"), ("Parquet files: pyarrow", "parquet")):
        assert any(line.startswith(f'absent {what} — the extra "{extra}": pip install ') for line in lines)
    assert f"ok     figures for print: matplotlib {importlib.metadata.version('matplotlib')}" in lines


@pytest.mark.parametrize(
    "stated, command",
    [
        ({"archive_info": {}}, 'pip install "{place}[lab]"'),
        ({"dir_info": {"editable": True}}, 'pip install -e "{place}[lab]"'),
        ({"dir_info": {}}, 'pip install "{place}[lab]"'),
    ],
)
def test_an_extra_is_got_from_where_the_installation_came(stated, command, tmp_path, monkeypatch):
    place = tmp_path / "its place" / "one.whl"
    place.mkdir(parents=True)
    record = {"url": place.as_uri(), **stated}
    monkeypatch.setattr(installation, "distribution", lambda name: Recorded(json.dumps(record)))
    assert installation.how_to_get("lab") == f'the extra "lab": {command.format(place=place)}'
    place.rmdir()
    assert installation.how_to_get("lab") == 'the extra "lab": pip install jupyterlab matplotlib'


@pytest.mark.parametrize("record", [None, "{", '{"url": "https://example.org/one.whl"}'])
def test_an_extra_of_an_installation_from_an_index_is_named_by_its_packages(record, monkeypatch):
    monkeypatch.setattr(installation, "distribution", lambda name: Recorded(record))
    assert installation.how_to_get("cluster") == 'the extra "cluster": pip install dask distributed'


class Recorded:
    """What an installer wrote beside a distribution."""

    def __init__(self, text):
        self.text = text

    def read_text(self, name):
        return self.text if name == "direct_url.json" else None


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
