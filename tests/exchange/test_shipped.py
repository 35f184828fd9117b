"""Every control stream that pharmpy-core ships: read and proven, or refused by line, as the documentation says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import workbench as wb

from .by_hand import Stream

pharmpy = pytest.importorskip("pharmpy")

SHIPPED = Path(pharmpy.__path__[0]) / "internals" / "example_models"
IDS = ("110", "112")
PAGE = Path(__file__).resolve().parents[2] / "notebooks" / "site" / "pages" / "exchange.md"


def said_of(path):
    """The row of the table."""
    try:
        run = wb.read_nonmem(path)
    except wb.ModelError as error:
        lines = [line.strip(" -") for line in str(error).splitlines()[1:]]
        return "refused: " + "; ".join(line.rpartition(": ")[0] for line in lines)
    if run.published is None:
        return "read; its run is not shipped, so its objective is compared with one that is worked out by other means"
    assert run.published.agrees
    return run.said.removeprefix(f"{path.name} ").removesuffix(".")


def test_the_table_of_the_documentation_is_true():
    rows = dict(re.findall(r"^\| `([\w.]+\.mod)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    streams = sorted(SHIPPED.rglob("*.mod"))
    assert len(streams) >= 3
    assert rows == {path.name: said_of(path) for path in streams}


def test_the_estimates_of_a_list_file_prove_as_well(tmp_path):
    for name in ("pheno.mod", "pheno.dta", "pheno.lst"):
        shutil.copy(SHIPPED / name, tmp_path)
    run = wb.read_nonmem(tmp_path / "pheno.mod")
    # estimates of three digits: the stream has more of them, so that the objective is the printed one
    assert run.published.agrees and run.published.source == "pheno.lst"
    assert run.published.computed == pytest.approx(586.276, abs=2e-3)
    text = (tmp_path / "pheno.mod").read_text()
    (tmp_path / "pheno.mod").write_text(text.replace("0.00469307", "0.005"))
    run = wb.read_nonmem(tmp_path / "pheno.mod")
    assert run.published.agrees and "three digits leave" in run.said and "586.276" in run.said
    (tmp_path / "pheno.mod").write_text(text.replace("APGR.LT.5", "APGR.LT.4"))
    assert not wb.read_nonmem(tmp_path / "pheno.mod").published.agrees


@pytest.mark.slow
def test_moxonidine_is_what_its_code_says(tmp_path):
    """Occasions by indicators, a lag, a block: the objective of some subjects, worked out record by record."""
    text = (SHIPPED / "moxo.mod").read_text()
    lines = (SHIPPED / "moxo.csv").read_text().splitlines()
    assert set(IDS) <= {line.split(",")[0] for line in lines}
    few = [line for line in lines if not line[:1].isdigit() or line.split(",")[0] in IDS]
    (tmp_path / "moxo.csv").write_text("\n".join(few) + "\n")
    (tmp_path / "moxo.mod").write_text(text)
    run = wb.read_nonmem(tmp_path / "moxo.mod")
    assert run.method == "foce" and len(run.data.subjects) == 2
    import pandas as pd

    names = ["ID", "VISI", "AGE", "SEX", "WT", "COMP", "TIME", "CRCL", "AMT", "SS", "II", "CMT", "DV", "EVID"]
    data = pd.read_csv(tmp_path / "moxo.csv", header=None, names=names, skiprows=1).drop(columns="CMT").astype(float)
    omega = np.zeros((7, 7))
    omega[:2, :2] = [[0.0751115, 0.0259926], [0.0259926, 0.144646]]
    for at, value in zip(range(2, 7), (2.78268, 0.0234871, 0.0234871, 0.51776, 0.51776), strict=True):
        omega[at, at] = value
    hand = Stream(text, data, [23.1329, 123.604, 8.02595, 0.237773], omega, [[0.0764969]])
    expected = hand.first_order()
    # derivatives by hand are differences
    assert wb.objective(run.model, run.data, "fo") == pytest.approx(expected, abs=1e-4 * abs(expected))
