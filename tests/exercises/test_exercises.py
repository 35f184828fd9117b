"""Twelve exercises: whoever does it right has all points, whoever does not is told why, and nobody reads the truth."""

import dataclasses
import gc
import json
import pickle
import re
import subprocess
import sys

import jsonschema
import numpy as np
import pytest

import workbench as wb
from workbench.exercises.exercise import _made
from workbench.exercises.secret import Draws
from workbench.exercises.topics import TOPICS

from .solutions import SOLUTIONS

KEY = "a key of a lecturer, long enough"


def truth(topic, seed, key=None):
    return _made(Draws.of(topic, str(seed), key))[0]


@pytest.fixture(scope="module")
def task():
    return wb.exercises.exercise("intravenous", "Ada", KEY)


@pytest.fixture(scope="module")
def fit(task):
    return wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), task.data)


# -- the twelve ----------------------------------------------------------------------------------------------------


def test_there_are_twelve_and_each_says_what_to_do():
    assert list(TOPICS) == list(SOLUTIONS) == wb.exercises.catalogue().index.tolist() and len(TOPICS) == 12
    for name in TOPICS:
        task = wb.exercises.exercise(name, 3)
        assert len(task.hints) == 3 and task.hint(3) == task.hints[2]
        assert "{" not in task.task.replace("{…}", "").replace('{"dose": …}', "")
    with pytest.raises(wb.ModelError, match="there are 3 hints"):
        task.hint(4)


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("key", [None, KEY])
def test_whoever_does_it_right_has_all_points(topic, key):
    task = wb.exercises.exercise(topic, "Grace", key)
    graded = task.check(**SOLUTIONS[topic](task), key=key)
    assert graded.points == graded.out_of == 10, graded
    assert graded.kind == ("practice" if key is None else "graded") and graded.is_final
    assert all(sentence.endswith(".") for sentence in graded.sentences)


@pytest.mark.slow
@pytest.mark.parametrize("topic", TOPICS)
def test_nearly_every_seed_gives_all_points_for_the_right_model(topic):
    points = []
    for seed in range(25):
        task = wb.exercises.exercise(topic, seed)
        points.append(task.check(**SOLUTIONS[topic](task)).points)
    assert sum(p == 10 for p in points) >= 23 and min(points) >= 8, points


def _bolus(task, **options):
    return wb.fit(wb.Model(wb.pk(), error=wb.Proportional(), **options), task.data)


WRONG = {
    "intravenous": (lambda t: wb.fit(wb.Model(wb.pk(), error=wb.Constant()), t.data), "b", "no b among"),
    "absorption": (lambda t: wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), t.data), "structure", "taken up"),
    "pooling": (lambda t: wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), t.data, "pooled"), "mixed effects",
                "no random effects"),
    "below-limit": (lambda t: _bolus(t, blq="M1"), "below the limit", "left out"),
    "slip": (_bolus, "found", "still in the data"),
    "weight": (lambda t: wb.fit(wb.Model(wb.pk(), error=wb.Proportional()).with_covariate("V", "AGE"), t.data),
               "nothing else", "AGE on V"),
    "correlation": (_bolus, "block", "independent"),
    "occasions": (_bolus, "occasions", "residual error"),
    "growth": (lambda t: wb.fit(wb.Model(wb.equation("A*exp(s*t)"), [wb.Parameter("A", iiv=True), wb.Parameter("s")],
                                         error=wb.Constant()), t.data), "curve", "%"),
    "dose": (lambda t: wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), t.data), "dose", "No dose"),
}  # fmt: skip


@pytest.mark.parametrize("topic", WRONG)
def test_whoever_does_it_wrong_is_told_why(topic):
    work, mark, said = WRONG[topic]
    task = wb.exercises.exercise(topic, "Grace", KEY)
    graded = task.check(work(task), key=KEY)
    assert graded.points < 10 and not graded[mark].passed
    assert re.search(said, graded[mark].reason), graded[mark]


