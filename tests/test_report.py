"""The report: one page without a network, whose numbers are those of the API; its tables; the commands for both."""

from __future__ import annotations

import csv
import html.parser
import json
import math
import re

import jsonschema
import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench import markup
from workbench.cli import main
from workbench.markup.mathml import formula
from workbench.markup.printed import figure_class
from workbench.reporting.figures import as_svg
from workbench.reporting.tables import all_tables

MODEL = wb.Model(wb.pk(absorption="first-order"), error=wb.Combined2(), correlate=[("CL", "V")])
EVIL = "<img src=x onerror=alert(1)>"


class Page(html.parser.HTMLParser):
    """The tables of a page by their id, the text, and whatever would load or run something."""

    def __init__(self, text: str):
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.said: list[str] = []
        self.reaching: list[str] = []
        self.tags: list[str] = []
        self._row: list[str] | None = None
        self._cell = False
        self._table = ""
        self.feed(text)
        self.text = " ".join(self.said)

    def handle_starttag(self, tag, attrs):
        stated = dict(attrs)
        self.tags.append(tag)
        if tag == "table":
            self._table = stated.get("id") or f"table-{len(self.tables)}"
            self.tables[self._table] = []
        elif tag == "tr" and self._table:
            self.tables[self._table].append([])
        elif tag in ("td", "th"):
            self.tables[self._table][-1].append("")
            self._cell = True
        for name, value in attrs:
            outside = name in ("src", "href", "xlink:href", "action", "data") and not str(value).startswith(
                ("#", "data:")
            )
            if outside or name.startswith("on") or tag in ("script", "iframe", "object", "link"):
                self.reaching.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data):
        self.said.append(data)
        if self._cell:
            self.tables[self._table][-1][-1] += data


@pytest.fixture(scope="module")
def fits():
    data = wb.load_example("theophylline").exclude(subject=2)
    first = wb.fit(MODEL, data)
    return first, wb.fit(MODEL.with_covariate("V", "WT", shape="power", reference=70), data)


@pytest.fixture(scope="module")
def page(fits, tmp_path_factory):
    runs = wb.Runs().add(fits[1], note=EVIL).add(fits[0], name=EVIL, parent=1)
    path = wb.report(
        fits[0], tmp_path_factory.mktemp("report") / "x.html", runs=runs, compare=[fits[1]], replicates=100
    )
    assert path.stat().st_size < 2_000_000
    return Page(path.read_text(encoding="utf-8"))


def number(text: str) -> float:
    return float(text.replace("−", "-")) if text not in ("", markup.numbers.NONE) else math.nan


def test_every_number_of_the_tables_is_that_of_the_api(fits, page):
    fit = fits[0]
    assert set(page.tables) >= {
        "estimates",
        "criteria",
        "omega",
        "variability",
        "shrinkage",
        "correlation",
        "individual",
    }
    for one in all_tables(fit):
        head, *rows = page.tables[one.name]
        assert len(rows) == len(one.frame) and [row[0] for row in rows] == [str(label) for label in one.frame.index]
        if one.name in ("estimates", "criteria"):
            continue
        assert head[1:] == list(map(str, one.frame.columns))
        shown = np.array([[number(cell) for cell in row[1:]] for row in rows])
        assert np.allclose(shown, one.frame.to_numpy(dtype=float), rtol=1e-2 if one.name == "correlation" else 1e-3,
                           equal_nan=True, atol=1e-9)  # fmt: skip
    for row, line in zip(page.tables["estimates"][1:], fit.estimates.itertuples(), strict=True):
        lower, upper = (number(cell) for cell in row[4].split("…")) if row[4] else (math.nan, math.nan)
        found = [number(row[1]), number(row[2]), number(row[3]), lower, upper]
        expected = [line.estimate, line.se, line.rse, line.lower, line.upper]
        known = [math.nan if not row[4] and k > 2 else value for k, value in enumerate(expected)]
        assert row[0] == line.Index and np.allclose(found, known, rtol=2e-3, atol=0.06, equal_nan=True)
    values = dict(page.tables["criteria"][1:])
    expected = {"OFV": fit.ofv, "-2 log-likelihood": fit.minus2ll, "AIC": fit.aic, "BIC": fit.bic}
    assert all(number(values[name]) == pytest.approx(value, abs=0.006) for name, value in expected.items())
    assert (values["observations"], values["subjects"]) == (str(fit.n_observations), "11")


def test_runs_and_comparison_are_those_of_the_api(fits, page):
    for row, fit in zip(page.tables["runs"][1:], fits[::-1], strict=True):
        assert number(row[5]) == pytest.approx(fit.ofv, rel=1e-6) and number(row[7]) == pytest.approx(fit.aic, rel=1e-6)
    found = wb.compare(*fits)
    ((_, this), (_, other)) = ((row[0], row) for row in page.tables["comparison"][1:])
    column = page.tables["comparison"][0].index("delta_ofv")
    assert number(other[column]) == pytest.approx(found.table["delta_ofv"].iloc[1], rel=1e-6) and this[0] == "this fit"
    assert page.tags.count("rect") >= 11  # the waterfall


