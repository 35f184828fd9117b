"""The picture on top of the README: a fit that moves, drawn from what `wb.fit` reports while it runs.

`python notebooks/site/moving.py` writes `notebooks/images/moving.svg` anew. The motion is CSS, twice in five seconds;
then the picture stands still at the estimates, as it does from the beginning where a reader wants no motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import workbench as wb
from workbench import engine
from workbench.markup import svg
from workbench.markup.html import Html, joined, tag
from workbench.markup.numbers import short

PICTURE = Path(__file__).resolve().parents[1] / "images" / "moving.svg"
WIDTH, HEIGHT = 900.0, 470.0
INK, SOFT, LINE, MODEL, TYPICAL = "#2e3a46", "#5c6670", "#d4dae0", "#0b6fb8", "#76828e"
SUBJECTS, COLUMNS = 12, 4
POINTS = 30  # of a curve
FRAME = 0.08  # seconds of one iteration
REST = 4  # frames more that the beginning and the end are seen
ROUNDS = 2
TRACED = ("OFV", "ka", "CL", "V")


@dataclass(frozen=True)
class Box:
    """A place in the picture, and the values at its ends."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a value lies in the picture; what leaves the box stays at its end."""
        y = min(max(y, self.y[0]), self.y[1])
        right = (x - self.x[0]) / (self.x[1] - self.x[0]) * self.width
        up = (y - self.y[0]) / (self.y[1] - self.y[0]) * self.height
        return round(self.left + right, 1), round(self.top + self.height - up, 1)

    def frame(self) -> Html:
        """Its two axes."""
        bottom = self.top + self.height
        return joined(
            svg.line((self.left, self.top), (self.left, bottom), stroke=LINE),
            svg.line((self.left, bottom), (self.left + self.width, bottom), stroke=LINE),
        )


def replayed() -> tuple[wb.FitResult, list[wb.Progress]]:
    """The fit of the README, from values that are far from the data, with what it reports at each iteration."""
    model = wb.Model(
        wb.pk(absorption="first-order"),
        [wb.Parameter("ka", 0.4, iiv=0.5), wb.Parameter("CL", 0.1, iiv=0.5), wb.Parameter("V", 1.0, iiv=0.5)],
        error=wb.Constant(2.0),
    )
    seen: list[wb.Progress] = []
    fit = wb.fit(model, wb.load_example("theophylline"), callback=seen.append)
    return fit, seen


def drawn(fit: wb.FitResult, seen: Sequence[wb.Progress]) -> Html:
    """The whole picture: what stays, then a group of shapes for each iteration."""
    tiles, points = _tiles(fit)
    traces = _traces(seen)
    still = [
        svg.rectangle(0.5, 0.5, WIDTH - 1, HEIGHT - 1, rx=6, fill="#ffffff", stroke=LINE),
        svg.text(20, 30, "Theophylline in twelve people", font_size=16, font_weight=600, fill=INK),
        svg.text(20, 50, "concentration, mg/L, over a day", font_size=12, fill=SOFT),
        svg.line((258, 46), (278, 46), stroke=MODEL, stroke_width=2),
        svg.text(284, 50, "each person", font_size=12, fill=SOFT),
        svg.line((368, 46), (388, 46), stroke=TYPICAL, stroke_width=1.5, stroke_dasharray="4 3"),
        svg.text(394, 50, "the typical one", font_size=12, fill=SOFT),
        *(tile.frame() for tile in tiles),
        *points,
    ]
    for name, box in traces.items():
        still.append(svg.text(box.left, box.top - 8, name, font_size=12, font_weight=600, fill=INK))
        still.append(box.frame())
    moving = [
        tag("g", _curves(tiles, fit, one), _traced(traces, seen[: k + 1]), class_="w z" if k == len(seen) - 1 else "w",
            style=f"--k:{k}" if k else None)
        for k, one in enumerate(seen)
    ]  # fmt: skip
    return svg.drawing(
        tag("style", _motion(len(seen))), *still, *moving, size=(WIDTH, HEIGHT), box=(0.0, 0.0, WIDTH, HEIGHT),
        label="Curves of twelve people move onto their concentrations; the objective falls and the estimates settle",
        xmlns="http://www.w3.org/2000/svg", font_family="system-ui, sans-serif",
    )  # fmt: skip


