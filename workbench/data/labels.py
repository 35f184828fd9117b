"""Labels instead of numbers: compartments by name, responses told apart by compartment, doses among the responses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from workbench.data.cells import Bools, plain_label
from workbench.data.checks.mending import moved
from workbench.data.names import SYNONYMS, plain
from workbench.data.roles import observed_rows, telling_label
from workbench.findings import Finding

Settled = tuple[pd.DataFrame, dict[str, Any], list[Finding]]

_DOSE = re.compile(r"(dos(e|es|is|ing)|amt|amount|administration|exdose|drugadmin)", re.IGNORECASE)
_DEPOT = re.compile(r"depot|absorption|abs|gut|oral|po|ka|sc|im", re.IGNORECASE)
_CENTRAL = re.compile(r"central|cent|plasma|blood|serum|iv|c|cc|cp", re.IGNORECASE)


def without_copies(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Leave out records that CDISC's DTYPE calls copies of others."""
    column = next((c for c in frame.columns if str(c).upper() == "DTYPE"), None)
    if column is None:
        return frame, []
    copies = frame[column].astype(str).str.contains("COPY").to_numpy(dtype=bool)
    if not copies.any() or copies.all():
        return frame, []
    rows = tuple(map(plain_label, frame.index[copies]))
    message = f"{len(rows)} rows left out: copies of other records, as DTYPE says"
    return frame[~copies], [Finding("warning", message, column, "rows left out", rows)]


