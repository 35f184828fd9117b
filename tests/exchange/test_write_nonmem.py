"""Control streams that are written: texts that were checked by hand, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import workbench as wb


def oral(**changes):
    model = wb.Model(
        wb.pk(absorption="first-order"),
        [
            wb.Parameter("ka", 1.5, iiv=0.6),
            wb.Parameter("CL", 2.8, iiv=0.3, covariates=[wb.Effect("log(WT/70)", 0.75, fixed=True)]),
            wb.Parameter("V", 32, iiv=0.2),
        ],
        error=wb.Combined2(0.5, 0.1),
        correlate=[wb.Block("CL", "V", correlations=[0.5])],
    )
    for name, fields in changes.items():
        model = model.with_parameter(name, **fields)
    return model


@pytest.fixture(scope="module")
def theophylline():
    return wb.load_example("theophylline")


def written(tmp_path, model, data, **options):
    path = wb.write_nonmem(model, tmp_path / "run1.mod", data, **options)
    return path.read_text(encoding="utf-8"), pd.read_csv(path.with_suffix(".csv"), na_values=".")


def part(text, first, last):
    lines = text.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith(first))
    return [line.strip() for line in lines[begin : next(i for i, x in enumerate(lines) if x.startswith(last))]]


def test_one_compartment_with_absorption_is_advan2(tmp_path, theophylline):
    text, table = written(tmp_path, oral(), theophylline)
    assert part(text, "$INPUT", "$ESTIMATION") == [
        "$INPUT ID TIME EVID CMT AMT DV MDV WT",
        "$DATA run1.csv IGNORE=@",
        "$SUBROUTINES ADVAN2 TRANS2",
        "$PK",
        "KA = THETA(1)*EXP(ETA(1))",
        "CL = THETA(2)*EXP(THETA(3)*LOG(WT/70) + ETA(2))",
        "V = THETA(4)*EXP(ETA(3))",
        "S2 = V",
        "$ERROR",
        "IPRED = F",
        "W = SQRT(THETA(5)**2 + (THETA(6)*IPRED)**2)",
        "Y = IPRED + W*EPS(1)",
        "$THETA (0,1.5) ; 1 ka",
        "$THETA (0,2.8) ; 2 CL",
        "$THETA 0.75 FIX ; 3 CL: log(WT/70)",
        "$THETA (0,32) ; 4 V",
        "$THETA (0,0.5) ; 5 error a",
        "$THETA (0,0.1) ; 6 error b",
        "$OMEGA 0.36 ; IIV ka",
        "$OMEGA BLOCK(2) ; IIV CL, V",
        "0.09",
        "0.03 0.04",
        "$SIGMA 1 FIX",
    ]
    events = theophylline.events
    assert np.array_equal(table["TIME"], events.time)
    assert np.array_equal(table["DV"][events.observed], events.dv[events.observed])
    assert np.array_equal(table["MDV"], ~events.observed)
    assert set(table["CMT"][events.is_dose]) == {1} and set(table["CMT"][~events.is_dose]) == {0}


def test_a_dose_of_two_routes_is_a_record_for_each(tmp_path, theophylline):
    structure = wb.pk(absorption="parallel", lag="zero-order")
    values = {"Fr": 0.4, "ka": 1.0, "Tk0": 2.0, "CL": 2.8, "V": 32.0, "lag": 0.2}
    model = wb.Model(
        structure, [wb.Parameter(n, v, iiv=0.3 if n == "CL" else None) for n, v in values.items()],
        error=wb.Proportional(0.1),
    )  # fmt: skip
    text, table = written(tmp_path, model, theophylline)
    assert "$SUBROUTINES ADVAN13 TOL=8" in text
    assert part(text, "$DES", "$ERROR") == [
        "$DES",
        "DADT(1) = -KA*A(1)",
        "DADT(2) = KA*A(1) - K*A(2)",
        "DADT(3) = -K*A(3)",
    ]
    for line in ("F1 = FR", "F3 = 1 - FR", "ALAG3 = LAG", "D3 = TK0"):
        assert line in text
    doses = table[table["EVID"] == 1]
    assert len(doses) == 2 * theophylline.events.is_dose.sum()
    assert doses["CMT"].tolist()[:2] == [1, 3] and doses["RATE"].tolist()[:2] == [0, -2]


def test_occasions_are_blocks_of_the_same(tmp_path):
    frame = pd.DataFrame(
        {"ID": np.repeat([1, 2], 6), "TIME": np.tile([0, 1, 5, 24, 25, 30], 2),
         "AMT": np.tile([100, 0, 0, 100, 0, 0], 2), "DV": np.tile([0, 5, 3, 0, 6, 4], 2),
         "OCC": np.tile(["a", "a", "a", "b", "b", "b"], 2)}
    )  # fmt: skip
    data = wb.read_data(frame, roles={"occasion": "OCC"})
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 2, iiv=0.3, iov=0.1), wb.Parameter("V", 20)], wb.Constant(0.5))
    text, table = written(tmp_path, model, data)
    assert part(text, "$PK", "$ERROR")[1:5] == [
        "IOV_CL = 0",
        "IF (OCC.EQ.1) IOV_CL = ETA(2)",
        "IF (OCC.EQ.2) IOV_CL = ETA(3)",
        "CL = THETA(1)*EXP(ETA(1) + IOV_CL)",
    ]
    assert part(text, "$OMEGA 0.09", "$SIGMA")[1:] == ["$OMEGA BLOCK(1) ; IOV CL", "0.01", "$OMEGA BLOCK(1) SAME"]
    assert table["OCC"].tolist() == [1, 1, 1, 2, 2, 2] * 2
    assert "; OCC: 1 = a, 2 = b" in text


def test_censored_observations_are_probabilities(tmp_path):
    frame = pd.DataFrame(
        {"ID": [1, 1, 1, 1], "TIME": [0, 1, 5, 9], "AMT": [100, 0, 0, 0], "DV": [0, 5, 3, 1], "CENS": [0, 0, 0, 1]}
    )
    data = wb.read_data(frame)
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 2, iiv=0.3), wb.Parameter("V", 20)], wb.Constant(0.5), blq="M3")
    text, table = written(tmp_path, model, data)
    assert "F_FLAG = 1" in text and "  Y = PHI((DV-IPRED)/W)" in text
    assert "METHOD=1 LAPLACIAN INTERACTION" in text
    assert table["CENS"].tolist() == [0, 0, 0, 1]
    text, table = written(tmp_path, model.with_blq("M1"), data)
    assert "F_FLAG" not in text and table["MDV"].tolist() == [1, 0, 0, 1]


def test_conditions_in_equations_become_blocks(tmp_path, theophylline):
    structure = wb.equation("where(t > lag, base + slope*(t - lag), base)")
    model = wb.Model(
        structure, [wb.Parameter("lag", 1), wb.Parameter("base", 5, iiv=0.3), wb.Parameter("slope", 1)], wb.Constant(1)
    )
    text, _ = written(tmp_path, model, theophylline)
    assert part(text, "$PRED", "$THETA") == [
        "$PRED",
        "LAG = THETA(1)",
        "BASE = THETA(2)*EXP(ETA(1))",
        "SLOPE = THETA(3)",
        "IF (TIME.GT.LAG) THEN",
        "PART = BASE + SLOPE*(TIME - LAG)",
        "ELSE",
        "PART = BASE",
        "ENDIF",
        "IPRED = PART",
        "W = THETA(4)",
        "Y = IPRED + W*EPS(1)",
    ]


def test_all_that_cannot_be_said_is_named_at_once(theophylline, tmp_path):
    model = wb.Model(
        wb.ode("d/dt A = -k*A*(1 + tad)", response="A/V"),
        [wb.Parameter("k", 0.1, iiv=0.2, fixed=("iiv",)), wb.Parameter("V", 30, iiv=0.2)],
        wb.Constant(1), correlate="full", blq="M4",
    )  # fmt: skip
    with pytest.raises(wb.ModelError) as caught:
        wb.write_nonmem(model, tmp_path / "x.mod", theophylline, method="quadrature")
    for what in ("only a part is fixed", "'quadrature'", "M4", "tad"):
        assert what in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_is_not_stated_is_asked_for(theophylline, tmp_path):
    with pytest.raises(wb.ModelError, match="Nothing is known of"):
        wb.write_nonmem(wb.Model(wb.pk()), tmp_path / "x.mod", theophylline)
    with pytest.raises(wb.ModelError, match="a model is written with data"):
        wb.write_nonmem(oral(), tmp_path / "x.mod")
