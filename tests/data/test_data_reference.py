"""The reference files: each imports with the counts of its source, or is refused for a stated reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.data import read_data
from workbench.errors import DataError

from ..reference.material import PUBLISHED

# file: subjects, observations (the numbers of SOURCES.md, for the Bolus, Infusion and Oral sets those of the file)
COUNTS = {
    "bauer402": (30, 360), "bauer501": (60, 240), "bauer_ad3tr4_blq": (100, 500), "bauer_pmixture": (300, 2400),
    "bauer_r2comp_tmdd": (50, 1568), "bauer_superid30_iov": (200, 6000), "bauer_wexample10_pk_binary": (288, 4320),
    "bolus_2cpt": (120, 6960), "expo1_pk": (160, 3210), "indometh": (6, 66), "monolix_parent_metabolite": (80, 2720),
    "monolix_pheno": (59, 155), "monolix_theophylline": (12, 120), "monolix_warfarin": (32, 479), "mox_log": (73, 1006),
    "mox_log74": (74, 1022), "mox_normal": (73, 1006), "moxo_resmod": (73, 1006), "nlmixr_Bolus_1CPT": (120, 6951),
    "nlmixr_Bolus_1CPTMM": (120, 6950), "nlmixr_Bolus_2CPT": (120, 6960), "nlmixr_Bolus_2CPTMM": (120, 6960),
    "nlmixr_Infusion_1CPT": (120, 6953), "nlmixr_Infusion_1CPTMM": (120, 6955), "nlmixr_Infusion_2CPT": (120, 6960),
    "nlmixr_Infusion_2CPTMM": (120, 6960), "nlmixr_Oral_1CPT": (120, 6947), "nlmixr_Oral_1CPTMM": (120, 6959),
    "nlmixr_Oral_2CPT": (120, 6960), "nlmixr_Oral_2CPTMM": (120, 6960), "nlmixr_Wang2007": (10, 20),
    "nlmixr_mavoglurant": (120, 2480), "nlmixr_nimoData": (12, 321), "nlmixr_pheno_sd": (59, 155),
    "nlmixr_pump": (10, 10),
    "nlmixr_theo_md": (12, 264), "nlmixr_theo_sd": (12, 132), "nlmixr_warfarin": (32, 483), "nlmixr_wbcSim": (45, 176),
    "pheno": (59, 155), "pheno5": (5, 14), "pheno_bab": (59, 155), "pheno_frem": (59, 273), "quinidine": (136, 361),
    "remifentanil": (65, 1992), "remifentanil_raw": (65, 1992), "theo_dose320": (12, 132), "theo_sd_qual": (12, 132),
    "theoph_R": (12, 132), "wang2007": (10, 20), "warfarin_pk_nonmem": (32, 251), "warfarin_pkpd": (32, 483),
    "wbc_friberg": (45, 176), "xpose_mx19": (74, 476),
}  # fmt: skip

# file: the reason, the roles that answer it, subjects, observations
REFUSED: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "nlmixr_invgaussian": ("no subject column", {"subject": None}, 1, 14),
    "nlmixr_metabolite": ("no subject column", {"subject": None, "response": "y1"}, 1, 10),
    "nlmixr_nmtest": ("no response column", {"response": None}, 54, 0),
    "nlmixr_rats": ("no time column", {"time": "m", "response": "x"}, 32, 32),
    "nmtests_dosing_1001": ("no response column", {"response": "NONMEM_CP"}, 26, 3406),
    "nmtests_timevarying_2001": ("no response column", {"response": None}, 1, 0),
}


def test_every_file_is_accounted_for(reference: Path) -> None:
    assert {path.stem for path in (reference / "data").glob("*.csv")} <= COUNTS.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", COUNTS)
def test_counts_and_responses(reference: Path, name: str) -> None:
    path = reference / "data" / f"{name}.csv"
    data = read_data(path)
    events = data.events
    assert len(events.subjects) == COUNTS[name][0]
    kept = events.observed
    if name == "nlmixr_mavoglurant":  # its source counts 53 records that MDV takes out of the likelihood
        assert int(kept.sum()) == 2427
        kept = events.kind == 0
    assert int(kept.sum()) == COUNTS[name][1]
    plain = pd.read_csv(path)
    column = data.roles["response"]
    expected = plain[column].to_numpy(dtype=float)[events.row]
    left = events.observed & (events.censored == 0)
    np.testing.assert_array_equal(events.dv[left], expected[left])
    assert not (data.check()["severity"] == "error").any()


@pytest.mark.parametrize("name", REFUSED)
def test_reasons_and_answers(reference: Path, name: str) -> None:
    reason, roles, subjects, observations = REFUSED[name]
    path = reference / "data" / f"{name}.csv"
    with pytest.raises(DataError, match=reason):
        read_data(path)
    events = read_data(path, roles=roles).events
    assert (len(events.subjects), int(events.observed.sum())) == (subjects, observations)


def test_counts_of_the_cases(reference: Path) -> None:
    filters = {
        "bolus_2cpt": "SD == 1", "expo1_pk": "BLQ == 0", "monolix_warfarin": "AMT > 0 or DVID == 1",
    }  # fmt: skip
    for path in sorted(PUBLISHED.glob("*.json")):
        case = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(case, dict) or not case.get("n_subjects") or not isinstance(case.get("data"), str):
            continue
        file = reference / "data" / case["data"]
        roles = {"response": "NONMEM_CP"} if file.stem == "nmtests_dosing_1001" else None
        data = read_data(file, roles=roles)
        if file.stem in filters:
            data = data.filter(filters[file.stem])
        events = data.events
        assert (len(events.subjects), int(events.observed.sum())) == (case["n_subjects"], case["n_observations"]), (
            path.stem
        )


def test_layouts_of_one_study_agree(reference: Path) -> None:
    """R's wide table, nlmixr's EVID 101 and NONMEM's layout of theophylline are the same records."""
    nonmem = read_data(reference / "data" / "theoph_R.csv").events
    codes = read_data(reference / "data" / "nlmixr_theo_sd.csv").events
    np.testing.assert_array_equal(nonmem.time, codes.time)
    np.testing.assert_array_equal(nonmem.kind, codes.kind)
    np.testing.assert_array_equal(nonmem.dv, codes.dv)
    assert codes.compartment[codes.is_dose].tolist() == [1] * 12


def test_infusions_switched_on_and_off(reference: Path) -> None:
    """RxODE's EVID 10101 pairs come out as the infusions that the same study states by RATE."""
    data = read_data(reference / "data" / "nlmixr_wbcSim.csv")
    doses = data.doses
    assert len(doses) == 52
    assert doses["RATE"].iloc[0] == pytest.approx(137)
    assert doses["AMT"].iloc[0] == pytest.approx(137 * 2.992701, rel=1e-6)


def test_missing_code_for_steady_state(reference: Path) -> None:
    data = read_data(reference / "data" / "bolus_2cpt.csv")
    doses = data.events.is_dose
    assert set(data.events.steady_state[doses]) == {0, 1}
    assert len(data.check().loc["steady state code", "rows"]) == 840


def test_times_that_start_anew_with_an_occasion(reference: Path) -> None:
    events = read_data(reference / "data" / "nlmixr_mavoglurant.csv").events
    assert int((events.kind == 4).sum()) == 78
    iov = read_data(reference / "data" / "bauer_superid30_iov.csv").events
    assert len(set(iov.occasion)) == 3 and int((iov.kind == 4).sum()) == 400
