"""What the doses of a subject become: boluses and input rates, in order with the records, times and sizes as jets."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.engine.predictions import jets, timeline
from workbench.engine.predictions.schedule import schedule_of
from workbench.engine.predictions.timeline import BOLUS, RATE, RECORD, RESET, STEADY, Route

NAMES = {int(RECORD): "record", int(BOLUS): "bolus", int(RATE): "rate", int(RESET): "reset", int(STEADY): "steady"}
D = 2
SHARE, F, LAG, DURATION = range(4)
LASTS = {"share": 0.25, "F": 0.5, "lag": 1.5, "duration": 4.0}


def unfolded(rows, compartments, quantities=LASTS, design_rows=None, order=2):
    """The timeline of a subject with the records given, and how many happenings there are.

    The quantities stand in the columns SHARE to DURATION. They depend on the first coordinate with slope 1, and on the
    second with slope 2 and curvature 3.
    """
    columns = {"ID": 1, "TIME": 0.0, "EVID": 0, "AMT": 0.0, "RATE": 0.0, "TINF": 0.0, "II": 0.0, "ADDL": 0, "SS": 0}
    columns |= {"CMT": 1, "DV": 1.0}
    roles = {"subject": "ID", "time": "TIME", "evid": "EVID", "amount": "AMT", "rate": "RATE", "duration": "TINF"}
    roles |= {"interval": "II", "additional": "ADDL", "steady_state": "SS", "compartment": "CMT", "response": "DV"}
    data = wb.read_data(pd.DataFrame([columns | row for row in rows]), roles=roles)
    n = len(data.events.time)
    schedule = schedule_of(data.events, np.ones(n, dtype=bool), np.zeros(n, dtype=np.int64))
    course, routes = timeline.course_of(schedule), timeline.routes_of(compartments)
    rows = np.arange(n) if design_rows is None else np.array(design_rows)
    entry, entries = timeline.entries_of(schedule, rows[schedule.record], rows[schedule.origin], routes)
    table = np.zeros((entries, 4, 1 + D + D * (D + 1) // 2))
    for column, name in enumerate(("share", "F", "lag", "duration")):
        table[:, column] = [quantities[name], 1.0, 2.0, 0.0, 0.0, 3.0]
    line = timeline.blank(timeline.room(course, routes), D)
    return line, timeline.unfold(0, course, routes, entry, table, D, order, line)


def story(*args, **kwargs):
    """(what, time, state, value) of all happenings, those of a cycle as a list after a steady state."""
    line, n = unfolded(*args, **kwargs)

    def told(k):
        item = line.pool[k]
        what = NAMES[int(item["what"])]
        rest = (int(item["state"]), float(item["value"])) if what in ("bolus", "rate") else ()
        return (what, round(float(item["time"]), 9), *rest)

    result = []
    for k in line.order[:n]:
        result.append(told(k))
        if result[-1][0] == "steady":
            result.append([told(c) for c in range(k + 1, k + 1 + line.pool[k]["count"])])
    return result


def dose(time=0.0, amount=100.0, **more):
    return {"TIME": time, "EVID": 1, "AMT": amount, **more}


def record(time):
    return {"TIME": time}


PLAIN = [[Route(0)], [Route(1)]]


def test_bolus_and_infusions():
    assert story([dose(), dose(1.0, CMT=2), record(2.0)], PLAIN) == [
        ("bolus", 0.0, 0, 100.0),
        ("record", 0.0),
        ("bolus", 1.0, 1, 100.0),
        ("record", 1.0),
        ("record", 2.0),
    ]
    assert story([dose(RATE=50.0), dose(1.0, 60.0, TINF=2.0), record(2.0), record(8.0)], PLAIN) == [
        ("rate", 0.0, 0, 50.0),
        ("record", 0.0),
        ("rate", 1.0, 0, 30.0),
        ("record", 1.0),
        ("rate", 2.0, 0, -50.0),
        ("record", 2.0),
        ("rate", 3.0, 0, -30.0),
        ("record", 8.0),
    ]


def test_additional_doses_come_before_the_record_at_their_time():
    assert story([dose(II=4.0, ADDL=2), record(4.0), record(5.0)], PLAIN) == [
        ("bolus", 0.0, 0, 100.0),
        ("record", 0.0),
        ("bolus", 4.0, 0, 100.0),
        ("record", 4.0),
        ("record", 4.0),
        ("record", 5.0),
        ("bolus", 8.0, 0, 100.0),
        ("record", 8.0),
    ]


def test_lag_bioavailability_share_and_duration_are_jets():
    routes = [[Route(0, SHARE, F, LAG), Route(1, -1, F, -1, DURATION)]]
    line, n = unfolded([dose(), record(10.0)], routes)
    items = {(NAMES[int(i["what"])], int(i["state"])): k for k in line.order[:n] for i in [line.pool[k]]}
    jet = np.empty(6)
    timeline.quantity(line, items["bolus", 0], jet, D, 2)  # 100 · share · F
    assert jet == pytest.approx([12.5, 75.0, 150.0, 200.0, 400.0, 100 * (8 + 0.75 * 3)])
    timeline.moment(line, items["bolus", 0], jet, D, 2)
    assert jet == pytest.approx([1.5, 1.0, 2.0, 0.0, 0.0, 3.0])
    end = items["rate", 1]
    assert line.pool[end]["count"] == -1
    timeline.moment(line, end, jet, D, 2)
    assert jet == pytest.approx([4.0, 1.0, 2.0, 0.0, 0.0, 3.0])
    timeline.quantity(line, end, jet, D, 2)  # -100 F / duration
    f, d = 0.5, 4.0
    slope, curve = 1 / d - f / d**2, -2 / d**2 + 2 * f / d**3
    assert jet[:4] == pytest.approx([-100 * f / d, -100 * slope, -200 * slope, -100 * curve])
    assert jet[5] == pytest.approx(-100 * (4 * curve + 3 * slope))


def test_bioavailability_shortens_an_infusion_of_stated_rate():
    assert story([dose(RATE=50.0), record(9.0)], [[Route(0, SHARE, F, LAG)]]) == [
        ("record", 0.0),
        ("rate", 1.5, 0, 12.5),
        ("rate", 2.5, 0, -12.5),
        ("record", 9.0),
    ]
    assert story([dose(TINF=2.0), record(9.0)], [[Route(0, SHARE, F, LAG)]])[1:3] == [
        ("rate", 1.5, 0, 6.25),
        ("rate", 3.5, 0, -6.25),
    ]


def test_modelled_rates_and_durations():
    by_parameter = [[Route(0, duration=DURATION)]]
    for given in (0.0, -2.0):
        assert story([dose(RATE=given), record(9.0)], by_parameter)[::2] == [
            ("rate", 0.0, 0, 25.0),
            ("rate", 4.0, 0, -25.0),
        ]
    assert story([dose(RATE=20.0), record(9.0)], by_parameter)[0] == ("rate", 0.0, 0, 20.0)  # what the data say counts
    for rate, routes in ((-1.0, by_parameter), (-2.0, PLAIN)):
        assert np.isnan(story([dose(RATE=rate), record(9.0)], routes)[0][3])


@pytest.mark.parametrize("wrong", [{"lag": -0.1}, {"lag": np.nan}, {"duration": -1.0}, {"duration": np.inf}])
def test_impossible_times_make_the_size_nan(wrong):
    told = story([dose(), record(9.0)], [[Route(0, -1, -1, LAG, DURATION)]], LASTS | wrong)
    assert np.isnan(told[0][3]) and told[-1] == ("record", 9.0)


def test_a_compartment_that_there_is_not():
    assert np.isnan(story([dose(CMT=3), record(1.0)], PLAIN)[0][3])


def test_reset_cancels_what_is_pending():
    rows = [dose(RATE=10.0), dose(3.0, CMT=2), {"TIME": 4.0, "EVID": 3}, record(20.0)]
    assert story(rows, [[Route(0)], [Route(1, lag=LAG)]]) == [
        ("rate", 0.0, 0, 10.0),
        ("record", 0.0),
        ("record", 3.0),
        ("reset", 4.0),
        ("record", 4.0),
        ("record", 20.0),
    ]
    rows[2] = {"TIME": 0.0, "EVID": 4, "AMT": 7.0}  # time starts anew
    assert story(rows, PLAIN)[4:] == [("reset", 0.0), ("bolus", 0.0, 0, 7.0), ("record", 0.0), ("record", 20.0)]


def test_steady_state_of_a_bolus():
    assert story([dose(II=8.0, SS=1), record(1.0)], PLAIN) == [
        ("steady", 0.0),
        [("bolus", 0.0, 0, 100.0)],
        ("bolus", 0.0, 0, 100.0),
        ("record", 0.0),
        ("record", 1.0),
    ]


def test_steady_state_with_a_lag_longer_than_the_interval():
    told = story([dose(II=1.0, SS=2), record(9.0)], [[Route(0, lag=LAG)]])
    assert told == [
        ("steady", 0.0),
        [("bolus", 0.5, 0, 100.0)],
        ("record", 0.0),
        ("bolus", 0.5, 0, 100.0),  # of the dose before
        ("bolus", 1.5, 0, 100.0),
        ("record", 9.0),
    ]


def test_steady_state_of_overlapping_infusions():
    """Ten hours every four: two or three run at any time."""
    told = story([dose(RATE=10.0, II=4.0, SS=1), record(7.0), record(20.0)], PLAIN)
    assert told == [
        ("steady", 0.0),
        [("rate", 0.0, 0, 20.0), ("rate", 0.0, 0, 10.0), ("rate", 2.0, 0, -10.0)],
        ("rate", 0.0, 0, 20.0),
        ("rate", 0.0, 0, 10.0),
        ("record", 0.0),
        ("rate", 2.0, 0, -10.0),
        ("rate", 6.0, 0, -10.0),
        ("record", 7.0),
        ("rate", 10.0, 0, -10.0),
        ("record", 20.0),
    ]


def test_steady_state_of_a_constant_infusion_ends_with_it():
    assert story([dose(amount=0.0, RATE=10.0, SS=1), record(7.0)], PLAIN) == [
        ("steady", 0.0),
        [("rate", 0.0, 0, 10.0)],
        ("record", 0.0),
        ("record", 7.0),
    ]


def test_steady_state_replaces_what_is_pending_or_adds_to_it():
    for ss, kept in ((1, 0), (2, 1)):
        told = story([dose(TINF=10.0), dose(2.0, II=8.0, SS=ss), record(20.0)], PLAIN)
        assert told.count(("rate", 10.0, 0, -10.0)) == kept


def test_one_steady_state_for_all_routes():
    told = story([dose(II=6.0, SS=1), record(20.0)], [[Route(0, -1, -1, LAG), Route(1, duration=DURATION)]])
    assert [part for part in told if part[0] == "steady"] == [("steady", 0.0)]
    assert told[1] == [("rate", 0.0, 1, 25.0), ("bolus", 1.5, 0, 100.0), ("rate", 4.0, 1, -25.0)]


def test_the_cycle_gives_what_the_doses_give():
    """Amount that enters in a cycle is that of one dose, whatever its lag and duration."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        lag, duration, interval = rng.uniform([0, 0, 1], 20)
        quantities = LASTS | {"lag": lag, "duration": duration}
        cycle = story([dose(II=interval, SS=1), record(99.0)], [[Route(0, -1, -1, LAG, DURATION)]], quantities)[1]
        now = total = rate = 0.0
        for _, time, _, change in [*cycle, ("", interval, 0, 0.0)]:
            assert time >= now
            total, rate, now = total + rate * (time - now), rate + change, time
        assert total == pytest.approx(100.0)


