"""How kinetics look in a notebook: the compartments as SVG, the equations as LaTeX."""

from __future__ import annotations

from workbench.language.latex import rate_of_change, symbol
from workbench.language.reading import latex, read_expression
from workbench.markup import Html, svg, tag
from workbench.model.kinetics import Flow, Input, Kinetics, Pharmacodynamics

_WIDTH, _HEIGHT = 108, 44  # of a box
_GAP = 76  # between boxes that an arrow joins
_ABOVE = 118  # from the middle of one row to the next
_LETTER = 6.7  # about the width of a letter of a label

Point = tuple[float, float]


class _Canvas:
    """Shapes and how far they reach."""

    def __init__(self) -> None:
        self.shapes: list[Html] = []
        self.x: list[float] = []
        self.y: list[float] = []

    def _reach(self, *points: Point) -> None:
        for x, y in points:
            self.x.append(x)
            self.y.append(y)

    def box(self, x: float, y: float, name: str, size: str = "", number: int | None = None, rounded: int = 6) -> None:
        """A compartment around a point: its name, its volume, the number that doses into it have as CMT."""
        left, top = x - _WIDTH / 2, y - _HEIGHT / 2
        self._reach((left, top), (left + _WIDTH, top + _HEIGHT))
        self.shapes.append(svg.rectangle(left, top, _WIDTH, _HEIGHT, rx=rounded, stroke_width=1.5))
        self.text(x, y + (-2 if size else 4.5), name, size=13)
        self.text(x, y + 14, size)
        if number is not None:
            self.text(left + 6, top + 12, str(number), "start", size=9.5)

    def text(self, x: float, y: float, text: str, anchor: str = "middle", size: float = 12) -> None:
        """A label; x is where its anchor is, y its base line."""
        if not text:
            return
        width = len(text) * _LETTER * size / 12
        left = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
        self._reach((left, y - size), (left + width, y + 4))
        self.shapes.append(svg.text(x, y, text, anchor, font_size=size, fill="currentColor", stroke="none"))

    def line(self, *points: Point, dashed: bool = False, arrow: bool = True) -> None:
        """A line of horizontal and vertical pieces, with an arrowhead at its end."""
        self._reach(*points)
        self.shapes.append(svg.path(points, stroke_width=1.3, stroke_dasharray="5 4" if dashed else None))
        if arrow:
            (x0, y0), (x, y) = points[-2:]
            length = max(abs(x - x0), abs(y - y0))
            dx, dy = (x - x0) / length, (y - y0) / length
            corners = ((x, y), (x - 9 * dx - 4 * dy, y - 9 * dy - 4 * dx), (x - 9 * dx + 4 * dy, y - 9 * dy + 4 * dx))
            self.shapes.append(svg.polygon(corners, fill="currentColor", stroke="none"))

    def sign(self, x: float, y: float, plus: bool) -> None:
        """How the drug acts on an arrow: a plus or a minus in a circle."""
        self._reach((x - 8, y - 8), (x + 8, y + 8))
        strokes = [[(x - 4, y), (x + 4, y)], [(x, y - 4), (x, y + 4)]]
        self.shapes.append(svg.circle(x, y, 8, stroke_width=1.3))
        self.shapes.append(svg.path(*strokes[: 1 + plus], stroke_width=1.5))

    def svg(self, title: str) -> Html:
        """All of it, as large as it is."""
        left, top = min(self.x) - 6, min(self.y) - 6
        width, height = max(self.x) + 6 - left, max(self.y) + 6 - top
        return svg.drawing(
            tag("title", title),
            *self.shapes,
            size=(round(width), round(height)),
            box=(left, top, width, height),
            xmlns="http://www.w3.org/2000/svg",
            role="img",
            style="max-width: 100%; height: auto",
            font_family="system-ui, sans-serif",
            fill="none",
            stroke="currentColor",
        )


def diagram(kinetics: Kinetics, title: str) -> str:
    """Draw compartments.

    Returns
    -------
    str
        SVG in the colour of the text around it. The numbers in the boxes are those of CMT.
    """
    canvas = _Canvas()
    central = _draw_route(canvas, kinetics)
    _draw_disposition(canvas, kinetics, central)
    if kinetics.effect is not None:
        _draw_effect(canvas, kinetics.effect, central)
    return canvas.svg(f"Compartments: {title}")


