"""Mutated files: always grouped data or a DataError, never another exception, never a changed number.

`WORKBENCH_MUTATIONS=5000 pytest tests/data/test_data_properties.py` runs as many as the acceptance asks for.
"""

from __future__ import annotations

import io
import os
import random
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.data import GroupedData, examples_folder, read_data
from workbench.errors import DataError
from workbench.language.conditions import matching_rows

MUTATIONS = int(os.environ.get("WORKBENCH_MUTATIONS", "200"))
BATCHES = 20

SOURCES = {
    name: (examples_folder() / f"{name}.csv").read_bytes() for name in ("theophylline", "tetracycline", "glucose")
}
SOURCES["short"] = b"".join(SOURCES["theophylline"].splitlines(keepends=True)[:20])
SOURCES["semicolon"] = SOURCES["short"].replace(b",", b";").replace(b".", b",").replace(b";,;", b";;")
SOURCES["clock"] = b"ID,DATE,TIME,AMT,DV\n1,2024-05-01,8:30,100,.\n1,2024-05-01,9:30,0,5.5\n1,2024-05-02,8:30,0,1.25\n"
SOURCES["quoted"] = b'"ID","TIME","DV","SITE"\n1,0,1.5,"a, b"\n1,1,2.5,"c ""d"""\n2,0,1.25,"e\nf"\n2,2,2.75,"g"\n'
SOURCES["dosing"] = (
    b"ID,TIME,AMT,RATE,ADDL,II,SS,CMT,DV,EVID,MDV,OCC,CENS,LIMIT,DVID\n1,0,100,50,2,12,1,1,.,1,1,1,0,.,.\n"
    b"1,1,0,0,0,0,0,2,5.5,0,0,1,0,.,1\n1,30,0,0,0,0,0,2,0.5,0,0,1,1,0.1,2\n1,0,50,0,0,0,0,1,.,4,1,2,0,.,.\n"
)

CELLS = [
    "", ".", "NA", "x", "<script>", "-1", "0", "1e5", "1e400", "-1e-320", "inf", "nan", "1,5", "1.5.2", "0x10", "1_0",
    "٣", "½", "\xa07", " 7", "7 ", '"', '""', '"7"', "12:30", "25:61", "2024-02-30", "99", "-99", "True", "1e",
    "--1", "'", "=1+1", "1;2", "9" * 400, "\t", "\r", "\n", "ID",
]  # fmt: skip


def cell(rng: random.Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    row = rng.randrange(len(lines))
    cells = lines[row].split(b",")
    cells[rng.randrange(len(cells))] = rng.choice(CELLS).encode()
    lines[row] = b",".join(cells)
    return b"\n".join(lines)


def header(rng: random.Random, text: bytes) -> bytes:
    first, _, rest = text.partition(b"\n")
    names = first.split(b",")
    names[rng.randrange(len(names))] = rng.choice(
        [
            b"",
            b"ID",
            b"id",
            b"TIME",
            b"DV",
            b"AMT",
            b"DOSE",
            b"EVID",
            b"DATE",
            b"SS",
            b"II",
            b"RATE",
            b"OCC",
            b"CENS",
            b"X",
        ]
    )
    return b",".join(names) + b"\n" + rest


def byte(rng: random.Random, text: bytes) -> bytes:
    at = rng.randrange(len(text))
    return text[:at] + bytes([rng.randrange(256)]) + text[at + rng.randrange(2) :]


def cut(rng: random.Random, text: bytes) -> bytes:
    start = 0 if rng.random() < 0.7 else rng.randrange(len(text))
    return text[start : rng.randrange(start, len(text) + 1)]


def lines(rng: random.Random, text: bytes) -> bytes:
    rows = text.split(b"\n")
    a, b = rng.randrange(len(rows)), rng.randrange(len(rows))
    match rng.randrange(4):
        case 0:
            rows[a], rows[b] = rows[b], rows[a]
        case 1:
            rows.insert(a, rows[b])
        case 2:
            del rows[a]
        case _:
            rows[a] = rows[a] + b"," * rng.randrange(1, 3)
    return b"\n".join(rows)


def separators(rng: random.Random, text: bytes) -> bytes:
    old, new = rng.choice([b",", b";", b"\n", b"."]), rng.choice([b",", b";", b"\t", b"|", b" ", b"\r\n", b"\r", b", "])
    return text.replace(old, new, rng.choice([-1, -1, 1, 5]))


def encoded(rng: random.Random, text: bytes) -> bytes:
    words = text.decode("utf-8", "replace").replace("TIME", rng.choice(["TIME", "Zeit µ", "TIME"]))
    return words.encode(
        rng.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "cp037"]), "replace"
    )


