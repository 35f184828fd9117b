"""Linear compartment models equal their differential equations in 60 digits, both derivatives too, under any dosing."""

from dataclasses import dataclass, replace
from functools import cache

import mpmath as mp
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

import workbench as wb
from workbench.data.events import DOSE, OTHER, RESET, RESET_AND_DOSE
from workbench.engine.predictions import jets
from workbench.engine.predictions.linear import LinearPredictor
from workbench.engine.predictions.modes import CENTRAL, DEPOT
from workbench.engine.predictions.predictor import predict_in_turn
from workbench.engine.predictions.schedule import Schedule, schedule_of
from workbench.engine.predictions.shape import BIOAVAILABILITY, DURATION, LAG
from workbench.engine.predictions.timeline import Route, room, routes_of
from workbench.engine.problem.layout import Layout
from workbench.model.library.pk import pk

TRANSFORMS = {"Fr": jets.LOGIT, "F": jets.LOGIT}


@dataclass(frozen=True)
class Event:
    """A record; `row` is its design row."""

    time: float
    kind: int = 0
    amount: float = 0.0
    rate: float = 0.0
    duration: float = 0.0
    interval: float = 0.0
    steady_state: int = 0
    compartment: int = 0
    row: int = 0
    predicted: bool = True


def problem(structure, subjects, offsets, simply=True):
    """A predictor of subjects, each a list of events; parameters on row r are transformed u + offsets[r]."""
    events = [event for subject in subjects for event in subject]
    predicted_ones = np.array([event.predicted for event in events])
    names = ("time", "kind", "amount", "rate", "duration", "interval", "steady_state", "compartment")
    columns = {name: np.array([getattr(event, name) for event in events]) for name in names}
    row = np.array([event.row for event in events])
    schedule = Schedule(
        start=np.cumsum([0, *map(len, subjects)]),
        response=np.zeros(len(events), dtype=np.int64),
        record=np.arange(len(events)),
        origin=np.arange(len(events)),
        slot=np.where(predicted_ones, np.cumsum(predicted_ones) - 1, -1),
        **columns,
    )
    N, P = len(subjects), len(structure.names)
    layout = Layout(
        A=np.zeros((N, P, 0)),
        B=np.zeros((N, P, 0)),
        C=np.tile(np.eye(P), (len(offsets), 1, 1)),
        offset=np.array(offsets, dtype=float),
        row=row,
        origin=row,
        transform=np.array([TRANSFORMS.get(name, jets.LOG) for name in structure.names]),
        lower=np.zeros(P),
        upper=np.ones(P),
        covariates=np.zeros((len(offsets), 0)),
    )
    return LinearPredictor(structure.kinetics, schedule, layout, simply)


def predicted(predictor, u, order=2):
    """f, fu, fuu at coordinates u[N, D]."""
    n, D = int(predictor.slot.max()) + 1, u.shape[1]
    f, fu, fuu = np.full(n, np.nan), np.full((n, D), np.nan), np.full((n, D, D), np.nan)
    predictor.predict(np.arange(len(u)), u, order, f, fu, fuu)
    return f, fu, fuu


# -- the same in many digits ---------------------------------------------------------------------------------------


