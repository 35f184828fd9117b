"""From code back to panels: a cell is read, never evaluated."""

import pytest

import workbench as wb
from workbench.ui.session.cell import read_cell


def test_code_of_one_bench_set_in_another_shows_the_same():
    one = wb.Workbench(wb.load_example("phenobarbital").filter("WT < 2"))
    one.model = wb.Model(
        wb.pk(),
        [
            wb.Parameter("CL", 0.006, iiv=0.4, covariates=[wb.Effect("log(WT/1.5)", 0.7)]),
            wb.Parameter("V", 1.4, iiv=0.4),
        ],
        wb.Proportional(0.1),
        [wb.Block("CL", "V", correlations=[-0.2])],
    )
    one.method = "foce"
    other = wb.Workbench()
    other.code = one.code
    assert other.model == one.model
    assert other.data == one.data
    assert other.method == "foce"
    assert other.code == one.code


def test_columns_that_are_no_words_come_back_too():
    frame = wb.load_example("theophylline").to_frame().rename(columns={"WT": "Body weight"})
    data = wb.read_data(frame.to_csv(index=False).encode(), name="t.csv").with_units(
        **{"Body weight": "kg", "time": "h"}
    )
    code = data.code().replace("wb.read_data('t.csv')", "wb.load_example('theophylline')").replace("Body weight", "WT")
    assert "**{'Body weight': 'kg'}" in data.code()
    assert read_cell(f"d = {code}").data.units["WT"] == "kg"


def test_many_steps_stand_on_lines_of_their_own():
    data = wb.load_example("phenobarbital")
    for condition in ("WT < 3", "WT > 0.5", "APGR > 1", "TIME < 300"):
        data = data.filter(condition)
    code = wb.Workbench(data).code
    assert "\ndata = (\n    wb.load_example('phenobarbital')\n    .filter('WT < 3')\n" in code
    assert read_cell(code).data == data


def test_data_of_a_dataframe_stay_where_the_cell_cannot_know_it():
    data = wb.read_data(wb.load_example("theophylline").to_frame())
    bench = wb.Workbench(data)
    bench.code = bench.code.replace("wb.Combined2()", "wb.Constant()")
    assert bench.data == data
    assert bench.model.error == wb.Constant()


MODELS = [
    wb.Model(
        wb.pkpd(wb.pk(2, "first-order", bioavailability=True), response="sigmoid emax"),
        error={"concentration": wb.Power(0.1, 0.5, fixed="c"), "effect": wb.Constant()},
        blq="M3",
    )
    .with_parameter("ka", bounds=(None, 3.0), iov=0.2, value=1.0, fixed=("value", "iov"))
    .with_parameter("F", value=0.7, bounds=(0.2, 0.9))
    .with_parameter("V2", share=("V1", -0.8))
    .with_parameter("E0", transform="identity", value=-3.5, bounds=(-10, None))
    .with_covariate("CL", "AGE", "piecewise", start=(-0.01, 0.02))
    .with_covariate("CL", "RACE", "categorical", reference='it\'s "other"')
    .allometric(),
    wb.Model(wb.equation("Asym/(1 + exp(-(t - xmid)/scal))"), error=wb.Exponential(log_data=True, floor=1e-3)),
    wb.Model(
        wb.ode("d/dt A = -ka*A\nd/dt C = ka*A/V - Vm*C/(Km + C)/V*WT", dose={1: ["A"]}, covariates="WT", lag={"A": "p"})
    )
    .with_iov("V", "Vm")
    .with_correlate([("ka", "V"), wb.Block("V", "Vm", correlations=[-0.5], fixed=True, level="occasion")]),
]


@pytest.mark.parametrize("model", MODELS)
def test_every_kind_of_model_comes_back(model):
    assert read_cell(f"import workbench as wb\n\nmodel = {model!r}\n").model == model


