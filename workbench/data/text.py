"""Delimited text becomes a table: records, header, what stands around them, and what does not fit."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.cells import ERRORS, MISSING, limited
from workbench.data.layout import COMMENT, HEAD, Head, counted, footers, is_title, known_names, left_out, said, units_of
from workbench.data.tabular import Form, Table, found_head, is_number, no_names, spelled, unique_names
from workbench.errors import DataError, Fault
from workbench.findings import Finding

_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blank"}
_COMMA_NUMBER = re.compile(r"\s*[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?\s*", re.ASCII)


@dataclass(frozen=True, eq=False)
class _Records:
    """Where the records of a text stand: byte ranges, first lines, numbers of fields."""

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    line: NDArray[np.int64]
    fields: NDArray[np.int64]


def from_text(text: bytes, name: str, form: Form, note: str) -> Table:
    """The table in a text of UTF-8 with plain line ends; `note` is what was assumed to read it."""
    if not text.endswith(b"\n"):
        text += b"\n"
    text, stated = _separator_line(text)
    text, commented = _without_comments(text, form.comment)
    text, titles = _without_titles(text)
    if form.skip:
        text = b"\n" * form.skip + text.split(b"\n", form.skip)[-1] if text.count(b"\n") > form.skip else b"\n"
    separator = form.separator or stated or _guess_separator(text)
    if separator == " ":
        text = re.sub(rb"[ \t]+", b" ", re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", text))
    if separator not in _NAMES:
        allowed = ", ".join(f"{mark!r} ({word})" for mark, word in _NAMES.items())
        raise DataError(f"separator {separator!r}; allowed: {allowed}", name)
    faults: list[Fault] = []
    records = _records(text, separator, name, faults)
    if not len(records.begin):
        raise DataError(Fault("it is empty", mend="a header line and one line per record are needed"), name)

    def cells(k: int) -> list[str]:
        record = text[records.begin[k] : records.end[k]].decode("utf-8", "surrogatepass")
        try:
            return next(csv.reader(io.StringIO(record), delimiter=separator), [])
        except csv.Error as error:
            raise DataError(Fault(f"cannot be read: {error}", int(records.line[k])), name) from None

    rows = [cells(k) for k in range(min(HEAD, len(records.begin)))]
    lines = [int(line) for line in records.line[: len(rows)]]
    head = found_head(rows, lines, form, name)
    names = list(form.names) if form.names else rows[head.header] if head.header is not None else []
    by_comment = None
    if not names:
        by_comment = _commentedheader(commented, separator, len(rows[0]))
        if by_comment is None:
            raise no_names(rows[0], lines[0], name)
        names = by_comment[1]
        commented = [(line, words) for line, words in commented if line != by_comment[0]]
    names, row_names = _widened(names, text, separator, records, head.body, cells)
    line = by_comment[0] if by_comment else lines[head.header] if head.header is not None else None
    width = len(names)
    remarks: list[Finding] = []
    if form.names:
        width = max(
            int(np.bincount(records.fields[head.body :]).argmax()) if len(records.fields) > head.body else 0, width
        )
        if width > len(names):
            dropped = f"{counted(width - len(names), 'column')} without a name at the right left out"
            remarks.append(said("more columns than names", dropped, ()))
    if row_names:
        remarks.append(said("row names", "the first column has no name: numbers of rows, as R writes them", ()))
    nameless = [f"\0{k}" for k in range(width - len(names))]
    columns, header_faults, unnamed = unique_names([*names, *nameless], line, name)
    faults += header_faults
    keep = np.arange(len(records.begin)) >= head.body
    marked, repeated = _repeats(text, records, head, keep, titles, cells)
    notes_below = _below(records, keep & ~repeated & ~marked, width, cells)
    keep &= ~repeated & ~marked & ~notes_below
    ragged = keep & (records.fields != width)
    faults += _ragged(records, ragged, keep, width, separator, line)
    keep &= ~ragged
    remarks += left_out([line for line, _ in commented], "comments")
    remarks += left_out([lines[k] for k in head.skipped], "above or below the header, no data")
    remarks += left_out(records.line[repeated], "repeated headers, and tables that begin anew")
    remarks += left_out(records.line[marked], "marked in front of the first column")
    remarks += left_out(records.line[notes_below], "notes below the table")
    units = units_of(columns, rows[head.units]) if head.units is not None else {}
    if head.units is not None:
        where = lines[head.units]
        remarks.append(said("units row", f"row {where} holds units: {spelled(units)}", [where]))
    kept = np.flatnonzero(keep)
    body = text[records.begin[kept[0]] : records.end[kept[-1]] + 1] if len(kept) else b""
    if len(body) != int((records.end[kept] - records.begin[kept] + 1).sum()):
        body = b"".join(text[b : e + 1] for b, e in zip(records.begin[kept], records.end[kept], strict=True))
    frame = _parse(body, separator, form.decimal, len(columns), name)
    if len(frame) != int(keep.sum()):
        raise DataError(Fault("quotes make its rows ambiguous", mend="save it again without stray quotes"), name)
    frame = frame.set_axis(columns, axis=1).set_axis(pd.Index(records.line[keep]), axis=0)
    frame = frame.drop(columns=[column for column in columns if column.startswith("\0")])
    frame = frame.dropna(axis=0, how="all")
    empty = [column for column in unnamed if frame[column].isna().all()]
    frame = frame.drop(columns=empty)
    notes = [note] if note else []
    if form.decimal is None and separator != ",":
        frame, changed = _decimal_comma(frame, faults)
        notes += ["decimal comma"] if changed else []
    unnamed = tuple(c for c in unnamed if c not in empty)
    return Table(frame, name, tuple(faults), tuple(notes), unnamed, units, tuple(remarks))


def _widened(
    names: list[str], text: bytes, separator: str, records: _Records, body: int, cells: Callable[[int], list[str]]
) -> tuple[list[str], bool]:
    """Names with a nameless column more, where every row ends in an empty cell or begins with its number."""
    rows = np.arange(body, len(records.begin))
    if not len(rows) or (records.fields[rows] != len(names) + 1).any():
        return names, False
    if all(text[records.end[k] - 1 : records.end[k]] == separator.encode() for k in rows):
        return [*names, ""], False
    first = [cells(int(k))[0] for k in rows[:HEAD]]
    if first == [str(k + 1) for k in range(len(first))] and known_names(names) > 1:
        return ["", *names], True
    return names, False


def _separator_line(text: bytes) -> tuple[bytes, str | None]:
    """Excel's first line "sep=;" is no row; what it says."""
    if found := re.match(rb'\s*"?sep=(.)"?[ \t]*\n', text, re.IGNORECASE):
        mark = found[1].decode("latin-1")
        return b"\n" * found[0].count(b"\n") + text[found.end() :], mark if mark in _NAMES else None
    return text, None