def rate_constants(structure, p):
    """Volume, k and [(k1j, kj1)] out of natural parameters by name."""
    n, names = structure.compartments - 1, structure.names
    if structure.parameters == "clearance":
        V = p["V"] if n == 0 else p["V1"]
        pairs = [(), (("Q", "V2"),), (("Q2", "V2"), ("Q3", "V3"))][n]
        return V, p["CL"] / V, [(p[q] / V, p[q] / p[v]) for q, v in pairs]
    if structure.parameters == "rate":
        V = p["V1"] if "V1" in names else p["V"]
        return V, p["k"], [(p[f"k1{j}"], p[f"k{j}1"]) for j in (2, 3)[:n]]
    if structure.parameters == "half-life" and n == 0:
        return p["V"], mp.log(2) / p["t_half"], []
    rates = [p[r] if r in p else mp.log(2) / p[f"t_half_{r}"] for r in ("alpha", "beta", "gamma")[: n + 1]]
    total = mp.fsum(p[a] for a in "ABC"[: n + 1])
    w = [p[a] / total for a in "ABC"[: n + 1]]
    if n == 0:
        return 1 / total, rates[0], []
    if n == 1:
        back = [w[0] * rates[1] + w[1] * rates[0]]
    else:
        b = mp.fsum(w[m] * (rates[m - 1] + rates[m - 2]) for m in range(3))
        c = mp.fsum(w[m] * rates[m - 1] * rates[m - 2] for m in range(3))
        back = [(b + s * mp.sqrt(b * b - 4 * c)) / 2 for s in (1, -1)]
    k = mp.fprod(rates) / mp.fprod(back)
    others = [mp.fprod(d - e for d in back if d is not e) for e in back]
    out = [-mp.fprod(r - d for r in rates) / (d * other) for d, other in zip(back, others, strict=True)]
    return 1 / total, k, list(zip(out, back, strict=True))


def matrix(structure, p):
    """dx/dt = K x for the amounts (central, peripheral.., depot), and the volume."""
    V, k, pairs = rate_constants(structure, p)
    n = len(pairs)
    K = mp.zeros(n + 2)
    K[0, 0] = -k
    for j, (out, back) in enumerate(pairs, start=1):
        K[0, 0] -= out
        K[j, 0], K[0, j], K[j, j] = out, back, -back
    ka = p.get("ka", mp.mpf(1))
    K[0, n + 1], K[n + 1, n + 1] = ka, -ka
    return K, V


def routes(structure, cmt):
    """(state, share, F, lag, duration) as functions of the parameters, for a dose into a compartment."""
    n, absorption = structure.compartments, structure.absorption
    F = (lambda p: p["F"]) if structure.bioavailability else (lambda p: mp.mpf(1))
    lag = (lambda p: p["lag"]) if structure.lag else (lambda p: mp.mpf(0))
    one, none = (lambda p: mp.mpf(1)), (lambda p: mp.mpf(0))
    cmt = max(cmt, 1)
    if cmt > 1 or absorption is None:
        state = cmt - 1 if absorption is None else cmt - 2
        extra = absorption is None and cmt == 1
        return [(state, one, F if extra else one, lag if extra else none, None)]
    if absorption == "first-order":
        return [(n, one, F, lag, None)]
    if absorption == "zero-order":
        return [(0, one, F, lag, lambda p: p["Tk0"])]
    late = {"both": lambda p: p["lag0"], "first-order": none}.get(structure.lag, lag)
    early = none if structure.lag == "zero-order" else lag
    first = (n, lambda p: p["Fr"], F, early, None)
    return [first, (0, lambda p: 1 - p["Fr"], F, late, lambda p: p["Tk0"])]


