"""Control streams in the room: handed over with or without their data, and runs written for other tools."""

from __future__ import annotations

import pandas as pd
import pytest

import workbench as wb

pytest.importorskip("pharmpy")


@pytest.fixture
def bench():
    made = wb.Workbench(wb.load_example("theophylline"))
    assert made.wait(60)
    made.turn_to("Data")
    yield made
    made.cancel()
    assert made.wait(60)


@pytest.fixture
def written(tmp_path):
    """A stream and its data, as they lie in a folder."""
    model = wb.Model(
        wb.pk(), [wb.Parameter("CL", 2.8, iiv=0.3), wb.Parameter("V", 32, iiv=0.2)], error=wb.Combined2(0.5, 0.1)
    )
    wb.write_nonmem(model, tmp_path / "run1.mod", wb.load_example("theophylline"), "foce")
    return {path.name: path.read_bytes() for path in tmp_path.iterdir()}, model


def hand_over(bench, files):
    bench.data_panel.upload.value = tuple(
        {"name": name, "type": "", "size": len(content), "content": memoryview(content),
         "last_modified": pd.Timestamp("2026-01-01")}
        for name, content in files.items()
    )  # fmt: skip
    assert bench.wait(60)


def test_a_stream_with_its_data_becomes_model_data_and_method(bench, written):
    files, model = written
    lst = b"1\n #OBJV:****  12.500  ****\n FINAL PARAMETER ESTIMATE\n"
    hand_over(bench, files)
    assert bench.model.structure == model.structure and bench.method == "foce" and bench.data.name == "run1.csv"
    said = bench.data_panel.stream.said.value
    assert "run1.mod read; not proven" in said and "$TABLE (tables)" in said
    assert "CL" in bench.data_panel.stream.individuals.value
    assert "wb-gone" not in bench.data_panel.stream.view._dom_classes
    bench.data_panel.example.value = "phenobarbital"  # other data: what was read is said no more
    assert bench.wait(60)
    assert "wb-gone" in bench.data_panel.stream.view._dom_classes
    hand_over(bench, {**files, "run1.lst": lst})
    assert bench.state.problem == ""


def test_without_its_data_all_stays_and_the_data_may_come_later(bench, written):
    files, model = written
    before, shown = bench.data, bench.model
    hand_over(bench, {"run1.mod": files["run1.mod"]})
    said = bench.data_panel.stream.said.value
    assert "run1.mod needs its data, run1.csv" in said and "theophylline stays" in said
    assert "CL" in bench.data_panel.stream.equations.value  # what was understood is seen
    assert bench.data is before and bench.model == shown
    hand_over(bench, {"run1.csv": files["run1.csv"]})
    assert bench.data.name == "run1.csv" and bench.model.structure == model.structure


def test_what_cannot_be_read_is_said_by_line_and_all_stays(bench, written):
    files, _ = written
    before = bench.data
    stream = files["run1.mod"].replace(b"$ERROR", b"<b> = MIXNUM\n$ERROR").replace(b"$SIGMA", b"$PRIOR NWPRI\n$SIGMA")
    hand_over(bench, {**files, "run1.mod": stream})
    said = bench.data_panel.stream.said.value
    assert "holds what cannot be expressed" in said and "$PRIOR" in said and "&lt;B&gt;" in said and "<B>" not in said
    wrong = files["run1.mod"].replace(b"$INPUT ", b"$INPUT MORE EVEN_MORE ")
    hand_over(bench, {**files, "run1.mod": wrong})
    assert "columns, but $INPUT of run1.mod names" in bench.data_panel.stream.said.value
    assert bench.data is before and bench.state.problem == ""


def test_without_what_reads_the_data_a_sentence_says_so(bench, written, monkeypatch):
    import sys

    files, _ = written
    monkeypatch.setitem(sys.modules, "pharmpy.model.external.nonmem.dataset", None)
    hand_over(bench, files)
    assert "pip install" in bench.data_panel.stream.said.value and "nonmem" in bench.data_panel.stream.said.value


def test_a_run_is_written_for_other_tools(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = wb.load_example("theophylline")
    fit = wb.fit(wb.Model(wb.pk(), error=wb.Constant()), data)
    other = wb.fit(fit.model, data, method="quadrature")
    runs = wb.Runs.open(tmp_path / "runs.db").add(fit).add(other)
    with wb.Workbench(data, fit.model, runs=runs) as bench:
        bench.turn_to("Runs")
        panel = bench.runs_panel
        panel.tick(1, True)
        for way, ending in (("nonmem", ".mod"), ("nlmixr2", ".R"), ("mlxtran", ".mlxtran"), ("python", ".py")):
            for stem in (f"run1-{way}", f"run1-{way}-2"):
                panel.export.value = way
                assert bench.wait(60)
                assert (tmp_path / f"{stem}{ending}").is_file() and (tmp_path / f"{stem}.csv").is_file()
                assert f"{stem}{ending}" in panel.saved.value and panel.export.value == ""
        panel.export.value = "xpose"
        assert bench.wait(60)
        assert (tmp_path / "sdtab1").is_file() and "sdtab1" in panel.saved.value
        panel.tick(1, False)
        panel.tick(2, True)
        panel.export.value = "nonmem"
        assert bench.wait(60)
        assert "Run 2 was not written for NONMEM" in panel.saved.value and "quadrature" in panel.saved.value
        assert not list(tmp_path.glob("run2*")) and bench.state.problem == ""