def test_the_wrong_error_model_is_half_right_where_it_holds_the_true_one():
    seeds = {truth("error-model", seed).facts["kind"]: seed for seed in range(20)}
    assert set(seeds) == {"constant", "proportional", "combined"}
    task = wb.exercises.exercise("error-model", seeds["proportional"])
    earned = {
        type(e).__name__: task.check(wb.fit(wb.Model(wb.pk(), error=e), task.data))["error model"].earned
        for e in (wb.Constant(), wb.Combined2(), wb.Proportional())
    }
    assert earned == {"Constant": 0, "Combined2": 2, "Proportional": 4}


def test_the_other_minimum_of_a_flip_flop_is_refused_with_the_half_life():
    task = wb.exercises.exercise("flip-flop", 1)
    values = {"ka": 0.7, "CL": 12.0, "V": 170.0}
    mark = task.check(values)["slower step"]
    assert mark.earned == 0 and "half-life" in mark.reason


# -- what may be handed in -----------------------------------------------------------------------------------------


def test_a_workbench_is_taken_as_it_stands(task):
    bench = wb.Workbench(task.data, wb.Model(wb.pk(), error=wb.Proportional()))
    nothing = task.check(bench, key=KEY)
    assert nothing.points == 0 + nothing["structure"].earned and "Nothing was fitted" in nothing["fit"].reason
    bench.run()
    assert bench.wait(120)
    graded = task.check(bench, key=KEY)
    assert graded.points == 10
    bench.method = "pooled"
    bench.run()
    assert bench.wait(120)
    assert task.answer(bench).methods == ("pooled", "focei")
    bench.close()


def test_a_model_and_values_are_taken_too(task, fit):
    by_model = task.check(fit.model, key=KEY)
    assert by_model["CL"].earned == 2 and by_model["fit"].earned == 0
    values = {name: fit.estimate(name).value for name in ("CL", "V")}
    assert task.check(values, key=KEY)["CL"].earned == 2
    assert task.check(values=values, key=KEY).points == 4


@pytest.mark.parametrize("bad", [None, 3, "CL", [1], wb.Workbench])
def test_anything_else_is_refused(task, bad):
    with pytest.raises(wb.ModelError, match="What is checked is a Workbench"):
        task.check(bad)
    with pytest.raises(wb.ModelError, match="a number or a short text"):
        task.check({"CL": [1]})


def test_data_that_were_changed_are_seen(task):
    less = task.data.exclude(subject=3)
    graded = task.check(wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), less), key=KEY)
    assert graded["fit"].earned == 0.5 and "9 rows were left out" in graded["fit"].reason


# -- the key -------------------------------------------------------------------------------------------------------


def everything_in(value, seen):
    """All values that can be reached from one, slots, closures and caches included."""
    if id(value) in seen or len(seen) > 200_000:
        return
    seen[id(value)] = value
    for below in gc.get_referents(value):
        if not isinstance(below, type(sys) | type):
            everything_in(below, seen)


def test_no_truth_and_no_key_can_be_reached_from_an_exercise(task, fit):
    true = truth("intravenous", "Ada", KEY).estimates
    opened = wb.exercises.Exercise.from_dict(json.loads(json.dumps(task.to_dict())))
    open_one = opened.check(fit)
    for value in (opened, opened.answer(fit), open_one):
        seen = {}
        text = f"{value!r} {json.dumps(value.to_dict())} {vars(value) if hasattr(value, '__dict__') else ''}"
        for field in dataclasses.fields(value):
            everything_in(getattr(value, field.name), seen)
        numbers = {v for v in seen.values() if isinstance(v, float)}
        for name, number in true.items():
            assert number not in numbers, name
            assert not re.search(rf"(?<![\d.]){number!r}(?![\d])", re.sub(r'"DV".*?]', "", text)) or name in ("CL", "V")
        assert KEY not in text and KEY.encode() not in pickle.dumps(text)
    assert open_one.kind == "open" and open_one.compared == () and not open_one.is_final
    assert open_one.points == 1 and open_one["everything else"].earned is None