def _draw_route(canvas: _Canvas, kinetics: Kinetics) -> float:
    """Doses, what they pass before the central compartment, and that; the place of the middle of its box."""
    entries = kinetics.inputs
    zero_order = entries[0].duration is not None
    above, below = entries[0].fraction or "", _how(entries[0])
    start = 22.0
    end = start + max(_GAP, _LETTER * max(len(above), len(below)) + 30)
    canvas.text(0, 4.5, "Dose", size=13)
    canvas.text(0, 19, "CMT 1" if zero_order else "", size=9.5)  # there is no box to number
    canvas.line((start, 0), (end, 0), dashed=zero_order)
    canvas.text((start + end) / 2 - 4, -8, above.replace("*", "·"))
    canvas.text((start + end) / 2 - 4, 18, below)

    x = end + _WIDTH / 2
    before = kinetics.before
    for at, flow in enumerate(before):
        right = x + _WIDTH / 2
        if len(before) > 5 and 1 < at < len(before) - 2:  # of many transit compartments the first and the last
            if at > 2:
                continue
            canvas.text(x - _WIDTH / 2 + 14, 4.5, "…", size=16)
            right = x - _WIDTH / 2 + 28
        else:
            canvas.box(x, 0, flow.source.replace("transit", "transit "), number=1 if at == 0 else None)
        canvas.line((right, 0), (right + _GAP, 0))
        canvas.text(right + _GAP / 2 - 4, -8, flow.label)
        x = right + _GAP + _WIDTH / 2
    size = kinetics.volume if kinetics.volume in kinetics.parameters else ""
    canvas.box(x, 0, "central", size, kinetics.central)
    for entry in entries[1:]:
        y, turn = _HEIGHT / 2 + 16, x - _WIDTH / 2 - 20
        canvas.line((0, 12), (0, y), (turn, y), (turn, 12), (x - _WIDTH / 2, 12), dashed=True)
        share = (entry.fraction or "").replace("*", "·").replace("-", "−")
        canvas.text(turn / 2, y + 16, f"{share} {_how(entry)}")
    return x


def _how(entry: Input) -> str:
    """During what time a dose enters, and after which lag."""
    words = (f"over {entry.duration}" if entry.duration else "", f"after {entry.lag}" if entry.lag else "")
    return " ".join(filter(None, words))


def _draw_disposition(canvas: _Canvas, kinetics: Kinetics, x: float) -> None:
    """Peripheral compartments above the central one, elimination below it."""
    names = kinetics.peripherals
    to_from: dict[str, list[Flow]] = {name: [] for name in names}
    for flow in kinetics.flows:
        for name in names:
            if name in (flow.source, flow.target):
                to_from[name].append(flow)
    first = kinetics.central + 1
    top, bottom = -_ABOVE + _HEIGHT / 2, -_HEIGHT / 2
    for at, name in enumerate(names):
        side = 0 if len(names) == 1 else 2 * at - 1
        size = f"V{at + 2}" if f"V{at + 2}" in kinetics.parameters else ""
        canvas.box(x + side * (_WIDTH / 2 + 10), -_ABOVE, name.rstrip("12"), size, first + at)
        out, back = to_from[name]
        middle = x + side * 36
        canvas.line((middle - 6, bottom), (middle - 6, top))
        canvas.line((middle + 6, top), (middle + 6, bottom))
        y = (top + bottom) / 2
        if side == 0:
            canvas.text(middle - 13, y + 4, out.label, "end")
            canvas.text(middle + 13, y + 4, back.label, "start")
        else:
            anchor = "end" if side < 0 else "start"
            canvas.text(middle + side * 13, y - 5, f"↑ {out.label}", anchor)
            canvas.text(middle + side * 13, y + 13, f"↓ {back.label}", anchor)
    leaving = [flow.label for flow in kinetics.flows if flow.target is None]
    leaving += ["Vm, Km"] if kinetics.saturable else []
    for at, label in enumerate(leaving):
        side = 0 if len(leaving) == 1 else 2 * at - 1
        canvas.line((x + side * 22, _HEIGHT / 2), (x + side * 22, _HEIGHT / 2 + 52))
        left = side < 0
        canvas.text(x + side * 22 + (-8 if left else 8), _HEIGHT / 2 + 36, label, "end" if left else "start")


def _draw_effect(canvas: _Canvas, effect: Pharmacodynamics, central: float) -> None:
    """The effect to the right of the central compartment; dashed is what acts without flowing."""
    drug = ", ".join(effect.drug)
    right = central + _WIDTH / 2
    gap = _LETTER * len(drug) + 40
    if effect.is_turnover:
        into, plus = effect.link.endswith("input"), effect.link.startswith("stimulate")
        x = right + gap + 30 + _WIDTH / 2
        low, far = _HEIGHT / 2, _HEIGHT / 2 + 62
        canvas.box(x, 0, "effect", rounded=22)
        canvas.line((x, -far), (x, -low))
        canvas.line((x, low), (x, far))
        canvas.text(x + 12, -far + 34, "kin", "start")
        canvas.text(x + 12, far - 26, "kout", "start")
        y = (-1 if into else 1) * (low + 30)
        canvas.line((right, 0), (right + gap, 0), (right + gap, y), (x - 20, y), dashed=True, arrow=False)
        canvas.sign(x - 12, y, plus)
    else:
        x = right
        if effect.link == "effect compartment":
            canvas.line((x, 0), (x + _GAP, 0), dashed=True)
            canvas.text(x + _GAP / 2 - 4, -8, "ke0")
            x += _GAP + _WIDTH / 2
            canvas.box(x, 0, "effect site")
            canvas.line((x, _HEIGHT / 2), (x, _HEIGHT / 2 + 52))
            canvas.text(x + 8, _HEIGHT / 2 + 36, "ke0", "start")
            x += _WIDTH / 2
        canvas.line((x, 0), (x + gap, 0), dashed=True)
        canvas.box(x + gap + _WIDTH / 2, 0, "effect", rounded=22)
        canvas.text(x + gap + _WIDTH / 2, _HEIGHT / 2 + 18, "E0")
        right = x
    canvas.text(right + gap / 2 - 4, -8, drug)


