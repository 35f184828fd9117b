"""Models as values: printing, editing, refusing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.model.formula import columns_of, split_terms

ORAL = wb.pk(absorption="first-order")


def full():
    parameters = [
        wb.Parameter("ka", 1.5, iiv=0.4),
        wb.Parameter("CL", 2.8, iiv=0.3, covariates="log(WT/70) + C(SEX)"),
        wb.Parameter("V", 32, iiv=0.2),
    ]
    return wb.Model(ORAL, parameters, error=wb.Combined(0.5, 0.1), correlate=[("CL", "V")])


# -- printing ----------------------------------------------------------------------------------------------------------

numbers = st.floats(1e-6, 1e6)
errors = st.one_of(
    st.builds(wb.Constant, numbers), st.builds(wb.Proportional, numbers),
    st.builds(wb.Combined, numbers, numbers), st.builds(wb.Combined2, st.none() | numbers, st.none() | numbers),
)  # fmt: skip
terms = st.sampled_from(["log(WT/70)", "(AGE-40)", "C(SEX)", "sqrt(WT)", "WT*AGE", "-WT", "(WT/70)**0.75", "exp(-AGE)"])


@st.composite
def models(draw):
    structure = draw(st.builds(wb.pk, absorption=st.sampled_from([None, "first-order"]),
                               parameters=st.sampled_from(["clearance", "rate"])))  # fmt: skip
    parameters = []
    for name in structure.names:
        chosen = draw(st.lists(terms, unique=True, max_size=3))
        value = draw(st.none() | numbers)
        effects = [
            wb.Effect(t, draw(st.none() | st.floats(-3, 3))) if draw(st.booleans()) else wb.Effect(t) for t in chosen
        ]
        parameters.append(
            wb.Parameter(
                name, value, draw(st.none() | st.just(True) | numbers), covariates=effects,
                transform=draw(st.sampled_from(["log", "identity"])),
                fixed=value is not None and draw(st.booleans()),
            )
        )  # fmt: skip
    random = [p.name for p in parameters if p.iiv is not None]
    correlate = None
    if len(random) > 1 and draw(st.booleans()):
        correlate = [wb.Block(*random[:2], correlations=[draw(st.floats(-0.99, 0.99))])]
    return wb.Model(structure, draw(st.permutations(parameters)), draw(errors), correlate)


@settings(deadline=None)
@given(models())
def test_a_model_prints_itself(model):
    assert eval(repr(model), {"wb": wb}) == model
    assert hash(model) == hash(eval(repr(model), {"wb": wb}))


def test_the_text_is_readable():
    assert repr(full()) == (
        "wb.Model(\n"
        '    wb.pk(compartments=1, absorption="first-order"),\n'
        "    [\n"
        "        wb.Parameter('ka', 1.5, iiv=0.4),\n"
        "        wb.Parameter('CL', 2.8, iiv=0.3, covariates='log(WT/70) + C(SEX)'),\n"
        "        wb.Parameter('V', 32.0, iiv=0.2),\n"
        "    ],\n"
        "    error=wb.Combined(a=0.5, b=0.1),\n"
        "    correlate=[('CL', 'V')],\n"
        ")"
    )


# -- editing -----------------------------------------------------------------------------------------------------------


def test_edits_return_new_models():
    model = full()
    edited = model.with_error(wb.Proportional(0.1)).with_covariate("V", "WT", shape="power", reference=70)
    assert model == full()
    assert edited.error == wb.Proportional(0.1)
    assert edited["V"].covariates == (wb.Effect("log(WT/70)"),)
    assert edited.without_covariate("V", "WT") == model.with_error(wb.Proportional(0.1))
    assert model.with_values({"CL": 3.0})["CL"].value == 3.0
    assert model.with_covariate("V", "AGE", shape="exponential", reference=-40)["V"].covariates[0].term == "(AGE--40)"


def test_taking_away_a_random_effect_takes_it_out_of_its_block():
    assert full().with_parameter("CL", iiv=None).correlate == ()
    three = full().with_correlate([wb.Block("ka", "CL", "V", correlations=[0.1, 0.2, 0.3])])
    assert three.with_parameter("CL", iiv=None).correlate == (wb.Block("ka", "V", correlations=[0.2]),)


def test_changing_the_structure_keeps_what_both_have():
    iv = full().with_structure(wb.pk())
    assert [p.name for p in iv.parameters] == ["CL", "V"]
    assert iv["CL"] == full()["CL"]
    assert iv.correlate == full().correlate
    assert iv.with_structure(ORAL)["ka"] == wb.Parameter("ka", iiv=True)


def test_full_is_all_random_effects():
    assert full().with_correlate("full").correlate == (wb.Block("ka", "CL", "V"),)


def test_without_parameters_all_are_found():
    model = wb.Model(ORAL)
    assert [p.name for p in model.parameters] == ["ka", "CL", "V"]
    assert not model.is_complete
    assert full().is_complete


# -- refusing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: wb.pk(compartments=7), r"compartments=7.*allowed is 1"),
        (lambda: wb.pk(absorption="oral"), r"absorption='oral'.*first-order"),
        (lambda: wb.Model(wb.pk(), [wb.Parameter("CL"), wb.Parameter("Vd")]), r"no parameter Vd\. It has CL, V"),
        (lambda: wb.Model(wb.pk(), [wb.Parameter("CL")]), "missing: V"),
        (lambda: wb.Model(wb.pk(), [wb.Parameter("CL"), wb.Parameter("CL"), wb.Parameter("V")]), "twice"),
        (lambda: wb.Model(wb.pk(), ["CL", "V"]), "wb.Parameter"),
        (lambda: wb.Model("oral"), "structure such as"),
        (lambda: wb.Model(wb.pk(), error="constant"), "wb.Constant"),
        (lambda: full().with_correlate([("CL", "Q")]), "names Q, which has no random effect. With one: ka, CL, V"),
        (lambda: full().with_correlate([("CL", "V"), ("V", "ka")]), "two blocks"),
        (lambda: full().with_correlate("all"), "allowed are 'full'"),
        (lambda: full()["Q"], "no parameter 'Q'. It has ka, CL, V"),
        (lambda: full().with_parameter("CL", start=3), "got start"),
        (lambda: full().with_covariate("CL", "WT", shape="linear"), "'power' or 'exponential'"),
        (lambda: full().without_covariate("V", "WT"), "no effect of WT"),
        (lambda: wb.Parameter("CL", -1), "must be positive"),
        (lambda: wb.Parameter("CL", float("nan")), "finite"),
        (lambda: wb.Parameter("CL", "2,5"), "finite"),
        (lambda: wb.Parameter("CL", iiv=0), "must be positive"),
        (lambda: wb.Parameter("CL", fixed=True), "no value"),
        (lambda: wb.Parameter("CL", transform="sqrt"), "allowed are log, identity"),
        (lambda: wb.Parameter("CL", covariates="log(WT) + log( WT )"), "twice"),
        (lambda: wb.Parameter("CL", 1.0, column="X"), "taken from column"),
        (lambda: wb.Constant(0), "positive"),
        (lambda: wb.Block("CL", "V", correlations=[1.0]), "positive definite"),
        (lambda: wb.Block("CL", "V", correlations=[0.1, 0.2]), "has 1 correlations"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_words(build, words):
    with pytest.raises(wb.ModelError, match=words):
        build()


def test_unknown_covariate_names_those_that_exist():
    data = wb.load_example("theophylline")
    model = wb.initial_values(wb.Model(ORAL), data).with_covariate("CL", "WEIGHT")
    with pytest.raises(wb.ModelError, match=r"no column WEIGHT\. Covariates there: .*WT"):
        wb.objective(model, data)


def test_values_not_stated_are_named():
    with pytest.raises(wb.ModelError, match=r"No value is stated for ka, CL, V, iiv of ka.* a of the error"):
        wb.objective(wb.Model(ORAL), wb.load_example("theophylline"))


# -- formulas ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("log(WT/70) + C(SEX)", ("log(WT/70)", "C(SEX)")),
        ("AGE - 40", ("(AGE-40)",)),
        ("WT + AGE - 40", ("WT", "(AGE-40)")),
        ("(WT/70)**0.75", ("(WT/70)**0.75",)),
        ("-WT", ("-WT",)),
    ],
)
def test_formulas_split_into_terms(formula, expected):
    assert split_terms(formula) == expected
    assert split_terms(" + ".join(expected)) == expected


def test_columns_of_a_term():
    assert columns_of("log(WT/70)*AGE") == ("WT", "AGE")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "WT.__class__", "(lambda: 1)()", "[x for x in WT]", "open('x')",
        "WT if AGE else 1",
        "log(WT", "", "   ", "1 + 2", "C(WT, 3)", "C(log(WT))", "log(WT, 2)", "log(x=WT)", "WT**AGE", "'text'",
        "True*WT",
        "WT @ AGE", "WT[0]", "f'{WT}'", "WT := 3", "*WT", "log", "1e999*WT", "x" * 600, "(" * 300 + "WT" + ")" * 300,
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused(text):
    with pytest.raises(wb.ModelError):
        wb.Parameter("CL", covariates=text or " ")


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="WTAGElogexpC()+-*/.0123456789 _[]'\"\\\n,:=", max_size=30))
def test_any_text_is_a_formula_or_a_model_error(text):
    try:
        found = split_terms(text)
    except wb.ModelError:
        return
    assert split_terms(" + ".join(found)) == found
    assert all(columns_of(term) for term in found)