def test_without_the_key_the_truth_is_another():
    keyed, other, public = (truth("absorption", 7, k).estimates for k in (KEY, KEY + "!", None))
    assert len({v["CL"] for v in (keyed, other, public)}) == 3
    assert truth("absorption", 8, KEY).estimates != keyed and truth("absorption", 7, KEY).estimates == keyed
    a, b = (wb.exercises.exercise("absorption", 7, KEY) for _ in range(2))
    assert a.data == b.data and a.seal == b.seal


def test_practice_says_so(task):
    practice = wb.exercises.exercise("absorption", 1)
    assert not practice.sealed and "practice" in repr(practice) and "compute it" in practice.sentence
    assert "lecturer's key" in repr(task) and "practice" not in repr(task)


def test_the_wrong_key_and_changed_data_are_refused(task, fit):
    with pytest.raises(wb.ModelError, match="This key did not make this exercise"):
        task.check(fit, key=KEY + " of another")
    with pytest.raises(wb.ModelError, match="This key did not make this exercise"):
        wb.exercises.grade(task.answer(fit), KEY + " of another")
    tampered = dataclasses.replace(task, data=wb.exercises.exercise("intravenous", "Ada").data)
    with pytest.raises(wb.ModelError, match="have been changed"):
        tampered.check(fit, key=KEY)
    claimed = dataclasses.replace(task, sealed=False)  # an exercise that says it is practice
    with pytest.raises(wb.ModelError, match="This key did not make"):
        claimed.check(fit)
    with pytest.raises(wb.ModelError, match="16 or more are needed"):
        wb.exercises.exercise("dose", 1, "short")
    with pytest.raises(wb.ModelError, match="The lecturer's key is needed"):
        wb.exercises.grade(task.answer(fit))


def test_the_key_is_taken_from_the_environment(task, fit, monkeypatch):
    assert task.check(fit).kind == "open"
    monkeypatch.setenv("WORKBENCH_EXERCISES_KEY", KEY)
    assert task.check(fit).kind == "graded"
    assert wb.exercises.grade(task.answer(fit)).points == 10
    monkeypatch.setenv("WORKBENCH_EXERCISES_KEY", "short")
    with pytest.raises(wb.ModelError, match="16 or more"):
        task.check(fit)


def test_keys_are_new_each_time():
    assert len({wb.exercises.new_key() for _ in range(50)}) == 50


# -- files ---------------------------------------------------------------------------------------------------------


def test_files_go_out_and_come_back(task, fit, tmp_path):
    out = wb.exercises.opened(task.save(tmp_path / "out.json"))
    assert out.data == task.data and out.task == task.task and out.sealed
    answer = out.answer(fit, student="Ada L.")
    back = wb.exercises.opened(answer.save(tmp_path / "in.json"))
    assert back == answer and back.student == "Ada L."
    graded = wb.exercises.grade(tmp_path / "in.json", KEY)
    assert graded.points == 10 and graded.student == "Ada L."
    again = wb.exercises.opened(graded.save(tmp_path / "graded.json"))
    assert repr(again) == repr(graded) and again.estimates.equals(graded.estimates)
    for value in (answer, graded):
        jsonschema.validate(json.loads(json.dumps(value.to_dict())), wb.json_schema(type(value)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "__import__('os').system('echo hello')"}, "damaged"),
        ({"source": "nowhere"}, "damaged"),
        ({"lines": 3}, "damaged"),
        ({"method": "magic"}, "damaged"),
        ({"values": {"CL": [1]}}, "damaged"),
        ({"topic": None}, "damaged|topic"),
    ],
)
def test_an_answer_from_a_stranger_is_read_and_never_evaluated(task, fit, tmp_path, change, said):
    record = {**json.loads(json.dumps(task.answer(fit).to_dict())), **change}
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(record))
    with pytest.raises(wb.WorkbenchError, match=said):
        wb.exercises.grade(file, KEY)
    with pytest.raises(wb.FileError, match="neither an exercise"):
        file.write_text(json.dumps({"schema": 1, "result": "Bootstrap"}))
        wb.exercises.opened(file)
    with pytest.raises(wb.FileError, match="no file"):
        wb.exercises.opened(tmp_path / "none.json")


