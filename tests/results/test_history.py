"""Runs in a file: what was finished is there again, whatever happened to the process, the disk or the file."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

import workbench as wb
from tests.results.kills import killed_while_keeping
from workbench.results.history import VERSION, History


@pytest.fixture(scope="module")
def theophylline():
    return wb.load_example("theophylline")


@pytest.fixture(scope="module")
def fits(theophylline):
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant())
    return [wb.fit(model, theophylline), wb.fit(model.with_error(wb.Combined2()), theophylline, method="foce")]


def same(one, other):
    """Whether two fits report the same, to the digit."""
    return (
        one.ofv == other.ofv
        and one.estimates.equals(other.estimates)
        and one.table().equals(other.table())
        and one.history.equals(other.history)
        and np.array_equal(one.covariance, other.covariance, equal_nan=True)
        and (one.model, one.given, one.said, one.settings) == (other.model, other.given, other.said, other.settings)
    )


def test_a_file_has_the_runs_again(fits, tmp_path):
    path = tmp_path / "runs.db"
    runs = wb.Runs.open(path).add(fits[0], note="<first>").add(fits[1], parent=1, name="foce")
    again = wb.Runs.open(path)
    assert [run.number for run in again] == [1, 2] and not any(run.is_loaded for run in again)
    assert again.table().equals(runs.table()) and str(path) in again.where
    assert again[1].note == "<first>" and again[2].parent == 1 and again[2].name == "foce"
    assert all(same(run.fit, fit) and run.fit.data == fit.data for run, fit in zip(again, fits, strict=True))
    assert again[2].code == runs[2].code and again[1].model == fits[0].given


def test_a_run_says_what_it_was_made_with(fits, tmp_path):
    path = tmp_path / "runs.db"
    model, data = fits[0].given, fits[0].data
    wb.Runs.open(path).add(wb.fit(model, data, wb.Quadrature(3), starts=2, seed=4, covariance="S"))
    with sqlite3.connect(path) as connection:
        row = connection.execute("SELECT method, options, seed, settings, versions, estimates FROM runs").fetchone()
    connection.close()
    assert row[:3] == ("quadrature", "wb.Quadrature(nodes=3)", 4) and '"covariance"' in row[3]
    assert f'"workbench": "{wb.__version__}"' in row[4] and '"iiv_CL"' in row[5]
    run = wb.Runs.open(path)[1]
    assert run.method == wb.Quadrature(3) and dict(run.settings) == {"covariance": "S", "starts": 2, "seed": 4}
    assert run.fit.starts.shape[0] == 2


def test_changes_stay_and_what_was_deleted_comes_back(fits, tmp_path):
    path = tmp_path / "runs.db"
    runs = wb.Runs.open(path).add(fits[0]).add(fits[1])
    runs = runs.changed(1, name="base", starred=True).changed(2, note="worse")
    assert wb.Runs.open(path).table().equals(runs.table()) and wb.Runs.open(path)[1].starred
    less = runs.without(1)
    assert [run.number for run in wb.Runs.open(path)] == [2] and less.deleted[0].name == "base"
    assert [run.number for run in less.restored()] == [run.number for run in wb.Runs.open(path)] == [1, 2]
    assert [run.number for run in runs.without(2).add(fits[0])] == [1, 3]  # a number is not used again
    memory = wb.Runs().add(fits[0]).add(fits[1])
    assert [run.number for run in memory.without(1, 2).restored()] == [2] and len(memory.without(2).restored()) == 2
    with pytest.raises(KeyError, match="there are 2"):
        memory.without(1)[1]


def test_two_sessions_use_one_file(fits, tmp_path):
    path = tmp_path / "runs.db"
    one, other = wb.Runs.open(path), wb.Runs.open(path)
    one = one.add(fits[0])
    other = other.add(fits[1])
    assert [run.number for run in other] == [1, 2] and same(other[1].fit, fits[0])
    assert [run.number for run in one.refreshed()] == [1, 2]
    failed: list[BaseException] = []

    def keep():
        try:
            runs = wb.Runs.open(path)
            for _ in range(5):
                runs = runs.add(fits[0])
            assert not runs.said
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=keep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and len(wb.Runs.open(path)) == 22


def test_a_full_disk_is_a_sentence_and_the_session_goes_on(fits, tmp_path, monkeypatch):
    path = tmp_path / "runs.db"
    runs = wb.Runs.open(path).add(fits[0])
    with monkeypatch.context() as patched:
        usual = History._connect

        def full(self):
            connection = usual(self)
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")  # as on a disk without room
            return connection

        patched.setattr(History, "_connect", full)
        runs = runs.add(fits[1], note="kept all the same")
        assert len(runs) == 2 and "the disk is full" in runs.said and runs.said in runs.where
        assert same(runs[2].fit, fits[1]) and len(wb.Runs.open(path)) == 1
        runs = runs.changed(2, name="here")
    runs = runs.add(fits[0])
    assert not runs.said and [run.number for run in wb.Runs.open(path)] == [1, 2, 3]
    assert wb.Runs.open(path)[2].note == "kept all the same" and wb.Runs.open(path)[2].name == "here"


def test_a_file_that_can_only_be_read_is_read(fits, tmp_path, monkeypatch):
    folder = tmp_path / "disk"
    folder.mkdir()
    path = folder / "runs.db"
    wb.Runs.open(path).add(fits[0])

    def refused(self):
        raise sqlite3.OperationalError("attempt to write a readonly database")

    path.chmod(stat.S_IRUSR)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if os.access(path, os.W_OK):  # whoever is allowed everything
        monkeypatch.setattr(History, "_connect", refused)
    try:
        runs = wb.Runs.open(path)
        assert "can only be read" in runs.said and same(runs[1].fit, fits[0])
        runs = runs.add(fits[1])
        assert len(runs) == 2 and "read-only" in runs.said
        assert "read-only" in runs.changed(1, note="no").said
    finally:
        folder.chmod(stat.S_IRWXU)
        path.chmod(stat.S_IRWXU)
    monkeypatch.undo()
    assert len(wb.Runs.open(path)) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"ID,TIME,DV\n1,0,3\n", "damaged, or no file"),
        (b"SQLite format 3\x00" + b"\x07" * 5000, "damaged, or no file"),
    ],
)
def test_another_file_is_refused_in_a_sentence(content, said, tmp_path):
    path = tmp_path / "runs.db"
    path.write_bytes(content)
    with pytest.raises(wb.FileError, match=said):
        wb.Runs.open(path)
    assert path.read_bytes() == content
    with pytest.raises(wb.FileError, match="no such folder"):
        wb.Runs.open(tmp_path / "nowhere" / "runs.db")
    with pytest.raises(wb.FileError, match="no file"):
        wb.Runs.open(tmp_path)


def test_a_damaged_file_is_a_sentence(fits, tmp_path):
    path = tmp_path / "runs.db"
    wb.Runs.open(path).add(fits[0])
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    path.write_bytes(content)
    with pytest.raises(wb.FileError, match="damaged"):
        len(wb.Runs.open(path)[1].fit.lines)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"PRAGMA user_version = {VERSION + 1}", "later version of workbench"),
        ("DROP TABLE data", "not one that runs are kept in"),
        ("CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM data; END", "workbench did not put there"),
    ],
)
def test_a_file_of_others_is_refused(change, said, fits, tmp_path):
    path = tmp_path / "runs.db"
    wb.Runs.open(path).add(fits[0])
    connection = sqlite3.connect(path)
    connection.execute(change)
    connection.commit()
    connection.close()
    with pytest.raises(wb.FileError, match=said):
        wb.Runs.open(path)


def test_a_strangers_run_is_read_and_not_evaluated(fits, tmp_path):
    path = tmp_path / "runs.db"
    wb.Runs.open(path).add(fits[0])
    evil = "__import__('pathlib').Path('evil').write_text('')"
    connection = sqlite3.connect(path)
    connection.execute("UPDATE runs SET model = ?, structure = ?", (evil, "<script>alert(1)</script>"))
    connection.commit()
    connection.close()
    runs = wb.Runs.open(path)
    assert "<script>" not in runs._repr_html_()
    with pytest.raises(wb.ModelError, match="is not a statement"):
        runs[1].model  # noqa: B018


def test_a_residual_error_of_ones_own_needs_its_class(tmp_path, theophylline):
    path = tmp_path / "runs.db"
    code = (
        "from dataclasses import dataclass\nimport workbench as wb\n"
        "@dataclass(frozen=True, repr=False)\nclass Rooted(wb.ResidualError):\n"
        "    sd = 'a*sqrt(1 + abs(f))'\n    parameters = {'a': wb.ErrorParameter('part', 'response')}\n"
        "    a: float | None = None\n"
    )
    work = (
        f"model = wb.Model(wb.pk(absorption='first-order'), error=Rooted())\n"
        f"runs = wb.Runs.open({str(path)!r}).add(wb.fit(model, wb.load_example('theophylline'), covariance=False))\n"
        f"assert wb.Runs.open({str(path)!r})[1].fit.ofv == runs[1].fit.ofv\n"
    )
    subprocess.run([sys.executable, "-c", code + work], check=True)
    runs = wb.Runs.open(path)
    assert runs.table()["error"][1] == "rooted"
    with pytest.raises(wb.FileError, match="Rooted"):
        runs[1].fit  # noqa: B018


def test_a_fit_that_cannot_be_written_is_not_lost(fits, tmp_path):
    from dataclasses import replace

    odd = replace(fits[0], message="\ud800")  # no text that a file could hold
    runs = wb.Runs.open(tmp_path / "runs.db").add(odd)
    assert len(runs) == 1 and runs[1].fit is odd and "cannot be written" in runs.said


def test_a_fit_from_a_file_is_as_good_as_another(fits, tmp_path):
    import pickle

    wb.Runs.open(tmp_path / "runs.db").add(fits[0])
    back = wb.Runs.open(tmp_path / "runs.db")[1].fit
    assert same(pickle.loads(pickle.dumps(back)), fits[0])
    assert wb.fit(back.model, back.data).ofv == pytest.approx(back.ofv, abs=1e-3)
    assert wb.bootstrap(back, 2, jobs=1).table.equals(wb.bootstrap(fits[0], 2, jobs=1).table)
    assert wb.gof(back).table.equals(wb.gof(fits[0]).table)


def test_a_process_that_is_killed_loses_nothing_that_had_finished(tmp_path):
    kept, said = killed_while_keeping(tmp_path / "runs.db", kills=2, seed=3)
    assert not said and kept > 0
