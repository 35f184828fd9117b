"""Initial values: what $THETA, $OMEGA and $SIGMA say."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Lines = Sequence[tuple[int, str]]
Refused = list[tuple[int, str]]

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?|[+-]?INF(?:INITY)?", re.ASCII)
_WORD = re.compile(r"[(),=]|[^\s(),=]+")
_UNBOUNDED = 1e6  # what NONMEM takes as no bound
_MOST = 10_000


@dataclass(frozen=True)
class Theta:
    """A fixed effect: initial value, bounds, whether it is fixed, and its line."""

    value: float
    lower: float
    upper: float
    fixed: bool
    line: int


@dataclass(frozen=True)
class Omega:
    """Variances of random effects that belong together; `same`: those of the group before, for another occasion."""

    matrix: NDArray[np.float64]
    fixed: bool
    same: bool
    line: int = 0


@dataclass(frozen=True)
class _Word:
    line: int
    text: str

    @property
    def number(self) -> float | None:
        if not _NUMBER.fullmatch(self.text):
            return None
        return float(self.text.replace("D", "E") if "INF" not in self.text else self.text)


def _words(lines: Lines) -> list[_Word]:
    return [_Word(line, word) for line, text in lines for word in _WORD.findall(text.partition(";")[0].upper())]


def _is_fix(text: str) -> bool:
    return text in ("FIX", "FIXE", "FIXED")


def _bracket(words: Sequence[_Word], at: int) -> tuple[list[_Word], int]:
    """What is between the bracket that opens at `at` and the one that closes, and where to go on."""
    for end in range(at + 1, len(words)):
        if words[end].text == ")":
            return list(words[at + 1 : end]), end + 1
        if words[end].text == "(":
            break
    return list(words[at + 1 :]), len(words)


def _times(words: Sequence[_Word], at: int) -> tuple[int, int]:
    """How often what is before `at` is meant (x3), and where to go on."""
    if at < len(words) and (found := re.fullmatch(r"X(\d{1,4})", words[at].text)) is not None:
        return int(found.group(1)), at + 1
    return 1, at


def thetas_of(lines: Lines, refused: Refused) -> list[Theta]:
    """The thetas of a $THETA."""
    words, found, at = _words(lines), list[Theta](), 0
    while at < len(words) and len(found) < _MOST:
        word = words[at]
        if word.text == "(":
            inside, at = _bracket(words, at)
            times, at = _times(words, at)
            after = at < len(words) and _is_fix(words[at].text)
            at += after
            made = _theta(word.line, inside, after, refused)
            found += [made] * times if made is not None else []
        elif word.number is not None:
            at += 1
            fixed = at < len(words) and _is_fix(words[at].text)
            at += fixed
            found.append(Theta(word.number, -math.inf, math.inf, fixed, word.line))
        elif word.text in ("ABORT", "NOABORT", "NOABORTFIRST", "UNINT", ","):
            at += 1
        elif at + 1 < len(words) and words[at + 1].text == "=":
            skips = word.text.startswith("NUMBERP")  # else it is the name of the theta
            at += 3 if skips else 2
        elif word.text == "NAMES" and at + 1 < len(words) and words[at + 1].text == "(":
            _, at = _bracket(words, at + 1)
        else:
            refused.append((word.line, f"$THETA {word.text[:30]}"))
            at += 1
    return found


def _theta(line: int, inside: Sequence[_Word], fixed: bool, refused: Refused) -> Theta | None:
    kept = [w for w in inside if not _is_fix(w.text) and w.text != "UNINT"]
    fixed = fixed or any(_is_fix(w.text) for w in inside)
    shown = f"$THETA ({' '.join(w.text for w in inside)[:40]})"
    values: list[float | None] = []
    empty = True  # whether a comma comes where a value could
    for w in kept:
        if w.text == ",":
            if empty:
                values.append(None)
            empty = True
            continue
        if w.number is None:
            refused.append((w.line, shown))
            return None
        values.append(w.number)
        empty = False
    if None in values or not 1 <= len(values) <= 3:
        why = ", whose initial value NONMEM is to find" if None in values else ""
        refused.append((line, shown + why))
        return None
    numbers = [float(v) for v in values if v is not None]
    lower = numbers[0] if len(numbers) > 1 else -math.inf
    upper = numbers[2] if len(numbers) > 2 else math.inf
    value = numbers[1] if len(numbers) > 1 else numbers[0]
    lower = -math.inf if lower <= -_UNBOUNDED else lower
    upper = math.inf if upper >= _UNBOUNDED else upper
    if not math.isfinite(value) or not (lower <= value <= upper):
        refused.append((line, f"{shown}, whose initial value is not within its bounds"))
        return None
    return Theta(value, lower, upper, fixed or lower == value == upper, line)


def omegas_of(lines: Lines, name: str, before: Sequence[Omega], refused: Refused) -> list[Omega]:
    """The groups of an $OMEGA or $SIGMA; `before`: those of the records before it."""
    words = _words(lines)
    block: int | None = None
    same = 0
    options: set[str] = set()
    values: list[tuple[float, bool, bool, int]] = []  # value, fixed, SD, line
    filled: tuple[float, float] | None = None
    at = 0
    here = words[0].line if words else 0
    while at < len(words) and len(values) < _MOST:
        word = words[at]
        at += 1
        if word.text in ("BLOCK", "DIAGONAL", "DIAG", "SAME", "VALUES", "NAMES"):
            inside: list[_Word] = []
            if at < len(words) and words[at].text == "(":
                inside, at = _bracket(words, at)
            numbers = [w.number for w in inside if w.number is not None]
            if word.text == "BLOCK":
                block = int(numbers[0]) if numbers else 0
            elif word.text == "SAME":
                same = int(numbers[0]) if numbers else 1
            elif word.text == "VALUES" and len(numbers) == 2:
                filled = (numbers[0], numbers[1])
            elif word.text == "VALUES":
                refused.append((word.line, f"${name} VALUES without two values"))
        elif word.text == "(":
            inside, at = _bracket(words, at - 1)
            times, at = _times(words, at)
            marks = {_option(w.text) for w in inside if w.number is None and w.text != ","}
            number = [w.number for w in inside if w.number is not None]
            if len(number) != 1 or None in marks:
                shown = " ".join(w.text for w in inside)[:40]
                refused.append((word.line, f"${name} ({shown})"))
                continue
            if block is not None:
                options |= {m for m in marks if m}
            values += [(number[0], "FIX" in marks, "SD" in marks, word.line)] * times
        elif word.number is not None:
            values.append((word.number, False, False, word.line))
        elif (option := _option(word.text)) is not None:
            if block is None and values and option in ("FIX", "SD"):
                value, fixed, sd, line = values[-1]
                values[-1] = (value, fixed or option == "FIX", sd or option == "SD", line)
            else:
                options.add(option)
        elif word.text == ",":
            continue
        elif at < len(words) and words[at].text == "=":
            at += 1  # the name of the value
        else:
            refused.append((word.line, f"${name} {word.text[:30]}"))
    if same:
        last = next((o for o in reversed(before) if not o.same), None)
        if last is None or (block and block != len(last.matrix)) or values:
            refused.append((here, f"${name} SAME without a block of its size before it"))
            return []
        return [Omega(last.matrix, last.fixed, True, here)] * min(same, _MOST)
    if block is None:
        if options - {"SD", "VARIANCE", "COVARIANCE"}:
            refused.append((here, f"${name} {' '.join(sorted(options))} before the values of a diagonal"))
        found = []
        for value, fixed, sd, line in values:
            if value < 0:
                refused.append((line, f"${name} with a negative variance"))
            found.append(Omega(np.array([[value**2 if sd or "SD" in options else value]]), fixed, False, line))
        return found
    return _block(block, [v for v, *_ in values], options | ({"FIX"} if any(f for _, f, _, _ in values) else set()),
                  filled, here, name, refused)  # fmt: skip


def _block(
    size: int, values: Sequence[float], options: set[str], filled: tuple[float, float] | None, line: int, name: str,
    refused: Refused,
) -> list[Omega]:  # fmt: skip
    if not 1 <= size <= 200:
        refused.append((line, f"${name} BLOCK of {size or 'no size'}"))
        return []
    rows, cols = np.tril_indices(size)
    if filled is not None and not values:
        values = [filled[0] if i == j else filled[1] for i, j in zip(rows, cols, strict=True)]
    if len(values) != len(rows):
        refused.append((line, f"${name} BLOCK({size}) of {len(values)} values, where {len(rows)} are needed"))
        return []
    lower = np.zeros((size, size))
    lower[rows, cols] = values
    if "CHOLESKY" in options:
        matrix = lower @ lower.T
    else:
        diagonal = np.diag(lower)
        deviations = diagonal if "SD" in options else np.sqrt(np.maximum(diagonal, 0.0))
        matrix = np.tril(lower, -1)
        if "CORRELATION" in options:
            matrix *= np.outer(deviations, deviations)
        matrix = matrix + matrix.T + np.diag(diagonal**2 if "SD" in options else diagonal)
    fixed = "FIX" in options
    if not fixed and size > 1 and (matrix == 0).any() and (np.diag(matrix) > 0).all():
        refused.append((line, f"a 0 in ${name} BLOCK({size}), which NONMEM keeps at 0"))
    elif size > 1 and (np.diag(matrix) > 0).all() and np.linalg.eigvalsh(matrix)[0] <= 0:
        refused.append((line, f"${name} BLOCK({size}), which is not positive definite"))
    return [Omega(matrix, fixed, False, line)]


def _option(text: str) -> str | None:
    if _is_fix(text):
        return "FIX"
    for word, least in (("SD", 2), ("STANDARD", 3), ("VARIANCE", 3), ("COVARIANCE", 3), ("CORRELATION", 3),
                        ("CORRELATON", 3), ("CHOLESKY", 4), ("UNINT", 5)):  # fmt: skip
        if len(text) >= least and word.startswith(text):
            return {"STANDARD": "SD", "CORRELATON": "CORRELATION"}.get(word, word)
    return None