def test_a_page_reaches_nothing_and_shows_text_as_text(page):
    assert not page.reaching and "script" not in page.tags and "img" not in page.tags
    assert EVIL in page.text and page.tags.count("svg") >= 3 and page.tags.count("math") >= 8
    for said in ("exclude(subject=2)", "wb.fit(", "L/kg", f"workbench {wb.__version__}", "numpy", "Goodness of fit"):
        assert said in page.text, said


def test_its_script_gives_the_fit_again(fits, page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"import workbench as wb\n.*", "".join(page.said), re.DOTALL)[0]
    code = code[: code.index("wb.report(")]
    names: dict = {}
    exec(code, names)
    assert names["fit"].ofv == fits[0].ofv


def test_figures_of_many_points_stay_small(fits, tmp_path):
    figure = figure_class()()
    axes = figure.subplots()
    axes.plot(*np.random.default_rng(1).normal(size=(2, 50_000)), "o")
    drawn = as_svg(figure, "many <points>")
    assert len(drawn) < 300_000 and "<image" in drawn and "many &lt;points&gt;" in drawn and "http-equiv" not in drawn


@pytest.mark.parametrize("method", ["pooled", "individual", "fo"])
def test_every_kind_of_fit_has_a_report(method, tmp_path):
    data = wb.load_example("theophylline")
    fit = wb.fit(wb.Model(wb.pk(absorption="first-order"), error=wb.Constant()), data, method=method)
    text = wb.report(fit, tmp_path / "x.html", replicates=20).read_text(encoding="utf-8")
    assert f"{fit.ofv:.3f}".replace("-", "−") in text
    with pytest.raises(wb.ModelError, match="FitResult"):
        wb.report(data, tmp_path / "x.html")
    with pytest.raises(wb.FileError, match="cannot be written"):
        wb.report(fit, tmp_path / "nowhere" / "x.html", replicates=20)


def test_tables_come_in_other_forms(fits, tmp_path):
    paths = wb.report_tables(fits[0], tmp_path / "tables")
    names = [path.name for path in paths]
    assert "estimates.csv" in names and "omega.tex" in names
    frame = pd.read_csv(tmp_path / "tables" / "estimates.csv", index_col=0)
    assert np.array_equal(frame["estimate"], fits[0].estimates["estimate"])  # all digits
    tex = (tmp_path / "tables" / "estimates.tex").read_text(encoding="utf-8")
    assert r"iiv\_CL" in tex and tex.count(r"\\") == len(frame) + 1 and r"\toprule" in tex and "RSE \\%" in tex
    with pytest.raises(wb.WorkbenchError, match="forms"):
        wb.report_tables(fits[0], tmp_path, ["pdf"])
    docx = pytest.importorskip("docx")
    (word,) = wb.report_tables(fits[0], tmp_path, ["docx"])
    table = docx.Document(word).tables[0]
    assert [cell.text for cell in table.rows[1].cells] == list(fits[0].rows()[1])


def test_formulas_are_mathml():
    drawn = formula(r"V_i = V\left(\frac{\mathit{WT}}{70}\right)^{\theta_{V,1}}\; e^{\,\eta_{V}}")
    assert "<mfrac>" in drawn and "<msup>" in drawn and "θ" in drawn and "\\" not in drawn
    assert "or spread over" in formula(r"r(t)\quad\text{(or spread over)}")
    assert "&lt;script" in formula(r"\text{<script>}") and "unknown" in formula(r"\unknown{x}")


def test_the_command_writes_reports_and_json(fits, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["fit", "theophylline", "--absorption", "first-order", "--error", "constant"]
    assert main([*arguments, "--json", "--save", "run.json"]) in (0, 3)
    said = capsys.readouterr()
    record = json.loads(said.out)
    jsonschema.validate(record, wb.json_schema(wb.FitResult))
    assert "OFV" in said.err and record["ofv"] == wb.load("run.json").ofv
    assert main(["report", "run.json", "--out", "x.html", "--tables", "t", "--forms", "csv"]) == 0
    assert f"{record['ofv']:.3f}" in (tmp_path / "x.html").read_text(encoding="utf-8")
    with (tmp_path / "t" / "estimates.csv").open() as stream:
        assert float(next(csv.DictReader(stream))["estimate"]) == record["estimates"][0]["value"]
    wb.Runs.open("runs.db").add(fits[0]).add(fits[1])
    assert main(["report", "runs.db", "--run", "1", "--out", "y.html"]) == 0
    assert f"{fits[0].ofv:.3f}" in (tmp_path / "y.html").read_text(encoding="utf-8")
    capsys.readouterr()
    for arguments, words in ((["runs.db", "--run", "7"], "no run 7"), (["nothing.json"], "no file")):
        assert main(["report", *arguments]) == 1 and words in capsys.readouterr().err
    fits[0].save("bare.json")
    assert main(["report", "bare.json"]) == 1 and "has no records" in capsys.readouterr().err