def exactly(structure, events, offsets, u):
    """Concentrations at all predicted events of a subject."""

    @cache
    def on_row(r):
        z = {n: o + v for n, o, v in zip(structure.names, map(mp.mpf, offsets[r]), u, strict=True)}
        p = {n: 1 / (1 + mp.exp(-v)) if n in TRANSFORMS else mp.exp(v) for n, v in z.items()}
        return p, *matrix(structure, p)

    states = structure.compartments + 1
    x, rates, pending, now, result = mp.zeros(states, 1), mp.zeros(states, 1), [], mp.mpf(0), []

    def advance(x, K, dt):
        if dt <= 0:
            return x
        A = mp.zeros(states + 1)
        A[:states, :states] = K * dt
        A[:states, states] = rates * dt
        return mp.expm(A)[:states, :] * mp.matrix([*x, 1])

    def happen(x, p):
        """The next of what is pending; share and F of a dose are those of the record that ends the interval."""
        when, kind, state, size = pending.pop(0)
        if kind != "enter":
            (x if kind == "bolus" else rates)[state] += size
            return
        size, length = size(p)
        (x if length is None else rates)[state] += size
        if length is not None:
            pending.append((when + length, "rate", state, -size))
            pending.sort(key=lambda item: item[0])

    def entering(event, share, F, duration):
        """Of a dose, with the duration of its own record: what enters, and for how long, with the parameters then."""
        amount = mp.mpf(event.amount)

        def enters(p):
            size = amount * share(p) * F(p)
            if event.rate > 0:
                return event.rate * share(p), F(p) * amount / event.rate
            length = mp.mpf(event.duration) if event.duration > 0 else duration
            return (size, None) if length is None else (size / length, length)

        return enters

    for event in events:
        time, (p, K, V) = mp.mpf(event.time), on_row(event.row)
        if event.kind in (RESET, RESET_AND_DOSE):
            x, rates, pending = x * 0, rates * 0, []
        else:
            pending.sort(key=lambda item: item[0])
            while pending and pending[0][0] <= time:
                x, now = advance(x, K, pending[0][0] - now), pending[0][0]
                happen(x, p)
            x = advance(x, K, time - now)
        now = time
        if event.kind in (DOSE, RESET_AND_DOSE):
            amount, II = mp.mpf(event.amount), mp.mpf(event.interval)
            if event.steady_state == 1:
                x, rates, pending = x * 0, rates * 0, []
            for state, share, F, lag_of, duration_of in routes(structure, event.compartment):
                lag, duration = lag_of(p), duration_of and duration_of(p)
                enters = entering(event, share, F, duration)
                size, length = enters(p)
                unit = mp.zeros(states, 1)
                unit[state] = 1
                if event.steady_state and II == 0:
                    x -= mp.lu_solve(K, unit * size)
                    continue
                if event.steady_state:  # whose doses are of the past: all as its own record says
                    enters = lambda _, own=(size, length): own  # noqa: E731
                    x += steady(K, unit, size, length, lag, II)
                    for j in range(1, int(mp.floor((lag + (length or 0)) / II)) + 1):
                        begin = time + lag - j * II
                        if length is None:
                            pending.append((begin, "bolus", state, size))
                        else:
                            pending.append((begin + length, "rate", state, -size))
                            if begin > time:
                                pending.append((begin, "rate", state, size))
                            else:
                                rates[state] += size
                if amount > 0:
                    pending.append((time + lag, "enter", state, enters))
            pending.sort(key=lambda item: item[0])
            while pending and pending[0][0] <= time:
                happen(x, p)
        if event.predicted:
            result.append(x[0] / V)
    return result


def steady(K, unit, size, length, lag, II):
    """The state just before a dose that has been given every II since ever, by superposition of all of them."""
    one = mp.eye(K.rows)
    forever = mp.inverse(one - mp.expm(K * II))
    entered = int(mp.floor(lag / II)) + 1  # the latest of the earlier doses that has entered
    if length is None:
        return mp.expm(K * (entered * II - lag)) * forever * unit * size
    ended = int(mp.floor((lag + length) / II)) + 1
    x = sum((mp.expm(K * (j * II - lag)) - one for j in range(entered, ended)), mp.zeros(K.rows))
    x += (mp.expm(K * (ended * II - lag)) - mp.expm(K * (ended * II - lag - length))) * forever
    return mp.lu_solve(K, x * unit * size)


def along(structure, events, offsets, u, v):
    """f, and its first and second derivative along v, by differences so small that only many digits allow them."""
    with mp.workdps(60):
        u, v, h = [mp.mpf(x) for x in u], [mp.mpf(x) for x in v], mp.mpf(10) ** -10
        low, f, high = (
            exactly(structure, events, offsets, [a + s * h * b for a, b in zip(u, v, strict=True)]) for s in (-1, 0, 1)
        )
        first = [(b - a) / (2 * h) for a, b in zip(low, high, strict=True)]
        second = [(a - 2 * m + b) / h**2 for a, m, b in zip(low, f, high, strict=True)]
    return tuple(np.array([float(x) for x in values]) for values in (f, first, second))