def _motion(frames: int) -> Html:
    """One group at a time is seen: the last if nothing moves, else each in its turn."""
    whole = frames + 2 * REST
    share = 100 / whole
    seconds = whole * FRAME
    return Html(
        ".w{visibility:hidden}.w.z{visibility:visible}"
        "@media (prefers-reduced-motion:no-preference){"
        f".w{{animation:w {seconds:.2f}s step-end calc(({REST - whole} + var(--k))*{FRAME}s) {ROUNDS + 1}}}"
        f".w:not([style]){{animation:a {seconds:.2f}s step-end {ROUNDS}}}"
        f".w.z{{animation:z {seconds:.2f}s step-end {ROUNDS}}}}}"
        f"@keyframes w{{0%{{visibility:visible}}{share:.3f}%,100%{{visibility:hidden}}}}"
        f"@keyframes a{{0%{{visibility:visible}}{share * (REST + 1):.3f}%,100%{{visibility:hidden}}}}"
        f"@keyframes z{{0%{{visibility:hidden}}{share * (REST + frames - 1):.3f}%,100%{{visibility:visible}}}}"
    )


def _tiles(fit: wb.FitResult) -> tuple[list[Box], list[Html]]:
    """A box for each person, and the observations in it."""
    table = fit.table()
    table = table[table["DV"].notna()]
    top = 1.15 * float(table["DV"].max())
    boxes, points = [], []
    for k, (label, rows) in enumerate(table.groupby("ID", sort=False)):
        left, up = 34 + k % COLUMNS * 140, 74 + k // COLUMNS * 124
        box = Box(left, up, 128, 104, (0.0, 25.0), (0.0, top))
        boxes.append(box)
        points.append(svg.text(left + 122, up + 12, label, "end", font_size=11, fill=SOFT))
        if k % COLUMNS == 0:
            points += [svg.text(left - 4, box.at(0, y)[1] + 4, y, "end", font_size=11, fill=SOFT) for y in (0, 10)]
        if k >= SUBJECTS - COLUMNS:
            points += [svg.text(box.at(x, 0)[0], up + 118, x, "middle", font_size=11, fill=SOFT) for x in (0, 12, 24)]
        points += [
            svg.circle(*box.at(x, y), 2.4, fill=INK)
            for x, y in zip(rows["TIME"], rows["DV"], strict=True)
        ]  # fmt: skip
    return boxes, points


def _curves(tiles: Sequence[Box], fit: wb.FitResult, seen: wb.Progress) -> Html:
    model = engine.with_estimates(fit.model, seen.parameters)
    curves = engine.curves(model, fit.data, points=POINTS)
    typical, alone = (
        [[box.at(*at) for at in zip(x, y, strict=True)] for box, x, y in zip(tiles, curves.time, values, strict=True)]
        for values in (curves.population(model), curves.individual(model, seen.etas))
    )
    return joined(
        svg.path(*typical, fill="none", stroke=TYPICAL, stroke_width=1.5, stroke_dasharray="4 3"),
        svg.path(*alone, fill="none", stroke=MODEL, stroke_width=2),
    )


def _values(name: str, seen: Sequence[wb.Progress]) -> list[float]:
    return [one.ofv if name == "OFV" else one.parameters[name] for one in seen]


def _traces(seen: Sequence[wb.Progress]) -> dict[str, Box]:
    boxes = {}
    for k, name in enumerate(TRACED):
        values = _values(name, seen)
        room = 0.08 * (max(values) - min(values))
        boxes[name] = Box(
            622, 44 + k * 104, 254, 68, (0.0, float(len(seen) - 1)), (min(values) - room, max(values) + room)
        )
    return boxes


def _traced(boxes: dict[str, Box], seen: Sequence[wb.Progress]) -> Html:
    shown = []
    for name, box in boxes.items():
        line = [box.at(k, value) for k, value in enumerate(_values(name, seen))]
        said = f"{_values(name, seen)[-1]:.2f}" if name == "OFV" else short(_values(name, seen)[-1], 3)
        shown += [
            svg.path(line, fill="none", stroke=MODEL, stroke_width=1.5),
            svg.circle(*line[-1], 3, fill=MODEL),
            svg.text(box.left + box.width, box.top - 8, said, "end", font_size=12, fill=INK),
        ]
    number = f"iteration {seen[-1].iteration}"
    return joined(*shown, svg.text(876, HEIGHT - 14, number, "end", font_size=12, fill=SOFT))


if __name__ == "__main__":
    PICTURE.write_text(drawn(*replayed()) + "\n", encoding="utf-8")
