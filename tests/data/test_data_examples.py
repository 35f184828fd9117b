"""The example sets: counts, numbers, units, and the list of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.data import GroupedData, examples_folder, load_example
from workbench.data.examples import EXAMPLES
from workbench.data.units import checked
from workbench.errors import DataError

COUNTS = {
    "theophylline": (12, 132, 12),
    "indomethacin": (6, 66, 0),
    "phenobarbital": (59, 155, 589),
    "quinidine": (136, 361, 1028),
    "remifentanil": (65, 1992, 628),
    "tetracycline": (5, 40, 0),
    "orange_trees": (5, 35, 0),
    "loblolly": (14, 84, 0),
    "soybean": (48, 412, 0),
    "co2_uptake": (12, 84, 0),
    "glucose": (6, 376, 0),
}
SUMS = {  # of the responses in R's tables
    "theophylline": 654.78,
    "indomethacin": 39.06,
    "phenobarbital": 3964.3,
    "quinidine": 886.0,
    "remifentanil": 53066.0,
    "tetracycline": 47.05,
    "orange_trees": 4055.0,
    "loblolly": 2718.61,
    "soybean": 2621.210619,
    "co2_uptake": 2285.9,
    "glucose": 2072.08,
}


def test_the_list_names_every_example_and_every_file() -> None:
    listed = load_example()
    assert set(listed.index) == set(EXAMPLES) == set(COUNTS) == {path.stem for path in examples_folder().glob("*.csv")}
    assert listed["about"].str.len().gt(20).all()


@pytest.mark.parametrize("name", COUNTS)
def test_counts_units_and_code(name: str) -> None:
    data = load_example(name)
    events = data.events
    assert (len(events.subjects), int(events.observed.sum()), int(events.is_dose.sum())) == COUNTS[name]
    assert data.units == checked(data.units, data.roles)
    assert {"time", "response"} <= data.units.keys()
    assert data.code() == f"wb.load_example('{name}')"
    assert not (data.check()["severity"] == "error").any()
    assert (examples_folder() / "README.md").read_text(encoding="utf-8").count(f"## {name}.csv") == 1


@pytest.mark.parametrize("name", SUMS)
def test_numbers_are_those_of_the_source(name: str) -> None:
    events = load_example(name).events
    assert np.nansum(events.dv) == pytest.approx(SUMS[name], abs=1e-6)


def test_theophylline_starts_each_subject_with_the_dose() -> None:
    data: GroupedData = load_example("theophylline")
    events = data.events
    first = events.start[:-1]
    assert (events.kind[first] == 1).all()
    assert (events.kind[first + 1] == 0).all()
    assert (events.time[first] == 0).all() and (events.time[first + 1] == 0).all()
    assert events.amount[first].min() == 3.1
    assert data.units["amount"] == "mg/kg"
    assert data.covariate_names == ("WT",)


def test_an_unknown_example_gets_a_hint() -> None:
    with pytest.raises(DataError, match="did you mean 'theophylline'"):
        load_example("theophyline")


def test_examples_in_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel carries the files inside the package."""
    from workbench.data import examples

    inside = tmp_path / "workbench" / "examples" / "data"
    inside.mkdir(parents=True)
    (inside / "theophylline.csv").write_bytes((examples_folder() / "theophylline.csv").read_bytes())
    monkeypatch.setattr(examples, "__file__", str(tmp_path / "workbench" / "data" / "examples.py"))
    assert examples_folder() == inside
    assert len(load_example("theophylline").events.subjects) == 12
    (inside / "theophylline.csv").unlink()
    with pytest.raises(DataError, match="not there"):
        examples_folder()


def test_examples_equal_themselves_and_are_not_changed_by_what_they_hand_out() -> None:
    data = load_example("theophylline")
    before = hashlib.sha256(pd.util.hash_pandas_object(data.frame).to_numpy().tobytes()).hexdigest()
    for handed in (data.frame, data.to_frame(), data.observations, data.doses, data.subjects):
        handed.iloc[:, -1] = 0
    data.roles["time"] = "DV"
    data.units["time"] = "week"
    assert hashlib.sha256(pd.util.hash_pandas_object(data.frame).to_numpy().tobytes()).hexdigest() == before
    assert data == load_example("theophylline")
    assert hash(data) == hash(load_example("theophylline"))
