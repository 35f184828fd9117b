"""How structures look: LaTeX that holds every parameter, drawings without overlaps, HTML that is escaped."""

import contextlib
import itertools
import re
import xml.etree.ElementTree as ET
from typing import get_args

import pytest

import workbench as wb
from workbench.errors import ModelError
from workbench.language.latex import aligned, symbol
from workbench.language.reading import latex, read_expression
from workbench.model.library.pk import pk
from workbench.model.library.pkpd import PKPD, Link, Response, pkpd
from workbench.model.structure import ParameterInfo, Shown, as_html

ABSORPTIONS = (None, "first-order", "zero-order", "parallel", "transit")
NAME = re.compile(r"[A-Za-z_]\w*")


def library():
    """All structures that can be stated, and all effects on three of them."""
    choices = itertools.product(
        (1, 2, 3), ABSORPTIONS, ("linear", "michaelis-menten", "parallel"), ("clearance", "rate", "macro", "half-life"),
        (False, True, "first-order", "zero-order", "both"), (False, True),
    )  # fmt: skip
    three = (pk(), pk(2, "first-order", lag=True), pk(3, "parallel", "parallel", "rate", lag="both"))
    stated = [(pk, (*choice, 3 if choice[1] == "transit" else None)) for choice in choices]
    stated += [(pkpd, choice) for choice in itertools.product(three, get_args(Response), get_args(Link))]
    for make, arguments in stated:
        with contextlib.suppress(ModelError):
            yield make(*arguments)


FAMILIES = {str(absorption): [] for absorption in ABSORPTIONS} | {"effects": []}
for _structure in library():
    FAMILIES["effects" if isinstance(_structure, PKPD) else str(_structure.absorption)].append(_structure)
each_family = pytest.mark.parametrize("structures", FAMILIES.values(), ids=FAMILIES)


# -- LaTeX -------------------------------------------------------------------------------------------------------------


@each_family
def test_equations_hold_every_parameter(structures):
    for structure in structures:
        equations = structure.equations()
        text = " ".join(equations)
        for name in structure.names:
            assert re.search(rf"(?<![A-Za-z]){re.escape(symbol(name))}(?![A-Za-z])", text), name
        for equation in equations:
            assert equation.count("{") == equation.count("}")
            assert equation.count(r"\left") == equation.count(r"\right")
            assert " = " in equation and "$" not in equation
            assert not re.search(r"_(\\mathrm)?(\{[^{}]*\}|\w)_", equation), "two indices on one symbol"
            assert "+ -" not in equation and "= +" not in equation and r"\, " not in equation
        base = structure.pk if isinstance(structure, PKPD) else structure
        assert sum("\\frac{d\\,A_" in line for line in equations) >= base.compartments
        for name, value in base.kinetics.relations.items():
            assert f"{symbol(name)} = {latex(read_expression(value, 'It')[1])}" in equations
        assert structure._repr_latex_().count(r"\\[") == len(equations) - 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("k12", "k_{12}"), ("alpha", r"\alpha"), ("gamma2", r"\gamma_{2}"), ("V_max", r"V_\mathrm{max}"),
        ("Asym", r"\mathit{Asym}"), ("x_1", "x_{1}"), ("a_b_c", r"a_\mathrm{b\_c}"), ("_x", r"\mathrm{\_x}"),
        ("k_", r"\mathrm{k\_}"), ("t_half_beta", r"t_{1/2,\beta}"),
    ],
)  # fmt: skip
def test_symbols(name, shown):
    assert symbol(name) == shown


# -- drawing -----------------------------------------------------------------------------------------------------------

SVG = "{http://www.w3.org/2000/svg}"


def extents(svg):
    """Rectangles of boxes and, about, of texts: (what, left, top, right, bottom)."""
    boxes, texts = [], []
    for rect in svg.iter(f"{SVG}rect"):
        x, y, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        boxes.append(("box", x, y, x + width, y + height))
    for text in svg.iter(f"{SVG}text"):
        x, y, size = (float(text.get(key)) for key in ("x", "y", "font-size"))
        width = len(text.text) * 0.53 * size
        left = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[text.get("text-anchor")]
        texts.append((text.text, left, y - 0.75 * size, left + width, y + 0.2 * size))
    return boxes, texts


