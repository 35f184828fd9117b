"""Every published run, written as a control stream of NONMEM, comes back with the same objective."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb

from .cases import Case, Entry, each

pytest.importorskip("pharmpy")


def logarithms(entry: Entry) -> float:
    """What our objective of natural y has more than NONMEM's of log y."""
    errors, events = entry.model.errors, entry.data.events
    taken = np.array([error.takes_logarithm for error in errors])[events.response] & events.observed
    return 2 * float(np.log(events.dv[taken]).sum())


@each()
def test_written_and_read_back(case: Case, tmp_path) -> None:
    entry = next(iter(case.entries()))
    ofv = wb.objective(entry.model, entry.data, entry.method)
    stream = wb.write_nonmem(entry.model, tmp_path / "run1", entry.data, method=entry.method)
    run = wb.read_nonmem(stream)
    assert run.method == entry.method
    found = wb.objective(run.model, run.data, run.method)
    assert found == pytest.approx(ofv - logarithms(entry), abs=1e-4)
