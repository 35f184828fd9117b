"""Examples that stand for the data of published runs have the same records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import workbench as wb

from .material import OWN, PUBLISHED


@pytest.mark.parametrize("file", OWN)
def test_examples_have_the_records_of_the_sources(reference: Path, file: str) -> None:
    ours, theirs = wb.read_data(OWN[file]()), wb.read_data(reference / "data" / file)
    a, b = ours.events, theirs.events
    assert list(map(str, a.subjects)) == list(map(str, b.subjects))
    for name in ("start", "time", "kind", "observed", "is_dose", "amount", "censored", "steady_state", "interval"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name)
    np.testing.assert_array_equal(a.dv[a.observed], b.dv[b.observed])
    for name in {"WT", "WGT", "APGR", "FA1"} & set(ours.covariate_names) & set(theirs.covariate_names):
        np.testing.assert_array_equal(ours.frame[name].to_numpy()[a.row], theirs.frame[name].to_numpy()[b.row])


def test_figures_are_those_of_the_sources(reference: Path) -> None:
    """Where the folder has the figures too, none is lost on the way."""
    if not (reference / "cases").is_dir():
        return
    names = {path.name for path in PUBLISHED.glob("*.json")}
    assert {path.name for path in (reference / "cases").glob("*.json")} <= names