def segments(svg):
    for path in svg.iter(f"{SVG}path"):
        if path.get("stroke-width") == "1.5":
            continue  # the sign in a circle
        points = [tuple(map(float, p.split())) for p in path.get("d").removeprefix("M").split(" L")]
        yield from itertools.pairwise(points)


def overlap(a, b):
    return a[1] < b[3] and b[1] < a[3] and a[2] < b[4] and b[2] < a[4]


@each_family
def test_diagram_is_readable(structures):
    for structure in [*structures, pk(1, "transit", transits=1), pk(3, "transit", transits=30)]:
        text = structure.diagram()
        svg = ET.fromstring(text)
        assert svg.find(f"{SVG}title").text == f"Compartments: {structure.title}"
        assert set(re.findall(r'(?:fill|stroke)="([^"]*)"', text)) == {"none", "currentColor"}
        boxes, texts = extents(svg)
        left, top, width, height = map(float, svg.get("viewBox").split())
        for what, x0, y0, x1, y1 in [*boxes, *texts]:
            assert left <= x0 and top <= y0 and x1 <= left + width and y1 <= top + height, f"{what} is clipped"
        for a, b in itertools.combinations([*boxes, *texts], 2):
            inside = a[1] <= b[1] and b[3] <= a[3] and a[2] <= b[2] and b[4] <= a[4]
            assert not overlap(a, b) or inside, f"{a[0]} and {b[0]} overlap"
        for (xa, ya), (xb, yb) in segments(svg):
            line = ("line", min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))
            for shape in texts:
                assert not overlap(line, shape), f"a line crosses {shape[0]}"
        words = " ".join(text for text, *_ in texts)
        derived = structure.kinetics.relations
        for name in structure.names:
            hidden = name == "mtt" or any(name in NAME.findall(value) for value in derived.values())
            assert hidden or re.search(rf"(?<!\w){name}(?!\w)", words), name


def test_diagram_draws_what_differs():
    assert "stroke-dasharray" in pk(1, "zero-order").diagram()
    assert "stroke-dasharray" not in pk(1, "first-order").diagram()
    assert pkpd(pk(), link="inhibit input").diagram().count("<circle") == 1
    assert ">ktr<" in pk(1, "transit", transits=9).diagram() and ">…<" in pk(1, "transit", transits=9).diagram()


# -- HTML --------------------------------------------------------------------------------------------------------------


def test_html_shows_title_parameters_diagram_and_equations():
    structure = pk(2, "first-order")
    html = structure._repr_html_()
    assert structure.title in html and structure.diagram() in html
    assert all(f"<code>{name}</code>" in html for name in structure.names)
    assert "between the central and the peripheral" in html
    assert r"$$\begin{aligned}" in html and "&amp;= " in html
    assert "dimension" in html and ">rate constant<" in html
    with_units = as_html(structure, {"time": "h", "amount": "mg", "response": "mg/L"})
    assert ">L/h<" in with_units and "dimension" not in with_units
    ET.fromstring(html)
    own = wb.equation("Asym/(1 + exp(-(t - xmid)/scal))")._repr_html_()
    assert "usual range" not in own and "dimension" not in own and "<code>xmid</code>" in own and "<svg" not in own


def test_html_escapes_what_a_stranger_wrote():
    nasty = '<script>alert("x")</script>'

    class Foreign(Shown):
        title = nasty
        info = (ParameterInfo(nasty, nasty, nasty),)

        def equations(self):
            return [f"x = {nasty}"]

        def diagram(self):
            return None

    for units in (None, {"time": nasty}):
        html = as_html(Foreign(), units)
        assert "<script" not in html and "&lt;script&gt;" in html
    assert "<svg" not in html and Foreign()._repr_html_()


def test_equations_of_nothing():
    assert aligned([]) == ""
