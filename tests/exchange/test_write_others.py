"""Scripts of nlmixr2 and projects of Monolix: texts that were checked by hand, and what is refused."""

from __future__ import annotations

import runpy

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.exchange.forms import FORMS, write_python


@pytest.fixture(scope="module")
def theophylline():
    return wb.load_example("theophylline")


@pytest.fixture(scope="module")
def crossover():
    frame = pd.DataFrame(
        {"ID": np.repeat([1, 2], 6), "TIME": np.tile([0, 1, 5, 24, 25, 30], 2),
         "AMT": np.tile([100, 0, 0, 100, 0, 0], 2), "DV": np.tile([0, 5, 3, 0, 6, 4], 2),
         "SEX": np.repeat(["F", "M"], 6), "WT": np.repeat([60, 80], 6),
         "OCC": np.tile(["a", "a", "a", "b", "b", "b"], 2)}
    )  # fmt: skip
    return wb.read_data(frame, roles={"occasion": "OCC"})


def oral(error=None):
    return wb.Model(
        wb.pk(absorption="first-order"),
        [
            wb.Parameter("ka", 1.5, iiv=0.6),
            wb.Parameter("CL", 2.8, iiv=0.3, covariates=[wb.Effect("log(WT/70)", 0.75, fixed=True)]),
            wb.Parameter("V", 32, iiv=0.2),
        ],
        error=error or wb.Combined2(0.5, 0.1),
        correlate=[wb.Block("CL", "V", correlations=[0.5])],
    )


def two_compartments():
    return wb.Model(
        wb.pk(compartments=2),
        [
            wb.Parameter("CL", 2, iiv=0.3, iov=0.1, covariates=[wb.Effect("C(SEX)", 0.2)]),
            wb.Parameter("V1", 20, iiv=0.2, iov=0.2, covariates=[wb.Effect("WT - 70", 0.01, fractional=True)]),
            wb.Parameter("Q", 1, fixed=True),
            wb.Parameter("V2", 10, transform="logit", bounds=(0, 100)),
        ],
        wb.Constant(0.5),
    )


def parallel():
    values = {"Fr": 0.4, "ka": 1.0, "Tk0": 2.0, "CL": 2.8, "V": 32.0, "lag": 0.2}
    return wb.Model(
        wb.pk(absorption="parallel", lag="zero-order"),
        [wb.Parameter(n, v, iiv=0.3 if n == "CL" else None) for n, v in values.items()],
        error=wb.Exponential(0.1),
    )


def lines(text, first, last):
    found = [line.strip() for line in text.splitlines()]
    begin = found.index(first) + 1
    return [line for line in found[begin : found.index(last, begin)] if line]


def r_of(tmp_path, model, data, **options):
    path = wb.write_nlmixr2(model, tmp_path / "run1", data, **options)
    assert path.name == "run1.R"
    return path.read_text(), pd.read_csv(path.with_suffix(".csv"), na_values=".")


def monolix_of(tmp_path, model, data, **options):
    path = wb.write_mlxtran(model, tmp_path / "run1", data, **options)
    assert path.name == "run1.mlxtran"
    structural = path.with_name("run1_model.txt").read_text()
    return path.read_text(), structural, pd.read_csv(path.with_suffix(".csv"), na_values=".")


# -- nlmixr2 -------------------------------------------------------------------------------------------------------


def test_a_closed_form_is_lincmt(tmp_path, theophylline):
    text, table = r_of(tmp_path, oral(), theophylline)
    assert lines(text, "ini({", "})") == [
        'tv.ka <- log(1.5); label("log of ka")',
        'tv.CL <- log(2.8); label("log of CL")',
        'CL_WT <- fix(0.75); label("CL: log(WT/70)")',
        'tv.V <- log(32); label("log of V")',
        'add.sd <- c(0, 0.5); label("error a")',
        'prop.sd <- c(0, 0.1); label("error b")',
        "eta.ka ~ 0.36",
        "eta.CL + eta.V ~ c(0.09, 0.03, 0.04)",
    ]
    assert lines(text, "model({", "})") == [
        "ka <- exp(tv.ka + eta.ka)",
        "cl <- exp(tv.CL + CL_WT*log(WT/70) + eta.CL)",
        "v <- exp(tv.V + eta.V)",
        "cp <- linCmt()",
        "cp ~ add(add.sd) + prop(prop.sd) + combined2()",
    ]
    assert 'fit <- nlmixr2(run1, data, est = "focei")' in text
    events = theophylline.events
    assert np.array_equal(table["DV"][events.observed], events.dv[events.observed])
    assert set(table["CMT"][events.is_dose]) == {1} and set(table["CMT"][~events.is_dose]) == {2}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (wb.Constant(1), "cp ~ add(add.sd)"),
        (wb.Proportional(0.1), "cp ~ prop(prop.sd)"),
        (wb.Combined(1, 0.1), "cp ~ add(add.sd) + prop(prop.sd) + combined1()"),
        (wb.Power(0.1, 0.7), "cp ~ pow(pow.sd, pow.exp)"),
        (wb.Exponential(0.1), "cp ~ lnorm(lnorm.sd)"),
        (wb.Exponential(0.1, log_data=True), "log_cp ~ add(add.sd)"),
    ],
)
def test_residual_errors_have_their_words(tmp_path, theophylline, error, line):
    data = theophylline.filter("CONC > 0 | AMT > 0") if "CONC" in theophylline.content.frame else theophylline
    assert line in lines(r_of(tmp_path, oral(error), data)[0], "model({", "})")


