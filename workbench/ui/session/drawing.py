"""What a figure shows, as a value: points, lines, bands and bars, a sentence, and the table behind them; no widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]

Kind = Literal["reference", "smooth", "observed", "expected", "model", "other", "third", "target", "selected"]
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Dots:
    """Points, each of which is somebody's.

    Attributes
    ----------
    x, y : float64[n]
    owner : int64[n]
        Index of the subject; `NOBODY` for none.
    row : int64[n]
        Place among the observations; `NOBODY` for what is no observation.
    names : sequence of str, length n
        What a point says when it is pointed at.
    hollow : bool
    """

    x: Array
    y: Array
    owner: Index
    row: Index
    names: Sequence[str]
    hollow: bool = False


@dataclass(frozen=True, eq=False)
class Stroke:
    """A line, which may have gaps (NaN)."""

    x: Array
    y: Array
    kind: Kind = "reference"
    dashed: bool = False


@dataclass(frozen=True, eq=False)
class Band:
    """An area between two lines; `depth` 0 is the palest blue, 1 the deepest, 3 a part of the plane that is shaded."""

    x: Array
    lower: Array
    upper: Array
    depth: int = 0


@dataclass(frozen=True, eq=False)
class Axis:
    """What an axis spans and says.

    Attributes
    ----------
    title : str
        With its unit.
    low, high : float
    at : float64[k], optional
        Where ticks stand; round numbers unless said.
    texts : sequence of str, optional
        What they say; their numbers unless said.
    hours : bool
        Ticks stand at parts and multiples of a day.
    logarithmic : bool
        It stands for log10 of what it says.
    """

    title: str
    low: float = 0.0
    high: float = 1.0
    at: Array | None = None
    texts: Sequence[str] | None = None
    hours: bool = False
    logarithmic: bool = False

    @classmethod
    def around(cls, title: str, *values: Array, least: float = 0.0, zero: bool = False, hours: bool = False) -> Axis:
        """An axis around values; `least`: it reaches so far to both sides of 0; `zero`: it begins there."""
        known = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.zeros(0)
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        if least:
            low, high = min(low, -least), max(high, least)
        if zero and low >= 0:
            low = 0.0
        pad = 0.04 * (high - low or abs(high) or 1.0)
        return cls(title, low if zero and low == 0 else low - pad, high + pad, hours=hours)

    @classmethod
    def of_logarithms(cls, title: str, *values: Array) -> Axis:
        """An axis around log10 of positive values, which says the values."""
        known = np.concatenate([v[np.isfinite(v) & (v > 0)] for v in values])
        low, high = (float(np.log10(v)) for v in ((known.min(), known.max()) if len(known) else (0.1, 1.0)))
        pad = 0.05 * (high - low or 1.0)
        at = _decades(low - pad, high + pad)
        return cls(title, low - pad, high + pad, at, [f"{10.0**v:.6g}" for v in at], logarithmic=True)


def _decades(low: float, high: float) -> Array:
    """log10 of round numbers within; 2 and 5 between decades where these are few."""
    digits = (1,) if high - low > 3 else (1, 3) if high - low > 1.5 else (1, 2, 5)
    exact = np.array([p + np.log10(d) for p in range(int(np.floor(low)), int(np.ceil(high)) + 1) for d in digits])
    found = exact[(exact >= low) & (exact <= high)]
    return found if len(found) > 1 else np.linspace(low, high, 3)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure.

    Attributes
    ----------
    title : str
    x, y : Axis
    dots : tuple of Dots
        At most two: hollow ones below.
    strokes : tuple of Stroke
    bands : tuple of Band
    bars : tuple of (float64[n], float64[n])
        Edges[n + 1] and heights[n] of bars that touch.
    legend : sequence of (str, str)
        What a mark is ("dot", "hollow", a kind of stroke, "band 0" …) and what it stands for.
    sentence : str
        What is to be seen, computed.
    table : DataFrame
        The numbers behind it.
    code : str
        Python that makes them from `fit`.
    missing : str
        Why there is nothing to be drawn; "" where there is.
    """

    title: str
    x: Axis
    y: Axis
    dots: tuple[Dots, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    bands: tuple[Band, ...] = ()
    bars: tuple[tuple[Array, Array], ...] = ()
    legend: Sequence[tuple[str, str]] = ()
    sentence: str = ""
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    code: str = ""
    missing: str = ""

    @classmethod
    def without(cls, title: str, why: str) -> Drawing:
        """A figure that cannot be drawn."""
        return cls(title, Axis(""), Axis(""), missing=why)


def logarithm(values: Array) -> Array:
    """log10; NaN where there is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(values > 0, np.log10(values), np.nan)
