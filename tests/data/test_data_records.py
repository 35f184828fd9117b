"""Events: kinds of records, dosing, order, resets, occasions, responses, covariates between records."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from workbench.data import GroupedData, read_data
from workbench.errors import DataError


def data(text: str, **options: Any) -> GroupedData:
    return read_data(io.StringIO(text), **options)


def test_kinds_without_evid() -> None:
    events = data("ID,TIME,AMT,DV\n1,0,100,0\n1,1,0,5\n1,2,.,.\n1,3,50,.\n1,4,.,2\n").events
    assert events.kind.tolist() == [1, 0, 2, 1, 0]
    assert events.observed.tolist() == [False, True, False, False, True]


def test_kinds_by_mdv() -> None:
    events = data("ID,TIME,AMT,DV,MDV\n1,0,100,7,1\n1,1,0,5,0\n1,2,0,9,1\n").events
    assert events.kind.tolist() == [1, 0, 2]
    assert_array_equal(events.dv, [np.nan, 5, np.nan])


def test_kinds_by_evid() -> None:
    rows = ["1,0,100,.,1,1", "1,1,0,5,0,0", "1,2,0,5,0,1", "1,3,0,0,2,1", "1,4,0,0,3,1", "1,0,50,0,4,1", "1,1,0,2,0,0"]
    events = data("ID,TIME,AMT,DV,EVID,MDV\n" + "\n".join(rows) + "\n").events
    assert events.kind.tolist() == [1, 0, 0, 2, 3, 4, 0]
    assert events.observed.tolist() == [False, True, False, False, False, False, True]
    assert events.time.tolist() == [0, 1, 2, 3, 4, 0, 1]  # time starts anew at a reset
    assert events.is_dose.tolist() == [True, False, False, False, False, True, False]


def test_everything_about_a_dose() -> None:
    head = "ID,TIME,AMT,RATE,DUR,ADDL,II,SS,CMT,DV\n"
    events = data(head + "1,0,100,50,.,3,12,1,2,.\n1,1,50,.,4,.,.,.,1,.\n1,2,.,9,9,9,9,0,3,5\n").events
    assert events.rate.tolist() == [50, 0, 0]
    assert events.duration.tolist() == [0, 4, 0]
    assert events.additional.tolist() == [3, 0, 0]
    assert events.interval.tolist() == [12, 0, 0]
    assert events.steady_state.tolist() == [1, 0, 0]
    assert events.compartment.tolist() == [2, 1, 3]
    assert events.amount.tolist() == [100, 50, 0]


def test_order_of_a_dose_and_an_observation_at_one_time_is_that_of_the_file() -> None:
    first = data("ID,TIME,AMT,DV\n1,0,100,.\n1,0,0,3\n1,1,0,2\n").events
    second = data("ID,TIME,AMT,DV\n1,0,0,3\n1,0,100,.\n1,1,0,2\n").events
    assert (first.kind.tolist(), second.kind.tolist()) == ([1, 0, 0], [0, 1, 0])


def test_times_out_of_order_are_put_in_order_and_reported() -> None:
    read = data("ID,TIME,DV,DVID\n1,1,1,cp\n1,5,2,cp\n1,0,90,pca\n1,5,80,pca\n")
    assert read.events.row.tolist() == [2, 0, 1, 3]
    assert read.events.response.tolist() == [1, 0, 0, 1]
    assert read.responses == ("cp", "pca")
    assert read.check().loc["time goes back", "rows"] == (4,)
    mended = read.mend("sort_by_time")
    assert "time goes back" not in mended.check().index
    assert_array_equal(mended.events.dv, read.events.dv)


def test_a_new_occasion_that_starts_before_the_last_one_ended_is_a_reset() -> None:
    head = "ID,TIME,AMT,DV,OCC\n"
    dosed = data(head + "1,0,10,.,a\n1,5,0,2,a\n1,0,20,.,b\n1,5,0,3,b\n").events
    assert dosed.kind.tolist() == [1, 0, 4, 0]
    assert dosed.occasion.tolist() == [0, 0, 1, 1]
    sampled = data(head + "1,0,10,.,a\n1,5,0,2,a\n1,0,0,0.1,b\n1,1,20,.,b\n1,5,0,3,b\n")
    assert sampled.events.kind.tolist() == [1, 0, 3, 0, 1, 0]
    assert sampled.check().loc["reset at a new occasion", "rows"] == (4,)
    assert sampled.occasions == ("a", "b")
    growth = data("ID,TIME,DV,OCC\n1,0,1,a\n1,5,2,a\n1,0,1,b\n1,5,3,b\n").events
    assert growth.kind.tolist() == [0, 0, 0, 0] and growth.time.tolist() == [0, 5, 0, 5]


def test_subjects_keep_the_order_in_which_they_are_seen() -> None:
    read = data("ID,TIME,DV\nb,0,1\na,0,2\nb,1,3\na,1,4\n")
    assert read.events.subjects == ("b", "a")
    assert read.events.start.tolist() == [0, 2, 4]
    assert_array_equal(read.events.dv, [1, 3, 2, 4])
    assert set(read.check().loc["scattered subject", "subject"]) == {"a", "b"}
    assert "scattered subject" not in read.mend("gather_subjects").check().index


def test_rxode_codes() -> None:
    events = data("ID,TIME,AMT,DV,EVID\n1,0,10,.,201\n1,1,0,5,0\n1,2,4,.,10101\n1,7,-4,.,10101\n1,8,0,3,0\n").events
    assert events.kind.tolist() == [1, 0, 1, 2, 0]
    assert events.compartment.tolist()[:3] == [2, 0, 1]
    assert (events.amount[2], events.rate[2]) == (20, 4)
    with pytest.raises(DataError, match="other half"):
        data("ID,TIME,AMT,DV,EVID\n1,0,4,.,10101\n1,1,0,5,0\n")


def test_data_without_subjects_or_responses() -> None:
    single = data("time,cp\n0,1\n1,2\n", roles={"subject": None})
    assert single.events.subjects == (1,)
    assert len(single.subjects) == 1
    design = data("ID,TIME,AMT\n1,0,10\n1,1,0\n", roles={"response": None})
    assert design.events.kind.tolist() == [1, 0]
    assert not design.events.observed.any()
    assert design.check().empty


COVARIATES = "ID,TIME,DV,WT,SEX\n1,0,1,70,F\n1,2,1,.,F\n1,4,1,74,F\n2,0,1,.,M\n2,4,1,60,M\n2,6,1,.,M\n"


@pytest.mark.parametrize(
    ("rule", "weights"),
    [
        ("nocb", [70, 74, 74, 60, 60, 60]),
        ("locf", [70, 70, 70, 60, 60, 60]),
        ("linear", [70, 71, 73, 60, 60, 60]),
    ],
)
def test_covariates_between_records(rule: str, weights: list[float]) -> None:
    values = data(COVARIATES, covariate_rule=rule).covariate_values(["WT", "SEX"])
    assert values["WT"].tolist() == weights
    assert values["SEX"].tolist() == ["F"] * 3 + ["M"] * 3
    assert list(values.columns) == ["WT", "SEX"]


def test_covariates_that_are_not_there() -> None:
    text = COVARIATES + "3,0,1,.,M\n3,1,1,.,\n"
    read = data(text)
    with pytest.raises(DataError, match="subject 3: the subject has no value"):
        read.covariate_values(["WT"])
    with pytest.raises(DataError, match="no column 'AGE'; covariates: WT, SEX"):
        read.covariate_values(["AGE"])
    filled = read.mend("fill_covariates")
    assert filled.covariate_values("WT")["WT"].tolist()[-2:] == [65, 65]  # the median of the subjects
    assert filled.covariates["missing"].sum() == 0


def test_covariates_of_records_that_have_no_row_of_their_own() -> None:
    read = data("Subject,Dose,Time,conc,Wt\n1,4,1,2,80\n1,4,2,1,80\n2,5,1,3,60\n2,5,2,2,60\n")
    assert read.events.kind.tolist() == [1, 0, 0, 1, 0, 0]
    assert read.covariate_values(["Wt"])["Wt"].tolist() == [80] * 3 + [60] * 3


def test_the_last_dose_of_each_record():
    frame = pd.DataFrame(
        {
            "ID": [1, 1, 1, 1, 1, 1, 2, 2],
            "TIME": [0, 0, 5, 13, 30, 36, 2, 4.0],
            "AMT": [0, 100, 0, 0, 0, 0, 0, 50],
            "EVID": [0, 1, 0, 0, 0, 3, 0, 1],
            "ADDL": [0, 2, 0, 0, 0, 0, 0, 0],
            "II": [0, 12, 0, 0, 0, 0, 0, 0.0],
            "DV": [0, np.nan, 3, 4, 1, np.nan, 2, np.nan],
        }
    )
    since, amount = read_data(frame).events.last_dose
    assert since[:5].tolist()[1:] == [0, 5, 1, 6] and np.isnan(since[[0, 5, 6]]).all() and since[7] == 0
    assert amount[1:5].tolist() == [100] * 4 and amount[7] == 50