def test_intervals_belong_to_the_event_that_ends_them():
    line, n = unfolded([dose(RATE=50.0), record(1.0), record(9.0)], [[Route(0, lag=LAG)]])
    assert [(float(i["time"]), int(i["event"])) for i in line.pool[line.order[:n]]] == [
        (0.0, 0), (1.0, 1), (1.5, 2), (3.5, 2), (9.0, 2),
    ]  # fmt: skip


def test_quantities_have_a_row_for_each_design_row_that_doses_meet():
    rows = [dose(), record(1.0), dose(2.0), dose(3.0), record(4.0), dose(5.0)]
    data = wb.read_data(
        pd.DataFrame([{"ID": i, "EVID": 0, "AMT": 0.0, "DV": 1.0} | row for i in (1, 2) for row in rows])
    )
    schedule = schedule_of(data.events, np.ones(12, dtype=bool), np.zeros(12, dtype=np.int64))
    row = np.array([0, 1, 1, 2, 2, 2, 5, 5, 5, 5, 5, 6])
    entry, most = timeline.entries_of(schedule, row, row, timeline.routes_of([[Route(0, bioavailability=F)]]))
    assert most == 3
    for column in (0, 1):
        assert entry[[0, 2, 3, 5], column].tolist() == [0, 1, 2, 2]
        assert entry[[6, 8, 9, 11], column].tolist() == [0, 0, 0, 1]
    assert entry[[1, 4, 7, 10], 0].tolist() == [-1] * 4
    entry, _ = timeline.entries_of(schedule, row, row, timeline.routes_of([[Route(0, bioavailability=F, lag=LAG)]]))
    assert entry[:, 0].tolist() == [0, 1, 1, 2, 2, 2, 0, 0, 0, 0, 0, 1]  # a lagged dose may meet any of them


