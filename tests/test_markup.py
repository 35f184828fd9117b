"""What a person reads: numbers, escaped HTML, drawings, tables in plain text."""

import math

import pandas as pd
import pytest

from workbench import markup
from workbench.markup import Html, Shown, svg, tag

EVIL = "<script>alert('1')</script>\"&"
NAN = math.nan


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (markup.short(2.76891), "2.769"),
        (markup.short(3.0), "3"),
        (markup.short(NAN), "–"),
        (markup.short(math.inf), "–"),
        (markup.short(0.0312, 2), "0.031"),
        (markup.number(-3), "−3.000"),
        (markup.number(0.0), "0.000"),
        (markup.number(1234567.0), "1.235·10⁶"),
        (markup.number(None), "–"),
        (markup.decimals(-1.005, 2), "−1.00"),
        (markup.decimals(NAN, 2, none=""), ""),
        (markup.signed(-0.5, 2), "−0.50"),
        (markup.signed(0.5, 2), "+0.50"),
        (markup.signed(NAN, 2), ""),
        (markup.p_value(0.9999), "1.0"),
        (markup.p_value(0.0004), "4·10⁻⁴"),
        (markup.p_value(NAN), "–"),
        (markup.percent(0.951), "95 %"),
        (markup.relative(0.5, 10), "5.0"),
        (markup.relative(NAN, 10), ""),
        (markup.relative(0.5, 0), ""),
        (markup.interval(1.0, NAN), "1 … –"),
        (markup.ends(1.0, 2.0), "1.00 … 2.00"),
        (markup.duration(0.0123), "12 ms"),
        (markup.duration(12.34), "12.3 s"),
        (markup.counted(1, "error"), "1 error"),
        (markup.counted(2000, "error"), "2,000 errors"),
        (markup.cell(pd.NaT), ""),
        (markup.cell(pd.NA), ""),
        (markup.cell(1.0), "1"),
        (markup.cell(True), "True"),
        (markup.cut("abcdef", 4), "abc…"),
    ],
)
def test_numbers_are_written_in_one_way(made, said):
    assert made == said


def test_all_text_is_escaped_once():
    frame = pd.DataFrame({EVIL: [EVIL]})
    shown = [
        markup.escaped(EVIL),
        tag("b", EVIL, title=EVIL),
        tag("b", tag("i", EVIL)),
        markup.joined(EVIL, EVIL),
        markup.table([EVIL], [[EVIL]]),
        markup.plain_table([EVIL], [[EVIL]], left=[0]),
        markup.frame_table(frame),
        markup.said(f"{EVIL}\n    {EVIL}"),
        markup.code(EVIL),
        markup.note(EVIL),
        markup.folded(EVIL, EVIL),
        markup.paragraphs([EVIL]),
        svg.text(1, 2, EVIL),
        svg.drawing(svg.circle(1, 2, 3), label=EVIL),
        svg.dot(EVIL),
    ]
    for page in shown:
        assert isinstance(page, Html)
        assert "<script" not in page and "&amp;lt;" not in page and "&lt;script" in page


def test_a_drawing_is_written_in_short():
    made = svg.drawing(svg.path([(0, 1 / 3), (2.0, 4)], [(5, 5)]), svg.polygon([(0, 0), (1, 2.5)]), box=(0, 0, 9, 9))
    assert made == '<svg viewBox="0 0 9 9"><path d="M0 0.33 L2 4 M5 5"/><polygon points="0,0 1,2.5"/></svg>'
    assert svg.line(("5%", 0), ("5%", "100%")) == '<line x1="5%" y1="0" x2="5%" y2="100%"/>'


def test_a_result_shows_its_parts_in_order():
    class Found(Shown):
        def _shown(self):
            return ["Head", pd.DataFrame({"x": [1.23456, NAN]}), pd.DataFrame({"y": [2]}, index=["CL"]), "One < two"]

    assert repr(Found()).splitlines() == ["Head", "    x", "1.235", "     ", "    y", "CL  2", "One < two"]
    page = Found()._repr_html_()
    assert page.startswith("<b>Head</b><table") and page.endswith("<p>One &lt; two</p>") and "<th>CL</th>" in page