def test_estimates_that_nobody_fitted_are_found_out(task, fit):
    honest = task.answer(fit)
    assert "gives the estimates that were handed in" in wb.exercises.grade(honest, KEY, verify=True).remarks[0]
    typed = tuple(line._replace(estimate=line.estimate * 1.1) if line.name == "CL" else line for line in honest.lines)
    (said,) = wb.exercises.grade(dataclasses.replace(honest, lines=typed), KEY, verify=True).remarks
    assert "other estimates than were handed in: CL" in said


def test_text_of_students_is_escaped(task, fit):
    graded = task.check(fit, student="<script>alert(1)</script>", key=KEY)
    assert "<script>" not in graded._repr_html_() and "&lt;script&gt;" in graded._repr_html_()
    assert "<script>" not in wb.exercises.summary([graded])._repr_html_()


# -- the class -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results():
    """Forty students: thirty with FOCEI, ten pooled."""
    found = []
    for k in range(40):
        task = wb.exercises.exercise("intravenous", f"student {k}", KEY)
        found.append(task.check(_bolus(task) if k < 30 else wb.fit(
            wb.Model(wb.pk(), error=wb.Proportional()), task.data, "pooled"), key=KEY))  # fmt: skip
    return found


def test_a_class_of_forty_in_one_cell(results):
    pooled = wb.exercises.summary(results)
    assert len(pooled.scores) == 40
    assert pooled.choices["students"].tolist() == [30, 10]
    line = pooled.table.loc[("intravenous", "iiv_CL")]
    mine = [r.estimates.loc["iiv_CL"] for r in results if "iiv_CL" in r.estimates.index]
    off = np.array([100 * (row["estimate"] / row["truth"] - 1) for row in mine])
    assert line["students"] == len(mine) == 30
    assert line["bias"] == pytest.approx(off.mean()) and line["spread"] == pytest.approx(off.std(ddof=1))
    covered = [row["lower"] <= row["truth"] <= row["upper"] for row in mine]
    assert line["covered"] == pytest.approx(np.mean(covered)) and line["coverage_lower"] < np.mean(covered)
    assert line["shrinkage"] == pytest.approx(np.mean([row["shrinkage"] for row in mine]))
    assert abs(pooled.table.loc[("intravenous", "CL"), "bias"]) < 15
    clearance = pooled.table.loc[("intravenous", "CL")]
    assert clearance["students"] == 40 and clearance["covered"] > 0.6
    assert pooled.sentences[0].startswith("intravenous: 40 answers") and "Most chose 1-compartment" in repr(pooled)
    assert pooled.marks.iloc[0]["share"] < 0.8
    jsonschema.validate(json.loads(json.dumps(pooled.to_dict())), wb.json_schema(type(pooled)))


def test_a_class_is_pooled_from_files_too(results, tmp_path, task, fit):
    for k, graded in enumerate(results[:3]):
        graded.save(tmp_path / f"{k}.json")
    task.save(tmp_path / "task.json")
    task.answer(fit).save(tmp_path / "answer.json")
    pooled = wb.exercises.summary(tmp_path, KEY)
    assert len(pooled.graded) == 4
    same = wb.exercises.summary([results[0].to_dict(), *(tmp_path / f"{k}.json" for k in (1, 2))])
    assert same.table.equals(wb.exercises.summary(results[:3]).table)
    with pytest.raises(wb.ModelError, match="no results"):
        wb.exercises.summary([])
    with pytest.raises(wb.ModelError, match="got int"):
        wb.exercises.summary([3])


def test_what_hides_in_a_class_is_said(results, task, fit):
    pooled = wb.exercises.summary([results[0], results[0], task.check(fit)])
    assert any("More than one answer to the same seed" in said for said in pooled.remarks)
    assert any("without the lecturer's key" in said for said in pooled.remarks)


def test_no_widget_is_loaded():
    code = (
        "import sys, workbench as wb; t = wb.exercises.exercise('intravenous', 1); "
        "t.check(wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), t.data)); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"ipywidgets", "bqplot", "IPython", "matplotlib"} & set(done.stdout.split())
