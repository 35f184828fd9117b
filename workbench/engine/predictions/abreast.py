"""exp and log of several numbers at a time, as LLVM's code: the library of C has them for one.

Both reduce their argument (Cody & Waite 1980, Software Manual for the Elementary Functions), then follow a polynomial;
they are off by less than 1 unit in the last place, and are inf, 0 and NaN where the library's are.
"""

from __future__ import annotations

import math
import struct
from functools import cache

ABREAST = 8
WIDE, TRUTHS, _WHOLE = (f"<{ABREAST} x {of}>" for of in ("double", "i1", "i64"))

_LN2_HIGH, _LN2_LOW = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
_MAGIC = 1.5 * 2.0**52  # added to a number, it leaves the nearest integer in its last bits
_LOG = (  # of fdlibm's log, of s²
    0.6666666666666735130, 0.3999999999940941908, 0.2857142874366239149, 0.2222219843214978396, 0.1818357216161805012,
    0.1531383769920937332, 0.1479819860511658591,
)  # fmt: skip


class _Function:
    """Writes a function of a vector %x, line by line."""

    def __init__(self, name: str) -> None:
        self.name, self.x = name, "%x"
        self.lines: list[str] = []

    def do(self, text: str) -> str:
        self.lines.append(f"  %y{len(self.lines)} = {text}")
        return f"%y{len(self.lines) - 1}"

    def add(self, a: str, b: str) -> str:
        return self.do(f"fadd contract {WIDE} {a}, {b}")

    def times(self, a: str, b: str) -> str:
        return self.do(f"fmul contract {WIDE} {a}, {b}")

    def less(self, a: str, b: str) -> str:
        return self.do(f"fcmp olt {WIDE} {a}, {b}")

    def either(self, condition: str, a: str, b: str) -> str:
        return self.do(f"select {TRUTHS} {condition}, {WIDE} {a}, {WIDE} {b}")

    def whole(self, op: str, a: str, b: str) -> str:
        return self.do(f"{op} {_WHOLE} {a}, {b}")

    def bits(self, a: str) -> str:
        return self.do(f"bitcast {WIDE} {a} to {_WHOLE}")

    def number(self, a: str) -> str:
        return self.do(f"bitcast {_WHOLE} {a} to {WIDE}")

    def polynomial(self, x: str, *of: float) -> str:
        """Σ of[k] x^k."""
        total = many(of[-1])
        for coefficient in reversed(of[:-1]):
            total = self.add(self.times(total, x), many(coefficient))
        return total

    def text(self, result: str) -> str:
        head = f"define internal {WIDE} @{self.name}({WIDE} %x) nounwind {{"
        return "\n".join([head, *self.lines, f"  ret {WIDE} {result}", "}"])


def bits_of(value: float) -> int:
    """The bits of a number as an integer."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def many(value: float | int) -> str:
    """A constant vector of equal numbers, of integers for an integer."""
    one = f"i64 {value}" if isinstance(value, int) else f"double 0x{bits_of(value) & (2**64 - 1):016X}"
    return f"<{', '.join([one] * ABREAST)}>"


@cache
def exponential(name: str) -> str:
    """The text of a function: exp(x) = 2^k exp(r), |r| ≤ ½ log 2; 2^k in two parts, so that it may be subnormal."""
    to = _Function(name)
    x = to.either(to.less(many(710.0), to.x), many(710.0), to.x)
    x = to.either(to.less(x, many(-746.0)), many(-746.0), x)
    shifted = to.add(to.times(x, many(1.0 / math.log(2.0))), many(_MAGIC))
    k = to.do(f"fsub {WIDE} {shifted}, {many(_MAGIC)}")
    r = to.add(to.add(x, to.times(k, many(-_LN2_HIGH))), to.times(k, many(-_LN2_LOW)))
    series = to.polynomial(r, *[1.0 / math.factorial(n) for n in range(2, 14)])
    found = to.add(many(1.0), to.add(r, to.times(to.times(r, r), series)))
    half = to.bits(to.add(to.times(k, many(0.5)), many(_MAGIC)))
    first = to.whole("sub", half, many(bits_of(_MAGIC)))
    second = to.whole("sub", to.whole("sub", to.bits(shifted), many(bits_of(_MAGIC))), first)
    for exponent in (first, second):
        found = to.times(found, to.number(to.whole("shl", to.whole("add", exponent, many(1023)), many(52))))
    return to.text(found)


@cache
def logarithm(name: str) -> str:
    """The text of a function: log(x) = k log 2 + log(m), √½ < m ≤ √2, as fdlibm has it."""
    to = _Function(name)
    tiny = to.less(to.x, many(2.0**-1022))
    x = to.either(tiny, to.times(to.x, many(2.0**54)), to.x)
    # the bits of m begin like those of √½ or above
    moved = to.whole("sub", to.bits(x), many(bits_of(math.sqrt(0.5))))
    k = to.whole("lshr", to.whole("add", moved, many(-(1 << 63))), many(52))  # and 2048
    k = to.do(f"fsub {WIDE} {to.number(to.whole('or', k, many(bits_of(2.0**52))))}, {many(2.0**52 + 2048.0)}")
    m = to.number(to.whole("add", to.whole("and", moved, many((1 << 52) - 1)), many(bits_of(math.sqrt(0.5)))))
    k = to.either(tiny, to.add(k, many(-54.0)), k)
    f = to.add(m, many(-1.0))
    s = to.do(f"fdiv {WIDE} {f}, {to.add(f, many(2.0))}")
    z = to.times(s, s)
    half = to.times(many(0.5), to.times(f, f))
    rest = to.times(s, to.add(half, to.times(z, to.polynomial(z, *_LOG))))
    inner = to.add(to.times(k, many(_LN2_LOW)), rest)
    found = to.add(to.times(k, many(_LN2_HIGH)), to.add(f, to.do(f"fsub {WIDE} {inner}, {half}")))
    found = to.either(to.do(f"fcmp oeq {WIDE} {to.x}, {many(0.0)}"), many(-math.inf), found)
    found = to.either(to.do(f"fcmp oeq {WIDE} {to.x}, {many(math.inf)}"), many(math.inf), found)
    bad = to.do(f"fcmp ult {WIDE} {to.x}, {many(0.0)}")
    return to.text(to.either(bad, many(math.nan), found))