def errors(structure, events, offsets, u, v):
    """Largest errors of f, f' and f'' along v, in relation to themselves and f.

    Where a dose goes into a peripheral compartment, all that reaches the central one at first is a difference of
    amounts, so an error in relation to the dose is allowed for.
    """
    got = predicted(problem(structure, [events], offsets), np.array([u]))
    got = got[0], got[1] @ v, np.einsum("jde,d,e->j", got[2], v, v)
    expected = along(structure, events, offsets, u, v)
    peripheral = max(event.compartment for event in events) > 1 + (structure.absorption is not None)
    least = 1e-4 if peripheral else 1e-30  # there the digits of `along` end
    least *= sum(event.amount + event.rate for event in events)
    scale = np.abs(expected) + np.abs(expected[0]) + least
    return [float(worst) for worst in np.max(np.abs(np.array(got) - expected) / scale, axis=1)]


# -- random models, parameters and histories -----------------------------------------------------------------------


def structures(**fixed):
    def build(compartments, absorption, parameters, lag, bioavailability):
        if compartments == 3 and parameters == "half-life":
            parameters = "macro"
        if lag is not True and absorption != "parallel":
            lag = bool(lag)
        return pk(compartments, absorption, parameters=parameters, lag=lag, bioavailability=bioavailability)

    choices = {
        "compartments": [1, 2, 3],
        "absorption": [None, "first-order", "zero-order", "parallel"],
        "parameters": ["clearance", "rate", "macro", "half-life"],
        "lag": [False, False, True, "first-order", "zero-order", "both"],
        "bioavailability": [False, True],
    }
    return st.builds(build, **{n: st.just(fixed[n]) if n in fixed else st.sampled_from(c) for n, c in choices.items()})


def powers(low, high):
    return st.floats(low, high).map(lambda e: 10.0**e)


SPREAD = powers(-2, 1)
EXTREME = powers(-5, 3)
UNEVEN = 1.0123  # keeps times off lags and durations that are round numbers: there are no derivatives at such ties
RELATIVE = st.sampled_from([0.0, 1e-12, 1e-9, 1e-6, 1e-4, 1e-2, 0.1])


@st.composite
def values(draw, structure, rates):
    """Transformed parameters; rates=None: rate constants that nearly coincide, and weak exchange."""
    if rates is None:
        base = draw(powers(-1.5, 0.5))
        rates = st.builds(lambda by, sign: base * (1 + sign * by), RELATIVE, st.sampled_from([-1, 1])) | SPREAD
        weak = powers(-7, -1).map(lambda x: x * base) | rates
    else:
        weak = rates
    k, V = draw(rates), draw(powers(0, 2))
    p = {"k": k, "V": V, "V1": V, "CL": k * V, "ka": draw(rates), "t_half": np.log(2) / k}
    for j in "23":
        out, back = draw(weak), draw(rates)
        p |= {f"k1{j}": out, f"k{j}1": back, f"Q{j}": out * V, f"V{j}": out * V / back}
    p["Q"] = p["Q2"]
    for a, r in (("A", "alpha"), ("B", "beta"), ("C", "gamma")):
        rate = draw(rates)
        p |= {a: draw(powers(-3, 0)), r: rate, f"t_half_{r}": np.log(2) / rate}
    if structure.parameters == "macro" and structure.compartments == 3:  # else it is no model of three compartments
        assume(len({p["alpha"], p["beta"], p["gamma"]}) > 1)
    p |= {n: draw(powers(-1, 1)) for n in ("Tk0", "lag", "lag0")} | {n: draw(st.floats(0.1, 0.9)) for n in ("F", "Fr")}
    return np.array([np.log(p[n] / (1 - p[n])) if n in TRANSFORMS else np.log(p[n]) for n in structure.names])