def test_occasions_categories_and_fractions(tmp_path, crossover):
    text, table = r_of(tmp_path, two_compartments(), crossover)
    assert lines(text, "model({", "})") == [
        "if (SEX == 2) {", "PART <- 1", "} else {", "PART <- 0", "}",
        "cl <- exp(tv.CL + CL_SEX*PART + eta.CL + iov.CL)",
        "v <- exp(tv.V1 + eta.V1 + iov.V1)*(1 + V1_WT_x*(WT-70))",
        "q <- exp(tv.Q)",
        "vp <- tv.V2",
        "cp <- linCmt()",
        "cp ~ add(add.sd)",
    ]  # fmt: skip
    initial = lines(text, "ini({", "})")
    assert 'tv.Q <- fix(log(1)); label("log of Q")' in initial
    assert 'tv.V2 <- c(0, 10, 100); label("V2")' in initial
    assert initial[-2:] == ["iov.CL ~ 0.01 | OCC", "iov.V1 ~ 0.04 | OCC"]
    assert "# SEX: 1 = F, 2 = M" in text and table["OCC"].tolist() == [1, 1, 1, 2, 2, 2] * 2


def test_doses_of_two_routes_are_differential_equations(tmp_path, theophylline):
    text, table = r_of(tmp_path, parallel(), theophylline)
    body = lines(text, "model({", "})")
    assert body[body.index("d/dt(depot) <- -ka*depot") :] == [
        "d/dt(depot) <- -ka*depot",
        "d/dt(central) <- ka*depot - k*central",
        "d/dt(absorbed) <- -k*absorbed",
        "f(depot) <- Fr",
        "f(absorbed) <- 1 - Fr",
        "alag(absorbed) <- lag_x",
        "dur(absorbed) <- Tk0",
        "concentration <- (central + absorbed)/V",
        "concentration ~ lnorm(lnorm.sd)",
    ]
    doses = table[table["EVID"] == 1]
    assert doses["CMT"].tolist()[:2] == [1, 3] and doses["RATE"].tolist()[:2] == [0, -2]


def test_responses_are_told_by_the_name_of_their_compartment(tmp_path):
    frame = pd.DataFrame(
        {"ID": [1] * 5, "TIME": [0, 1, 1, 2, 2], "AMT": [100, 0, 0, 0, 0], "DV": [0, 5, 50, 3, 40],
         "DVID": [1, 1, 2, 1, 2]}
    )  # fmt: skip
    data = wb.read_data(frame, roles={"response_id": "DVID"})
    model = wb.Model(
        wb.ode("d/dt A = -k*A; d/dt E = kin - kout*E*A", response={"conc": "A/V", "E": "E"}, dose="A"),
        [wb.Parameter(n, 1.0, iiv=0.1) for n in ("k", "V", "kin", "kout")],
        error=[wb.Proportional(0.1), wb.Constant(2)],
    )
    text, table = r_of(tmp_path, model, data)
    ends = [line for line in lines(text, "model({", "})") if "~" in line]
    names = [line.split(" ~ ")[0] for line in ends]
    assert [line.split(" | ")[1] for line in ends] == names and names[1] == "E"
    assert table["CMT"].tolist() == ["A", names[0], names[1], names[0], names[1]]
    assert "DVID" not in table
    project, _, table = monolix_of(tmp_path, model, data)
    assert "DV = {use=observation, name={y1, y2}, yname={'1', '2'}, type={continuous, continuous}}" in project
    assert "DVID = {use=observationtype}" in project and "data = {y1, y2}" in project
    assert table["DVID"].tolist() == [1, 1, 2, 1, 2]


# -- Monolix -------------------------------------------------------------------------------------------------------