def _without_comments(text: bytes, marks: str | None) -> tuple[bytes, list[tuple[int, str]]]:
    """Blank the lines that begin with # or @; a quoted cell that goes over several lines is left alone."""
    signs = COMMENT if marks is None else "".join(m for m in marks if not m.isalnum() and m in "#@%!*;&/")
    if not any(sign.encode() in text for sign in signs):
        return text, []
    cells = "|".join(re.escape(cell[1:]) for cell in ("#N/A", *ERRORS)).encode()
    pattern = re.compile(rb'(?m)^[ \t]*"?[' + re.escape(signs).encode() + rb"](?!" + cells + rb").*$")
    parts, at, quotes, found = [], 0, 0, []
    for hit in pattern.finditer(text):
        before = text[at : hit.start()]
        quotes += before.count(b'"')
        if quotes % 2:
            continue
        found.append((text.count(b"\n", 0, hit.start()) + 1, hit[0].decode("utf-8", "replace")))
        parts.append(before)
        at = hit.end()
    return (b"".join([*parts, text[at:]]), found) if found else (text, [])


def _without_titles(text: bytes) -> tuple[bytes, list[int]]:
    """Blank NONMEM's lines TABLE NO. 1; their numbers."""
    if not any(words in text for words in (b"TABLE NO", b"Table No", b"table no")):
        return text, []
    lines = text.split(b"\n")
    at = [k for k, line in enumerate(lines) if is_title(line.decode("utf-8", "replace"))]
    for k in at:
        lines[k] = b""
    return b"\n".join(lines), [k + 1 for k in at]


def _commentedheader(commented: Sequence[tuple[int, str]], separator: str, width: int) -> tuple[int, list[str]] | None:
    """The column names, where the line that has them is marked as a comment: "#ID,TIME,DV"."""
    for line, comment in reversed(commented):
        words = re.sub(r"[#@]+[ \t]*", "", comment.strip(), count=1)
        words = re.sub(r"\s+", " ", words) if separator == " " else words
        try:
            cells = next(csv.reader(io.StringIO(words), delimiter=separator), [])
        except csv.Error:
            continue
        if len(cells) == width and known_names(cells) and 2 * sum(is_number(cell) for cell in cells) <= width:
            return line, cells
    return None