@st.composite
def histories(draw, structure, rows=1, steady_state=True, peripheral=True):
    """Records of a subject, doses of all kinds first among them."""
    last = structure.compartments * peripheral + (1 - peripheral) + (structure.absorption is not None)
    kinds = draw(st.lists(st.sampled_from([0, 0, 0, 1, 1, 1, OTHER, RESET, RESET_AND_DOSE]), min_size=3, max_size=7))
    events, time = [], 0.0
    for kind in [DOSE, *kinds, 0]:
        event = Event(time, kind, row=draw(st.integers(0, rows - 1)))
        if kind in (DOSE, RESET_AND_DOSE):
            amount, length = draw(st.floats(1, 100)), draw(st.floats(0.3, 15))
            given_as = draw(st.sampled_from(["bolus", "bolus", "rate", "duration"]))
            event = replace(
                event,
                amount=amount,
                rate=amount / length if given_as == "rate" else 0.0,
                duration=length if given_as == "duration" else 0.0,
                compartment=draw(st.sampled_from([0, 0, *range(1, last + 1)])),
            )
            if steady_state and draw(st.booleans()):
                event = replace(event, steady_state=draw(st.sampled_from([1, 1, 2])))
                event = replace(event, interval=UNEVEN * draw(st.floats(2, 14)))
                if draw(st.integers(0, 5)) == 0:
                    event = replace(event, amount=0.0, rate=draw(st.floats(1, 10)), duration=0.0, interval=0.0)
        events.append(event)
        time += UNEVEN * draw(st.just(0.0) | st.floats(0.05, 3) | st.floats(3, 20))
    return events


CHECKED = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@CHECKED
@given(data=st.data())
def test_predictions_are_those_of_the_differential_equation(data):
    structure = data.draw(structures())
    u = data.draw(values(structure, SPREAD))
    rows = data.draw(st.sampled_from([1, 1, 3]))
    offsets = [np.zeros(len(u)), *np.random.default_rng(rows).normal(0, 0.3, (rows - 1, len(u)))]
    events = data.draw(histories(structure, rows))
    v = np.random.default_rng(len(events)).normal(size=len(u))
    f, first, second = errors(structure, events, offsets, u, v)
    assert f < 1e-8 and first < 1e-7 and second < 1e-5


@CHECKED
@given(data=st.data())
def test_rates_that_nearly_coincide(data):
    structure = data.draw(structures())
    u = data.draw(values(structure, None))
    rows = data.draw(st.sampled_from([1, 2]))
    offsets = [np.zeros(len(u)), np.full(len(u), 0.1)][:rows]
    events = data.draw(histories(structure, rows, peripheral=structure.parameters in ("clearance", "rate")))
    v = np.random.default_rng(len(events)).normal(size=len(u))
    f, first, second = errors(structure, events, offsets, u, v)
    assert f < 1e-8 and first < 1e-6 and second < 1e-5


@CHECKED
@given(data=st.data())
def test_tiny_and_huge_rates(data):
    structure = data.draw(structures())
    u = data.draw(values(structure, EXTREME))
    events = data.draw(histories(structure, peripheral=False))
    v = np.random.default_rng(len(events)).normal(size=len(u))
    f, first, second = errors(structure, events, [np.zeros(len(u))], u, v)
    assert f < 1e-8 and first < 1e-6 and second < 1e-5


# -- simply, and in general ----------------------------------------------------------------------------------------


@CHECKED
@given(data=st.data())
def test_what_is_simple_is_what_it_is_in_general(data):
    structure = data.draw(structures())
    rates = data.draw(st.sampled_from([SPREAD, EXTREME, None]))
    steady = data.draw(st.booleans())
    subjects = data.draw(st.lists(histories(structure, steady_state=steady, peripheral=False), min_size=1, max_size=3))
    u = np.array([data.draw(values(structure, rates)) for _ in subjects])
    simply, generally = (problem(structure, subjects, [np.zeros(u.shape[1])], way) for way in (True, False))
    f = predicted(generally, u, 0)[0]
    for order in (0, 1, 2):
        for a, b in zip(predicted(simply, u, order), predicted(generally, u, order), strict=True):
            scale = np.maximum(np.max(np.abs(b), axis=0, initial=1e-300), np.max(f))
            np.testing.assert_allclose(a / scale, b / scale, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "structure, event",
    [
        (pk(1), Event(0.0, DOSE, 100.0)),
        (pk(1), Event(0.0, DOSE, 100.0, rate=30.0)),
        (pk(1, "first-order", lag=True), Event(0.0, DOSE, 100.0)),
        (pk(1, "first-order", lag=True, bioavailability=True), Event(0.0, DOSE, 100.0, compartment=2)),
        (pk(1, "first-order", bioavailability=True), Event(0.0, DOSE, 100.0, duration=2.0)),
        (pk(2, lag=True), Event(0.0, DOSE, 100.0, duration=2.0)),
        (pk(3, "first-order"), Event(0.0, DOSE, 100.0)),
        (pk(2, "first-order", parameters="half-life"), Event(0.0, DOSE, 100.0)),
        (pk(1, "parallel"), Event(0.0, DOSE, 100.0, duration=1.0)),
        (pk(2, "first-order", lag=True), Event(0.0, DOSE, 100.0, steady_state=1, interval=8.0)),
    ],
)
def test_what_is_common_is_simple(structure, event):
    assert problem(structure, [[event, Event(1.0)]], [np.zeros(9)]).course.covered.all()