def test_a_closed_form_is_pkmodel(tmp_path, theophylline):
    text, structural, table = monolix_of(tmp_path, oral(), theophylline)
    assert lines(text, "[CONTENT]", "<MODEL>") == [
        "ID = {use=identifier}", "TIME = {use=time}", "EVID = {use=eventidentifier}", "CMT = {use=administration}",
        "AMT = {use=amount}", "DV = {use=observation, name=y1, type=continuous}",
        "MDV = {use=missingdependentvariable}", "WT = {use=covariate, type=continuous}",
    ]  # fmt: skip
    assert lines(text, "[COVARIATE]", "[INDIVIDUAL]") == ["input = {WT}", "EQUATION:", "tWT = log(WT/70)"]
    assert lines(text, "[INDIVIDUAL]", "[LONGITUDINAL]") == [
        "input = {ka_pop, CL_pop, beta_CL_tWT, V_pop, omega_ka, omega_CL, omega_V, corr_V_CL, tWT}",
        "DEFINITION:",
        "ka = {distribution=logNormal, typical=ka_pop, sd=omega_ka}",
        "CL = {distribution=logNormal, typical=CL_pop, covariate=tWT, coefficient=beta_CL_tWT, sd=omega_CL}",
        "V = {distribution=logNormal, typical=V_pop, sd=omega_V}",
        "correlation = {level=id, r(V, CL)=corr_V_CL}",
    ]
    assert lines(text, "<PARAMETER>", "<MONOLIX>") == [
        "ka_pop = {value=1.5, method=MLE}", "CL_pop = {value=2.8, method=MLE}",
        "beta_CL_tWT = {value=0.75, method=FIXED}", "V_pop = {value=32, method=MLE}",
        "omega_ka = {value=0.6, method=MLE}", "omega_CL = {value=0.3, method=MLE}",
        "omega_V = {value=0.2, method=MLE}", "corr_V_CL = {value=0.5, method=MLE}",
        "a = {value=0.5, method=MLE}", "b = {value=0.1, method=MLE}",
    ]  # fmt: skip
    assert "y1 = {distribution=normal, prediction=Cc, errorModel=combined2(a, b)}" in text
    assert lines(structural, "[LONGITUDINAL]", "OUTPUT:") == [
        "input = {ka, CL, V}", "PK:", "Cc = pkmodel(ka, V, Cl=CL)",
    ]  # fmt: skip
    assert structural.endswith("OUTPUT:\noutput = {Cc}\n")
    assert table["CMT"].notna().tolist() == theophylline.events.is_dose.tolist()


def test_what_is_no_distribution_is_computed_from_parts_that_are(tmp_path, crossover):
    text, structural, table = monolix_of(tmp_path, two_compartments(), crossover)
    definitions = lines(text, "DEFINITION:", "[LONGITUDINAL]")
    assert definitions == [
        "CL = {distribution=logNormal, typical=CL_pop, covariate=SEX, coefficient={0, beta_CL_SEX_2}, "
        "varlevel={id, id*OCC}, sd={omega_CL, gamma_CL}}",
        "Q = {distribution=logNormal, typical=Q_pop, no-variability}",
        "V2 = {distribution=logitNormal, min=0, max=100, typical=V2_pop, no-variability}",
        "theta_V1 = {distribution=logNormal, typical=theta_V1_pop, no-variability}",
        "theta_V1_WT = {distribution=normal, typical=theta_V1_WT_pop, no-variability}",
        "eta_V1 = {distribution=normal, typical=eta_V1_pop, varlevel={id, id*OCC}, sd={omega_eta_V1, gamma_eta_V1}}",
    ]
    assert lines(structural, "PK:", "OUTPUT:") == [
        "V1 = theta_V1*(1 + theta_V1_WT*(WT-70))*exp(eta_V1)",
        "k = CL/V1", "k12 = Q/V1", "k21 = Q/V2",
        "Cc = pkmodel(V=V1, k, k12, k21)",
    ]  # fmt: skip
    assert "eta_V1_pop = {value=0, method=FIXED}" in text and "Q_pop = {value=1, method=FIXED}" in text
    assert "SEX = {use=covariate, type=categorical}" in text and "WT = {use=regressor}" in text
    assert table["SEX"].tolist() == [1] * 6 + [2] * 6


def test_macros_send_doses_of_two_routes(tmp_path, theophylline):
    text, structural, _ = monolix_of(tmp_path, parallel(), theophylline)
    assert lines(structural, "PK:", "OUTPUT:") == [
        "k = CL/V",
        "depot(adm=1, target=depot_x, p=Fr)",
        "depot(adm=1, target=absorbed, p=1 - Fr, Tlag=lag, Tk0=Tk0)",
        "EQUATION:",
        "odeType = stiff",
        "ddt_depot_x = -ka*depot_x",
        "ddt_central = ka*depot_x - k*central",
        "ddt_absorbed = -k*absorbed",
        "concentration = (central + absorbed)/V",
    ]
    assert "y1 = {distribution=lognormal, prediction=concentration, errorModel=constant(a)}" in text


