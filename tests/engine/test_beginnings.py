"""Values found from the data: for any structure a fit from nothing ends where one from the true values does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.engine.search.dimensions import dimensions
from workbench.engine.search.initial import beginnings

GROWTH = (-20, -10, 0, 7, 14, 21, 28, 42, 56)
PLASMA = (0.25, 0.5, 1, 2, 4, 6, 9, 12, 18, 24, 36)


def _records(times, N, dose=None, **columns):
    """Records of N subjects; columns are lists of values that subjects take by turns, or arrays by record."""
    rows = []
    for i in range(N):
        own = {name: values[i % len(values)] for name, values in columns.items() if not isinstance(values, np.ndarray)}
        if dose is not None:
            rows.append({"ID": i, "TIME": 0.0, "DV": 0.0, "MDV": 1, "AMT": dose[i % len(dose)], **own})
        for k, time in enumerate(times):
            each = {name: values[k] for name, values in columns.items() if isinstance(values, np.ndarray)}
            row = {"ID": i, "TIME": float(time), "DV": 1.0, "MDV": 0, "AMT": 0.0, **own, **each}
            rows.append(row if dose is not None else {n: v for n, v in row.items() if n != "AMT"})
    return pd.DataFrame(rows)


def _simulated(structure, values, spreads, error, frame, transforms=None, seed=1):
    """The true model, the same with nothing stated, and data that it made."""
    transforms = transforms or {}
    covariates = [name for name in frame if name in ("ARM", "CONC")]
    roles = {"subject": "ID", "time": "TIME", "response": "DV", "mdv": "MDV", "covariates": covariates}
    roles |= {"amount": "AMT"} if "AMT" in frame else {}

    def parameters(stated):
        return [
            wb.Parameter(
                name, values[name] if stated else None, iiv=(spreads.get(name) if stated else name in spreads) or None,
                transform=transforms.get(name, "log"),
            )
            for name in structure.names
        ]  # fmt: skip

    true = wb.Model(structure, parameters(True), error)
    drawn = wb.simulate(true, wb.read_data(frame, roles=roles), replicates=1, seed=seed)["DV"].to_numpy()
    data = wb.read_data(frame.assign(DV=np.where(frame["MDV"] == 0, _spread_out(frame, drawn), 0.0)), roles=roles)
    return true, wb.Model(structure, parameters(False), type(error)()), data


def _spread_out(frame, drawn):
    values = np.zeros(len(frame))
    values[frame["MDV"].to_numpy() == 0] = drawn
    return values


CASES = {
    "tumour growth in two arms, from before the treatment": (
        wb.equation("where(t < 0, y0*exp(kg*t), y0*exp((kg - kd*ARM)*t))", covariates="ARM"),
        {"y0": 120.0, "kg": 0.02, "kd": 0.05}, {"y0": 0.4, "kg": 0.3, "kd": 0.4}, wb.Proportional(0.1),
        _records(GROWTH, 30, ARM=[0, 1]),
    ),
    "the same by differential equations": (
        wb.ode("d/dt y = kg*y*(1 - y/ymax) - where(t > 0, kd*ARM, 0)*y; y(0) = y0", response="y", covariates="ARM"),
        {"kg": 0.05, "ymax": 800.0, "kd": 0.07, "y0": 60.0}, {"kg": 0.3, "y0": 0.4}, wb.Proportional(0.1),
        _records(GROWTH, 20, ARM=[0, 1]),
    ),
    "sigmoid Emax": (
        wb.equation("E0 + Emax*CONC^g/(EC50^g + CONC^g)", covariates="CONC"),
        {"E0": 10.0, "Emax": 60.0, "EC50": 25.0, "g": 2.5}, {"E0": 0.3, "Emax": 0.25, "EC50": 0.5}, wb.Constant(3.0),
        _records(range(8), 24, CONC=np.array([0.0, 2, 5, 10, 20, 40, 80, 160])),
    ),
    "Weibull growth": (
        wb.equation("A - (A - B)*exp(-k*t^b)"), {"A": 300.0, "B": 20.0, "k": 0.002, "b": 1.9}, {"A": 0.25},
        wb.Constant(8.0), _records((2, 5, 10, 15, 20, 30, 40, 60), 20),
    ),
    "Gompertz growth": (
        wb.equation("A*exp(-b*exp(-k*t))"), {"A": 150.0, "b": 4.0, "k": 0.08}, {"A": 0.3, "k": 0.2},
        wb.Proportional(0.05), _records((1, 5, 10, 20, 30, 40, 60, 80), 20),
    ),
    "a logistic curve around a negative time": (
        wb.equation("a + (b - a)/(1 + exp(-(t - m)/s))"), {"a": 5.0, "b": 100.0, "m": -3.0, "s": 4.0},
        {"b": 0.3, "a": 0.2}, wb.Constant(3.0), _records((-20, -14, -8, -4, 0, 4, 8, 14, 20), 20), {"m": "identity"},
    ),
    "Michaelis-Menten elimination": (
        wb.pk(absorption="first-order", elimination="michaelis-menten"),
        {"ka": 1.2, "Vm": 15.0, "Km": 2.0, "V": 30.0}, {"ka": 0.4, "Vm": 0.3, "V": 0.2}, wb.Proportional(0.12),
        _records(PLASMA, 20, dose=[100.0, 300.0]),
    ),
    "target-mediated disposition, quasi-steady state": (
        wb.ode(
            "C = 0.5*((Ct - Rt - Kss) + sqrt((Ct - Rt - Kss)^2 + 4*Kss*Ct)); d/dt Ct = -kel*C - (Ct - C)*kint;"
            "d/dt Rt = ksyn - kdeg*Rt - (kint - kdeg)*(Ct - C); Rt(0) = ksyn/kdeg",
            dose="Ct", bioavailability={"Ct": "1/V"},
        ),
        {"Kss": 1.0, "kel": 0.1, "kint": 0.3, "ksyn": 2.0, "kdeg": 0.4, "V": 3.0}, {"kel": 0.3, "V": 0.2},
        wb.Proportional(0.12), _records((0.1, 0.5, 1, 2, 4, 7, 10, 14, 21, 28, 42), 12, dose=[30.0, 100.0, 300.0]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_fit_from_nothing_ends_where_one_from_the_truth_does(name):
    true, bare, data = _simulated(*CASES[name])
    from_nothing = wb.fit(bare, data, covariance=False)
    assert from_nothing.status.ok
    assert from_nothing.ofv < wb.fit(true, data, covariance=False).ofv + 0.05


ORAL = wb.pk(absorption="first-order")


def _theophylline(change=lambda frame: frame):
    data = wb.load_example("theophylline")
    return wb.read_data(change(data.to_frame()), roles=data.roles)


def _backwards(frame):
    order = {subject: k for k, subject in enumerate(reversed(frame["ID"].unique().tolist()))}
    return frame.sort_values("ID", key=lambda ids: ids.map(order), kind="stable").reset_index(drop=True)


@pytest.mark.parametrize("most", [3, 12])
def test_neither_order_nor_labels_of_the_subjects_matter(most, monkeypatch):
    from workbench.engine.search import initial

    monkeypatch.setattr(initial, "_LINEAR", replace(initial._LINEAR, subjects=most, most=most))
    model = wb.Model(ORAL, error=wb.Combined())
    first = wb.initial_values(model, _theophylline())
    assert wb.initial_values(model, _theophylline(_backwards)) == first
    relabelled = _theophylline(lambda frame: frame.assign(ID=[f"s{90 - int(label)}" for label in frame["ID"]]))
    assert wb.initial_values(model, relabelled) == first


def test_units_of_doses_and_responses_do_not_matter():
    model = wb.Model(ORAL, error=wb.Combined())
    first = wb.initial_values(model, _theophylline())
    other = wb.initial_values(model, _theophylline(lambda f: f.assign(AMT=1000 * f["AMT"], DV=50 * f["DV"])))
    for name, factor in (("ka", 1), ("CL", 20), ("V", 20)):
        assert other[name].value == pytest.approx(factor * first[name].value, rel=1e-6)
        assert other[name].iiv == pytest.approx(first[name].iiv, rel=1e-6)
    assert other.errors[0].a == pytest.approx(50 * first.errors[0].a, rel=1e-6)
    assert other.errors[0].b == pytest.approx(first.errors[0].b, rel=1e-6)


def test_spreads_and_error_come_from_the_data():
    """Where FOCEI ends (Theoph of nlmixr2: 0.65, 0.27, 0.14 and 0.68) they begin within a factor of two."""
    found = wb.initial_values(wb.Model(ORAL, error=wb.Constant()), wb.load_example("theophylline"))
    spreads = [found[name].iiv for name in ("ka", "CL", "V")]
    np.testing.assert_array_less(
        np.abs(np.log(np.array([*spreads, found.errors[0].a]) / [0.65, 0.27, 0.14, 0.68])), 0.7
    )


def test_what_is_stated_stays():
    data = wb.load_example("theophylline")
    stated = [wb.Parameter("ka", iiv=0.7), wb.Parameter("CL", 0.05, iiv=True), wb.Parameter("V", iiv=True, iov=None)]
    found = wb.initial_values(wb.Model(ORAL, stated, wb.Combined(a=0.3)), data)
    assert (found["ka"].iiv, found["CL"].value, found.errors[0].a) == (0.7, 0.05, 0.3)
    assert 0.3 < found["V"].value < 0.7 and 0.5 < found["ka"].value < 4


def test_two_compartments_by_mouth_have_several_beginnings_and_the_fit_says_so():
    """Which of the three exponents is that of absorption cannot always be told: the search goes from each."""
    structure = wb.pk(2, absorption="first-order", lag=True)
    values = {"ka": 1.0, "CL": 4.0, "V1": 20.0, "Q": 6.0, "V2": 50.0, "lag": 0.3}
    spreads = {"ka": 0.4, "CL": 0.3, "V1": 0.25, "V2": 0.3, "Q": 0.3}
    rng, times = np.random.default_rng(4), np.array([0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24])
    frame = pd.concat([
        _records(np.sort(rng.choice(times, 5, replace=False)), 1, dose=[100.0]).assign(ID=i) for i in range(80)
    ], ignore_index=True)  # fmt: skip
    true, bare, data = _simulated(structure, values, spreads, wb.Combined2(0.02, 0.12), frame, seed=4)
    assert beginnings(bare, data).others
    fit = wb.fit(bare, data, covariance=False)
    assert fit.ofv < wb.fit(true, data, covariance=False).ofv + 0.05
    assert len(fit.starts) > 1 and fit.starts["best"].sum() == 1
    assert fit.starts["ofv"][fit.starts["best"]].item() >= fit.ofv - 1e-6


def test_dimensions_are_read_from_equations():
    text = "d/dt A = -ka*A; d/dt C = ka*A/V - Vm*C/(Km + C)/V"
    assert dimensions(wb.ode(text), [1]) == {
        "ka": (-1, 0, 0), "V": (0, 1, -1), "Vm": (-1, 1, 0), "Km": (0, 0, 1),
    }  # fmt: skip
    hill = dimensions(wb.equation("E0 + Emax*dose^g/(ED50^g + dose^g)"), [1])
    assert hill == {"E0": (0, 0, 1), "Emax": (0, 0, 1), "g": (0, 0, 0), "ED50": (0, 1, 0)}
    weibull = dimensions(wb.equation("A*(1 - exp(-k*t^b))"), [1])
    assert weibull == {"A": (0, 0, 1), "b": (0, 0, 0)}  # k·t^b has none, so that of k depends on b
    contradicting = dimensions(wb.equation("A*exp(-k*t) + log(t + 1)"), [1])
    assert contradicting["k"] == (-1, 0, 0)
