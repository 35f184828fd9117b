"""The Data panel without a browser: files are handed over and buttons pressed as a browser would."""

from __future__ import annotations

import gzip
import io
import re
from itertools import takewhile

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.data.tables import is_categorical
from workbench.ui.figures.spaghetti import QUALITATIVE, SEQUENTIAL, groups_by, since_dose
from workbench.ui.panels.cards import TIME, card
from workbench.ui.panels.kept import shown_in
from workbench.ui.session.file import File

from .actions import every_widget

GOOD = "ID,TIME,DV,AMT,WT,SEX\n" + "".join(
    f"{i},0,.,100,{50 + 5 * i},{'MF'[i % 2]}\n{i},1,{8 + i},.,{50 + 5 * i},{'MF'[i % 2]}\n"
    f"{i},4,{3 + i},.,{50 + 5 * i},{'MF'[i % 2]}\n"
    for i in range(1, 7)
)
FAULTY = GOOD + "7,-1,5,.,90,M\n7,0,.,100,90,M\n7,2,4,.,90,M\n8,1,4,.,91,F\n8,2,3,.,91,F\n8,2,3,.,91,F\n"
UNREADABLE = "ID,TIME,DV,AMT,X\n1,0,.,4,0\n1,one,3,.,1\n1,2,three,.,2\n"
HOSTILE = ("<script>window.hacked=1</script>", "<img src=x onerror=window.hacked=1>", "\"'", "a\nb")
VIEWS = ("plot", "subjects", "rows", "covariates", "columns & units")


@pytest.fixture
def bench():
    made = wb.Workbench(wb.load_example("theophylline"))
    assert made.wait(60)
    made.turn_to("Data")
    yield made
    made.cancel()
    assert made.wait(60)


def hand_over(bench, content, name="file.csv"):
    content = content.encode() if isinstance(content, str) else content
    file = {"name": name, "type": "", "size": len(content), "content": memoryview(content),
            "last_modified": pd.Timestamp("2026-01-01")}  # fmt: skip
    bench.data_panel.upload.value = (file,)


def mends(bench):
    """The buttons of the findings shown, by what they do."""
    shown = shown_in(bench.data_panel.findings.list)
    lines = [line for line in bench.data_panel.findings.lines if line.text in shown and line.has_button]
    return {line.finding["mend"]: line for line in lines}


def column(bench, name):
    bench.data_panel.views.value = "columns & units"
    return next(line for line in bench.data_panel.columns.lines if line.column == name)


def locked_panels(bench):
    panels = bench.panels
    return {panel.title for panel in panels if "wb-locked" in panel.view._dom_classes}