def test_input_rates_end_at_exactly_zero():
    line, n = unfolded([dose(RATE=0.3), dose(1.0, RATE=0.1), record(2000.0)], [[Route(0, -1, F)]])
    rates, running = np.zeros((1, 6)), np.zeros(1, dtype=np.int64)
    seen = []
    for k in line.order[:n]:
        if line.pool[k]["what"] == RATE:
            timeline.switch(line, k, rates, running, D, 2)
            seen.append(rates[0, 0])
    assert seen == pytest.approx([0.3, 0.4, 0.1, 0.0]) and (rates == 0).all() and running[0] == 0


def test_room_is_enough_and_not_much_too_much():
    rng = np.random.default_rng(2)
    kinds = [
        dose,
        lambda t: dose(t, RATE=rng.uniform(1, 50)),
        lambda t: dose(t, II=rng.uniform(0.5, 9), SS=int(rng.integers(1, 3))),
        lambda t: dose(t, RATE=rng.uniform(1, 50), II=rng.uniform(0.5, 9), SS=1),
        lambda t: {"TIME": t, "EVID": 3},
        record,
    ]
    routes = [[Route(0, SHARE, F, LAG), Route(1, -1, F, LAG, DURATION)], [Route(1)]]
    for _ in range(40):
        times = np.sort(rng.uniform(0, 60, 12))
        rows = [dose(0.0), *(kinds[rng.integers(len(kinds))](t) for t in times), record(80.0)]
        quantities = LASTS | {"lag": rng.uniform(0, 9), "duration": rng.uniform(0, 30)}
        line, n = unfolded(rows, routes, quantities)
        used = line.counters[0]
        assert n <= used < len(line.pool) and line.counters[1] <= len(line.jets)
        assert np.isfinite(line.pool["time"][:used]).all()


def test_jets_have_the_length_that_a_timeline_keeps():
    assert timeline.blank(3, 4).jets.shape[1] == jets.size(4)
