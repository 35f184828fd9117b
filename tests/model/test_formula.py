"""Covariate formulas: what may be written, what is refused, and the columns that come out."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.language.formula import columns_of, median_columns, spelled_number, split_terms
from workbench.model.design import design_columns, with_medians

RECORDS = pd.DataFrame(
    {
        "WT": [50.0, 50.0, 60.0, 80.0],
        "AGE": [20, 20, 40, 66],
        "SEX": ["F", "F", "M", "F"],
        "RACE": ["a} + {b", "a} + {b", "it's", "Asian"],
        "ARM": [1.0, 1.0, 2.0, 3.0],
        "OLD": [False, False, False, True],
    }
)
FIRST = np.array([True, False, True, True])


def values(formula):
    (term,) = split_terms(formula)
    return design_columns(term, RECORDS, first=FIRST)[0].T.tolist()


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("log(WT/70) + C(SEX)", ("log(WT/70)", "C(SEX)")),
        ("AGE - 40", ("(AGE-40)",)),
        ("WT + AGE - 40", ("WT", "(AGE-40)")),
        ("WT + (AGE - 40 + HT)", ("WT", "(AGE-40)", "HT")),
        ("WT - 1 - 2", ("(WT-1-2)",)),
        ("(WT/70)**0.75", ("(WT/70)**0.75",)),
        ("-WT", ("-WT",)),
        ("C(RACE, 'a b') + C(ARM,2)+C(X, -1)", ("C(RACE,'a b')", "C(ARM,2)", "C(X,-1)")),
        ("below(AGE, 65) + above( AGE,median( AGE ) )", ("below(AGE,65)", "above(AGE,median(AGE))")),
        ("APGR < 5", ("(APGR<5)",)),
        ('(SEX == "F")*WT + ("a  b" != RACE)', ("(SEX=='F')*WT", "('a  b'!=RACE)")),
    ],
)
def test_formulas_split_into_terms(formula, expected):
    assert split_terms(formula) == expected
    assert split_terms(" + ".join(expected)) == expected


def test_columns_of_a_term():
    assert columns_of("log(WT/70)*AGE") == ("WT", "AGE")
    assert columns_of("C(SEX,'F')") == ("SEX",)
    assert columns_of("above(AGE,median(WT))") == ("AGE", "WT")
    assert median_columns("above(AGE,median(WT))*median(HT)") == ("WT", "HT")
    assert median_columns("(median=='median')") == ()


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "WT.__class__", "(lambda: 1)()", "[x for x in WT]", "open('x')",
        "WT if AGE else 1", "log(WT", "", "   ", "1 + 2", "C(WT, AGE)", "C(log(WT))", "log(WT, 2)", "log(x=WT)",
        "WT**AGE", "'text'", "True*WT", "WT @ AGE", "WT[0]", "f'{WT}'", "WT := 3", "*WT", "log", "1e999*WT", "x" * 600,
        "(" * 300 + "WT" + ")" * 300, "-" * 400 + "WT", "*".join(["WT"] * 100), "9" * 400 + "*WT",
        "C(WT, 1, 2)", "C(WT, None)", "C(WT, True)", "C(SEX, f'F')", "C(SEX, 1e999)", "C(SEX) - 1", "2*C(SEX)",
        "below(WT)", "above(WT, 1, 2)", "below(WT, r=3)", "median(WT)", "median(WT) - 70", "median(log(WT))*WT",
        "median(WT, AGE)*WT", "median + WT", "WT < AGE < 3", "SEX < 'F'", "'F' == 'F'", "SEX in 'F'", "SEX is AGE",
        "(SEX == 'F') and WT", "not WT", "SEX == 'a' + 'b'", "log(SEX) == 'F'", "b'F' == SEX", "WT == None", "...",
        "WT**median(AGE)", "\x00WT", "WT;AGE", "WT\nAGE", "1j*WT", "WT^2", "~WT", "WT//2", "WT%2",
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused(text):
    with pytest.raises(wb.ModelError):
        wb.Parameter("CL", covariates=text or " ")


def test_the_fault_is_pointed_at():
    with pytest.raises(wb.ModelError) as error:
        split_terms("log(WT/70) + sin(AGE)")
    lines = str(error.value).split("\n")
    assert lines[1].index("sin") == lines[2].index("^")
    assert "sin(…)" in lines[0] and "below, above, median(column)" in lines[3]


def check(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's own about the text, such as that of '\d'
        try:
            found = split_terms(text)
        except wb.ModelError:
            return
    assert found
    assert split_terms(" + ".join(found)) == found
    assert all(columns_of(term) for term in found)
    assert all(split_terms(term) == (term,) for term in found)


@given(st.text(alphabet="WTAGElogexpC()+-*/.0123456789 _[]'\"\\\n,:=<>!medianbelow{}", max_size=40))
def test_any_text_is_a_formula_or_a_model_error(text):
    check(text)


@given(st.text(max_size=60))
def test_any_text_at_all_is_a_formula_or_a_model_error(text):
    check(text)


names = st.sampled_from(["WT", "AGE", "OLD"])
factors = st.one_of(
    names, st.builds("{}({})".format, st.sampled_from(["exp", "abs"]), names),
    st.builds("{}({}, {})".format, st.sampled_from(["below", "above"]), names, st.sampled_from(["65", "median(WT)"])),
    st.builds("({} {} {})".format, names, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(-5, 70)),
    st.builds("({} {} {!r})".format, st.sampled_from(["SEX", "RACE"]), st.sampled_from(["==", "!="]),
              st.sampled_from([*RECORDS["SEX"], *RECORDS["RACE"], "'", "{", "}", '"', "+ ~ |"])),
)  # fmt: skip
products = st.lists(factors, min_size=1, max_size=3).map(" * ".join)


@given(st.lists(products, min_size=1, max_size=3))
def test_a_formula_means_what_python_means(summands):
    by_hand = {
        "exp": np.exp, "abs": np.abs, "below": lambda c, at: np.minimum(c - at, 0.0),
        "above": lambda c, at: np.maximum(c - at, 0.0), "median": lambda c: float(np.median(c[FIRST])),
        **{name: RECORDS[name].to_numpy(dtype=None if name in ("SEX", "RACE") else float) for name in RECORDS},
    }  # fmt: skip
    terms = split_terms(" + ".join(summands))
    assert len(terms) == len(summands)
    for term, summand in zip(terms, summands, strict=True):
        got, labels = design_columns(term, RECORDS, first=FIRST)
        expected = np.broadcast_to(np.asarray(eval(summand, by_hand), dtype=float), len(RECORDS))
        np.testing.assert_allclose(got[:, 0], expected)
        assert labels == (term,)


# -- the columns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("log(WT/median(WT))", [np.log([50 / 60, 50 / 60, 1.0, 80 / 60]).tolist()]),
        ("AGE - median(AGE)", [[-20, -20, 0, 26]]),
        ("below(AGE, 40)", [[-20, -20, 0, 0]]),
        ("above(AGE, 40)", [[0, 0, 0, 26]]),
        ("AGE >= 40", [[0, 0, 1, 1]]),
        ("2*(SEX != 'M')", [[2, 2, 0, 2]]),
        ("RACE == 'a} + {b'", [[1, 1, 0, 0]]),
        ("OLD", [[0, 0, 0, 1]]),
        ("ARM == 2", [[0, 0, 1, 0]]),
        ("2**-1*WT", [[25, 25, 30, 40]]),
        ("C(SEX)", [[0, 0, 1, 0]]),
        ("C(SEX, 'M')", [[1, 1, 0, 1]]),
        ("C(OLD)", [[0, 0, 0, 1]]),
        ("C(ARM)", [[0, 0, 1, 0], [0, 0, 0, 1]]),
        ("C(ARM, 2)", [[1, 1, 0, 0], [0, 0, 0, 1]]),
        ("C(ARM, '3')", [[1, 1, 0, 0], [0, 0, 1, 0]]),
        ('C(RACE, "it\'s")', [[0, 0, 0, 1], [1, 1, 0, 0]]),
    ],
)
def test_columns_by_hand(formula, expected):
    np.testing.assert_allclose(values(formula), expected)


def test_labels_name_the_levels():
    assert design_columns("C(SEX,'M')", RECORDS)[1] == ("C(SEX,'M')[F]",)
    assert design_columns("C(ARM)", RECORDS)[1] == ("C(ARM)[2.0]", "C(ARM)[3.0]")
    assert design_columns("log(WT/median(WT))", RECORDS, first=FIRST)[1] == ("log(WT/median(WT))",)


def test_categories_keep_their_own_order():
    ordered = pd.DataFrame({"DOSE": pd.Categorical(["low", "high", "low"], ["none", "low", "high"])})
    assert design_columns("C(DOSE)", ordered)[1] == ("C(DOSE)[high]",)


def test_medians_are_spelled_without_the_digits_of_rounding():
    frame = pd.DataFrame({"WT": [0.1 + 0.2, 0.1 + 0.2], "T": [-3.0, -3.0]})
    assert with_medians("log(WT/median(WT))", frame) == "log(WT/0.3)"
    assert with_medians("(T-median(T))", frame) == "(T--3)"
    assert with_medians("log(WT/70)", frame) == "log(WT/70)"
    assert float(spelled_number(1e300)) == 1e300 and spelled_number(-70.0) == "-70"


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("log(WT - 50)", r"not a number on 2 of 4 records \(the first has WT=50"),
        ("log(SEX)", r"SEX is text, not numbers; use C\(SEX\)"),
        ("(SEX < 3)", "SEX is text"),
        ("(SEX == 'F')*SEX", "SEX is text"),
        ("C(SEX, 'X')", "no level 'X'. It has F, M"),
        ("WT**400", "not a number"),
        ("above(WT, median(SEX))", "SEX is text, and text has no median"),
    ],
)
def test_what_the_data_do_not_allow_is_refused_in_words(formula, words):
    with pytest.raises(wb.ModelError, match=words):
        values(formula)


def test_one_level_says_nothing():
    with pytest.raises(wb.ModelError, match="single level"):
        design_columns("C(SEX)", RECORDS[:2])


def test_a_median_needs_to_know_the_subjects():
    with pytest.raises(wb.ModelError, match="with_centred"):
        design_columns("log(WT/median(WT))", RECORDS)
    with pytest.raises(wb.ModelError, match="no column WT"):
        with_medians("log(WT/median(WT))", RECORDS[["AGE"]])
    with pytest.raises(wb.ModelError, match="no finite median"):
        with_medians("log(WT/median(WT))", pd.DataFrame({"WT": [np.nan]}))


@pytest.mark.parametrize("level", ["\U00100000", "\U0001f600", "\xa0", "\x01", "it's"])
def test_levels_of_any_characters_are_read_as_they_are(level):
    model = wb.Model(wb.pk()).with_covariate("CL", "SEX", shape="categorical", reference=level)
    (effect,) = model["CL"].covariates
    assert split_terms(effect.term) == (effect.term,)
    assert eval(repr(model), {"wb": wb}) == model
