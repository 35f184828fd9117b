"""Which covariates can be screened, and in which form."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.engine.problem.layout import columns_by_record
from workbench.screening import usable_covariates

N = 60


def grouped(**covariates):
    """Two observations of each of N subjects; a covariate has N values, or two for each subject."""
    frame = pd.DataFrame({"ID": np.repeat(np.arange(1, N + 1), 2), "TIME": np.tile([0.0, 1.0], N), "DV": 1.0})
    for name, values in covariates.items():
        frame[name] = np.repeat(np.asarray(values), 2) if len(values) == N else np.asarray(values)
    return wb.read_data(frame, roles={"covariates": list(covariates)})


@pytest.fixture(scope="module")
def weight():
    return np.random.default_rng(1).lognormal(4.2, 0.2, N)


def only(data):
    (candidate,), refused = usable_covariates(data)
    assert refused == ()
    return candidate


def reason(data, name):
    return dict(usable_covariates(data)[1])[name]


def test_numbers(weight):
    found = only(grouped(WT=weight))
    assert (found.kind, found.missing, found.varies, found.twin, found.remarks) == ("continuous", 0, 0, "", ())
    assert np.array_equal(found.baseline, weight) and found.median == np.median(weight)
    assert found.shapes(wb.Parameter("CL")) == ("power", "exponential")
    assert found.shapes(wb.Parameter("E0", transform="identity")) == ("linear",)
    assert found.columns("power")[:, 0] == pytest.approx(np.log(weight / np.median(weight)))
    assert found.columns("exponential")[:, 0] == pytest.approx(weight - np.median(weight))


def test_no_power_of_what_is_not_positive(weight):
    assert only(grouped(BIAS=weight - weight.mean())).shapes(wb.Parameter("CL")) == ("exponential",)


def test_categories():
    found = only(grouped(RACE=np.tile(["white", "asian", "black"], N // 3)))
    assert found.kind == "categorical" and found.levels == ("asian", "black", "white")
    assert found.shapes(wb.Parameter("CL")) == ("categorical",)
    assert found.columns("categorical")[:3].tolist() == [[0, 1], [0, 0], [1, 0]]


def test_categories_are_those_of_the_model(weight):
    data = wb.load_example("quinidine")
    candidates, refused = usable_covariates(data)
    assert not refused
    for candidate in candidates:
        if candidate.kind == "categorical":
            model = wb.Model(wb.pk()).with_covariate("CL", candidate.name, shape="categorical")
            values, labels = columns_by_record(model["CL"].covariates[0].term, data)
            assert [f"C({candidate.name})[{level}]" for level in candidate.levels[1:]] == list(labels)
            baseline = values[data.events.start[:-1]]
            assert np.array_equal(candidate.columns("categorical"), baseline)


def test_missing_values_are_counted(weight):
    gone = weight.copy()
    gone[[3, 5]] = np.nan
    found = only(grouped(WT=gone))
    assert found.missing == 2 and "2 subjects have no value and are left out." in found.remarks
    assert found.median == np.nanmedian(gone)
    text = np.where(np.arange(N) == 7, None, np.tile(["a", "b"], N // 2))
    found = only(grouped(SEX=text))
    assert found.missing == 1 and np.isnan(found.columns("categorical")[7]).all()


def test_the_first_value_counts_where_it_changes(weight):
    changing = np.stack([weight, weight + 1], axis=1).ravel()
    changing[0] = np.nan  # the first value that there is
    found = only(grouped(WT=changing))
    assert found.varies == N - 1 and f"It changes within {N - 1} subjects; first values are taken." in found.remarks
    assert np.array_equal(found.baseline, [weight[0] + 1, *weight[1:]])


def test_identical_covariates_are_named(weight):
    sex = np.tile(["f", "m"], N // 2)
    candidates, _ = usable_covariates(
        grouped(WT=weight, POUNDS=weight * 2.2046, SHIFTED=weight + 1, SEX=sex, MALE=(sex == "m").astype(int))
    )
    assert {c.name: c.twin for c in candidates} == {"WT": "", "POUNDS": "WT", "SHIFTED": "", "SEX": "", "MALE": "SEX"}
    assert candidates[1].remarks == ("Identical with WT.",)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full(N, 3.5), "It is constant: 3.5."),
        (np.full(N, "a"), "It is constant: 'a'."),
        (np.tile([2.0, 3.5], N), "Its first value is the same in all subjects: 2."),
        (np.where(np.arange(N) < 3, np.arange(N), np.nan), "3 of 60 subjects have a value; 4 are needed."),
        (np.where(np.arange(N) == 9, "odd", "usual"), "A single subject has 'odd'"),
        ([f"site {i % 40}" for i in range(N)], "40 levels in 60 subjects are too many to tell apart"),
    ],
)
def test_refused_in_words(values, words, weight):
    data = grouped(WT=weight, X=values)
    candidates, refused = usable_covariates(data)
    assert [c.name for c in candidates] == ["WT"] and [r.name for r in refused] == ["X"]
    assert words in refused[0].reason


def test_infinite_values_are_refused(weight):
    values = weight.copy()
    values[4] = np.inf
    assert "It is infinite in 1 of 60 subjects" in reason(grouped(X=values), "X")


@pytest.mark.parametrize("name", ["body weight", "log", "class"])
def test_a_name_that_no_formula_can_hold(name, weight):
    assert "rename the column to one word" in reason(grouped(**{name: weight}), name)


def test_chosen_covariates_and_unknown_ones(weight):
    data = grouped(WT=weight, AGE=weight[::-1])
    assert [c.name for c in usable_covariates(data, ["AGE"])[0]] == ["AGE"]
    assert [c.name for c in usable_covariates(data, "AGE")[0]] == ["AGE"]
    with pytest.raises(wb.ModelError, match="There is no covariate 'HT'"):
        usable_covariates(data, ["HT"])
    assert usable_covariates(wb.load_example("indomethacin")) == ((), ())
