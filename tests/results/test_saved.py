"""What is saved opens again, here and with what earlier versions wrote, and says where its numbers differ now."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import re
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from tests.results.test_history import same
from workbench import plain
from workbench.methods import METHODS

SAVED = Path(__file__).parent / "saved"
RELEASES = ("0.1.0",)


@pytest.fixture(scope="module")
def fit():
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant(), correlate=[("CL", "V")])
    return wb.fit(model, wb.load_example("theophylline"))


def test_censored_and_logarithmic_observations_come_back(tmp_path):
    frame = wb.load_example("theophylline").to_frame()
    frame = frame[(frame["TIME"] > 0) | (frame["AMT"] > 0)]
    frame["CENS"] = ((frame["DV"] < 1.5) & (frame["MDV"] == 0)).astype(int)
    frame.loc[frame["CENS"] == 1, "DV"] = 1.5
    data = wb.read_data(frame)
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Exponential(), blq="M3")
    fit = wb.fit(model, data, covariance=False)
    back = wb.load(fit.save(tmp_path / "run.json", data=True))
    assert np.isnan(fit.y).sum() > 3 and np.array_equal(back.y, fit.y, equal_nan=True) and not back.message
    assert back.table().equals(fit.table())


@pytest.mark.parametrize("method", METHODS)
def test_a_fit_comes_back_to_the_digit(method, tmp_path):
    model = wb.Model(wb.pk(absorption="first-order")).with_covariate("V", "WT")
    options = {"saem": wb.Saem(20, 10, samples=50), "importance": wb.Importance(50)}.get(method, method)
    fit = wb.fit(model, wb.load_example("theophylline"), method=options)
    back = wb.load(fit.save(tmp_path / "run.json", data=True))
    assert back.message == fit.message and back.ofv == fit.ofv and back.failures == fit.failures
    rivals = [[(rival.what, rival.ofv, rival.model, rival.said) for rival in one.rivals] for one in (back, fit)]
    assert rivals[0] == rivals[1]
    assert back.estimates.equals(fit.estimates) and back.table().equals(fit.table())
    assert back.history.equals(fit.history) and (back.model, back.given) == (fit.model, fit.given)
    assert np.array_equal(back.covariance, fit.covariance) if fit.covariance is not None else back.covariance is None
    assert back.data == fit.data and back.data.code() == fit.data.code()


def test_without_records_it_needs_the_data(fit, tmp_path):
    file = fit.save(tmp_path / "run.json")
    written = np.array(re.findall(r"-?\d+\.\d+", file.read_text()), dtype=float)
    observed = fit.data.events.dv[fit.record]
    assert np.isin(observed[observed % 1 > 0], written).mean() < 0.1  # nobody's concentrations
    with pytest.raises(wb.FileError, match=r"wb\.load_example\('theophylline'\).*wb\.load\('run\.json', data\)"):
        wb.load(file)
    assert same(wb.load(file, fit.data), fit)
    with pytest.raises(wb.FileError, match="are not those"):
        wb.load(file, fit.data.exclude(subject=1))


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_release_wrote_opens(release, tmp_path):
    fit = wb.load(SAVED / f"fit-{release}.json")
    assert "Read from" not in fit.message and fit.data.history[-1].call == "exclude"
    assert wb.objective(fit.model, fit.data) == pytest.approx(fit.ofv, abs=1e-3)
    study = wb.load(SAVED / f"study-{release}.zip")
    assert [run.note or run.name for run in study.runs] == ["kept", "const"] and study.shown == 2
    assert not any("Read from" in run.fit.message for run in study.runs) and study.runs[1].fit.ofv == fit.ofv
    file = Path(shutil.copy(SAVED / f"runs-{release}.db", tmp_path))
    assert [run.fit.ofv for run in wb.load(file)] == [run.fit.ofv for run in study.runs]


def test_the_files_of_this_release_are_kept():
    assert wb.__version__ in RELEASES


def changed(file, change):
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))
    return file


def test_numbers_that_differ_now_are_named(fit, tmp_path):
    file = fit.save(tmp_path / "run.json", data=True)

    def other_ofv(record):
        record["ofv"] += 3.0
        record["subject_ofv"][4] += 3.0

    back = wb.load(changed(file, other_ofv))
    assert "Read from run.json, written by workbench 0.1.0: its objective is" in back.message
    assert "most in subject 5 (−3.000)" in back.message and back.message in back.summary()

    def other_estimate(record):
        record["estimates"][0]["value"] *= 2

    assert "ka is" in wb.load(changed(fit.save(file, data=True), other_estimate)).message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.update(schema=plain.SCHEMA + 1), "later version of workbench"),
        (lambda r: r.pop("schema"), "states no schema"),
        (lambda r: r.pop("eta_matrix"), "eta_matrix is missing"),
        (lambda r: r.update(kind="bootstrap"), "only a fit"),
        (lambda r: r.update(model="__import__('os').system('true')"), "is not a statement"),
        (lambda r: r.update(model="wb.load_example('theophylline')"), "is not a statement"),
        (lambda r: r.update(model="(" * 5000), "cannot be read"),
        (lambda r: r.update(options="wb.read_data('/etc/passwd')"), "is not a statement"),
        (lambda r: r.update(status="fine"), "fine"),
        (lambda r: r.update(pred=r["pred"][:-1]), "shape"),
        (lambda r: r.update(record=[10**9] * len(r["record"])), "not among those"),
        (lambda r: r.update(eta_matrix="none"), "cannot be restored"),
        (lambda r: r.update(estimates=[{}]), "cannot be restored"),
        (lambda r: r["records"]["columns"][3]["values"].__setitem__(1, 99.0), "hash differs"),
        (lambda r: r["records"]["columns"].pop(), "cannot be read|hash differs|DV"),
        (lambda r: r["records"].update(rows={"name": None, "type": "text", "values": [{"what": 1}]}), "cannot be read"),
    ],
)
def test_a_damaged_file_is_a_sentence(change, said, fit, tmp_path):
    file = changed(fit.save(tmp_path / "run.json", data=True), change)
    with pytest.raises(wb.FileError, match=said):
        wb.load(file)


def test_a_strangers_file_is_bounded(fit, tmp_path):
    def refused(content, said):
        file = tmp_path / "stranger.json"
        file.write_bytes(content)
        begun = time.perf_counter()
        with pytest.raises(wb.FileError, match=said):
            wb.load(file)
        assert time.perf_counter() - begun < 30  # it would be hours, or no end

    refused(pickle.dumps({"schema": 1}), "could run code")
    refused(gzip.compress(b"{}"), "JSON")
    refused(b"\x00" * 100, "JSON")
    refused(b'{"schema": 1, "x": ' + b"[" * 100_000, "JSON")
    refused(b'{"schema": 1, "x": NaN}', "NaN")
    refused(b"[" + b"[]," * 3_000_000 + b"1]", "millions")
    refused(b" " * (plain.LARGEST + 1), "at most")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("study.json", b" " * (plain.LARGEST + 1))
    refused(packed.getvalue(), "unpacks to")
    lying = packed.getvalue().replace((plain.LARGEST + 1).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    refused(lying, "damaged|at most")
    refused(b"PK\x03\x04 no zip", "damaged zip")
    with pytest.raises(wb.FileError, match="no file that could be read"):
        wb.load(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(wb.FileError, match="pipe"):
            wb.load(tmp_path / "pipe")
    with pytest.raises(wb.FileError, match="no file"):
        wb.load(tmp_path / "nowhere.json")
    assert same(wb.load(fit.save(tmp_path / "run.db", data=True)), fit)  # by its content, not by its name


def test_a_file_is_written_whole_or_not_at_all(fit, tmp_path, monkeypatch):
    file = fit.save(tmp_path / "run.json")
    before = file.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(wb.FileError, match="No space left"):
            fit.save(file, data=True)
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["run.json"]
    with pytest.raises(wb.FileError, match="cannot be written"):
        fit.save(tmp_path / "nowhere" / "run.json")


def test_data_of_every_kind_come_back(tmp_path):
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant())
    frame = wb.load_example("theophylline").to_frame().astype({"ID": str})
    frame["ID"] = "<b>" + frame["ID"]
    frame["DAY"] = np.where(frame["TIME"] > 4, np.datetime64("2026-01-02"), np.datetime64("2026-01-01"))
    frame["SEX"] = np.where(frame["WT"] > 70, "m", "f")
    frame["ARM"] = frame["SEX"].astype("category")
    frame.loc[frame.index[::7], "SEX"] = None
    frame["N"] = frame["WT"].round().astype("Int64")
    frame.index = [f"row {k}" for k in range(len(frame))]
    data = wb.read_data(frame, units={"time": "h"}).filter("TIME < 20").with_units(response="mg/L")
    fit = wb.fit(model, data, covariance=False)
    back = wb.load(fit.save(tmp_path / "run.json", data=True))
    assert back.data == data and back.data.code() == data.code() and back.table().equals(fit.table())
    assert list(back.data.frame.index) == list(data.frame.index) and back.data.units == data.units
    assert (back.data.frame.dtypes == data.frame.dtypes).all()


@pytest.mark.parametrize("name", ["x" * 3000, "a\x00"])
@pytest.mark.parametrize(
    "act",
    [
        wb.load,
        wb.Workbench.open,
        wb.Runs.open,
        wb.exercises.opened,
        lambda name: wb.exercises.exercise("dose", 1).save(name),
    ],
)
def test_a_name_that_no_file_can_have_is_a_sentence(act, name):
    with pytest.raises(wb.FileError, match="names no file"):
        act(name)
