"""Models as values: printing, editing, refusing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.model import usual_model

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
maybe = st.none() | numbers


def fixed(draw, names):
    """Names of parameters that have values, any of them."""
    return draw(st.sets(st.sampled_from(names))) if names else ()


@st.composite
def errors(draw):
    kind = draw(st.sampled_from([wb.Constant, wb.Proportional, wb.Combined, wb.Combined2, wb.Power, wb.Exponential]))
    names = kind().names
    values = {name: draw(maybe) for name in names}
    settings_ = {"log_data": draw(st.booleans()), "floor": draw(maybe)} if kind is wb.Exponential else {}
    return kind(**values, **settings_, fixed=fixed(draw, [n for n in names if values[n] is not None]))


terms = st.sampled_from(
    ["log(WT/70)", "(AGE-40)", "C(SEX)", "sqrt(WT)", "WT*AGE", "-WT", "(WT/70)**0.75", "exp(-AGE)", "C(SEX, 'F')",
     "C(RACE, 'Asian, or \"other\"')", "log(WT/median(WT))", "below(AGE, 65)", "above(AGE, median(AGE))", "(APGR < 5)",
     "(SEX == 'F')*WT"]
)  # fmt: skip
structures = st.one_of(
    st.builds(wb.pk, compartments=st.sampled_from([1, 2]),
              absorption=st.sampled_from([None, "first-order", "parallel"]),
              parameters=st.sampled_from(["clearance", "rate"]), lag=st.booleans(), bioavailability=st.booleans()),
    st.builds(wb.pkpd, st.just(wb.pk()), response=st.sampled_from(["emax", "sigmoid emax"])),
    st.just(wb.equation("k = kg*WT\nAsym*exp(-exp(-k*(t - lag)))", covariates="WT")),
    st.just(wb.ode("d/dt A = -k*A", response={"c": "A/V", "a": "A"}, bioavailability={"A": "F"})),
)  # fmt: skip


@st.composite
def effects(draw):
    value = draw(st.none() | st.floats(-3, 3) | st.lists(st.floats(-3, 3), min_size=2, max_size=3))
    keep = value is not None and draw(st.booleans())
    return wb.Effect(draw(terms), value, fixed=keep, fractional=draw(st.booleans()))


@st.composite
def parameters(draw, name, shareable):
    if draw(st.integers(0, 9)) == 0:
        return wb.Parameter(name, column="CLI")
    transform = draw(st.sampled_from(["log", "identity", "logit", "probit"]))
    low, high = draw(st.sampled_from([(0.0, 1.0), (1.0, 2.5), (0.0, 1e3)]))
    inside = low + (high - low) * draw(st.floats(1e-3, 0.999))
    if transform in ("log", "identity"):
        bounds = draw(st.sampled_from([None, (low, None), (None, high), (low, high)]))
    else:
        bounds = draw(st.sampled_from([(low, high), None])) if (low, high) == (0.0, 1.0) else (low, high)
    value = draw(st.sampled_from([None, inside]))
    share = draw(st.sampled_from([None, *shareable])) if shareable else None
    scale = draw(st.none() | st.floats(-2, 2)) if share else None
    iiv = None if share else draw(maybe | st.just(True))
    iov = draw(maybe | st.just(True))
    stated = {"value": value, "iiv": iiv, "iov": iov, "share": scale}
    return wb.Parameter(
        name, value, iiv, draw(st.lists(effects(), unique_by=lambda e: e.term, max_size=3)), transform,
        fixed(draw, [part for part, number in stated.items() if number is not None and number is not True]),
        bounds=bounds, iov=iov, share=draw(st.sampled_from([share, (share, scale)])) if share and scale is None
        else (share, scale) if share else None,
    )  # fmt: skip


@st.composite
def models(draw):
    structure = draw(structures)
    found = []
    for name in structure.names:
        found.append(draw(parameters(name, [p.name for p in found if p.iiv is not None])))
    blocks = []
    for level in ("subject", "occasion"):
        random = [p.name for p in found if (p.iiv if level == "subject" else p.iov) is not None]
        if len(random) > 1 and draw(st.booleans()):
            r = draw(st.floats(-0.99, 0.99))
            blocks.append(wb.Block(*random[:2], correlations=[r], fixed=draw(st.booleans()), level=level))
    several = {name: draw(errors()) for name in structure.responses}
    error = several if draw(st.booleans()) else draw(errors())
    blq = draw(st.sampled_from([None, "M1", "M3", "M4"]))
    return wb.Model(structure, draw(st.permutations(found)), error, blocks, blq)


@given(models())
def test_a_model_prints_itself(model):
    assert eval(repr(model), {"wb": wb}) == model
    assert hash(model) == hash(eval(repr(model), {"wb": wb}))


@given(models(), structures)
def test_every_edit_of_every_model_is_a_model(model, other):
    assert not model.without_random_effects().random_effects
    for edited in (
        model.with_structure(other),
        model.without_values(),
        model.without_random_effects(),
        model.with_iov(),
    ):
        assert eval(repr(edited), {"wb": wb}) == edited
    for name in model.structure.names:
        assert model.with_parameter(name) == model
    assert set(model.with_structure(model.structure).parameters) == set(model.parameters)
    assert model.without_values().without_values() == model.without_values()


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


def test_several_responses_have_an_error_each():
    model = wb.Model(
        wb.pkpd(wb.pk()), error={"effect": wb.Constant(2.0), "concentration": wb.Power(0.1, 0.5)}, blq="M3"
    )
    assert model.errors == (wb.Power(0.1, 0.5), wb.Constant(2.0))
    assert '    error={"concentration": wb.Power(b=0.1, c=0.5), "effect": wb.Constant(a=2.0)},' in repr(model)
    assert '    blq="M3",' in repr(model)
    assert model.with_error(wb.Combined(), "effect").errors == (wb.Power(0.1, 0.5), wb.Combined())
    assert model.with_error(wb.Combined()).errors == (wb.Combined(), wb.Combined())
    assert model.error == model.errors[0]
    assert wb.Model(wb.pkpd(wb.pk()), error={"effect": wb.Constant()}).errors == (wb.Combined2(), wb.Constant())
    assert "a of the error of effect" in wb.Model(wb.pkpd(wb.pk())).unstated


def test_long_lines_are_broken():
    effects = [wb.Effect(f"log(C{k}/median(C{k}))", 0.75) for k in range(5)]
    long = full().with_parameter("CL", covariates=effects)
    assert "        wb.Parameter(\n            'CL',\n            2.8,\n            iiv=0.3,\n" in repr(long)
    assert eval(repr(long), {"wb": wb}) == long


def test_a_block_of_occasions_prints_as_one():
    model = full().with_iov("CL", "V", sd=0.1).with_correlate([("CL", "V"), wb.Block("V", "CL", level="occasion")])
    assert "correlate=[('CL', 'V'), wb.Block('V', 'CL', level=\"occasion\")]" in repr(model)


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


def test_a_random_effect_is_shared_or_ones_own():
    shared = full().with_parameter("V", share=("CL", 0.8))
    assert shared.random_effects == ("ka", "CL")
    assert shared.correlate == ()
    assert shared["V"].share == ("CL", 0.8)
    assert shared.with_parameter("V", iiv=0.2)["V"].share is None
    assert shared.with_parameter("CL", iiv=None)["V"].share is None
    assert shared.without_values()["V"].share == ("CL", None)
    assert shared.with_parameter("V", fixed=("share",)).without_values()["V"].share == ("CL", 0.8)


def test_random_effects_of_all_parameters_at_once():
    pooled = full().with_iov("CL").without_random_effects()
    assert pooled.random_effects == pooled.occasion_effects == pooled.correlate == ()
    assert pooled.with_iiv().random_effects == ("ka", "CL", "V")
    assert pooled.with_iiv("V", sd=0.3)["V"].iiv == 0.3
    assert full().with_iov().occasion_effects == ("ka", "CL", "V")
    assert full().with_iiv("CL", sd=None).random_effects == ("ka", "V")


def test_what_is_taken_away_is_not_fixed_any_more():
    model = full().with_parameter("CL", fixed=("value", "iiv"))
    assert model.with_parameter("CL", iiv=None)["CL"].fixed is True
    assert model.with_parameter("CL", iiv=True)["CL"].fixed is True
    assert model.with_parameter("CL", iiv=0.5)["CL"].fixed == ("value", "iiv")
    assert model.with_parameter("CL", value=3.0, transform="identity").with_parameter("CL", transform="log")["CL"].value


def test_the_statement_without_values_keeps_what_is_fixed():
    stated = (
        full()
        .with_parameter("ka", fixed=True, iov=0.1)
        .with_parameter(
            "CL", fixed=("iiv",), covariates=[wb.Effect("log(WT/70)", 0.75, fixed=True), wb.Effect("AGE", 1)]
        )
        .with_error(wb.Combined(0.5, 0.1, fixed="a"))
        .with_correlate([wb.Block("CL", "V", correlations=[0.5], fixed=True)])
        .without_values()
    )
    assert stated["ka"] == wb.Parameter("ka", 1.5, iiv=True, iov=True, fixed=True)
    assert stated["CL"].iiv == 0.3 and stated["CL"].value is None
    assert stated["CL"].covariates == (wb.Effect("log(WT/70)", 0.75, fixed=True), wb.Effect("AGE"))
    assert stated.error == wb.Combined(0.5, fixed="a")
    assert stated.correlate[0].correlations == (0.5,)
    assert full().without_values().correlate == (wb.Block("CL", "V"),)


@pytest.mark.parametrize(
    ("transform", "arguments", "expected"),
    [
        ("log", {}, [wb.Effect("open(WT)")]),
        ("log", {"shape": "power"}, [wb.Effect("log(WT/median(WT))")]),
        ("log", {"shape": "power", "start": 0.75, "reference": 70, "fixed": True},
         [wb.Effect("log(WT/70)", 0.75, fixed=True)]),
        ("logit", {"shape": "exponential"}, [wb.Effect("(WT - median(WT))")]),
        ("log", {"shape": "exponential", "reference": 0.1}, [wb.Effect("(WT - 0.1)")]),
        ("log", {"shape": "linear", "start": 0.01}, [wb.Effect("(WT - median(WT))", 0.01, fractional=True)]),
        ("identity", {"shape": "linear"}, [wb.Effect("(WT - median(WT))")]),
        ("log", {"shape": "piecewise", "reference": 50, "start": (0.1, -0.1)},
         [wb.Effect("below(WT, 50)", 0.1, fractional=True), wb.Effect("above(WT, 50)", -0.1, fractional=True)]),
        ("identity", {"shape": "piecewise", "breakpoint": 50, "start": 1},
         [wb.Effect("below(WT, 50)", 1), wb.Effect("above(WT, 50)", 1)]),
        ("log", {"shape": "piecewise"},
         [wb.Effect("below(WT, median(WT))", fractional=True), wb.Effect("above(WT, median(WT))", fractional=True)]),
        ("probit", {"shape": "categorical"}, [wb.Effect("C(WT)")]),
        ("log", {"shape": "categorical", "reference": "a 'b'", "start": [1, 2]},
         [wb.Effect("C(WT, \"a 'b'\")", (1, 2))]),
        ("log", {"shape": "fraction", "reference": 2}, [wb.Effect("C(WT, 2)", fractional=True)]),
    ],
)  # fmt: skip
def test_shapes_of_covariate_effects(transform, arguments, expected):
    model = wb.Model(wb.pk(), [wb.Parameter("CL", transform=transform), wb.Parameter("V")])
    assert list(model.with_covariate("CL", "WT", **arguments)["CL"].covariates) == expected


def test_allometric_scaling_in_one_verb():
    model = wb.Model(wb.pk(2, "first-order", lag=True)).allometric()
    assert {p.name: p.covariates for p in model.parameters} == {
        "ka": (),
        "CL": (wb.Effect("log(WT/70)", 0.75, fixed=True),),
        "V1": (wb.Effect("log(WT/70)", 1.0, fixed=True),),
        "Q": (wb.Effect("log(WT/70)", 0.75, fixed=True),),
        "V2": (wb.Effect("log(WT/70)", 1.0, fixed=True),),
        "lag": (),
    }
    assert model.allometric() == model
    other = model.allometric("LBM", reference="median", clearance=0.67, estimate=True)
    assert other["CL"].covariates == (*model["CL"].covariates, wb.Effect("log(LBM/median(LBM))", 0.67))


@pytest.mark.parametrize(
    ("structure", "exponents"),
    [
        (wb.pk(2, "first-order", parameters="rate"), {"k": -0.25, "V1": 1.0, "k12": -0.25, "k21": -0.25}),
        (wb.pk(parameters="half-life"), {"V": 1.0, "t_half": 0.25}),
        (wb.pk(parameters="macro"), {"A": -1.0, "alpha": -0.25}),
        (wb.pk(elimination="michaelis-menten"), {"Vm": 0.75, "V": 1.0}),
        (wb.pkpd(wb.pk(), response="emax", link="stimulate input"), {"CL": 0.75, "V": 1.0}),
        (wb.pkpd(wb.pk(), response="sigmoid emax", link="effect compartment"), {"CL": 0.75, "V": 1.0}),
    ],
)
def test_allometric_exponents_follow_from_dimensions(structure, exponents):
    model = wb.Model(structure).allometric()
    assert {p.name: p.covariates[0].value[0] for p in model.parameters if p.covariates} == exponents


def test_equations_of_ones_own_have_no_dimensions_to_scale_by():
    with pytest.raises(wb.ModelError, match="known to be a clearance"):
        wb.Model(wb.equation("a*exp(-k*t)")).allometric()


def test_allometric_scaling_leaves_known_parameters_alone():
    model = wb.Model(wb.pk(), [wb.Parameter("CL", column="CLI"), wb.Parameter("V")]).allometric()
    assert model["CL"] == wb.Parameter("CL", column="CLI")


def test_medians_become_numbers():
    data = wb.load_example("theophylline")
    model = full().with_parameter("CL", covariates=()).with_covariate("CL", "WT", "power")
    model = model.with_covariate("V", "WT", "piecewise")
    assert model.unstated == ("the median of WT",) and not model.is_complete
    centred = model.with_centred(data)
    median = data.subjects["WT"].median()
    assert centred["CL"].covariates == (wb.Effect(f"log(WT/{median:.15g})"),)
    assert centred["V"].covariates[1] == wb.Effect(f"above(WT, {median:.15g})", fractional=True)
    assert centred.is_complete and centred.with_centred(data) is centred


def test_the_median_counts_every_subject_once():
    data = wb.load_example("phenobarbital")
    model = full().with_parameter("CL", covariates=()).with_covariate("CL", "WT").with_centred(data)
    assert model["CL"].covariates[0].term == f"log(WT/{data.subjects['WT'].median():.15g})"


def test_parameters_left_out_have_the_transform_of_the_structure():
    model = wb.Model(wb.pk(absorption="first-order", bioavailability=True))
    assert model["F"] == wb.Parameter("F", iiv=True, transform="logit")
    assert wb.Model(wb.pk()).with_structure(model.structure)["F"].transform == "logit"


def test_a_new_structure_keeps_the_errors_of_responses_it_has():
    model = wb.Model(wb.pkpd(wb.pk()), error={"concentration": wb.Power(0.1, 0.5), "effect": wb.Constant(2.0)})
    assert model.with_structure(wb.pk()).errors == (wb.Power(0.1, 0.5),)
    assert model.with_structure(wb.pk()).with_structure(model.structure).errors == (wb.Power(0.1, 0.5), wb.Combined2())


def test_columns_are_those_of_formulas_and_known_parameters():
    model = full().with_parameter("V", value=None, iiv=None, column="VI").with_covariate("ka", "AGE")
    assert model.columns == ("AGE", "WT", "SEX", "VI")


def test_a_deviation_of_one_is_not_one_to_be_found():
    assert wb.Parameter("CL", iiv=True) != wb.Parameter("CL", iiv=1.0)
    assert wb.Parameter("CL", iov=True) != wb.Parameter("CL", iov=1)
    assert len({wb.Parameter("CL", iiv=True), wb.Parameter("CL", iiv=1.0), wb.Parameter("CL", iiv=1)}) == 2


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
        (lambda: wb.pk(compartments=7), r"compartments=7.*allowed are 1"),
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
        (lambda: full().with_covariate("CL", "WT", shape="cubic"), "'power', 'exponential', .* or 'fraction'"),
        (
            lambda: full().with_parameter("CL", transform="identity").with_covariate("CL", "WT", "power"),
            "allowed are 'linear'",
        ),
        (lambda: full().with_covariate("CL", "WT", "power", reference=0), "positive reference"),
        (lambda: full().with_covariate("CL", "WT", "power", reference="mean"), "reference is 'mean'"),
        (lambda: full().with_covariate("CL", "Body weight"), "rename the column"),
        (lambda: full().with_covariate("CL", "WT", breakpoint=3), "no breakpoint"),
        (lambda: full().with_covariate("CL", "WT", "piecewise", 4, breakpoint=3), "differ"),
        (lambda: full().with_covariate("CL", "WT", "piecewise", start=(1, 2, 3)), "two coefficients"),
        (lambda: full().with_covariate("CL", "WT", fixed=True), "fixed but has no value"),
        (lambda: full().with_parameter("V", value=None, iiv=None, column="X").with_covariate("V", "WT"), "taken from"),
        (lambda: full().with_iov("Q"), "no parameter 'Q'"),
        (lambda: full().with_blq("M2"), "allowed are None, 'M1', 'M3', 'M4'"),
        (lambda: full().with_error(wb.Constant(), "effect"), "no response 'effect'.*concentration"),
        (lambda: wb.Model(wb.pk(), error={"effect": wb.Constant()}), "responses of .* are concentration"),
        (lambda: wb.Model(wb.pk(), error={"concentration": 1}), "wb.Constant"),
        (lambda: wb.Model(wb.pk(), error=[wb.Constant(), wb.Constant()]), "2 residual errors"),
        (lambda: full().with_correlate([wb.Block("CL", "V", level="occasion")]), "no inter-occasion effect"),
        (lambda: wb.Block("CL", "V", level="visit"), "'subject' and 'occasion'"),
        (lambda: wb.Block("CL", "V", fixed=1), "True and False"),
        (lambda: wb.Block("CL", 1), "different parameters"),
        (lambda: full().with_parameter("V", share="Q"), "shares the random effect of Q"),
        (lambda: full().with_parameter("V", share="CL").with_parameter("ka", share="V"), "none of its own"),
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
    model = wb.Model(ORAL).with_covariate("CL", "WEIGHT")
    with pytest.raises(wb.ModelError, match=r"no column WEIGHT\. Covariates there: .*WT"):
        model.with_centred(data)


def test_values_not_stated_are_named():
    with pytest.raises(wb.ModelError, match=r"No value is stated for ka, CL, V, iiv of ka.* a of the error"):
        wb.objective(wb.Model(ORAL), wb.load_example("theophylline"))


@pytest.mark.parametrize(
    ("example", "structure"),
    [
        ("theophylline", wb.pk(absorption="first-order")),
        ("phenobarbital", wb.pk()),
        ("orange_trees", wb.equation("Asym/(1 + exp(-(t - xmid)/scal))")),
        ("indomethacin", wb.equation("A*exp(-k*t)")),
    ],
)
def test_usual_model_fits_the_kind_of_data(example, structure):
    assert usual_model(wb.load_example(example)).structure == structure


CODED = "ID,TIME,DV,WT,RACE,SEX,SHIFT\n" + "".join(
    f"{i},{t},{5 - t},{60 + 1.5 * i},{i % 4 + 1},{'MF'[i % 2]},{i - 3}\n" for i in range(1, 9) for t in (0, 1)
)


@pytest.mark.parametrize(
    ("covariate", "transform", "term"),
    [
        ("WT", "log", "log(WT/median(WT))"),
        ("WT", "identity", "(WT - median(WT))"),
        ("SHIFT", "log", "(SHIFT - median(SHIFT))"),
        ("RACE", "log", "C(RACE)"),
        ("SEX", "log", "C(SEX)"),
    ],
)
def test_an_open_shape_is_settled_by_the_data(covariate, transform, term):
    data = wb.read_data(CODED.encode())
    model = full().with_parameter("CL", transform=transform, covariates=()).with_covariate("CL", covariate)
    assert model["CL"].covariates == (wb.Effect(f"open({covariate})"),)
    assert f"the shape of {covariate}" in model.unstated
    assert eval(repr(model)) == model
    settled = model.with_settled_shapes(data)
    assert settled["CL"].covariates == (wb.Effect(term),)
    assert settled.with_settled_shapes(data) is settled


def test_codes_of_a_category_are_no_quantities():
    data = wb.read_data(CODED.encode())
    (finding,) = wb.Model(wb.equation("A*exp(-k*t)")).with_covariate("k", "RACE", "power").check(data)
    assert "codes of a category" in finding.message
    (finding,) = wb.Model(wb.equation("A*exp(-k*t)")).with_covariate("k", "RACE").check(data)
    assert "taken as C(RACE)" in finding.message
