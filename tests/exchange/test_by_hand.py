"""What streams of many manners become is what NONMEM makes of them, worked out by other means."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import workbench as wb

from .by_hand import Stream

pytest.importorskip("pharmpy")

COLUMNS = "ID TIME AMT RATE CMT EVID MDV DV WT SEX OCC DVID"


def rows() -> pd.DataFrame:
    """Three subjects with two doses each."""
    random = np.random.default_rng(3)
    made = []
    for i in (1, 2, 3):
        weight, sex = 45 + 12 * i, i % 2
        for time in (0, 12):
            made.append((i, time, 100, 0, 1, 1, 1, 0, weight + time / 6, sex, 1 + (time > 0), 0))
            for after in (0.5, 2, 5, 9):
                f = 8 * np.exp(-0.12 * after) * (1 - np.exp(-1.2 * after)) * np.exp(random.normal(0, 0.2))
                made.append((i, time + after, 0, 0, 0, 0, 0, round(f, 3), weight + time / 6, sex, 1 + (time > 0),
                             1 + (after > 4)))  # fmt: skip
    return pd.DataFrame(made, columns=COLUMNS.split()).astype(float)


PK = "CL = THETA(1)*EXP(ETA(1))\nV = THETA(2)*EXP(ETA(2))\nKA = THETA(3)\nS2 = V"
ERROR = "Y = F*(1 + EPS(1))"


def stream(sub="ADVAN2 TRANS2", pk=PK, error=ERROR, more="", columns=COLUMNS, data="$DATA data.csv IGNORE=@"):
    """Records but those of initial values."""
    return (
        f"$PROBLEM by hand\n$INPUT {columns}\n{data}\n$SUBROUTINES {sub}\n{more}$PK\n{pk}\n$ERROR\n{error}\n"
        "$ESTIMATION METHOD=1 INTER MAXEVAL=9999 NOABORT SIGL=9 PRINT=1\n$COV\n$TABLE ID TIME FILE=tab1\n"
    )


def check(folder, text, theta=(1.2, 11.0, 1.4), omega=(0.09, 0.04), sigma=(0.04,), data=None, method="fo"):
    """Read a stream with its initial values, and compare the objectives."""
    frame = rows() if data is None else data
    frame.to_csv(folder / "data.csv", index=False)
    initial = "$THETA " + " ".join(map(str, theta)) + "\n"
    for name, values in (("OMEGA", omega), ("SIGMA", sigma)):
        if f"${name}" not in text:
            initial += f"${name} " + " ".join(map(str, values)) + "\n"
    (folder / "run1.mod").write_text(text if "$THETA" in text else text + initial)
    run = wb.read_nonmem(folder / "run1.mod")
    hand = Stream(text, frame, theta, omega, sigma)
    expected = hand.first_order() if method == "fo" else hand.objective(method)
    # the derivatives by hand are differences
    assert wb.objective(run.model, run.data, method) == pytest.approx(expected, abs=2e-5 * max(1, abs(expected)))
    return run


PARAMETERS = {
    "plain": "CL = THETA(1)*EXP(ETA(1))\nV = THETA(2)*EXP(ETA(2))",
    "one plus": "CL = THETA(1)*(1+ETA(1))\nV = THETA(2)*(1+ETA(2))",
    "added": "CL = THETA(1)+ETA(1)\nV = THETA(2)*EXP(ETA(2))",
    "mu": "MU_1 = LOG(THETA(1))\nCL = EXP(MU_1+ETA(1))\nMU_2 = LOG(THETA(2))\nV = DEXP(MU_2 + ETA(2))",
    "weight": "TVCL = THETA(1)*(WT/70)**0.75\nCL = TVCL*EXP(ETA(1))\nTVV=THETA(2)*WT/70.D0\nV = TVV*EXP(ETA(2))",
    "sex both": "IF(SEX.EQ.1) TVCL = THETA(1)\nIF(SEX.EQ.0) TVCL = THETA(1)*1.3\nCL=TVCL*EXP(ETA(1))\n"
    "V = THETA(2)*EXP(ETA(2))",
    "sex then": "IF (SEX.EQ.1) THEN\n TVCL = THETA(1)\n ELSE\n TVCL = THETA(1)*THETA(3)\n END IF\n"
    "CL = TVCL*EXP(ETA(1))\nV = THETA(2)*EXP(ETA(2))",
    "and or": "TVCL = THETA(1)\nIF (SEX.EQ.1.AND.WT.GT.60.OR.WT.LT.58.5) TVCL=THETA(1)*2.D0\nCL = TVCL*EXP(ETA(1))\n"
    "V = THETA(2)*EXP(ETA(2))",
    "indicator": "TALL=0\nIF (WT.GE.70) TALL=1\nCL=THETA(1)*THETA(3)**TALL*EXP(ETA(1))\nV=THETA(2)*EXP(ETA(2))",
    "first weight": "IF (NEWIND.NE.2) BWT = WT\nCL=THETA(1)*(BWT/70)**0.75*EXP(ETA(1))\nV=THETA(2)*EXP(ETA(2))",
    "kept dose": "IF (AMT.GT.0) LAST = TIME\nCL=THETA(1)*(1+0.02*LAST)*EXP(ETA(1))\nV=THETA(2)*EXP(ETA(2))",
    "time": "CL = THETA(1)*EXP(-0.01*TIME)*EXP(ETA(1))\nV=THETA(2)*EXP(ETA(2))",
    "occasion covariate": "CL=THETA(1)*EXP(ETA(1))\nIF (OCC.EQ.2) CL=CL*THETA(3)\nV=THETA(2)*EXP(ETA(2))",
    "shared eta": "CL=THETA(1)*EXP(ETA(1))\nV=THETA(2)*EXP(ETA(2)+0.5*ETA(1))",
    "box": "PHI1 = LOG(THETA(2))\nV = EXP(PHI1)*EXP(ETA(2))\nCL = THETA(1) ; L/h\nCL = CL*EXP(ETA(1)) ; again",
    "tabs and case": "\tcl = theta(1)*exp(eta(1)) ; \"quoted\"\n\tv = &  ; volume\n  theta(2)* &\n exp(eta(2))",
    "nested": "CL=THETA(1)\nIF (SEX.EQ.1) THEN\n  IF (OCC.EQ.1) THEN\n   CL=THETA(1)*2\n  ELSE\n   CL=CL*1.5\n  ENDIF\n"
    "ELSEIF (WT>70) THEN\n  CL=THETA(1)*0.9\nENDIF\nCL=CL*EXP(ETA(1))\nV=THETA(2)*EXP(ETA(2))",
    "logit": "X=LOG(THETA(1)/10/(1-THETA(1)/10))+ETA(1)\nCL=10*EXP(X)/(1+EXP(X))\nV=THETA(2)*EXP(ETA(2))",
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(tmp_path, name):
    check(tmp_path, stream(pk=PARAMETERS[name] + "\nKA = THETA(3)\nS2 = V"))


ERRORS = {
    "proportional": ("IPRED=F\nIRES=DV-IPRED\nDEL=0\nIF (IPRED.EQ.0) DEL=1\nIWRES=IRES/(IPRED+DEL)\nY=F+F*EPS(1)", 1),
    "constant": ("IPRED = F\nY = IPRED + EPS(1)", 1),
    "exponential": ("Y = F*EXP(EPS(1))", 1),
    "both": ("Y = F*(1+EPS(1)) + EPS(2)", 2),
    "w": ("IPRED = F\nW = SQRT(0.3**2 + (0.2*IPRED)**2)\nIF (W.EQ.0) W = 1\nY = IPRED + W*EPS(1)", 1),
    "sum": ("IPRED = F\nW = 0.3 + 0.2*IPRED\nY = IPRED + W*EPS(1)", 1),
    "power": ("W = 0.3*F**0.7\nY = F + W*EPS(1)", 1),
    "amount": ("IPRED = A(2)/V\nY = IPRED*(1+ERR(1))", 1),
    "by kind": ("IF (DVID.EQ.2) THEN\nY = F + F*EPS(1)\nELSE\nY = F + EPS(2)\nENDIF", 2),
    "by kind in lines": ("IF (DVID.EQ.1) Y = F + F*EPS(1)\nIF (DVID.EQ.2) Y = F + EPS(2)", 2),
    "by sex": ("W1=0\nIF (SEX.EQ.1) W1=1\nY = F + F*EPS(1)*W1 + F*EPS(2)*(1-W1)", 2),
    "of observations": ("IF (MDV.EQ.1) THEN\nY = 0\nELSE\nY = F*(1+EPS(1))\nENDIF", 1),
}


@pytest.mark.parametrize("name", ERRORS)
def test_residual_errors(tmp_path, name):
    code, n = ERRORS[name]
    fixed = stream(error=code)
    if name in ("w", "sum", "power"):
        fixed += "$THETA 1.2 11 1.4\n$OMEGA 0.09 0.04\n$SIGMA 1 FIX\n"
    check(tmp_path, fixed, sigma=[1.0] if name in ("w", "sum", "power") else [0.04, 0.3][:n])


DES = "$MODEL NCOMP=2 COMP=(DEPOT,DEFDOSE) COMP=(CENTRAL,DEFOBS)\n"
KINETICS = {
    "advan1": ("ADVAN1", "CL=THETA(1)*EXP(ETA(1))\nV=THETA(2)*EXP(ETA(2))\nK=CL/V\nS1=V/1.0", ""),
    "advan1 scale": ("ADVAN1 TRANS2", "CL=THETA(1)*EXP(ETA(1))\nV=THETA(2)*EXP(ETA(2))\nS1=V/1.3", ""),
    "advan2 trans1": ("ADVAN2", "KA=THETA(3)\nK=THETA(1)/THETA(2)*EXP(ETA(1))\nV=THETA(2)*EXP(ETA(2))\nSC=V", ""),
    "advan3": ("ADVAN3 TRANS4", "CL=THETA(1)*EXP(ETA(1))\nV1=THETA(2)*EXP(ETA(2))\nQ=THETA(3)\nV2=20\nS1=V1", ""),
    "advan3 trans3": ("ADVAN3, TRANS3", "CL=THETA(1)*EXP(ETA(1))\n"
                      "V=THETA(2)*EXP(ETA(2))\nQ=THETA(3)\nVSS=V+20\nS1=V", ""),
    "advan4": ("ADVAN4 TRANS4", "CL=THETA(1)*EXP(ETA(1))\nV2=THETA(2)*EXP(ETA(2))\nQ=1.1\nV3=20\n"
               "KA=THETA(3)\nS2=V2", ""),
    "advan11": ("ADVAN11 TRANS4", "CL=THETA(1)*EXP(ETA(1))\nV1=THETA(2)*EXP(ETA(2))\nQ2=THETA(3)\nV2=20\n"
                "Q3=0.4\nV3=40\nS1=V1", ""),
    "advan12": ("ADVAN12 TRANS4", "CL=THETA(1)*EXP(ETA(1))\nV2=THETA(2)*EXP(ETA(2))\nQ3=THETA(3)\nV3=20\n"
                "Q4=0.4\nV4=40\nKA=1.3\nS2=V2", ""),
    "advan10": ("ADVAN10", "VM=THETA(1)*3*EXP(ETA(1))\nKM=THETA(3)\nV=THETA(2)*EXP(ETA(2))\nS1=V", ""),
    "advan5": ("ADVAN5", "CL=THETA(1)*EXP(ETA(1))\nV=THETA(2)*EXP(ETA(2))\nK12=THETA(3)\nK20=CL/V\n"
               "K23=0.2\nK32=0.1\nS2=V",
               "$MODEL COMP=(DEPOT) COMP=(CENTRAL,DEFOBS) COMP=(PERI)\n"),
    "advan7": ("ADVAN7", "K1T2=THETA(3)\nK2T0=THETA(1)/THETA(2)*EXP(ETA(1))\nV=THETA(2)*EXP(ETA(2))\nS2=V",
               "$MODEL COMP(DEPOT) COMP(CENTRAL)\n"),
    "des": ("ADVAN13 TOL=9", PK, DES + "$DES\nDADT(1) = -KA*A(1)\nCP=A(2)/V\nDADT(2) = KA*A(1) - CL*CP\n"),
    "lag": ("ADVAN2 TRANS2", PK + "\nALAG1 = 0.3*EXP(ETA(1))", ""),
    "share": ("ADVAN2 TRANS2", PK + "\nF1 = 0.8", ""),
    "share by weight": ("ADVAN2 TRANS2", PK + "\nF1 = 0.8*(WT/60)**0.3", ""),
    "share by amount": ("ADVAN2 TRANS2", PK + "\nF1 = (AMT/70)**0.3", ""),
    "initial": ("ADVAN6 TOL=9", PK + "\nA_0(2) = 20*EXP(ETA(1))",
                DES + "$DES\nDADT(1) = -KA*A(1)\nDADT(2) = KA*A(1) - CL/V*A(2)\n"),
    "initial by flag": ("ADVAN6 TOL=9", PK + "\nIF (A_0FLG.EQ.1) THEN\nA_0(2) = 20\nENDIF",
                        DES + "$DES\nDADT(1) = -KA*A(1)\nDADT(2) = KA*A(1) - CL/V*A(2)\n"),
    "transit by time": ("ADVAN6 TOL=9", PK, DES + "$DES\nK=CL/V\nIF (T.GT.3) K = 2*K\nDADT(1) = -KA*A(1)\n"
                        "DADT(2) = KA*A(1) - K*A(2)\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", KINETICS)
def test_kinetics(tmp_path, name):
    sub, pk, more = KINETICS[name]
    check(tmp_path, stream(sub, pk, more=more))


def changed(**values):
    frame = rows()
    doses = frame["AMT"] > 0
    for name, value in values.items():
        if name not in frame:
            frame[name] = 0.0
        frame.loc[doses, name] = value
    return frame


DOSES = {
    "infusion": ({"RATE": 40}, ""),
    "rate": ({"RATE": -1}, "\nR1 = 35*EXP(ETA(2))"),
    "rate and share": ({"RATE": -1}, "\nR1 = 35\nF1 = 0.7"),
    "duration": ({"RATE": -2}, "\nD1 = 2.5*EXP(ETA(2))"),
    "rate or duration": ({"RATE": [-1, -2] * 3}, "\nR1 = 35\nD1 = 2.5"),
    "rate that is not used": ({}, "\nR1 = 35"),
    "into the centre": ({"CMT": 2}, ""),
    "into the centre with a lag": ({"CMT": [1, 2] * 3}, "\nALAG1 = 0.2"),
    "into the centre over a time": ({"CMT": 2, "RATE": -2}, "\nD2 = 1.5"),
    "additional": ({"ADDL": [1, 0] * 3, "II": [4, 0] * 3}, ""),
    "steady state": ({"SS": [1, 0] * 3, "II": [8, 0] * 3}, ""),
    "reset and dose": ({"EVID": [1, 4] * 3}, ""),
    "steady state after a reset": ({"EVID": [1, 4] * 3, "SS": [0, 1] * 3, "II": [0, 6] * 3}, ""),
    "steady state of infusions": ({"SS": [1, 0] * 3, "II": [8, 0] * 3, "RATE": 50}, ""),
}


@pytest.mark.parametrize("name", DOSES)
def test_doses(tmp_path, name):
    values, code = DOSES[name]
    data = changed(**values)
    check(tmp_path, stream(pk=PK + code, columns=" ".join(data.columns)), data=data)


def test_a_reset_alone(tmp_path):
    data = rows()
    extra = data[data["TIME"] == 12].groupby("ID").head(1).assign(TIME=11.0, AMT=0.0, EVID=3.0)
    data = pd.concat([data, extra]).sort_values(["ID", "TIME"], kind="stable")
    check(tmp_path, stream(), data=data)


def test_observations_of_two_compartments(tmp_path):
    data = rows()
    data.loc[data["MDV"] == 0, "CMT"] = 2.0
    check(tmp_path, stream(), data=data)
    data.loc[(data["MDV"] == 0) & (data["TIME"] % 12 > 4), "CMT"] = 1.0
    check(tmp_path, stream(), data=data)


OCCASIONS = {
    "lines": "IOV = 0\nIF (OCC.EQ.1) IOV = ETA(3)\nIF (OCC.EQ.2) IOV = ETA(4)",
    "lines without a beginning": "IF (OCC.EQ.1) IOV = ETA(3)\nIF (OCC.EQ.2) IOV = ETA(4)",
    "indicators": "OC1 = 0\nOC2 = 0\nIF (OCC.EQ.1) OC1 = 1\nIF (OCC.EQ.2) OC2 = 1\nIOV = OC1*ETA(3) + OC2*ETA(4)",
    "then": "IF (OCC.EQ.1) THEN\nIOV = ETA(3)\nELSE\nIOV = ETA(4)\nENDIF",
}


@pytest.mark.parametrize("name", OCCASIONS)
def test_occasions(tmp_path, name):
    pk = OCCASIONS[name] + "\n" + PK.replace("EXP(ETA(1))", "EXP(ETA(1)+IOV)") + "\nIF (OCC.EQ.2) KA = 1.3*KA"
    text = stream(pk=pk) + "$THETA 1.2 11 1.4\n$OMEGA 0.09 0.04\n$OMEGA BLOCK(1) 0.02\n$OMEGA BLOCK(1) SAME\n"
    text += "$SIGMA 0.04\n"
    run = check(tmp_path, text, omega=(0.09, 0.04, 0.02, 0.02))
    assert "kappa" in repr(run.model).casefold() or "iov=0.14" in repr(run.model)


@pytest.mark.slow
def test_below_a_limit(tmp_path):
    data = rows()
    data["BLQ"] = ((data["MDV"] == 0) & (data["DV"] < 2.5)).astype(float)
    data["LLOQ"] = 2.5
    error = (
        "IPRED = F\nW = SQRT(0.3**2 + (0.2*IPRED)**2)\nLOQ = LLOQ\nIF (BLQ.EQ.0) THEN\nF_FLAG = 0\n"
        "Y = IPRED + W*EPS(1)\n"
        "ELSE\nF_FLAG = 1\nDUM = (LOQ - IPRED)/W\nY = PHI(DUM)\nENDIF"
    )
    text = stream(error=error, columns=" ".join(data.columns)).replace("INTER", "LAPLACE INTER")
    text += "$THETA 1.2 11 1.4\n$OMEGA 0.09 0.04\n$SIGMA 1 FIX\n"
    run = check(tmp_path, text, sigma=[1.0], data=data, method="laplace")
    assert run.method == "laplace" and run.model.blq == "M3"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["focei", "foce"])
def test_conditional_estimation(tmp_path, method):
    """As far as it is not linear in random effects."""
    text = stream(pk=PARAMETERS["one plus"] + "\nKA = THETA(3)*EXP(ETA(3))\nS2 = V", error="Y = F + EPS(1)")
    check(tmp_path, text, omega=(0.09, 0.04, 0.1), sigma=(0.8,), method=method)


PREDS = {
    "growth": "ASYM = THETA(1)*8*EXP(ETA(1))\nK = 0.3\nY = ASYM*(1 - EXP(-K*TIME)) + ETA(2)*TIME/50 + EPS(1)",
    "by a choice": "E0 = THETA(1)*3 + ETA(1)\nEFF = 0\n"
    "IF (TIME.GT.3) EFF = THETA(3)*TIME/(THETA(2) + TIME)*EXP(ETA(2))\n"
    "IPRED = E0 + EFF\nY = IPRED*(1 + EPS(1))",
    "kept": "IF (NEWIND.NE.2) BASE = WT\nY = THETA(1)*BASE/10*EXP(ETA(1)) + ETA(2) + EPS(1)*THETA(3)",
}


@pytest.mark.parametrize("name", PREDS)
def test_predictions_without_compartments(tmp_path, name):
    text = stream().partition("$SUBROUTINES")[0] + f"$PRED\n{PREDS[name]}\n$ESTIMATION METHOD=0\n"
    fixed = "THETA(3)" in PREDS[name] and "EPS(1)*THETA(3)" in PREDS[name]
    if fixed:
        text += "$THETA 1.2 11 1.4\n$OMEGA 0.09 0.04\n$SIGMA 1 FIX\n"
    check(tmp_path, text, sigma=[1.0] if fixed else [0.04])
