"""Values far from all others: left out, or read with their decimal point shifted where that makes them usual ones."""

from __future__ import annotations

import pytest

import workbench as wb


def with_slip(factor):
    frame = wb.load_example("theophylline").frame.copy()
    row = frame.index[(frame["ID"] == 5) & (frame["TIME"] > 0.9)][0]
    frame.loc[row, "DV"] *= factor
    return wb.read_data(frame), row


@pytest.mark.parametrize("factor", [10, 100, 1000])
def test_a_slip_of_the_decimal_point_is_read_as_it_was_meant(factor):
    data, row = with_slip(factor)
    finding = data.check().loc["outlying response"]
    assert finding["others"] == ("shift_decimal_points",) and "would be 11.4" in finding["message"]
    mended = data.mend("shift_decimal_points")
    assert mended.frame.loc[row, "DV"] == 11.4 and "outlying response" not in mended.check().index
    assert mended.undo().frame.loc[row, "DV"] == 11.4 * factor
    assert str(mended.history[-1]) == "mend('shift_decimal_points')"


def test_what_is_no_slip_of_the_point_is_not_read_as_one():
    finding = with_slip(25)[0].check().loc["outlying response"]
    assert finding["others"] == () and finding["mend"] == "drop_outlying_responses"