MUTATORS: list[Callable[[random.Random, bytes], bytes]] = [
    cell, cell, cell, header, byte, byte, cut, lines, lines, separators, encoded,
]  # fmt: skip


def look_everywhere(data: GroupedData) -> None:
    """Everything that a panel would ask of the data."""
    data.summary(), data.subjects, data.observations, data.doses, data.covariates, data.describe_covariates()
    data._repr_html_(), data.hash, data.code(), repr(data)
    assert not (data.check()["severity"] == "error").any()
    events = data.events
    assert np.isfinite(events.dv[events.observed]).all()
    assert np.isfinite(events.time).all() and np.isfinite(events.amount).all()
    assert events.start[-1] == len(events.time) == len(events.row)
    data.to_csv()


def same_numbers(data: GroupedData, text: bytes) -> None:
    """The observations are those of a plain pandas read of the same bytes, wherever that can be made.

    Every row with a value is among the observations, or a finding or the history names it.
    """
    if not text.isascii() or b";" in text or b"\t" in text or b"|" in text or b'"' in text:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plain = pd.read_csv(io.BytesIO(text), na_values=["."], skipinitialspace=True, low_memory=False)
            plain = plain.rename(columns=lambda column: str(column).strip())
            plain = plain.set_axis(np.flatnonzero([bool(line.strip()) for line in text.split(b"\n")])[1:] + 1, axis=0)
            column = pd.to_numeric(plain[data.roles["response"]])
            for role in ("evid", "mdv"):
                if role in data.roles:
                    column = column[pd.to_numeric(plain[data.roles[role]]).fillna(0)[column.index] == 0]
    except (ValueError, KeyError, TypeError):
        return
    events = data.events
    column = column.dropna()
    seen = events.observed & (events.censored == 0)
    named = {row for finding in data.findings for row in finding.rows}
    lost = column.index.difference(data.frame.index[events.row[events.observed]])
    if "amount" in data.roles and not {"evid", "mdv"} & data.roles.keys():
        lost = lost[column[lost] != 0]  # a 0 beside a dose is NONMEM's placeholder
    assert set(lost) <= named, f"rows {sorted(set(lost) - named)} vanished"
    kept = column[~column.index.isin(named)]
    values = pd.Series(events.dv[seen], index=data.frame.index[events.row[seen]])
    if "censor" in data.roles or ("amount" in data.roles and not {"evid", "mdv"} & data.roles.keys()):
        assert set(values) <= set(column)
    else:
        assert sorted(values[~values.index.isin(named)]) == sorted(kept)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_mutated_files(batch: int) -> None:
    rng = random.Random(batch)
    accepted = 0
    for _ in range(max(1, MUTATIONS // BATCHES)):
        text = SOURCES[rng.choice(list(SOURCES))]
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            text = rng.choice(MUTATORS)(rng, text) or b"x"
        try:
            data = read_data(text, name="mutated")
        except DataError as error:
            assert error.faults and str(error)
            continue
        accepted += 1
        look_everywhere(data)
        same_numbers(data, text)
    assert accepted or MUTATIONS < 100


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    try:
        look_everywhere(read_data(content))
    except DataError as error:
        assert error.faults


NAMES = ["ID", "TIME", "DV", "AMT", "EVID", "MDV", "CMT", "SS", "DATE", "OCC", "CENS", "WT", 7]
WORDS = ["ID", "TIME", "SEX", "==", "<", "and", "not", "(", ")", "1", "'F'", "in", ",", "-", "missing", "`"]
values = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.text(max_size=3), st.datetimes(), st.timedeltas(),
    st.complex_numbers(), st.binary(max_size=2), st.lists(st.integers(), max_size=2), st.just(pd.NA), st.just(2**70),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(NAMES), min_size=3), st.data())
def test_any_frame(columns: list[object], draw: st.DataObject) -> None:
    rows = draw.draw(st.integers(0, 4))
    kinds = [draw.draw(st.sampled_from([values, st.integers(0, 3), st.floats(0, 9)])) for _ in columns]
    cells = [[draw.draw(kind) for kind in kinds] for _ in range(rows)]
    frame = pd.DataFrame(cells, columns=pd.Index(columns, dtype=object))
    try:
        look_everywhere(read_data(frame))
    except DataError as error:
        assert error.faults


@given(st.one_of(st.text(max_size=30), st.lists(st.sampled_from(WORDS)).map(" ".join)))
def test_any_condition(condition: str) -> None:
    frame = pd.DataFrame({"ID": [1, 2], "TIME": [0.0, np.nan], "SEX": ["F", None]})
    try:
        assert matching_rows(condition, frame).shape == (2,)
    except DataError as error:
        assert error.faults
