"""Noncompartmental analysis: published tables, closed forms, laws, and what is said where there is no number."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from tests.reference.material import REFERENCE
from workbench.noncompartmental.curve import line, trapezoids
from workbench.noncompartmental.profiles import ruled

DENSE = np.linspace(0.0, 48.0, 2401)


def theophylline(amount=320.0):
    frame = wb.load_example("theophylline").to_frame()
    return wb.read_data(frame.assign(AMT=np.where(frame["AMT"] > 0, amount, frame["AMT"])))


def curve(time, conc, **columns):
    """One subject, dosed at time 0; columns that are given are those of the dose record."""
    dose = {"ID": 1, "TIME": 0.0, "AMT": 100.0, "DV": np.nan, "EVID": 1, **columns}
    rest = dict.fromkeys(columns, 0.0)
    rows = [dose] + [
        {"ID": 1, "TIME": t, "AMT": 0.0, "DV": c, "EVID": 0, **rest} for t, c in zip(time, conc, strict=True)
    ]
    return wb.read_data(pd.DataFrame(rows))


@pytest.mark.reference
def test_theophylline_is_winnonlins():
    expected = pd.read_csv(REFERENCE / "diagnostics" / "nca_theophylline_linear.csv", index_col="Subject")
    table = wb.nca(theophylline(), trapezoids="linear").table
    found = table.set_axis(table.index.astype(int))
    assert set(expected) <= set(found)
    # they are printed with nine or ten digits, small ones with fewer
    np.testing.assert_allclose(found.loc[expected.index, expected.columns], expected, rtol=1e-8, atol=5e-10)


def test_theophylline_is_summarised_as_by_pknca():
    summary = wb.nca(theophylline(), intervals=[(0, 24), (0, math.inf)]).summary("interval")
    day, always = summary.loc["0–24"], summary.loc["0–∞"]
    assert day.loc["AUClast", "geometric mean"] == pytest.approx(74.6, abs=0.05)
    assert day.loc["AUClast", "geometric CV"] == pytest.approx(24.3, abs=0.05)
    assert always.loc["Cmax", "geometric mean"] == pytest.approx(8.65, abs=0.005)
    assert always.loc["Cmax", "geometric CV"] == pytest.approx(17.0, abs=0.05)
    assert always.loc["Tmax", "median"] == pytest.approx(1.14, abs=0.006)
    assert tuple(always.loc["Tmax", ["minimum", "maximum"]]) == (0.63, 3.55)
    assert always.loc["HL_Lambda_z", "mean"] == pytest.approx(8.18, abs=0.005)
    assert always.loc["HL_Lambda_z", "SD"] == pytest.approx(2.12, abs=0.005)
    assert always.loc["AUCINF_obs", "geometric mean"] == pytest.approx(115, abs=0.5)
    assert always.loc["AUCINF_obs", "geometric CV"] == pytest.approx(28.4, abs=0.05)


def test_a_bolus_of_one_compartment_is_exact():
    """c = D/V exp(-k t): logarithmic trapezoids, C0 and the terminal slope leave no error."""
    k, volume = 0.1, 20.0
    time = np.array([0.5, 1, 2, 4, 8, 12, 24])
    row = wb.nca(curve(time, 100 / volume * np.exp(-k * time)), route="bolus").table.iloc[0]
    expected = {"C0": 5.0, "Cl_obs": k * volume, "Vz_obs": volume, "Vss_obs": volume, "MRTINF_obs": 1 / k,
                "AUCINF_obs": 5.0 / k, "AUMCINF_obs": 5.0 / k**2, "HL_Lambda_z": math.log(2) / k,
                "Cmax": 5 * math.exp(-0.05), "AUC_%Back_Ext_obs": 100 * (1 - math.exp(-0.05))}  # fmt: skip
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-9), name
    assert "Cl_F_obs" not in row and "Tlag" not in row


def test_an_infusion_gives_clearance_and_volume():
    k, volume, length = 0.1, 20.0, 4.0
    rate = 100.0 / length
    t = DENSE[1:]
    conc = rate / (k * volume) * (np.exp(-k * np.maximum(t - length, 0)) - np.exp(-k * t))
    row = wb.nca(curve(t, conc, RATE=rate)).table.iloc[0]
    assert row["Cl_obs"] == pytest.approx(k * volume, rel=1e-5)
    assert row["Vss_obs"] == pytest.approx(volume, rel=1e-4)  # MRT less half the infusion, times clearance
    assert row["MRTINF_obs"] == pytest.approx(1 / k, rel=1e-4)
    assert row["Lambda_z_lower"] >= length


def test_absorption_of_one_compartment():
    ka, k, volume = 1.2, 0.15, 30.0
    t = DENSE[1:]
    conc = 100 * ka / (volume * (ka - k)) * (np.exp(-k * t) - np.exp(-ka * t))
    row = wb.nca(curve(t, conc), terminal=(24.0, 48.0)).table.iloc[0]
    assert row["Cl_F_obs"] == pytest.approx(k * volume, rel=1e-5)
    assert row["Vz_F_obs"] == pytest.approx(volume, rel=1e-3)
    assert row["MRTINF_obs"] == pytest.approx(1 / ka + 1 / k, rel=1e-3)
    assert row["Tmax"] == pytest.approx(math.log(ka / k) / (ka - k), abs=0.02)


def test_steady_state():
    """The area over an interval at steady state is that of a single dose to infinity."""
    ka, k, volume, tau = 1.2, 0.15, 30.0, 12.0
    t = np.linspace(0.0, tau, 1201)
    one = np.exp(-k * t) / -math.expm1(-k * tau) - np.exp(-ka * t) / -math.expm1(-ka * tau)
    conc = 100 * ka / (volume * (ka - k)) * one
    row = wb.nca(curve(t, conc, SS=1.0, II=tau)).table.iloc[0]
    assert row["Tau"] == tau
    assert row["CLss_F"] == pytest.approx(k * volume, rel=1e-5)
    assert row["Cavg"] == pytest.approx(100 / (k * volume) / tau, rel=1e-5)
    assert row["Ctau"] == pytest.approx(conc[-1]) and row["Cmin"] == pytest.approx(conc.min())
    assert row["Fluctuation%"] == pytest.approx(100 * (conc.max() - conc.min()) / row["Cavg"])
    assert row["Accumulation_Index"] == pytest.approx(1 / -math.expm1(-row["Lambda_z"] * tau))
    assert math.isnan(row["Cl_F_obs"]), "by the area to infinity it would be wrong"


def test_doses_one_by_one():
    k, volume, tau = 0.1, 20.0, 12.0
    t = np.arange(0.5, 60.0, 0.5)
    before = [np.where(t > n * tau, 100 / volume * np.exp(-k * np.maximum(t - n * tau, 0)), 0.0) for n in range(3)]
    found = wb.nca(curve(t, sum(before), ADDL=2.0, II=tau), route="bolus")
    table = found.table
    assert list(table.index) == [(1, 1), (1, 2), (1, 3)]
    assert table["AUC_TAU"].iloc[0] == pytest.approx(5 / k * -math.expm1(-k * tau), rel=1e-6)
    assert table["Accumulation_Ratio"].iloc[1] == pytest.approx(1 + math.exp(-k * tau), rel=1e-4)
    assert math.isnan(table["Cl_obs"].iloc[2]) and table["Cl_obs"].iloc[0] == pytest.approx(2.0, rel=1e-6)
    assert "earlier doses" in " ".join(found.remarks["reason"])


def test_intervals_are_interpolated_and_extrapolated():
    k, time = 0.1, np.array([1.0, 2, 4, 8, 12])
    data = curve(time, 5 * np.exp(-k * time))
    row = wb.nca(data, route="bolus", intervals=[(0, 6), (3, 24)]).table
    inside, beyond = row.iloc[0], row.iloc[1]
    assert inside["AUC_TAU"] == pytest.approx(50 * -math.expm1(-0.6), rel=1e-9)
    assert inside["AUC_TAU_%Extrap"] == 0
    assert beyond["AUC_TAU"] == pytest.approx(50 * (math.exp(-0.3) - math.exp(-2.4)), rel=1e-9)
    assert beyond["AUC_TAU_%Extrap"] == pytest.approx(
        100 * (math.exp(-1.2) - math.exp(-2.4)) / (math.exp(-0.3) - math.exp(-2.4))
    )


def test_washed_out_periods_are_apart():
    one = pd.DataFrame({"ID": 1, "TIME": [0.0, 0, 1, 2, 4, 8], "AMT": [100.0, 0, 0, 0, 0, 0],
                        "EVID": [1, 0, 0, 0, 0, 0], "DV": [np.nan, 0, 5, 4, 2, 1], "OCC": 1})  # fmt: skip
    two = one.assign(OCC=2, DV=one["DV"] * 2)
    found = wb.nca(wb.read_data(pd.concat([one, two], ignore_index=True)))
    assert found.table.index.names == ["subject", "occasion"]
    assert found.table["Cmax"].tolist() == [5, 10]
    assert found.table["AUClast"].iloc[1] == pytest.approx(2 * found.table["AUClast"].iloc[0])


@pytest.mark.parametrize(
    ("rule", "time", "conc"),
    [
        ("standard", [0, 2, 4, 8, 9], [0, 3, 2, 0, 0]),
        ("zero", [0, 2, 3, 4, 8, 9], [0, 3, 0, 2, 0, 0]),
        ("missing", [2, 4], [3, 2]),
        ("half", [0, 2, 3, 4, 8, 9], [0.5, 3, 0.5, 2, 0, 0]),
    ],
)
def test_what_is_below_the_limit(rule, time, conc):
    low = np.array([True, False, True, False, True, True])
    t, c = ruled(np.array([0, 2, 3, 4, 8, 9.0]), np.array([1, 3, 1, 2, 1, 1.0]), low, rule)
    assert t.tolist() == time and c.tolist() == conc


def test_censored_records_count_as_the_rule_says():
    frame = pd.DataFrame({"ID": 1, "TIME": [0.0, 0.5, 1, 2, 4, 8, 12, 24], "AMT": [100.0] + 7 * [0.0],
                          "DV": [np.nan, 0.1, 5, 4, 2, 1, 0.5, 0.1], "CENS": [0, 1, 0, 0, 0, 0, 0, 1],
                          "EVID": [1] + 7 * [0]})  # fmt: skip
    row = wb.nca(wb.read_data(frame)).table.iloc[0]
    assert row["Tlag"] == 0.5 and row["Tlast"] == 12
    assert row["AUCall"] == pytest.approx(row["AUClast"] + 0.5 * 12 * 0.5)


def test_points_chosen_by_hand():
    data = theophylline()
    last_four = wb.nca(data, terminal=4).table
    assert (last_four["No_points_lambda_z"] == 4).all()
    some = wb.nca(data, terminal={1: (5, 25), "2": [9.0, 12.0, 24.3]})
    assert some.table.loc[1, "Lambda_z_lower"] >= 5
    assert some.table.loc[2, "No_points_lambda_z"] == 3
    assert some.table.loc[3, "Lambda_z"] == wb.nca(data).table.loc[3, "Lambda_z"]
    assert eval(some.code, {"wb": wb, "data": data}).table.equals(some.table)
    with pytest.raises(wb.DataError, match="no such subject"):
        wb.nca(data, terminal={99: 3})
    absent = wb.nca(data, terminal={1: [1.0, 2.0, 3.0]})
    assert "no measurable concentration at the time" in absent.remarks.loc[1, "reason"]


@pytest.mark.parametrize(
    ("conc", "said"),
    [
        ([1.0, 5, 3, 2], "2 measurable concentrations after the highest one, 3 are needed"),
        ([1.0, 2, 3, 5], "0 measurable concentrations"),
        ([0.0, 0, 0, 0], "no measurable concentration"),
    ],
)
def test_without_a_slope_the_reason_is_said(conc, said):
    found = wb.nca(curve([1.0, 2, 4, 8], conc))
    assert said in " ".join(found.remarks["reason"])
    assert np.isnan(found.table.iloc[0].get("AUCINF_obs", np.nan))
    assert found.table.iloc[0]["Cmax"] == max(conc)


def test_a_rising_end_has_no_slope():
    found = wb.nca(curve([1.0, 2, 4, 8, 12], [9.0, 1, 2, 3, 4]))
    assert "do not fall" in " ".join(found.remarks["reason"])


def test_data_without_doses():
    found = wb.nca(wb.load_example("indomethacin"), route="bolus")
    assert "no clearance" in found.remarks["reason"].iloc[0]
    assert found.table["C0"].notna().all() and found.table["Cl_obs"].isna().all()
    assert found.units["AUClast"] == "h*mg/L"


def test_units_and_names():
    found = wb.nca(wb.load_example("theophylline"))
    assert found.units["Cl_F_obs"] == "L/kg/h" and found.units["AUMClast"] == "h^2*mg/L"
    assert found.meanings["Cmax"] == "highest concentration"
    named = wb.nca(wb.load_example("theophylline"), names="cdisc").table
    assert {"CMAX", "TMAX", "LAMZHL", "AUCLST", "AUCIFO", "CLFO", "VZFO", "MRTEVIFO", "AUCPEO"} <= set(named)


def test_arguments_are_checked():
    data = theophylline()
    for wrong in ({"trapezoids": "cubic"}, {"route": "nasal"}, {"blq": "M3"}, {"names": "mine"}, {"terminal": 1},
                  {"intervals": [(5, 2)]}, {"steady_state": 1}, {"terminal": (1.0, math.nan)}):  # fmt: skip
        with pytest.raises(wb.WorkbenchError, match=next(iter(wrong))):
            wb.nca(data, **wrong)
    with pytest.raises(wb.DataError, match="by='nothing'"):
        wb.nca(data).summary("nothing")


def test_it_prints_and_draws_itself():
    found = wb.nca(theophylline())
    assert "12 extravascular" in repr(found) and "geometric mean" in found._repr_html_()
    pytest.importorskip("matplotlib", reason="plots are an extra")
    assert len(found.plot(["1", "2"]).axes) == 2


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=8), st.floats(0.1, 10), st.floats(0.1, 10))
@settings(deadline=None)
def test_units_do_not_matter(conc, by_time, by_conc):
    time = np.arange(len(conc), dtype=float)
    for rule in ("linear", "log", "linear-log", "lin-up/log-down"):
        auc, aumc = trapezoids(time, np.array(conc), rule)
        scaled = trapezoids(by_time * time, by_conc * np.array(conc), rule)
        np.testing.assert_allclose(scaled[0], auc * by_time * by_conc, rtol=1e-6)
        np.testing.assert_allclose(scaled[1], aumc * by_time**2 * by_conc, rtol=1e-6)


def test_a_line_is_that_of_regression():
    rng = np.random.default_rng(1)
    t, c = np.arange(6.0), np.exp(2 - 0.3 * np.arange(6) + 0.1 * rng.standard_normal(6))
    slope, intercept = np.polyfit(t, np.log(c), 1)
    found = line(t, c)
    assert found.rate == pytest.approx(-slope) and found.intercept == pytest.approx(intercept)
    assert found.r2 == pytest.approx(np.corrcoef(t, np.log(c))[0, 1] ** 2)


@pytest.mark.parametrize("wrong", ["data", pd.DataFrame({"ID": [1]}), None])
def test_only_grouped_data_are_analysed(wrong):
    with pytest.raises(wb.DataError, match="grouped data are analysed, got"):
        wb.nca(wrong)
    if not isinstance(wrong, pd.DataFrame):
        with pytest.raises(wb.DataError, match="a DataFrame is compared, got"):
            wb.bioequivalence(wrong, "Cmax")