@pytest.mark.parametrize(
    "structure, events",
    [
        (pk(1), [Event(0.0, DOSE, 100.0, steady_state=2, interval=8.0)]),
        (pk(1), [Event(0.0, DOSE, 100.0, duration=1.0, steady_state=1, interval=8.0)]),
        (pk(1), [Event(0.0, DOSE, 0.0, rate=1.0, steady_state=1)]),
        (pk(1), [Event(0.0, DOSE, 100.0), Event(1.0, row=1)]),
        (pk(2), [Event(0.0, DOSE, 100.0, compartment=2)]),
        (pk(1), [Event(0.0, DOSE, 100.0, compartment=4)]),
        (pk(1), [Event(0.0, DOSE, 100.0, rate=-2.0)]),
        (pk(1, bioavailability=True), [Event(0.0, DOSE, 100.0, rate=10.0)]),
        (pk(1, "zero-order"), [Event(0.0, DOSE, 100.0)]),
    ],
)
def test_what_is_not_simple_is_left_to_the_general_way(structure, events):
    others = [[Event(0.0, DOSE, 100.0, duration=1.0), Event(1.0)], [Event(0.0), Event(1.0)]]
    assert problem(structure, [events, *others], [np.zeros(9)] * 2).course.covered.tolist() == [0, 1, 1]


# -- other ---------------------------------------------------------------------------------------------------------

ORAL2 = pk(2, "first-order", lag=True, bioavailability=True)
AT = np.log([1.3, 3.0, 20.0, 2.0, 30.0, 0.4, 2.0])  # ka, CL, V1, Q, V2, lag; the last is the logit of F
REGIMEN = [
    Event(0.0, DOSE, 100.0, steady_state=1, interval=8.0, predicted=False),
    Event(1.0),
    Event(8.0, DOSE, 100.0, rate=50.0, compartment=2),
    Event(9.5),
    Event(12.0, DOSE, 30.0, compartment=3),
    Event(14.0, RESET_AND_DOSE, 50.0, duration=3.0, steady_state=1, interval=2.0, compartment=2),
    Event(15.0),
]


def several(n, structure=ORAL2, events=REGIMEN, at=AT, rows=1):
    """A predictor of n subjects and coordinates that differ."""
    rng = np.random.default_rng(n)
    subjects = [[replace(event, row=int(rng.integers(rows))) for event in events] for _ in range(n)]
    return problem(structure, subjects, rng.normal(0, 0.1, (rows, len(at)))), at + rng.normal(0, 0.3, (n, len(at)))


