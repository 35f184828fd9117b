"""Control streams that are read: what they become, how that is proven, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import workbench as wb

pytest.importorskip("pharmpy")

ORAL = """$PROBLEM one compartment
$INPUT ID TIME AMT WT DV
$DATA data.csv IGNORE=@
$SUBROUTINE ADVAN2 TRANS2
$PK
TVCL = THETA(1)*(WT/70)**THETA(4)
CL = TVCL*EXP(ETA(1))
MU_2 = LOG(THETA(2))
V = EXP(MU_2 + ETA(2))
KA = THETA(3)
S2 = V
$ERROR
IPRED = F
W = SQRT(THETA(5)**2 + THETA(6)**2*IPRED**2)
Y = IPRED + W*EPS(1)
IRES = DV - IPRED
$THETA (0,2.8) ; CL
$THETA (0,32) (0,1.5) 0.75 FIX (0,0.5) (0,0.1)
$OMEGA BLOCK(2)
0.09
0.03 0.04
$SIGMA 1 FIX
$ESTIMATION METHOD=1 INTERACTION MAXEVAL=9999
$TABLE ID TIME FILE=sdtab1
"""


@pytest.fixture
def folder(tmp_path):
    events = wb.load_example("theophylline").events
    weight = wb.load_example("theophylline").covariate_values(["WT"])["WT"]
    frame = pd.DataFrame(
        {"ID": events.subject + 1, "TIME": events.time, "AMT": events.amount, "WT": weight,
         "DV": np.nan_to_num(events.dv)}
    )  # fmt: skip
    frame.to_csv(tmp_path / "data.csv", index=False)
    return tmp_path


def read(folder, text):
    path = folder / "run1.mod"
    path.write_text(text)
    return wb.read_nonmem(path)


def test_a_stream_becomes_a_model_of_the_library(folder):
    run = read(folder, ORAL)
    assert run.model == wb.Model(
        wb.pk(absorption="first-order"),
        [
            wb.Parameter("ka", 1.5),
            wb.Parameter("CL", 2.8, iiv=0.3, covariates=[wb.Effect("log(WT/70)", 0.75, fixed=True)]),
            wb.Parameter("V", np.exp(np.log(32)), iiv=0.2),
        ],
        wb.Combined2(0.5, 0.1),
        [wb.Block("CL", "V", correlations=[0.03 / (0.3 * 0.2)])],
    ).with_parameter("ka", value=1.5).with_parameter("V", value=run.model["V"].value)
    assert run.model["V"].value == pytest.approx(32, rel=1e-14)
    assert run.method == "focei"
    assert run.left_out == ("$TABLE (tables)",)
    assert "not proven" in run.said
    assert run.data.events.observed.sum() == 132 - 0 * len(run.data.subjects)


def ext(ofv, *values):
    names = [*(f"THETA{i}" for i in range(1, 7)), "SIGMA(1,1)", "OMEGA(1,1)", "OMEGA(2,1)", "OMEGA(2,2)"]
    return (
        "TABLE NO.     1: First Order Conditional Estimation with Interaction\n"
        f" ITERATION {' '.join(names)} OBJ\n"
        f"  -1000000000 {' '.join(map(str, values))} {ofv}\n"
    )


def test_the_model_is_proven_by_the_printed_objective(folder):
    values = (2.9, 31.0, 1.4, 0.75, 0.6, 0.12, 1.0, 0.08, 0.02, 0.05)
    (folder / "run1.ext").write_text(ext(0.0, *values))
    run = read(folder, ORAL)
    assert not run.published.agrees and "but its OFV is" in run.said
    assert run.published.model["CL"].value == 2.9
    ofv = wb.objective(run.published.model, run.data, "focei")
    (folder / "run1.ext").write_text(ext(ofv, *values))
    run = read(folder, ORAL)
    assert run.published.agrees
    assert run.said == f"run1.mod read, OFV {ofv:.3f} as in run1.ext."


def test_an_ext_of_another_model_is_no_proof(folder):
    (folder / "run1.ext").write_text(ext(0.0, *[1.0] * 10).replace("THETA6", "OTHER"))
    with pytest.raises(wb.FileError, match="estimates of another model"):
        read(folder, ORAL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("KA = THETA(3)", "KA = THETA(3) + CL/V"),  # no parameter of a model: written out
        ("TVCL = THETA(1)*(WT/70)**THETA(4)", "TVCL = THETA(1)\nIF (WT.GT.70) TVCL = THETA(1)*(WT/70)**THETA(4)"),
        ("S2 = V", "S2 = V/1000"),
    ],
)
def test_what_is_no_model_of_the_library_is_written_out(folder, old, new):
    run = read(folder, ORAL.replace(old, new))
    assert type(run.model.structure).__name__ in ("Ode", "PK")
    assert np.isfinite(wb.objective(run.model, run.data, "foce"))


def test_all_that_cannot_be_expressed_is_named_by_line(folder):
    text = ORAL.replace("KA = THETA(3)", "KA = THETA(3)*MIXNUM\nMTIME(1) = 3\nCALL RANDOM(2,R)")
    text = text.replace("$SIGMA", "$PRIOR NWPRI\n$SIGMA")
    with pytest.raises(wb.ModelError) as caught:
        read(folder, text)
    for what in ("line 10: a mixture", "line 11: MTIME", "line 12: a subroutine", "line 24: $PRIOR"):
        assert what in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ADVAN2 TRANS2", "ADVAN16", "line 4: ADVAN16"),
        ("Y = IPRED + W*EPS(1)", "IF (F.GT.1) Y = IPRED + W*EPS(1)", "under a condition only"),
        ("W*EPS(1)", "W*EPS(1)*EXP(ETA(1))", "no function of the prediction"),
        ("KA = THETA(3)", "KA = THETA(9)", "THETA(9), which $THETA does not give"),
        ("METHOD=1", "METHOD=BAYES", "the method BAYES"),
        ("S2 = V", "IF (WT.GT.70) THEN\nS2 = V", "line 11: an IF without ENDIF"),
        ("KA = THETA(3)", "KA = THETA(3)*A(1)", "line 10: A(1) in $PK"),
        ("KA = THETA(3)", "KA = THETA(3)*T", "line 10: T in $PK"),
    ],
)
def test_a_part_that_cannot_be_expressed_is_refused(folder, old, new, said):
    with pytest.raises(wb.ModelError) as caught:
        read(folder, ORAL.replace(old, new))
    assert said in str(caught.value)


def test_files_that_are_not_there_or_differ_are_said(folder):
    with pytest.raises(wb.FileError, match=r"needs the data file other.csv \(line 3\)"):
        read(folder, ORAL.replace("data.csv", "other.csv"))
    with pytest.raises(wb.FileError, match=r"has 5 columns, but .INPUT of run1\.mod names 6"):
        read(folder, ORAL.replace("WT DV", "WT AGE DV"))
    with pytest.raises(wb.FileError, match="no control stream"):
        read(folder, "hello")
    with pytest.raises(wb.FileError, match="at most 1,000,000 are read"):
        read(folder, ORAL + ";" * 1_000_001)
    with pytest.raises(wb.FileError, match="There is no file"):
        wb.read_nonmem(folder / "nothing.mod")


def test_records_are_ignored_and_accepted(folder):
    def subjects(options):
        return list(read(folder, ORAL.replace("IGNORE=@", f"IGNORE=@ {options}")).data.events.subjects)

    assert subjects("ACCEPT=(ID.EQN.2,ID.EQN.5)") == [2, 5]
    assert subjects("IGNORE=(ID.GT.3) IGNORE=(ID.EQ.1)") == [2, 3]
    with pytest.raises(wb.FileError, match="leave no record"):
        subjects("ACCEPT=(ID.GT.99)")


def test_censored_observations_are_read_back(tmp_path):
    frame = pd.DataFrame(
        {"ID": np.repeat([1, 2, 3], 4), "TIME": np.tile([0, 1, 8, 24], 3), "AMT": np.tile([100.0, 0, 0, 0], 3),
         "DV": [0, 5, 3, 0.5, 0, 4, 3, 0.5, 0, 6, 3, 0.7], "CENS": [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]}
    )  # fmt: skip
    data = wb.read_data(frame)
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 2, iiv=0.3), wb.Parameter("V", 20)], wb.Constant(0.5), blq="M3")
    run = wb.read_nonmem(wb.write_nonmem(model, tmp_path / "run1.mod", data, "laplace"))
    assert run.model == model
    assert wb.objective(run.model, run.data, "laplace") == pytest.approx(wb.objective(model, data, "laplace"), abs=1e-9)


def test_data_may_lie_elsewhere(folder):
    (folder / "elsewhere").mkdir()
    path = folder / "elsewhere" / "run1.mod"
    path.write_text(ORAL)
    assert len(wb.read_nonmem(path, folder / "data.csv").data.events.subjects) == 12


def _models():
    parameters = {"ka": 1.5, "CL": 2.8, "V1": 20.0, "Q": 2.0, "V2": 15.0, "lag": 0.1}
    two = wb.pk(compartments=2, absorption="first-order", lag=True)
    stated = [wb.Parameter(n, v, iiv=0.3 if n in ("CL", "V1") else None) for n, v in parameters.items()]
    yield "two compartments", wb.Model(two, stated, wb.Combined2(0.3, 0.2), [wb.Block("CL", "V1", correlations=[0.3])])
    rate = [wb.Parameter("Tk0", 2.0), wb.Parameter("k", 0.09, iiv=0.2), wb.Parameter("V", 30.0, iiv=0.1)]
    zero = wb.pk(absorption="zero-order", parameters="rate")
    yield "zero order", wb.Model(zero, rate, wb.Combined(0.5, 0.1))
    saturable = [wb.Parameter("Vm", 3.0, iiv=0.3), wb.Parameter("Km", 2.0), wb.Parameter("V", 30.0, iiv=0.1)]
    yield "ODE", wb.Model(wb.pk(elimination="michaelis-menten"), saturable, wb.Constant(0.8))
    equation = wb.equation("D*ka/V/(ka - CL/V)*(exp(-CL/V*t) - exp(-ka*t))")
    values = [wb.Parameter("D", 4.0, fixed=True), wb.Parameter("ka", 1.5, iiv=0.3), wb.Parameter("V", 0.5, iiv=0.1),
              wb.Parameter("CL", 0.04, iiv=0.2, covariates=[wb.Effect("log(WT/70)", 0.75)])]  # fmt: skip
    yield "equation", wb.Model(equation, values, wb.Constant(0.8))


@pytest.mark.parametrize(("name", "model"), list(_models()), ids=lambda v: v if isinstance(v, str) else "")
def test_what_is_written_is_read_back(tmp_path, name, model):
    data = wb.load_example("theophylline")
    run = wb.read_nonmem(wb.write_nonmem(model, tmp_path / "run1.mod", data, method="foce"))
    assert run.method == "foce"
    ours, theirs = wb.objective(model, data, "foce"), wb.objective(run.model, run.data, "foce")
    assert theirs == pytest.approx(ours, abs=1e-6)
    if name in ("two compartments", "zero order"):
        assert run.model.structure == model.structure


@pytest.mark.parametrize(
    ("code", "same"),
    [
        ("KA = THETA(3) + 4 + (-2**2)", "KA = THETA(3)"),
        ("KA = 2**3**2*THETA(3)/512", "KA = THETA(3)"),
        ("KA = THETA(3)\nIF (WT.GT.70) THEN\nKA = 2\nKA = KA*THETA(3)\nENDIF", "KA = THETA(3)\nIF(WT.GT.70) KA = 2*KA"),
        (
            "KA = THETA(3)\nKB = 1\nIF (WT.GT.70) THEN\nKB = 2\nKA = KB\nELSE\nKA = KB\nKB = 3\nENDIF",
            "KA = 1\nIF (WT.GT.70) KA = 2",
        ),
        (
            "KA = THETA(3)\nKB = WT\nIF (KB.GT.70) THEN\nKB = 2\nKA = KB\nENDIF",
            "KA = THETA(3)\nIF (WT.GT.70) KA = 2",
        ),
        (
            "KA = THETA(3)\nIF (WT.GT.60) THEN\nIF (WT.GT.70) KA = 2\nENDIF",
            "KA = THETA(3)\nIF (WT.GT.60.AND.WT.GT.70) KA = 2",
        ),
        (
            "IF (WT.GT.60) THEN\nIF (WT.GT.70) THEN\nKA = 2\nELSE\nKA = 3\nEND IF\nELSE\nKA = THETA(3)\nEND IF",
            "KA = 2\nIF (WT.LE.70) KA = 3\nIF (WT.LE.60) KA = THETA(3)",
        ),
        (
            "KA = 1\nKB = 2\nIF (WT.GT.70) THEN\nKC = KA\nKA = KB\nKB = KC\nENDIF\nKA = KA + 3*KB",
            "KA = 7\nIF (WT.GT.70) KA = 5",
        ),
    ],
)
def test_code_means_what_it_means_in_fortran(folder, code, same):
    """The order of statements, IFs within IFs, signs and powers."""
    first, second = (read(folder, ORAL.replace("KA = THETA(3)", text)) for text in (code, same))
    assert wb.objective(first.model, first.data, "fo") == pytest.approx(
        wb.objective(second.model, second.data, "fo"), abs=1e-9
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("$PK\nTVCL = THETA(1)*(WT/70)**THETA(4)\nCL = TVCL*", "$pk\ntvcl = theta(1)*(wt/70)**theta(4)\ncl = tvcl*"),
        ("TVCL = THETA(1)*(WT", "TVCL = THETA(1)* &\n (WT"),
        ("$INPUT ID TIME AMT WT DV", "$INPUT ID=SUBJ TIME AMT BW=WT CONC=DV"),
        ("KA = THETA(3)", "KA = THETA(3)\nKB = 1\nIF (WT.LT.0) THEN\nKB = 2\nKA = KB*THETA(3)\nELSE\nKB = 3\nENDIF"),
        ("$ESTIMATION", "$EST METHOD=0 MAXEVAL=0\n$ESTIMATION"),
        ("$ESTIMATION METHOD=1 INTERACTION MAXEVAL=9999", "$EST METHOD=COND INTER MAXEVAL=0\n$EST MAXEVAL=9"),
        ("BLOCK(2)\n0.09\n0.03 0.04", "BLOCK(2) SD CORRELATION\n0.3\n0.5 0.2"),
        ("BLOCK(2)\n0.09\n0.03 0.04", "BLOCK(2) CHOLESKY\n0.3\n0.1 0.17320508075688773"),
    ],
)
def test_other_ways_to_say_it_are_the_same(folder, old, new):
    run, other = read(folder, ORAL), read(folder, ORAL.replace(old, new))
    assert other.method == run.method
    ofv = wb.objective(run.model, run.data, run.method)
    assert wb.objective(other.model, other.data, other.method) == pytest.approx(ofv, abs=1e-6)


def test_a_later_estimation_takes_interaction_back(folder):
    text = ORAL.replace("$ESTIMATION METHOD=1 INTERACTION", "$EST METHOD=1 INTER MAXEVAL=0\n$EST NOINTER")
    assert read(folder, text).method == "foce"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("KA = THETA(3)", "IF (WT.GT.61) KA = THETA(3)", "line 10: KA, which is given under a condition only"),
        ("KA = THETA(3)", "KA = THETA(3)*EXP(GAMLN(3))", "line 10: GAMLN"),
        ("KA = THETA(3)", "KA = THETA(3)*INT(WT/10)", "line 10: INT"),
        ("KA = THETA(3)", "KA = THETA(3", "line 10: "),
        ("KA = THETA(3)", "CL V\nKA = THETA(3)", "line 10: 'CLV'"),
        ("KA = THETA(3)", 'KA = THETA(3)\n" verbatim', "line 11: verbatim code"),
        ("KA = THETA(3)", "CALLFL=1\nKA = THETA(3)", "line 10: CALLFL"),
        ("KA = THETA(3)", "KA = THETA(3)\nDO WHILE (KA.LT.2)\nENDDO", "line 11: a loop"),
        ("KA = THETA(3)", "KA = THETA(4)*EXP(ETA(9))", "line 10: ETA(9), which $OMEGA does not give"),
        ("KA = THETA(3)", "KA = THETA(5)", "THETA(5), which is part of the structure as well"),
        ("IPRED = F", "YLO = 0.1\nIPRED = F", "line 13: a likelihood above a limit"),
        ("W = SQRT", "IF (F.LT.1) W = 0.5\nW1 = SQRT", "line 16: Y, which is given under a condition only"),
        ("SIGMA 1 FIX", "SIGMA 1", "more parameters than it can tell apart"),
        ("IGNORE=@", "IGNORE=@ RECORDS=5", "line 3: $DATA RECORDS 5"),
        ("IGNORE=@", "(5F8.0)", "line 3: $DATA (5F8.0)"),
        ("(0,1.5) ", "(0,,3) ", "line 18: $THETA (0 , , 3), whose initial value NONMEM is to find"),
        ("0.03 0.04", "0.03", "line 19: $OMEGA BLOCK(2) of 2 values"),
        ("0.03 0.04", "0 0.04", "line 19: a 0 in $OMEGA BLOCK(2)"),
        ("$PK", "$ABBR FUNCTION FUNC(VECT,5)\n$PK", "line 5: $ABBREVIATED FUNCTION"),
        ("$PK", "$MSFI msf1\n$PK", "line 5: $MSFI"),
        ("$PK", "$LEVEL\nSID=(3[1])\n$PK", "line 5: $LEVEL"),
        ("$PK", "$THETAP 1 FIX\n$PK", "line 5: $THETAP"),
        ("AMT WT", "AMT L2", "line 2: the column L2"),
        ("ADVAN2 TRANS2", "ADVAN2 TRANS2 OTHER=my.f90", "line 4: $SUBROUTINES OTHER"),
        ("METHOD=1", "METHOD=ITS", "line 23: the method ITS"),
    ],
)
def test_each_fault_has_its_line(folder, old, new, said):
    assert old in ORAL
    with pytest.raises(wb.ModelError) as caught:
        read(folder, ORAL.replace(old, new))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n", "\r\n"),
        ("IGNORE=@", "ignore=@ wide REWIND NULL=0"),
        ("IGNORE=@", "\n  IGNORE=@ ; header\n IGNORE=((ID.EQN.99),(TIME.GT.1000))"),
        ("(0,1.5) 0.75 FIX (0,0.5) (0,0.1)", "KA=(0,1.5)\n (0.75,FIXED) (0 0.5 10)\n (0,0.1,+INF)"),
        ("$OMEGA BLOCK(2)\n0.09\n0.03 0.04", "$OMEGA BLOCK(2)\n 0.09 ; CL\n 0.03 ; CL-V\n 0.04 ; V"),
        ("EXP(ETA(1))", "EXP(ETA(1)) ; & no continuation"),
        ("$PK\nTVCL = THETA(1)", "$ABBR REPLACE THETA(CL)=THETA(1) ; a name\n$ABBR DERIV2=NO\n$PK\nTVCL = THETA(CL)"),
        ("$PK", "$PK\n  IF (THETA(3).LE.0) EXIT 1 101\n  CALLFL=-2\nIF (ICALL.EQ.4) KX = 3"),
        ("$SIGMA 1 FIX", "$SIGMA (1 FIX)"),
        ("$SUBROUTINE ADVAN2 TRANS2", "$SUBS ADVAN=ADVAN2, TRANS=TRANS2"),
        ("$ESTIMATION METHOD=1 INTERACTION", "$ESTM METH=COND INTER NOABORT SIG=3 PRINT=1 MSFO=msf FORMAT=s1PE12.5"),
    ],
)
def test_how_it_is_written_makes_no_difference(folder, old, new):
    assert old in ORAL
    run, other = read(folder, ORAL), read(folder, ORAL.replace(old, new))
    assert other.method == run.method and other.model.structure == run.model.structure
    ofv = wb.objective(run.model, run.data, run.method)
    assert wb.objective(other.model, other.data, other.method) == pytest.approx(ofv, abs=1e-6)


def test_a_stream_from_a_stranger_is_bounded(folder):
    """Powers of powers, and names that double, cost nothing and are said."""
    grows = "\n".join(f"X{i} = X{i - 1}*X{i - 1} + X{i - 1}" for i in range(1, 60))
    with pytest.raises(wb.ModelError, match=r"X\d+, which needs more than 20,000 operations"):
        read(folder, ORAL.replace("KA = THETA(3)", f"X0 = THETA(3)\n{grows}\nKA = X59"))
    with pytest.raises(wb.ModelError, match="too deep"):
        read(folder, ORAL.replace("KA = THETA(3)", "KA = " + "(" * 500 + "THETA(3)" + ")" * 500))
    with pytest.raises(wb.ModelError):
        read(folder, ORAL.replace("KA = THETA(3)", "N = 999\nM = N**N**N**N\nKA = THETA(3)*M"))
