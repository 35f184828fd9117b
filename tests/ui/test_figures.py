"""Ticks and texts of figures and tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import markup
from workbench.ui.figures.time import joined, log_ticks, ticks


def test_ticks_are_round():
    assert ticks(0, 11.4).tolist() == [0, 5, 10]
    assert ticks(0, 24.65, 7, hours=True).tolist() == [0, 4, 8, 12, 16, 20, 24]
    assert ticks(0, 0.9, 3).tolist() == [0, 0.5]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_lie_within_and_are_few(low, width):
    found = ticks(low, low + width)
    assert 0 < len(found) <= 12
    assert (found >= low - 1e-6 * width - abs(low) * 1e-9).all()
    assert (found <= low + width * (1 + 1e-6) + abs(low) * 1e-9).all()


def test_log_ticks():
    assert (10 ** log_ticks(0, 1)).round(6).tolist() == [1, 2, 5, 10]
    assert log_ticks(-3.5, 4).tolist() == [-2, 0, 2, 4]


def test_joined_curves_have_gaps():
    one = joined([np.array([1.0, 2.0]), np.array([3.0])])
    assert one[[0, 1, 3]].tolist() == [1, 2, 3] and np.isnan(one[[2, 4]]).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0404, "0.04040"), (103.9446, "103.9"), (-0.5, "−0.5000"), (1e-7, "1.000·10⁻⁷"), (math.nan, "–"),
     (1234.5, "1234"), (0.0, "0.000")],
)  # fmt: skip
def test_numbers(value, text):
    assert markup.number(value) == text


def test_tables_are_escaped():
    assert "<script>" not in markup.table(["<script>"], [["<script>", 1]])


def test_code_in_a_message_keeps_its_columns():
    text = markup.said("The equation: <b> is no\nsign.\n    a < b\n      ^\nAllowed is a.")
    assert text == (
        '<div>The equation: &lt;b&gt; is no<br>sign.</div><pre class="wb-fault">a &lt; b\n  ^</pre>'
        "<div>Allowed is a.</div>"
    )
    assert markup.said("") == ""