def test_lower_orders_give_the_same():
    predictor, u = several(5, rows=2)
    f, fu, fuu = predicted(predictor, u)
    assert np.isfinite(fuu).all() and (fuu == fuu.swapaxes(1, 2)).all()
    one, zero = predicted(predictor, u, 1), predicted(predictor, u, 0)
    np.testing.assert_allclose(one[0], f, rtol=1e-14)
    np.testing.assert_allclose(one[1], fu, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(zero[0], f, rtol=1e-14)
    assert np.isnan(one[2]).all() and np.isnan(zero[1]).all()


def test_subjects_have_nothing_to_do_with_each_other():
    predictor, u = several(400, rows=3)  # enough for several threads
    f, fu, fuu = predicted(predictor, u)
    alone = np.full_like(f, np.nan), np.full_like(fu, np.nan), np.full_like(fuu, np.nan)
    some = np.random.default_rng(1).permutation(400)[:50]
    predictor.predict(some, u, 2, *alone)
    slots = np.isin(np.repeat(np.arange(400), len(REGIMEN) - 1), some)
    for everyone, few in zip((f, fu, fuu), alone, strict=True):
        assert (few[slots] == everyone[slots]).all() and np.isnan(few[~slots]).all()


@pytest.mark.parametrize("parameters", ["clearance", "macro"])
def test_amounts_and_modes_agree(parameters):
    at = AT if parameters == "clearance" else np.log([1.3, 0.03, 0.4, 0.02, 0.05, 0.4, 2.0])
    predictor, u = several(3, replace(ORAL2, parameters=parameters), at=at, rows=2)
    by_modes = predicted(predictor, u)
    by_amounts = [np.full_like(values, np.nan) for values in by_modes]
    single = predictor.single(attempt=1)
    arguments, u = single.arguments.address, np.ascontiguousarray(u)
    assert predict_in_turn(single.address, arguments, np.arange(3), u, 2, *by_amounts, np.empty(3, dtype=np.int64)) == 0
    for modes, amounts in zip(by_modes, by_amounts, strict=True):
        np.testing.assert_allclose(modes, amounts, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    "structure, u",
    [
        (pk(1, "first-order"), np.log([0.1, 2.0, 20.0])),  # ka = CL/V
        (pk(1, "first-order", parameters="rate"), np.log([0.1, 0.1, 20.0])),
        (pk(2, parameters="macro"), np.log([0.02, 0.3, 0.01, 0.3])),  # alpha = beta
        (pk(2, "first-order", parameters="rate"), np.log([0.3, 0.3, 20.0, 1e-9, 0.3])),
        (pk(3, parameters="rate"), np.log([0.3, 20.0, 0.1, 0.2, 0.4, 0.2])),  # two peripheral compartments alike
        (pk(3), np.log([2.0, 20.0, 3.0, 30.0, 3.0, 30.0])),
    ],
)
def test_rates_that_coincide_exactly(structure, u):
    events = [Event(0.0, DOSE, 100.0), Event(2.0), Event(3.0, DOSE, 50.0, rate=20.0), Event(4.5), Event(30.0)]
    events += [Event(31.0, DOSE, 10.0, steady_state=2, interval=6.0), Event(33.0)]
    v = np.random.default_rng(3).normal(size=len(u))
    f, first, second = errors(structure, events, [np.zeros(len(u))], u, v)
    assert f < 1e-12 and first < 1e-10 and second < 1e-8


def test_no_clearance_and_no_exchange():
    """Rates of 0, on the natural scale."""
    events = [Event(0.0, DOSE, 100.0), Event(2.0), Event(3.0, DOSE, 50.0, rate=25.0, compartment=2), Event(10.0)]
    predictor = problem(pk(2, "first-order"), [events], [np.zeros(5)])
    predictor.design.transform[:] = jets.IDENTITY
    f, fu, fuu = predicted(predictor, np.array([[1.0, 0.0, 10.0, 0.0, 30.0]]))
    np.testing.assert_allclose(f, [0, 10 * (1 - np.exp(-2)), 10 * (1 - np.exp(-3)), 15 - 10 * np.exp(-10)], rtol=1e-12)
    assert np.isfinite(fu).all() and np.isfinite(fuu).all()
    assert fu[3, 1] < 0 and fu[3, 3] < 0  # clearance and exchange would lower it


def test_what_is_cut_off_stays_where_it_is():
    """Without exchange a dose into the peripheral compartment is never seen, until there is exchange again."""
    events = [Event(0.0, DOSE, 100.0, compartment=2), Event(0.0, DOSE, 10.0), Event(10.0), Event(12.0, row=1)]
    predictor = problem(pk(2), [events], [np.zeros(4), np.array([0.0, 0.0, 5.0, 0.0])])
    predictor.design.transform[:] = jets.IDENTITY
    u = np.array([[1.0, 10.0, 0.0, 20.0]])
    f = predicted(predictor, u)[0]
    np.testing.assert_allclose(f[1:3], [1.0, np.exp(-1)], rtol=1e-12)
    K = np.array([[-0.6, 0.25], [0.5, -0.25]])
    np.testing.assert_allclose(f[3], (expm(2 * K) @ [10 * np.exp(-1), 100.0])[0] / 10, rtol=1e-12)


@pytest.mark.parametrize(
    "event",
    [
        Event(0.0, DOSE, 100.0, compartment=5),  # there is none
        Event(0.0, DOSE, 100.0, rate=-1.0),  # a rate that is no parameter
        Event(0.0, DOSE, 100.0, rate=-2.0, compartment=2),
    ],
)
def test_what_cannot_be_computed_is_nan(event):
    predictor = problem(ORAL2, [[event, Event(1.0)], REGIMEN], [np.zeros(7)])
    f, fu, _ = predicted(predictor, np.array([AT, AT]))
    assert np.isnan(f[1]) and np.isfinite(f[2:]).all() and np.isfinite(fu[2:]).all()


def test_negative_lag_is_nan():
    predictor, u = several(2)
    predictor.design.transform[5] = jets.IDENTITY
    u[:, 5] = [-1.0, 1.0]
    f = predicted(predictor, u)[0].reshape(2, -1)
    assert np.isnan(f[0, 0]) and np.isfinite(f[1]).all()


def test_the_duration_of_a_dose_with_rate_minus_two_is_the_parameter():
    as_bolus, as_stated = (
        problem(pk(1, "zero-order"), [[Event(0.0, DOSE, 10.0, rate=r), Event(1.0), Event(9.0)]], [np.zeros(3)])
        for r in (0.0, -2.0)
    )
    u = np.log([[4.0, 1.0, 10.0]])
    for a, b in zip(predicted(as_bolus, u), predicted(as_stated, u), strict=True):
        assert (a == b).all()


def test_dosing_as_in_nonmem(reference):
    """26 scenarios; F, lag and (where RATE is -2) duration concern doses into the central compartment only."""
    data = wb.read_data(reference / "data" / "nmtests_dosing_1001.csv", roles={"response": "NONMEM_CP"})
    events = data.events
    frame = data.frame.iloc[events.row]
    schedule = schedule_of(events, np.ones(len(frame), bool), np.zeros(len(frame), np.int64))
    structure = pk(1, "parallel", lag=True, bioavailability=True)
    known = {
        "Fr": 0.5,
        "ka": 1.5,
        "CL": 1.1,
        "V": 20.0,
        "Tk0": frame["DUR2"],
        "lag": frame["LAGT"],
        "F": frame["BIOAV"],
    }
    N, P = len(events.subjects), len(known)
    layout = Layout(
        A=np.zeros((N, 1, 0)),
        B=np.zeros((N, 1, 0)),
        C=np.zeros((len(frame), P, 1)),
        offset=np.column_stack([np.broadcast_to(known[name], len(frame)) for name in structure.names]).astype(float),
        row=schedule.record,
        origin=schedule.origin,
        transform=np.full(P, jets.IDENTITY),
        lower=np.zeros(P),
        upper=np.ones(P),
        covariates=np.zeros((len(frame), 0)),
    )
    f = np.full(len(frame), np.nan)
    modelled = frame["MODE"].to_numpy()[events.start[:-1]] == 2
    assert modelled.any() and N == 26
    for subjects, duration in ((modelled, DURATION), (~modelled, -1)):
        predictor = LinearPredictor(structure.kinetics, schedule, layout, simply=False)
        predictor.general.routes = routes_of([[Route(DEPOT)], [Route(CENTRAL, -1, BIOAVAILABILITY, LAG, duration)]])
        predictor.general.capacity = room(predictor.general.course, predictor.general.routes)
        predictor.predict(np.flatnonzero(subjects), np.zeros((N, 1)), 0, f, np.empty((0, 1)), np.empty((0, 1, 1)))
    np.testing.assert_allclose(1000 * f, frame["NONMEM_CP"], rtol=5.1e-5)
