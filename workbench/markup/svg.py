"""Drawings as SVG in the colour of the text around them."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.markup.html import Html, tag

Point = tuple[float, float]


def circle(x: float | str, y: float | str, r: float, **attributes: object) -> Html:
    """A circle; its place may be in per cent of the drawing, as text."""
    return tag("circle", cx=x, cy=y, r=r, **attributes)


def line(start: tuple[float | str, float | str], end: tuple[float | str, float | str], **attributes: object) -> Html:
    """A straight line; its ends may be in per cent of the drawing, as text."""
    return tag("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], **attributes)


def rectangle(
    x: float | str, y: float | str, width: float | str, height: float | str, *inside: object, **attributes: object
) -> Html:
    """A rectangle from its upper left corner; `inside` may be a title."""
    return tag("rect", *inside, x=x, y=y, width=width, height=height, **attributes)


def path(*pieces: Iterable[Point], **attributes: object) -> Html:
    """Lines from point to point; a new piece begins where the pen was lifted."""
    drawn = " ".join("M" + " L".join(f"{_at(x)} {_at(y)}" for x, y in piece) for piece in map(list, pieces) if piece)
    return tag("path", d=drawn, **attributes)


def polygon(points: Iterable[Point], **attributes: object) -> Html:
    """A filled shape."""
    return tag("polygon", points=" ".join(f"{_at(x)},{_at(y)}" for x, y in points), **attributes)


def text(x: float | str, y: float | str, words: object, anchor: str | None = None, **attributes: object) -> Html:
    """A label: x is where its anchor is ("start", "middle", "end"), y its base line."""
    return tag("text", words, x=x, y=y, text_anchor=anchor, **attributes)


def drawing(
    *shapes: Html,
    size: tuple[float, float] | None = None,
    box: tuple[float, float, float, float] | None = None,
    label: str | None = None,
    role: str | None = None,
    **attributes: object,
) -> Html:
    """The shapes as one picture.

    Parameters
    ----------
    *shapes : Html
    size : (float, float), optional
        Width and height in pixels; None where the style sheet says it.
    box : (float, float, float, float), optional
        Left, top, width and height of what is shown, in the units of the shapes.
    label : str, optional
        What it shows, for those who cannot see it.
    """
    width, height = size or (None, None)
    shown = None if box is None else " ".join(map(_at, box))
    return tag(
        "svg",
        *shapes,
        width=width,
        height=height,
        viewBox=shown,
        role=role or (label and "img"),
        aria_label=label,
        **attributes,
    )


def _at(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


# -- what a legend shows beside its words ----------------------------------------------------------------------------


def dot(colour: str, r: float = 3.4) -> Html:
    """A point in its colour."""
    return drawing(circle(5, 5, r, style=f"fill:{colour}"), size=(10, 10))


def stroke(colour: str, dashes: str = "none", width: float = 2) -> Html:
    """A piece of a line in its colour."""
    style = f"stroke:{colour};stroke-width:{width:g};stroke-dasharray:{dashes}"
    return drawing(tag("path", d="M0 5H22", style=style), size=(22, 10))


def swatch(colour: str, opacity: float = 1.0) -> Html:
    """A piece of an area in its colour."""
    return drawing(rectangle(0, 0, 22, 10, style=f"fill:{colour};opacity:{opacity:g}"), size=(22, 10))
