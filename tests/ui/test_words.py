"""What the floors below say in code, the room says by its own controls."""

from __future__ import annotations

import re

import pandas as pd
import pytest

import workbench as wb
from workbench.ui.session.words import in_room_words

CODE = re.compile(r"wb\.|model\.|with_\w+\(|roles=|\w=None|\w=…|fit\.\w")
ORAL = wb.pk(absorption="first-order")
RECORDS = {"ID": [1, 1, 1, 2, 2, 2], "TIME": [0.0, 0, 2, 0, 0, 2], "DV": [None, 0, 3.0, None, 0, 4.0]}
DOSED = pd.DataFrame({**RECORDS, "AMT": [100.0, 0, 0, 100, 0, 0]})


def read(frame, **options):
    return wb.read_data(frame, strict=False, **options)


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (wb.Model(ORAL).with_error(wb.Exponential()), DOSED),
        (wb.Model(ORAL).with_error(wb.Proportional()), DOSED),
        (wb.Model(ORAL), DOSED.assign(DV=["", "3", "<1", "", "4", "<1"])),
        (wb.Model(ORAL), DOSED.drop(columns="AMT")),
        (wb.Model(ORAL).with_iov("CL"), DOSED),
        (wb.Model(ORAL), DOSED.assign(RATE=[-2.0, 0, 0, -2, 0, 0])),
    ],
)
def test_the_room_speaks_of_its_own_controls(model, data):
    found = [finding.message for finding in model.check(read(data))]
    assert any(CODE.search(message) for message in found)
    for message in found:
        assert not CODE.search(in_room_words(message)), in_room_words(message)