def _repeats(
    text: bytes, records: _Records, head: Head, keep: NDArray[np.bool_], titles: Sequence[int],
    cells: Callable[[int], list[str]],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:  # fmt: skip
    """Records with a mark in front of the first column; records that repeat the header, or a whole table."""
    repeated = np.zeros(len(records.begin), dtype=bool)
    if head.header is not None:
        size = records.end - records.begin
        words = text[records.begin[head.header] : records.end[head.header]].strip()
        begins = np.frombuffer(text, dtype=np.uint8)[records.begin]
        alike = (np.abs(size - size[head.header]) <= 2) & (records.fields == records.fields[head.header])
        same = np.flatnonzero(keep & alike & (begins == begins[head.header]))
        repeated[[k for k in same if text[records.begin[k] : records.end[k]].strip() == words]] = True
    data = np.flatnonzero(keep & ~repeated)
    later = [line for line in titles[1:] if len(data) and records.line[data[0]] < line <= records.line[data[-1]]]
    if later:
        first = cells(int(data[0]))[:2]
        starts = data[np.searchsorted(records.line[data], later)]
        anew = [int(k) for k in starts if cells(int(k))[:2] == first]
        if anew:
            repeated |= keep & (records.line >= records.line[anew[0]])
    usual = np.bincount(records.fields[data]).argmax() if len(data) else 0
    marked = np.zeros(len(records.begin), dtype=bool)
    odd = [int(k) for k in data[records.fields[data] == usual + 1]]
    marked[[k for k in odd if cells(k)[0].strip() in ("C", "c", "#", "@")]] = True
    return marked & ~repeated, repeated


def _below(
    records: _Records, keep: NDArray[np.bool_], width: int, cells: Callable[[int], list[str]]
) -> NDArray[np.bool_]:
    """Records at the end that are notes."""
    found = np.zeros(len(records.begin), dtype=bool)
    last = np.flatnonzero(keep)[-HEAD:]
    count = footers([cells(int(k)) for k in last], [int(f) for f in records.fields[last]], width)
    if count:
        found[last[-count:]] = True
    return found


def _guess_separator(text: bytes) -> str:
    """The mark that splits most of the first records into the same number of fields, names above numbers."""
    sample = text[:100_000].decode("utf-8", "replace").lstrip("\n").split("\n")[:200]
    sample = [line for line in sample if line.strip()]
    best, score = "", (0.0, 0)
    for mark in _SEPARATORS:
        rows = [re.sub(r'"[^"]*"', "", line).count(mark) for line in sample]
        for first in range(min(len(rows), 30)):
            if not rows[first] or (first and not _names(sample[first], mark)):
                continue
            found = (sum(count == rows[first] for count in rows) / len(rows), rows[first])
            best, score = (mark, found) if found > score else (best, score)
    if best:
        return best
    return " " if sample and len(sample[-1].split()) > 1 else ","


def _names(line: str, mark: str) -> bool:
    cells = [cell.strip() for cell in line.split(mark)]
    return 2 * sum(bool(re.match(r"[^\W\d_]", cell)) for cell in cells) > len(cells)


def _records(text: bytes, separator: str, name: str, faults: list[Fault]) -> _Records:
    codes = np.frombuffer(text, dtype=np.uint8)
    newline = codes == ord("\n")
    mark = codes == ord(separator)
    lines = np.flatnonzero(newline)
    if b'"' in text:
        quote = codes == ord('"')
        inside = (np.cumsum(quote, dtype=np.uint8) & 1).astype(bool)  # wraps at 256, parity does not care
        if inside[-1]:
            opened = int(np.flatnonzero(quote)[-1])
            line = int(np.searchsorted(lines, opened)) + 1
            raise DataError(Fault("a quote is opened and never closed", line, mend="close or delete the quote"), name)
        _stray_quotes(codes, quote, inside, newline | mark, lines, name)
        newline, mark = newline & ~inside, mark & ~inside
    end = np.flatnonzero(newline)
    begin = np.concatenate([[0], end[:-1] + 1])
    marks = np.flatnonzero(mark)
    fields = np.diff(np.searchsorted(marks, end), prepend=0) + 1
    first = np.searchsorted(lines, begin) + 1
    blank = end == begin
    for position in np.flatnonzero((fields == 1) & ~blank):
        blank[position] = not text[begin[position] : end[position]].strip()
    keep = ~blank
    return _Records(begin[keep], end[keep], first[keep], fields[keep])


def _stray_quotes(
    codes: NDArray[np.uint8],
    quote: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    boundary: NDArray[np.bool_],
    lines: NDArray[np.int64],
    name: str,
) -> None:
    """A quote may open or close a whole cell, or be doubled; anything else can be read in two ways."""
    places = np.flatnonzero(quote)
    opening = inside[places]
    before = np.concatenate([[True], boundary | quote | (codes == ord(" "))])[places]
    after = (boundary | quote)[np.minimum(places + 1, len(codes) - 1)]
    stray = places[(opening & ~before) | (~opening & ~after)]
    if len(stray):
        at = np.unique(np.searchsorted(lines, stray) + 1)
        mend = "quote the whole cell and double the quotes inside it"
        raise DataError(limited([Fault("a quote stands inside a cell", int(n), mend=mend) for n in at]), name)


def _ragged(
    records: _Records,
    ragged: NDArray[np.bool_],
    body: NDArray[np.bool_],
    expected: int,
    separator: str,
    line: int | None,
) -> list[Fault]:
    word = _NAMES[separator]
    mend = f"add or remove a {word}, or quote a cell that holds one"
    rows = np.flatnonzero(ragged)
    if len(rows) > 1 and len(rows) == body.sum() and len(np.unique(records.fields[rows])) == 1:
        message = f"the header names {expected} columns, but every row has {records.fields[rows[0]]} cells"
        return [Fault(message, line, mend="name every column, row names included")]
    names = f"but the header names {expected} columns"
    return limited([Fault(f"{records.fields[r]} cells, {names}", int(records.line[r]), mend=mend) for r in rows])


def _parse(body: bytes, separator: str, decimal: str | None, width: int, name: str) -> pd.DataFrame:
    if not body:
        return pd.DataFrame(columns=range(width))
    exact: dict[str, Any] = {}
    if decimal != "," and _before_exact_floats():
        exact["float_precision"] = "round_trip"
    try:
        frame: pd.DataFrame = pd.read_csv(
            io.BytesIO(body), sep=separator, header=None, names=list(range(width)), index_col=False,
            na_values=list(MISSING), keep_default_na=False, skip_blank_lines=False, skipinitialspace=separator != " ",
            low_memory=False, decimal=decimal or ".", encoding_errors="replace", **exact,
        )  # fmt: skip
        return frame
    except (ValueError, OverflowError, TypeError) as error:  # ParserError is a ValueError
        raise DataError(Fault(f"it cannot be read as a table: {error}"), name) from None


def _before_exact_floats() -> bool:
    """pandas before 3.1 rounds long decimals unless asked not to; since then asking is deprecated."""
    major, minor = (int(part) for part in pd.__version__.split(".")[:2])
    return (major, minor) < (3, 1)


def _decimal_comma(frame: pd.DataFrame, faults: list[Fault]) -> tuple[pd.DataFrame, bool]:
    """Columns written with a decimal comma become numbers, unless other columns use a decimal point."""
    commas: dict[str, Any] = {}
    for column in frame.columns:
        if pd.api.types.is_numeric_dtype(frame[column]):
            continue
        text = frame[column].dropna().astype(str)
        number = text.str.fullmatch(_COMMA_NUMBER)
        with_words = number.mean() >= 0.5 and not text.str.contains(r"\d\.\d").any()  # "<0,1", BLQ among the numbers
        if (text[number].str.contains(",")).any() and (number.all() or with_words):
            commas[column] = number
    if not commas:
        return frame, False
    points = [c for c in frame.columns if frame[c].dtype == float and (frame[c].dropna() % 1 != 0).any()]
    if points:
        message = f"has a decimal comma, but column {points[0]!r} a decimal point"
        mend = 'write one of them, or state decimal="," or "."'
        faults += [Fault(message, None, column, mend=mend) for column in commas]
        return frame, False
    changed: dict[str, Any] = {}
    for column, number in commas.items():
        dotted = frame[column].astype(object).str.replace(",", ".", regex=False)
        wanted = number.reindex(frame.index, fill_value=True)
        changed[column] = pd.to_numeric(dotted) if number.all() else dotted.where(wanted, frame[column])
    return frame.assign(**changed), True
