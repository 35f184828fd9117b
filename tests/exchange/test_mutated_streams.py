"""Mutated control streams: always a model with data or an error in words, never another exception."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb

pytest.importorskip("pharmpy")

VALUES = [wb.Parameter("ka", 1.5, iiv=0.6), wb.Parameter("CL", 2.8, iiv=0.3), wb.Parameter("V", 32.0)]
SATURABLE = [
    wb.Parameter("ka", 1.5),
    wb.Parameter("Vm", 4.0, iiv=0.3),
    wb.Parameter("Km", 5.0),
    wb.Parameter("V", 32.0),
]
PIECES = [
    "$PK", "$ERROR", "$THETA", "IF (F.GT.0) W=1", "ENDIF", "(", "))", "THETA(9)", "ETA(1)**", "&", ";", "\t", "EXP(",
    "DO WHILE", "1E400", "é", "\x00", "$OMEGA BLOCK(3) 1", "SAME", "FIX", "IGNORE=(ID.EQ.", "$INPUT ID", "(0,,1)",
    "**-2", "LOG(-1)", "1/0", "A(99)", "DADT(1)=", "CALLFL=-2", "$SIZES", '"verbatim', "$MIX", "x" * 3000,
]  # fmt: skip


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    folder, data = tmp_path_factory.mktemp("streams"), wb.load_example("theophylline")
    models = [
        wb.Model(wb.pk(absorption="first-order"), VALUES, error=wb.Combined2(0.5, 0.1)),
        wb.Model(wb.pk(absorption="first-order", elimination="michaelis-menten"), SATURABLE, wb.Proportional(0.1)),
    ]
    return [wb.write_nonmem(model, folder / f"run{k}", data) for k, model in enumerate(models)]


def mutated(text, rng):
    lines = text.split("\n")
    k = rng.randrange(len(lines))
    at = rng.randrange(len(lines[k]) + 1)
    match rng.randrange(6):
        case 0:
            del lines[k]
        case 1:
            lines.insert(k, rng.choice(PIECES))
        case 2:
            lines[k] = lines[k][:at]
        case 3:
            lines[k] = lines[k][:at] + rng.choice(PIECES) + lines[k][at:]
        case 4:
            other = rng.randrange(len(lines))
            lines[k], lines[other] = lines[other], lines[k]
        case _:
            lines[k] = re.sub("1", rng.choice(["0", "-1", "1e30", ""]), lines[k])
    return "\n".join(lines)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_mutated_stream_is_read_or_refused(streams, seed):
    rng = random.Random(seed)
    source = rng.choice(streams)
    text = source.read_text()
    for _ in range(rng.choice([1, 1, 2, 4])):
        text = mutated(text, rng)
    file = source.with_name("mutated.mod")
    file.write_text(text, encoding="utf-8")
    try:
        run = wb.read_nonmem(file)
    except wb.WorkbenchError as error:
        assert str(error)
    else:
        assert eval(repr(run.model), {"wb": wb}) == run.model


def test_data_under_a_name_that_no_file_can_have(streams):
    text = re.sub(r"(?m)^\$DATA \S+", "$DATA " + "x" * 3000, streams[0].read_text())
    file = streams[0].with_name("long.mod")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(wb.FileError, match="names no file"):
        wb.read_nonmem(file)