def again(bench, tmp_path, monkeypatch, content, name="file.csv"):
    """The data that the Code panel's cell makes, run where the file lies."""
    (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    lines = bench.code.splitlines()
    exec("\n".join(takewhile(lambda line: not line.startswith("model ="), lines)), namespace)
    return namespace["data"]


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_sound_file_is_taken_at_once(bench):
    hand_over(bench, GOOD)
    assert bench.data.code() == "wb.read_data('file.csv')"
    assert not bench.controls.fit.disabled and locked_panels(bench) == set()
    assert "nothing to mend" in bench.data_panel.findings.head.value
    assert bench.data_panel.faults.layout.display == "none"


def test_other_formats(bench):
    frame = pd.read_csv(io.StringIO(GOOD), na_values=".")
    sheet = io.BytesIO()
    frame.to_excel(sheet, index=False)
    files = {
        "a.tsv": GOOD.replace(",", "\t").encode(), "a.csv.gz": gzip.compress(GOOD.encode()), "a.xlsx": sheet.getvalue(),
    }  # fmt: skip
    for name, content in files.items():
        hand_over(bench, content, name)
        assert (bench.data.name, len(bench.data.observations)) == (name, 12)


def test_unreadable_cells_are_all_listed_and_the_former_data_stay(bench):
    before = bench.data, bench.model
    hand_over(bench, UNREADABLE)
    shown = bench.data_panel.faults.value
    assert "row 3" in shown and "row 4" in shown and "<b>theophylline</b> stays" in shown
    assert (bench.data, bench.model) == before and locked_panels(bench) == set()
    assert bench.data_panel.views.value == "columns & units"


def test_a_refused_file_is_mended_by_its_roles(bench):
    hand_over(bench, "ID,TIME,DV,X\n1,a,3,0\n1,b,2,1\n2,a,3,0\n2,b,1,1\n")
    assert bench.state.refused is not None
    column(bench, "X").role.value = "time"
    assert bench.data.name == "file.csv" and bench.state.refused is None
    assert bench.data.roles["time"] == "X" and bench.data.roles["covariates"] == ("TIME",)
    assert bench.data.code() == "wb.read_data('file.csv', roles={'time': 'X'})"


def test_a_file_of_which_no_table_can_be_made(bench):
    hand_over(bench, b"")
    assert "empty" in bench.data_panel.faults.value and bench.data.name == "theophylline"
    for view in VIEWS:
        bench.data_panel.views.value = view
    hand_over(bench, GOOD)
    assert bench.data.name == "file.csv"


def test_examples_say_what_they_are(bench):
    labels = {name: label for label, name in bench.data_panel.example.options}
    assert labels["quinidine"].startswith("quinidine: 136 patients")
    assert bench.data_panel.example.value == "theophylline"
    bench.data_panel.example.value = "orange_trees"
    assert bench.data.name == "orange_trees"
    hand_over(bench, GOOD)
    assert bench.data_panel.example.value == ""


# -- roles ---------------------------------------------------------------------------------------------------------


def test_roles_are_guessed_and_a_changed_one_is_read_again(bench):
    hand_over(bench, GOOD)
    guessed = {name: column(bench, name).role.value for name in ("ID", "TIME", "DV", "AMT", "WT")}
    assert guessed == {"ID": "subject", "TIME": "time", "DV": "response", "AMT": "amount", "WT": "covariates"}
    column(bench, "WT").role.value = "ignore"
    assert bench.data.covariate_names == ("SEX",)
    assert bench.data.code() == "wb.read_data('file.csv', roles={'ignore': ('WT',)})"
    column(bench, "WT").role.value = "covariates"
    assert bench.data.code() == "wb.read_data('file.csv')"


def test_a_role_that_is_taken_is_exchanged():
    file = File(b"ID,TIME,TAD,DV\n1,0,0,3\n1,5,1,2\n", "x.csv")
    assert file.roles["time"] == "TIME" and file.roles["covariates"] == ("TAD",)
    other = file.with_role("TAD", "time")
    assert other.roles["time"] == "TAD" and other.roles["covariates"] == ("TIME",)
    assert other.stated == {"time": "TAD"}
    assert other.with_role("TIME", "time").stated == {}
    assert file.with_role("DV", "subject").roles == file.roles | {"subject": "DV", "response": "ID"}


def test_a_dose_is_an_amount_or_stands_beside_the_observations():
    file = File(GOOD.encode(), "x.csv").with_role("AMT", "dose")
    assert file.roles["dose"] == "AMT" and "amount" not in file.roles


def test_what_was_done_is_repeated_when_a_role_changes(bench, tmp_path, monkeypatch):
    hand_over(bench, FAULTY)
    column(bench, "TIME").unit.value = "h"
    column(bench, "WT").unit.value = "kg"
    mends(bench)["drop_subjects_without_dose"].mend.click()
    column(bench, "SEX").role.value = "ignore"
    draft = bench.state.draft
    assert draft.units == {"time": "h", "WT": "kg"} and [s.call for s in draft.history[1:]] == ["with_units", "mend"]
    assert bench.state.problem == ""
    assert again(bench, tmp_path, monkeypatch, FAULTY) == draft
    column(bench, "WT").role.value = "ignore"
    assert bench.state.draft.units == {} and "no longer applies" in bench.controls.status.value


def test_roles_of_an_example_are_shown_but_fixed(bench):
    line = column(bench, "WT")
    assert line.role.value == "covariates" and line.role.disabled and not line.unit.disabled


# -- findings ------------------------------------------------------------------------------------------------------


def test_errors_lock_and_mends_unlock(bench, tmp_path, monkeypatch):
    bench.controls.fit.click()
    assert bench.wait(60)
    data, model, fit = bench.data, bench.model, bench.fit
    hand_over(bench, FAULTY)
    assert locked_panels(bench) == {
        "Stated model",
        "Residual error",
        "Ψ",
        "Equations",
        "Error",
        "Covariates",
        "Criteria",
        "Why",
        "Typical curves",
        "OFV while fitting",
        "Estimates",
        "Diagnose",
        "Individual fits",
        "Runs",
        "Simulate",
        "Uncertainty",
        "Screening",
        "Shrinkage",
    }
    assert bench.controls.fit.disabled and "file.csv has 2 errors" in bench.controls.status.value
    assert (bench.data, bench.model, bench.fit) == (data, model, fit)
    with pytest.raises(wb.ModelError, match="2 errors"):
        bench.run()
    assert "strict=False" in bench.code
    mends(bench)["drop_negative_times"].mend.click()
    assert "file.csv has 1 error " in bench.controls.status.value and bench.data is data
    mends(bench)["drop_subjects_without_dose"].mend.click()
    assert locked_panels(bench) == set() and not bench.controls.fit.disabled
    assert [step.args for step in bench.data.history[1:]] == [("drop_negative_times",), ("drop_subjects_without_dose",)]
    assert again(bench, tmp_path, monkeypatch, FAULTY) == bench.data
    bench.restore(1)
    assert bench.data is data and bench.fit is fit


def test_the_former_data_can_be_gone_back_to(bench):
    data, model = bench.data, bench.model
    hand_over(bench, FAULTY)
    bench.data_panel.findings.back.click()
    assert locked_panels(bench) == set() and bench.data is data and bench.model == model
    assert "theophylline" in bench.data_panel.findings.head.value


def test_an_error_may_be_meant(bench, tmp_path, monkeypatch):
    hand_over(bench, FAULTY)
    mends(bench)["drop_negative_times"].allow.click()
    mends(bench)["drop_subjects_without_dose"].allow.click()
    assert len(bench.data.events.subjects) == 8 and locked_panels(bench) == set()
    assert again(bench, tmp_path, monkeypatch, FAULTY) == bench.data


def test_warnings_lock_nothing_and_are_mended(bench):
    model = bench.model
    line = mends(bench)["drop_responses_not_positive"]
    assert "warning" in line.text.value and "column <code>" in line.text.value and "row" in line.text.value
    before = len(bench.data)
    line.mend.click()
    assert len(bench.data) < before and bench.model == model
    assert bench.data.code() == "wb.load_example('theophylline').mend('drop_responses_not_positive')"
    assert bench.data_panel.example.value == "theophylline"
    assert "drop_responses_not_positive" not in mends(bench)


def test_without_former_data_a_faulty_file_locks_too():
    bench = wb.Workbench()
    assert bench.wait(60)
    hand_over(bench, FAULTY)
    for view in VIEWS:
        bench.data_panel.views.value = view
    assert bench.data is None and "has 2 errors" in bench.controls.status.value
    bench.data_panel.findings.back.click()
    assert "Choose a file" in bench.controls.status.value


# -- units ---------------------------------------------------------------------------------------------------------


def test_units_are_stated_and_converted(bench, tmp_path, monkeypatch):
    hand_over(bench, GOOD)
    model = bench.model
    for name, unit in {"TIME": "h", "DV": "mg/L", "AMT": "mg", "WT": "kg"}.items():
        column(bench, name).unit.value = unit
    assert bench.data.units == {"time": "h", "response": "mg/L", "amount": "mg", "WT": "kg"}
    assert len(bench.data.history) == 2 and bench.model == model
    columns = bench.data_panel.columns
    columns.convert.value, columns.to.value = "time", "day"
    columns.go.click()
    assert bench.data.units["time"] == "day" and bench.data.events.time.max() == pytest.approx(4 / 24)
    assert column(bench, "TIME").unit.value == "day"
    assert again(bench, tmp_path, monkeypatch, GOOD) == bench.data
    column(bench, "WT").unit.value = ""
    assert "WT" not in bench.data.units


def test_a_bad_unit_is_refused_in_words(bench):
    hand_over(bench, GOOD)
    column(bench, "TIME").unit.value = "h"
    data = bench.data
    column(bench, "TIME").unit.value = "mg"
    assert "mg" in bench.controls.status.value and "allowed: a time" in bench.controls.status.value
    assert bench.data is data and column(bench, "TIME").unit.value == "h"
    column(bench, "DV").unit.value = "parsec/fortnigth"
    assert "not known" in bench.controls.status.value and bench.data is data
    column(bench, "DV").unit.value = "ng/mL"
    assert bench.data.units["response"] == "ng/mL" and "not known" not in bench.controls.status.value


# -- figures -------------------------------------------------------------------------------------------------------


def test_colours_group_subjects():
    groups = groups_by(pd.Series([1.5, 2.5, np.nan, 3.5, 4.5, 10.0, 20.0, 30.0]), "kg")
    assert groups.labels[-1] == "missing" and len(groups.labels) == 5 and groups.colors[:4] == SEQUENTIAL
    assert groups.codes[2] == 4 and groups.codes[0] == 0 and groups.codes[-1] == 3
    levels = groups_by(pd.Series(["b", "a", "b", None]))
    assert levels.labels == ("a", "b", "missing") and list(levels.codes) == [1, 0, 1, 2]
    many = groups_by(pd.Series([f"level {i}" for i in range(12)]))
    assert len(many.labels) == len(QUALITATIVE) + 1 and many.labels[-1] == "other or missing"
    assert groups_by(pd.Series([7.25, 7.25])).labels == ("7.25",)


def test_time_after_dose_counts_additional_doses_and_resets():
    rows = [
        (0, ".", 100, 1, 24, 2, 0), (0, 5, ".", 0, ".", ".", 0), (30, 5, ".", 0, ".", ".", 0),
        (48, 5, ".", 0, ".", ".", 0), (60, 5, ".", 0, ".", ".", 0), (2, ".", ".", 3, ".", ".", 0),
        (3, 5, ".", 0, ".", ".", 0), (4, ".", 50, 1, ".", ".", 0), (5, 1, ".", 0, ".", ".", 0),
    ]  # fmt: skip
    text = "ID,TIME,DV,AMT,EVID,II,ADDL,X\n" + "".join("1," + ",".join(map(str, row)) + "\n" for row in rows)
    events = wb.read_data(text.encode(), name="x").events
    after, which = since_dose(events, slice(0, len(events.time)))
    observed = after[events.observed]
    # at 48 the third dose is not yet given; after the reset at 2 the dose is still to come
    assert list(observed) == [0, 6, 24, 12, -1, 1]
    assert len(set(which[events.observed])) == 5


def test_the_plot_follows_its_choices(bench):
    plot = bench.data_panel.plot
    assert sum(points.visible for points in plot.figure.points) == 1
    plot.color.value = "WT"
    shown = [points for points in plot.figure.points if points.visible]
    assert len(shown) == 4 and sum(len(points.x) for points in shown) == len(bench.data.observations)
    assert plot.legend.value.count("<svg") == 4 and "kg" in plot.legend.value
    plot.scale.value = True
    assert bench.state.logarithmic and all(points.y.max() < 2 for points in shown)
    bench.data_panel.example.value = "phenobarbital"
    assert plot.color.value == "WT"  # which these data have too
    before = plot.figure.plane.x.max
    plot.time.value = True
    assert plot.figure.plane.x.max < before and "after dose" in plot.figure.plane.x_axis.label
    bench.data_panel.example.value = "orange_trees"
    assert plot.time.value is False and plot.time.layout.display == "none"


def test_data_with_errors_can_be_looked_at(bench):
    hand_over(bench, FAULTY)
    for view in VIEWS:
        bench.data_panel.views.value = view
        assert bench.state.problem == ""
    bench.data_panel.views.value = "plot"
    plot = bench.data_panel.plot
    plot.color.value = "SEX"
    shown = [points for points in plot.figure.points if points.visible]
    assert sum(len(points.x) for points in shown) == 17


def test_covariates_are_charted_and_set_against_each_other(bench):
    hand_over(bench, GOOD)
    bench.data_panel.views.value = "covariates"
    panel = bench.data_panel.covariates
    assert panel.cards.value.count("wb-chart") == 2
    assert (panel.y.value, panel.x.value) == ("WT", "SEX")
    assert sorted(panel.points.y) == [55, 60, 65, 70, 75, 80]
    assert list(panel.plane.x_labels.text) == ["F", "M"]
    panel.x.value = "WT"
    assert list(panel.points.x) == list(panel.points.y)
    bench.data_panel.example.value = "quinidine"
    assert panel.x.value == "WT" and not panel.lines.visible
    panel.x.value = TIME
    assert panel.lines.visible and len(panel.points.x) > len(bench.data.events.subjects)
    panel.y.value = "RACE"
    assert list(panel.plane.y_labels.text) == ["Black", "Caucasian", "Latin"]


def test_a_card_counts_what_is_there():
    numbers = pd.Series([50.5, 60.5, 70.5, np.nan, 55.5, 57.5, 58.5, 59.5], name="WT")
    assert not is_categorical(numbers)
    html = card(numbers, "kg", varies=True)
    assert "1 missing" in html and "58.5 (50.5 – 70.5)" in html and "varies" in html
    counts = [int(n) for n in re.findall(r": (\d+)</title>", html)]
    assert sum(counts) == 7
    levels = card(pd.Series(["a", "b", "a", None], name="SEX"), "", varies=False)
    assert ">2</span>" in levels and ">1</span>" in levels and "1 missing" in levels


# -- hostile text --------------------------------------------------------------------------------------------------


def hostile_file():
    """A table whose headers, subjects and levels are markup."""
    frame = pd.DataFrame({"ID": np.repeat([f"{evil}{i}" for i, evil in enumerate(HOSTILE)], 4)})
    frame["TIME"], frame["DV"] = np.tile([-1.0, 0, 1, 4], 4), np.tile([1.0, np.nan, 5, 3], 4)
    frame["AMT"] = np.where(frame["TIME"] == 0, 10.0, np.nan)
    for i, evil in enumerate(HOSTILE):
        frame[evil] = frame["ID"] if i % 2 else np.arange(len(frame)) // 4 + 10.5
    return frame.to_csv(index=False)


def html_of(bench):
    for widget in every_widget(bench.view):
        if type(widget).__name__ == "HTML" and not widget.value.startswith(("<style>", "<span class='wb-drop'")):
            yield widget.value
        elif hasattr(widget, "description"):
            yield widget.description


@pytest.mark.parametrize("name", [f"{evil}.csv" for evil in HOSTILE])
def test_what_is_hostile_is_text_everywhere(bench, name):
    hand_over(bench, hostile_file(), name)
    seen = []
    for _ in range(2):
        for place in bench.places:
            bench.turn_to(place)
            seen += html_of(bench)
        bench.turn_to("Data")
        for view in VIEWS:
            bench.data_panel.views.value = view
            seen += html_of(bench)
        if bench.state.locked:
            mends(bench)["drop_negative_times"].mend.click()
    assert bench.data.name == name
    bench.data_panel.plot.color.value = HOSTILE[1]
    seen += html_of(bench)
    hand_over(bench, "ID,TIME,DV," + '"' + HOSTILE[1] + '"\n1,x,y,"' + HOSTILE[0] + '"\n', name)
    seen += html_of(bench)
    assert any("&lt;img" in text for text in seen) and any("&lt;script" in text for text in seen)
    assert not any(re.search(r"<script|<img", text) for text in seen)
    # a quote must not end an attribute
    assert not any(re.search(r"title='[^']*'[^ >/]", text) for text in seen)


def test_one_of_several_responses_is_plotted(bench):
    frame = wb.load_example("theophylline").to_frame()
    other = frame[frame["EVID"] == 0].assign(DV=lambda rows: 100 + rows["DV"], DVID=2)
    both = pd.concat([frame.assign(DVID=1), other]).sort_values(["ID", "TIME", "DVID"], kind="stable")
    plot = bench.data_panel.plot
    assert plot.response.layout.display == "none"
    bench.data = wb.read_data(both.reset_index(drop=True), roles={"response_id": "DVID"})
    assert plot.response.layout.display is None
    assert [text for text, _ in plot.response.options] == ["all", "1", "2"]
    assert len(plot.figure.points[0].y) == 264
    plot.response.value = 1
    assert len(plot.figure.points[0].y) == 132 and plot.figure.points[0].y.min() >= 100


BELOW = "ID,TIME,DV,WT,AGE\n" + "".join(f"{i},0,5,{70 + i},40\n{i},9,<0.5,{70 + i},40\n" for i in range(1, 19))


def test_eighteen_values_below_the_limit_are_one_finding_with_one_button(bench):
    hand_over(bench, BELOW)
    panel = bench.data_panel
    lines = [line for line in panel.findings.lines if "below the limit" in line.text.value]
    assert len(lines) == 1 and "18 values" in lines[0].text.value and lines[0].has_button
    assert lines[0].other.layout.display == "none"
    assert (bench.data.events.censored != 0).sum() == 18


def test_each_mend_is_a_chip_that_takes_it_back(bench):
    coded = BELOW.replace("1,0,5,71,40", "1,0,5,-99,999").replace("1,9,<0.5,71,40", "1,9,<0.5,-99,999")
    hand_over(bench, coded)
    panel = bench.data_panel
    for name in ("WT", "AGE"):
        coded = [x for x in panel.findings.lines if x.finding["finding"] == "missing-value code"]
        line = next(x for x in coded if x.finding["column"] == name)
        line.mend.click()
    assert bench.data.history[1:] and bench.data.content.frame[["WT", "AGE"]].isna().sum().tolist() == [2, 2]
    assert [b.description[:14] for b in shown_in(panel.findings.done.view)] == ["× read them as"] * 2
    panel.findings.done.buttons[0].click()
    assert bench.data.content.frame[["WT", "AGE"]].isna().sum().tolist() == [0, 2]
    assert len(bench.data.history) == 2


def test_a_wide_file_is_stacked_by_a_button_and_unstacked_by_a_chip(bench):
    hand_over(bench, "ID,0.5,1,2\n1,5,4,3\n2,6,5,4\n")
    panel = bench.data_panel
    assert "this looks wide" in panel.faults.value
    panel.offers.buttons["stack_times"].click()
    assert bench.data.events.observed.sum() == 6
    assert "mends=('stack_times',)" in bench.data.code()
    panel.findings.done.buttons[0].click()
    assert "this looks wide" in panel.faults.value


def test_stating_response_and_amount_by_hand_is_stating_them_in_python():
    text = b"ID,TIME,X1,X2,RATE,CENS\n1,0,.,100,50,0\n1,1,5,.,.,0\n1,2,0.1,.,.,1\n"
    file = File(text, "x.csv").with_role("X1", "response").with_role("X2", "amount")
    stated = wb.read_data(text, roles={"response": "X1", "amount": "X2"})
    assert file.read().roles == stated.roles
    assert {"rate": "RATE", "censor": "CENS"}.items() <= file.read().roles.items()


def test_an_outlier_is_ringed_and_left_out_as_a_step(bench):
    rows = "".join(
        f"{i},{t},{980 if (i, t) == (3, 2) else 40 - 5 * t + i}\n" for i in range(1, 6) for t in (0, 1, 2, 4)
    )
    hand_over(bench, "ID,TIME,DV\n" + rows)
    panel = bench.data_panel
    rings = panel.plot.figure.rings
    assert rings.visible and len(rings.x) == 1 and rings.x[0] == 2
    line = next(line for line in panel.findings.lines if line.finding["finding"] == "outlying response")
    line.mend.click()
    assert not rings.visible and bench.data.events.observed.sum() == 19
    assert str(bench.data.history[-1]) == "mend('drop_outlying_responses')"