def of_two_domains(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """One time for rows of SDTM's EX and PC that stand below each other, and a word on doses that go on."""
    remarks: list[Finding] = []
    if {"EXDOSFRQ", "EXSTDTC", "EXENDTC"} <= set(frame.columns):
        begin, end = frame["EXSTDTC"].astype(str).str[:10], frame["EXENDTC"].astype(str).str[:10]
        lasting = (frame["EXENDTC"].notna() & frame["EXSTDTC"].notna() & (end > begin)).to_numpy(dtype=bool)
        often = lasting & frame["EXDOSFRQ"].notna().to_numpy() & (frame["EXDOSFRQ"] != "ONCE").to_numpy()
        if often.any():
            shown = frame["EXDOSFRQ"][often].iloc[0]
            message = f"{int(often.sum())} rows of doses go on until EXENDTC ({shown}): only the first of each is read"
            remarks.append(_remark("doses that go on", message, frame, often))
    if {"PCDTC", "EXSTDTC"} <= set(frame.columns) and "DTC" not in frame.columns:
        dosing = (frame["PCDTC"].isna() & frame["EXSTDTC"].notna()).to_numpy(dtype=bool)
        if dosing.any() and not dosing.all():
            frame = frame.assign(DTC=frame["PCDTC"].where(~dosing, frame["EXSTDTC"]))
            count = f"{int(dosing.sum())} doses of EX and {int((~dosing).sum())} samples of PC"
            message = f"{count}: times from EXSTDTC and PCDTC"
            remarks.append(_remark("two domains", message, frame, np.zeros(len(frame), dtype=bool)))
    return frame, remarks


def dose_rows(frame: pd.DataFrame, roles: Mapping[str, Any]) -> Settled:
    """Doses that stand among the responses under a label such as PARAMCD = DOSE become amounts."""
    made, response = dict(roles), roles.get("response")
    if response is None or {"evid", "amount"} & made.keys() or not pd.api.types.is_numeric_dtype(frame[response].dtype):
        return frame, made, []
    labels = [made.get("response_id"), *(c for c in frame.columns if plain(c) in SYNONYMS["response_id"])]
    for column in dict.fromkeys(filter(None, labels)):
        text = frame[column].astype(str).str.strip()
        rows = text.str.fullmatch(_DOSE).to_numpy(dtype=bool)
        if not rows.any() or rows.all():
            continue
        name = _new(frame, "AMT")
        amount = frame[response].where(rows)
        frame = frame.assign(**{name: amount, response: frame[response].mask(rows)})
        made.pop("dose", None)
        made = moved(made, name, "amount")
        if text[~rows].nunique() < 2 and made.get("response_id") == column:
            made = moved(made, column, "ignore")
            names = {plain(c): c for c in (*made.get("covariates", ()), *made.get("ignore", ())) if c != column}
            label = telling_label(frame, made, names)
            made = moved(made, label, "response_id") if label is not None else made
        message = (
            f"{int(rows.sum())} rows whose {column} says {text[rows].iloc[0]!r} are doses, not values of {response}"
        )
        return frame, made, [_remark("doses among the responses", message, frame, rows)]
    return frame, made, []


def compartments(frame: pd.DataFrame, roles: Mapping[str, Any], stated: Mapping[str, Any]) -> Settled:
    """Compartments by name become numbers; observations in several compartments become several responses."""
    made = dict(roles)
    column = made.get("compartment")
    if column is None:
        return frame, made, []
    remarks: list[Finding] = []
    observed = observed_rows(frame, made)
    if "amount" in made and "evid" not in made:
        observed &= ~(pd.to_numeric(frame[made["amount"]], errors="coerce").fillna(0).to_numpy(dtype=float) > 0)
    values = frame[column]
    words = pd.to_numeric(values.astype(object), errors="coerce").isna().to_numpy() & values.notna().to_numpy()
    if words.any():
        numbers = _numbered(values, observed)
        if numbers is None:
            return frame, made, []
        shown = ", ".join(f"{label} {number}" for label, number in numbers.items())
        remarks.append(
            _remark("compartments by name", f"compartments by name: {shown} (0: the usual one)", frame, words)
        )
        text = values.astype(str).str.strip()
        name = _new(frame, "CMT number")
        found = text.map(numbers).where(values.notna())
        if len(set(text[observed & values.notna().to_numpy()])) > 1 and "response_id" not in made:
            label = _new(frame, "DVID")
            frame = frame.assign(**{label: values.where(observed)})
            made = moved(made, label, "response_id")
        frame = frame.assign(**{name: found.mask(observed, 0).astype(float)})
        made = moved(moved(made, column, "ignore"), name, "compartment")
        return frame, made, remarks
    several = [v for v in pd.unique(values[observed].dropna()) if v != 0]
    free = "response_id" not in made and "response_id" not in stated and "compartment" not in stated
    if len(several) > 1 and free:
        numbers_seen = sorted(map(plain_label, several))
        label = _new(frame, "DVID")
        first = numbers_seen[0]
        found = values.where(observed).mask(observed & values.fillna(0).eq(0).to_numpy(), first)
        frame = frame.assign(**{label: found})
        made = moved(made, label, "response_id")
        names = ", ".join(map(str, numbers_seen[:-1])) + f" and {numbers_seen[-1]}"
        message = f"observations in compartments {names} are taken as {len(numbers_seen)} responses"
        remark = _remark("responses by compartment", message, frame, observed & values.gt(first).to_numpy())
        remarks.append(Finding("warning", message, column, remark.name, remark.rows, (), "pool_responses"))
    return frame, made, remarks


def _numbered(values: pd.Series[Any], observed: Bools) -> dict[str, int] | None:
    """A number for each name of a compartment; None where a name is not known."""
    text = values.astype(str).str.strip()
    dosed = list(dict.fromkeys(text[~observed & values.notna().to_numpy()]))
    others = [label for label in dict.fromkeys(text[values.notna()]) if label not in dosed]
    depot = any(_DEPOT.fullmatch(label) for label in (*dosed, *others))
    numbers: dict[str, int] = {}
    for label in (*dosed, *others):
        if label.isdigit():
            numbers[label] = int(label)
        elif _DEPOT.fullmatch(label):
            numbers[label] = 1
        elif _CENTRAL.fullmatch(label):
            numbers[label] = 2 if depot else 1
        elif label in dosed and len(dosed) > 1:
            return None
        else:
            numbers[label] = 0
    if len(dosed) == 1:
        numbers[dosed[0]] = 0 if not depot or _DEPOT.fullmatch(dosed[0]) else numbers[dosed[0]]
    return numbers


def _remark(name: str, message: str, frame: pd.DataFrame, rows: Bools) -> Finding:
    return Finding(
        "warning", message, name=name, rows=tuple(map(plain_label, frame.index[np.asarray(rows, dtype=bool)]))
    )


def _new(frame: pd.DataFrame, name: str) -> str:
    while name in frame.columns:
        name += "'"
    return name
