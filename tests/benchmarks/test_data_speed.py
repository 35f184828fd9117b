"""A million rows: read, checked and summarised.

Run with `pytest tests/benchmarks/test_data_speed.py --benchmark-enable`. The time and memory bounds are those
of the project's aims: under 10 s and 1 GB.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.data import GroupedData, read_data

SUBJECTS, SAMPLES = 20_000, 50

PEAK = """
import resource, sys
from workbench.data import read_data
data = read_data(sys.argv[1])
data.check(), data.summary(), data.subjects, data.describe_covariates(), data.hash
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 20,000 subjects with a dose and 49 samples each, three covariates, one of them text."""
    rng = np.random.default_rng(1)
    n = SUBJECTS * SAMPLES
    dose = np.arange(n) % SAMPLES == 0
    frame = pd.DataFrame(
        {
            "ID": np.repeat(np.arange(1, SUBJECTS + 1), SAMPLES),
            "TIME": np.tile(np.r_[0, np.linspace(0, 48, SAMPLES - 1).round(3)], SUBJECTS),
            "AMT": np.where(dose, 100, 0),
            "DV": np.where(dose, np.nan, np.exp(rng.normal(1, 0.5, n)).round(4)),
            "EVID": dose.astype(int),
            "WT": np.repeat(rng.normal(70, 12, SUBJECTS).round(1), SAMPLES),
            "AGE": np.repeat(rng.integers(18, 80, SUBJECTS), SAMPLES),
            "SEX": np.repeat(rng.choice(["F", "M"], SUBJECTS), SAMPLES),
        }
    )
    path = tmp_path_factory.mktemp("million") / "million.csv"
    frame.to_csv(path, index=False, na_rep=".")
    return path


def test_a_million_rows(benchmark: Any, million: Path) -> None:
    def work() -> GroupedData:
        data = read_data(million)
        data.check()
        data.summary(), data.subjects, data.describe_covariates()
        return data

    data = benchmark.pedantic(work, rounds=1, iterations=1)
    assert len(data.events.subjects) == SUBJECTS
    assert len(data) == SUBJECTS * SAMPLES
    if benchmark.stats:
        assert benchmark.stats.stats.max < 10


def test_a_million_rows_in_a_gigabyte(benchmark: Any, million: Path) -> None:
    def work() -> float:
        done = subprocess.run([sys.executable, "-c", PEAK, str(million)], capture_output=True, text=True, check=True)
        return float(done.stdout)

    assert benchmark.pedantic(work, rounds=1, iterations=1) < 1024
