"""How numbers are written for people to read."""

from __future__ import annotations

import math
import numbers

NONE = "–"  # where there is no number
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def short(value: float, digits: int = 4) -> str:
    """A number with at most so many significant digits, in signs that can be typed again; a dash where there is none.

    Parameters
    ----------
    value : float
    digits : int

    Examples
    --------
    >>> short(2.7689), short(3.0), short(1.2e-7)
    ('2.769', '3', '1.2e-07')
    """
    return f"{value:.{digits}g}" if math.isfinite(value) else NONE


def number(value: float | None, digits: int = 4) -> str:
    """A number with just so many significant digits, which keeps a column of them calm; a dash where there is none.

    Examples
    --------
    >>> number(-3.0), number(12345678.0), number(float("nan"))
    ('−3.000', '1.235·10⁷', '–')
    """
    if value is None or not math.isfinite(value):
        return NONE
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        return _with_power(value, digits)
    text = f"{value:#.{digits}g}"
    return text.removesuffix(".").replace("-", "−")


def _with_power(value: float, digits: int) -> str:
    """A number as people write very small and very large ones: with a power of ten."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    factor = "" if mantissa == "1" else f"{mantissa}·"
    return f"{factor}10{str(int(exponent)).translate(_RAISED)}".replace("-", "−")


def decimals(value: float, places: int, none: str = NONE) -> str:
    """A number with so many decimals; `none` where there is none."""
    return f"{value:.{places}f}".replace("-", "−") if math.isfinite(value) else none


def signed(value: float, places: int) -> str:
    """A difference with its sign; nothing where there is none."""
    return f"{value:+.{places}f}".replace("-", "−") if math.isfinite(value) else ""


def p_value(p: float) -> str:
    """A p in few characters.

    Examples
    --------
    >>> p_value(0.0312), p_value(0.9999), p_value(3.4e-7)
    ('0.031', '1.0', '3·10⁻⁷')
    """
    if not math.isfinite(p):
        return NONE
    if p >= 0.001:
        return f"{p:.2g}" if p < 0.995 else "1.0"
    return _with_power(p, 1) if p > 0 else "0"


def percent(share: float, places: int = 0) -> str:
    """A share in per cent."""
    return f"{100 * share:.{places}f} %"


def relative(part: float, whole: float) -> str:
    """A standard error in per cent of an estimate; nothing where one of them is not known."""
    return f"{abs(100 * part / whole):.1f}" if math.isfinite(part) and whole else ""


def interval(lower: float, upper: float, digits: int = 4) -> str:
    """Two ends, short."""
    return f"{short(lower, digits)} … {short(upper, digits)}"


def quantity(text: str, unit: str | None) -> str:
    """A number, as it is written, with its unit; alone where that is not known.

    Examples
    --------
    >>> quantity("12", "h"), quantity("12", "")
    ('12 h', '12')
    """
    return f"{text} {unit}" if unit else text


def ends(lower: float, upper: float, digits: int = 3) -> str:
    """Two ends as `number` writes them."""
    return f"{number(lower, digits)} … {number(upper, digits)}"


def rounded(value: float, digits: int) -> float:
    """A number rounded to so many significant digits."""
    return float(f"{value:.{digits}g}")


def duration(seconds: float) -> str:
    """Seconds, or milliseconds where they are few."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def counted(count: int, what: str) -> str:
    """How many there are of something, such as "1 error" and "3 errors"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def cell(value: object, digits: int = 6, longest: int = 60) -> str:
    """What stands in a cell of a table, of whatever type; nothing where there is nothing, long texts are cut.

    Examples
    --------
    >>> cell(1 / 3), cell(float("nan")), cell("a" * 100, longest=5)
    ('0.333333', '', 'aaaa…')
    """
    if value is None or str(value) in ("NaT", "<NA>"):
        return ""
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return f"{float(value):.{digits}g}" if math.isfinite(value) else ""
    return cut(value, longest)


def cut(text: object, longest: int) -> str:
    """The beginning of a text that is too long."""
    said = str(text)
    return said if len(said) <= longest else said[: longest - 1] + "…"