def test_doses_into_two_compartments_are_administrations(tmp_path):
    frame = pd.DataFrame(
        {"ID": [1] * 4, "TIME": [0, 1, 2, 3], "AMT": [100, 0, 50, 0], "CMT": [1, 2, 2, 2], "DV": [0, 5, 0, 8]}
    )
    model = oral(wb.Constant(1)).without_covariate("CL", "WT")
    _, structural, table = monolix_of(tmp_path, model, wb.read_data(frame))
    assert lines(structural, "PK:", "OUTPUT:") == [
        "compartment(cmt=1, volume=V, concentration=Cc)",
        "absorption(adm=1, cmt=1, ka)",
        "iv(adm=2, cmt=1)",
        "elimination(cmt=1, Cl=CL)",
    ]
    assert table["CMT"].tolist()[::2] == [1, 2]


# -- all -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("write", "also"), [(wb.write_nlmixr2, "'quadrature'"), (wb.write_mlxtran, "Power")])
def test_all_that_cannot_be_said_is_named_at_once(theophylline, tmp_path, write, also):
    model = wb.Model(
        wb.ode("d/dt A = -k*A*(1 + tad)", response="A/V"),
        [wb.Parameter("k", 0.1, iiv=0.2, fixed=("iiv",)), wb.Parameter("V", 30, iiv=0.2)],
        wb.Power(1, 0.5), correlate="full", blq="M4",
    )  # fmt: skip
    with pytest.raises(wb.ModelError) as caught:
        write(model, tmp_path / "x", theophylline, method="quadrature")
    for what in ("only a part is fixed", "M4", "tad", also):
        assert what in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_covariate_that_changes_is_refused_where_it_would_count_differently(tmp_path):
    frame = pd.DataFrame(
        {"ID": [1] * 4 + [2] * 4, "TIME": [0, 1, 2, 3] * 2, "AMT": [100, 0, 0, 0] * 2, "DV": [0, 5, 3, 2] * 2,
         "WT": [60, 61, 62, 63] * 2}
    )  # fmt: skip
    data = wb.read_data(frame)
    model = wb.Model(
        wb.pk(), [wb.Parameter("CL", 2, iiv=0.1, covariates=[wb.Effect("WT", 0.1)]), wb.Parameter("V", 20)],
        wb.Constant(1),
    )  # fmt: skip
    with pytest.raises(wb.ModelError, match="WT, which changes within subjects"):
        wb.write_mlxtran(model, tmp_path / "x", data)
    text, _ = r_of(tmp_path, model, data)
    assert 'control = foceiControl(rxControl = rxode2::rxControl(covsInterpolation = "nocb"))' in text


def test_labels_cannot_leave_their_strings(tmp_path):
    frame = pd.DataFrame(
        {"ID": [1] * 3 + [2] * 3, "TIME": [0, 1, 2] * 2, "AMT": [100, 0, 0] * 2, "DV": [0, 5, 3] * 2,
         "G": ['a"); system("x")\n'] * 3 + ["b"] * 3}
    )  # fmt: skip
    data = wb.read_data(frame)
    model = wb.Model(
        wb.pk(), [wb.Parameter("CL", 2, iiv=0.1, covariates=[wb.Effect("C(G)", 0.1)]), wb.Parameter("V", 20)],
        wb.Constant(1),
    )  # fmt: skip
    text, _ = r_of(tmp_path, model, data)
    assert not [line for line in text.splitlines() if "system(" in line and not line.startswith("#")]
    project, _, _ = monolix_of(tmp_path, model, data)
    assert not [line for line in project.splitlines() if "system(" in line and not line.startswith(";")]


def test_a_script_of_python_gives_the_same_objective(tmp_path, theophylline):
    path = write_python(oral(), tmp_path / "run1", theophylline, "foce")
    text = path.read_text().replace("fit = wb.fit(", "fit = wb.objective(")
    path.write_text(text.replace('"run1.csv"', repr(str(path.with_suffix(".csv")))).replace(
        "'run1.csv'", repr(str(path.with_suffix(".csv")))))  # fmt: skip
    found = runpy.run_path(str(path))
    assert found["fit"] == pytest.approx(wb.objective(oral(), theophylline, "foce"), abs=1e-9)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_writes_a_file_with_its_ending(form, tmp_path, theophylline):
    path = form.write(oral(), tmp_path / "run1", theophylline, None)
    assert path.name == f"run1{form.ending}" and path.with_suffix(".csv").is_file()