def test_the_verbs_of_models_can_be_written():
    text = (
        "data = wb.load_example('theophylline')\n"
        "model = wb.Model(wb.pk(absorption='first-order')).with_covariate('CL', 'WT').allometric(estimate=True)\n"
        "model = model.with_iiv('CL', sd=0.3).with_iov('CL').with_blq(None).with_error(wb.Power(), response=None)\n"
        "model = model.with_centred(data).without_values().with_parameter('V', bounds=(None, 3.0), iiv=False)\n"
        "pooled = model.without_random_effects().with_parameter('CL', covariates='(WT < -5)*WT')"
    )
    model = read_cell(text).model
    assert model.random_effects == ()
    assert model["CL"].covariates == (wb.Effect("(WT<-5)*WT"),)
    assert model["V"].bounds == (None, 3.0)
    assert model["V"].covariates == (wb.Effect("log(WT/70)"),)


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "from workbench import *",
        "x = __import__('os').system('true')",
        "x = open('f')",
        "x = wb.__dict__",
        "x = wb.Workbench()",
        "x = wb.errors.DataError('a')",
        "d = wb.load_example('theophylline')\nd.to_csv('stolen.csv')",
        "d = wb.load_example('theophylline').to_csv('stolen.csv')",
        "m = wb.Model(wb.pk()).__class__",
        "x = [i for i in (1, 2)]",
        "x = lambda: 1",
        "x = 'a'.join(['b'])",
        "x = f'{1}'",
        "x = 3 ** 99999999",
        "del x",
        "while True: pass",
        "x = unknown",
        "x = wb.pk(",
        "x = wb.pk(nonsense=1)",
        "x = wb.pk(**{1: 1})",
        "fit = wb.fit(1, 2)",
        "x = {[1]: 2}",
        "x = {(1, 2): 2}",
        "x = {**{}}",
        "x = wb.Block(*('CL', 'V'))",
        "x = wb.Model(wb.pk()).check(wb.load_example('theophylline'))",
        "x = wb.ode('d/dt C = -__import__(k)*C')",
        "x = wb.equation('().__class__')",
        "x = wb.pk().as_ode()",
        "x = wb.Model(wb.pk(), parameters=3)",
        "x = wb.Model(wb.pk(), error={1: 2})",
        "x = wb.Parameter('CL', bounds={})",
        "x = wb.Parameter('CL', fixed={'a': 1})",
        "x = wb.Model(wb.pk()).with_error(wb.Constant(), response=[])",
        "x = wb.Model(wb.pk(), correlate=[3])",
        "x = wb.Model(wb.pk()).with_covariate('CL', 'WT', reference=[])",
        "x = wb.Model(wb.pk()).with_covariate('CL', 'WT').with_centred(3)",
    ],
)
def test_anything_else_is_refused_in_words(text):
    with pytest.raises(wb.ModelError):
        read_cell(text)


def test_a_refused_cell_changes_nothing():
    bench = wb.Workbench(wb.load_example("theophylline"))
    before = bench.model
    with pytest.raises(wb.ModelError, match="Line 2"):
        bench.code = "import workbench as wb\nprint(1)\n"
    assert bench.model is before


def test_cell_says_where_its_data_are_not_found():
    frame = wb.load_example("theophylline").to_frame()
    assert "frame is the DataFrame" in wb.Workbench(wb.read_data(frame)).code
    sent = wb.read_data(frame.to_csv(index=False).encode(), name="elsewhere.csv")
    assert "put this file beside the notebook" in wb.Workbench(sent).code
    assert "#" not in wb.Workbench(wb.load_example("theophylline")).code


@pytest.mark.parametrize("name", ["data", "model", "fit", "runs", "code"])
def test_setting_something_else_is_refused_in_words(name):
    bench = wb.Workbench(wb.load_example("theophylline"))
    with pytest.raises(wb.ModelError, match=f"{name} of a Workbench"):
        setattr(bench, name, 5)


def test_options_of_a_method_come_back(shown):
    bench = shown(wb.load_example("theophylline"))
    bench.method = wb.Quadrature(nodes=3)
    bench.run()
    assert bench.wait(120)
    assert "method=wb.Quadrature(nodes=3)" in bench.code
    assert bench.fit.options == wb.Quadrature(nodes=3)
    assert bench.controls.method.value == "quadrature"
    assert read_cell(bench.code).method == wb.Quadrature(nodes=3)
    bench.controls.method.value = "focei"
    assert bench.method == "focei"
    with pytest.raises(wb.ModelError, match="allowed are"):
        bench.method = wb.Constant()


def test_a_cell_reads_no_file_outside_the_folder_of_the_notebook(tmp_path, monkeypatch):
    inside, outside = tmp_path / "here", tmp_path / "there"
    inside.mkdir()
    outside.mkdir()
    monkeypatch.chdir(inside)
    for folder in (inside, outside):
        (folder / "data.csv").write_text("ID,TIME,DV\n1,0,1\n2,0,2\n")
    (inside / "link.csv").symlink_to(outside / "data.csv")
    assert read_cell("data = wb.read_data('data.csv')").data is not None
    for path in (str(outside / "data.csv"), "../there/data.csv", "link.csv", "/dev/zero", "../there/*.parquet", "\0"):
        with pytest.raises(wb.DataError, match="outside the folder of the notebook"):
            read_cell(f"data = wb.read_data({path!r})")
        with pytest.raises(wb.DataError, match="outside the folder of the notebook"):
            read_cell(f"data = wb.read_data(source={path!r})")
    own = wb.read_data(outside / "data.csv")
    assert read_cell(f"data = {own.code()}", own).data == own  # it was read by the user, not by the cell