def equations(kinetics: Kinetics) -> list[str]:
    """Input, secondary relations, differential equations of the amounts, and responses.

    Returns
    -------
    list of str
        LaTeX without delimiters. Amounts are A, the concentration in the central compartment is c.
    """
    lines = [
        *_input(kinetics),
        *_relations(kinetics),
        *_amounts(kinetics),
        rf"c = \frac{{{_amount('central')}}}{{{symbol(kinetics.volume)}}}",
    ]
    return lines if kinetics.effect is None else [*lines, *_effect(kinetics.effect)]


def _formula(text: str) -> str:
    return latex(read_expression(text, "The library")[1])


def _input(kinetics: Kinetics) -> list[str]:
    """Rates at which doses enter."""
    lines = []
    for entry in kinetics.inputs:
        since = "t - t_j" + (f" - {symbol(entry.lag)}" if entry.lag else "")
        share = _formula(f"{entry.fraction}*D").removesuffix("D") if entry.fraction else ""
        if entry.duration:
            T = symbol(entry.duration)
            lines.append(rf"r_0(t) = {share}\sum_j \frac{{D_j}}{{{T}}}\,\left[\,0 < {since} \le {T}\,\right]")
        else:
            spread = "" if kinetics.absorbs else r"\quad\text{(or spread over the infusion)}"
            lines.append(rf"r(t) = {share}\sum_j D_j\,\delta\left({since}\right){spread}")
    return lines


def _relations(kinetics: Kinetics) -> list[str]:
    """Rate constants and volumes from the parameters."""
    lines = []
    if kinetics.transits:
        lines.append(rf"{symbol('ktr')} = \frac{{{kinetics.transits + 1}}}{{{symbol('mtt')}}}")
    if "A" in kinetics.parameters:
        exponentials = ["A*exp(-alpha*t)", "B*exp(-beta*t)", "C*exp(-gamma*t)"]
        unit = _formula(" + ".join(exponentials[: kinetics.size]))
        lines.append(rf"u(t) = {unit}\quad\text{{(}}c\text{{ after a unit bolus into the central compartment)}}")
    return lines + [f"{symbol(name)} = {_formula(value)}" for name, value in kinetics.relations.items()]


def _amounts(kinetics: Kinetics) -> list[str]:
    """How the amounts change."""
    gains: dict[str, list[str]] = {entry.target: ["r_0(t)" if entry.duration else "r(t)"] for entry in kinetics.inputs}
    losses: dict[str, list[str]] = {}
    for flow in kinetics.flows:
        term = rf"{symbol(flow.rate)}\,{_amount(flow.source)}"
        losses.setdefault(flow.source, []).append(term)
        if flow.target is not None:
            gains.setdefault(flow.target, []).append(term)
    if kinetics.saturable:
        losses.setdefault("central", []).append(_formula("Vm*c/(Km + c)"))
    lines = []
    for state in [*(flow.source for flow in kinetics.before), "central", *kinetics.peripherals]:
        if state == "transit1" and kinetics.transits != 1:  # all others of the chain in one line
            here, last = _amount("transiti"), _amount("transiti-1")
            change = rate_of_change(here, rf"{symbol('ktr')}\,\left({last} - {here}\right)")
            lines.append(rf"{change},\quad i = 1, \ldots, {kinetics.transits}")
        elif not state.startswith("transit") or state in ("transit0", "transit1"):
            terms = " + ".join(gains.get(state, [])) + "".join(f" - {term}" for term in losses[state])
            lines.append(rate_of_change(_amount(state), terms.removeprefix(" ")))
    return lines


def _effect(effect: Pharmacodynamics) -> list[str]:
    c, lines = "c", []
    if effect.link == "effect compartment":
        c = "c_e"
        lines.append(rate_of_change(symbol(c), _formula("ke0*(c - c_e)")) + rf",\quad {symbol(c)}(0) = 0")
    shown = _formula(effect.text(c, "E", "({c}**gamma/({half}**gamma + {c}**gamma))"))
    if effect.is_turnover:
        return [*lines, rate_of_change("E", shown) + rf",\quad E(0) = {_formula('kin/kout')}"]
    return [*lines, f"E = {shown}"]


def _amount(compartment: str) -> str:
    if compartment.startswith("transit"):
        return rf"A_{{\mathrm{{t}},{compartment.removeprefix('transit')}}}"
    number = {"peripheral1": 2, "peripheral2": 3}.get(compartment, "")  # as in V2, k12
    return rf"A_\mathrm{{{compartment[0]}{number}}}"
