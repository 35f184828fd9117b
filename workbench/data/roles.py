"""Which column plays which part: guessed from names and content, or stated."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import Fault

SYNONYMS: dict[str, tuple[str, ...]] = {
    "subject": ("id", "subj", "subject", "subjectid", "subjid", "usubjid", "patient", "patientid", "individual",
                "animal", "animalid", "rat", "tree", "plant", "plot", "seed"),
    "time": ("time", "datetime", "clocktime", "t", "hours", "hour", "days", "weeks", "tafd", "tad", "age"),
    "date": ("date", "day", "dat1", "dat2", "dat3"),
    "response": ("dv", "conc", "concentration", "response", "y", "cp", "cobs", "obs", "observation", "value"),
    "amount": ("amt", "amount", "dose"),
    "dose": ("dose", "amt", "amount"),
    "dose_time": (),
    "evid": ("evid",),
    "mdv": ("mdv",),
    "compartment": ("cmt", "compartment", "adm"),
    "rate": ("rate", "infusionrate"),
    "duration": ("dur", "duration", "tinf"),
    "additional": ("addl",),
    "interval": ("ii", "tau", "interval"),
    "steady_state": ("ss",),
    "occasion": ("occ", "occasion"),
    "censor": ("cens", "censor", "censored", "blq", "bloq", "bql"),
    "limit": ("limit", "lloq", "loq"),
    "response_id": ("dvid", "ytype", "dvname"),
}  # fmt: skip
"""The single-column roles, with the names (lower case, letters and digits only) by which a column is recognised."""

LISTS = ("covariates", "ignore")
DOSING = ("rate", "duration", "additional", "interval", "steady_state", "compartment")
_OPTIONAL_NAMES = {"age", "day", "days", "weeks", "tad", "tafd", "t", "y", "value", "obs"}


def plain(name: str) -> str:
    """A column name without unit in brackets, case, or punctuation: "Time [h]" and "time" are alike."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"[\[(].*[\])]\s*$", "", name).lower())


def resolve(
    frame: pd.DataFrame, stated: Mapping[str, Any] | None, unnamed: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[Fault]]:
    """The roles of the columns: those stated, the rest guessed.

    Parameters
    ----------
    frame : DataFrame
    stated : mapping, optional
        Role to column; None as the column means that there is no such column. "covariates" and "ignore" take
        several columns.
    unnamed : tuple of str
        Columns that are ignored unless stated.

    Returns
    -------
    roles : dict
        Role to column, for the roles that have one; "covariates" and "ignore" to tuples.
    faults : list of Fault
    """
    roles, lists, absent, faults = _stated(frame, stated or {})
    taken = {*roles.values(), *lists.get("ignore", ()), *unnamed}
    guesses = _guess(frame, {role for role in SYNONYMS if role in roles or role in absent}, taken, roles)
    if "covariates" in lists:
        guesses = {role: column for role, column in guesses.items() if column not in lists["covariates"]}
    roles = {role: ({**guesses, **roles})[role] for role in SYNONYMS if role in guesses or role in roles}
    faults += _absent(frame, roles, absent, stated or {})
    used = set(roles.values())
    ignore = tuple(dict.fromkeys([*lists.get("ignore", ()), *(c for c in unnamed if c not in used)]))
    rest = tuple(c for c in frame.columns if c not in used and c not in ignore)
    ignore += tuple(c for c in rest if plain(c) in SYNONYMS["subject"][:8] and "subject" in roles)
    rest = tuple(c for c in rest if c not in ignore)
    covariates = lists.get("covariates", rest)
    ignore += tuple(c for c in rest if c not in covariates and c not in ignore)
    return {**roles, "covariates": covariates, "ignore": ignore}, faults


def _stated(
    frame: pd.DataFrame, stated: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, tuple[str, ...]], set[str], list[Fault]]:
    roles: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    absent: set[str] = set()
    faults: list[Fault] = []
    allowed = [*SYNONYMS, *LISTS]
    for role, column in stated.items():
        if role not in allowed:
            faults.append(Fault(f"roles names {role!r}; allowed: {', '.join(allowed)}", mend=_nearest(role, allowed)))
        elif column is None or (role in LISTS and not len(column)):
            absent.add(role)
            if role in LISTS:
                lists[role] = ()
        elif role in LISTS:
            names = (column,) if isinstance(column, str) else tuple(map(str, column))
            faults += [_no_column(frame, role, name) for name in names if name not in frame.columns]
            lists[role] = tuple(dict.fromkeys(name for name in names if name in frame.columns))
        elif str(column) not in frame.columns:
            faults.append(_no_column(frame, role, str(column)))
            absent.add(role)
        elif str(column) in roles.values():
            other = next(r for r, c in roles.items() if c == str(column))
            message = f"is given two roles, {other} and {role}"
            faults.append(Fault(message, None, str(column), mend="one role per column"))
        else:
            roles[role] = str(column)
    if "amount" in roles and "dose" in roles:
        message = f"roles names both amount ({roles['amount']!r}) and dose ({roles['dose']!r})"
        mend = "amount: doses on rows of their own; dose: one dose per subject beside the rest"
        faults.append(Fault(message, mend=mend))
    return roles, lists, absent, faults


def _no_column(frame: pd.DataFrame, role: str, column: str) -> Fault:
    have = ", ".join(map(repr, frame.columns))
    return Fault(f"there is no such column for the role {role}; there are {have}", None, column,
                 mend=_nearest(column, list(frame.columns)))  # fmt: skip


def _nearest(name: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(name, allowed, n=1) or [a for a in allowed if plain(a) == plain(name)]
    return f"did you mean {close[0]!r}?" if close else ""


def _absent(frame: pd.DataFrame, roles: Mapping[str, str], absent: set[str], stated: Mapping[str, Any]) -> list[Fault]:
    """Subject, time and response are needed, or it must be said that there is none."""
    faults = []
    for role, expected in (("subject", "ID, SUBJ, USUBJID"), ("time", "TIME"), ("response", "DV, CONC")):
        if role in roles or role in absent:
            continue
        have = ", ".join(map(repr, frame.columns))
        mends = {
            "subject": 'name it with roles={"subject": …}; roles={"subject": None} takes all rows as one subject',
            "time": 'name it with roles={"time": …}',
            "response": 'name it with roles={"response": …}; roles={"response": None} if nothing was observed',
        }
        faults.append(
            Fault(f"no {role} column ({expected} or the like) among {have}", None, expected.split(",", maxsplit=1)[0],
                  mend=mends[role])
        )  # fmt: skip
    if "time" in stated and stated["time"] is None:
        faults.append(Fault("a time column is needed", mend='name it with roles={"time": …}'))
    return faults


def _guess(frame: pd.DataFrame, closed: set[str], taken: set[str], stated: Mapping[str, str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for column in frame.columns:
        if column not in taken:
            names.setdefault(plain(column), column)

    dosed = bool({"amount", "dose", "evid"} & stated.keys() or {"amt", "amount", "dose", "evid"} & names.keys())

    def find(role: str) -> str | None:
        for synonym in SYNONYMS[role]:
            column = None if synonym == "age" and dosed else names.get(synonym)
            if column is not None and column not in found.values() and _plausible(role, synonym, frame[column]):
                return column
        return None

    found: dict[str, str] = {}
    for role in ("subject", "time", "response", "evid", "mdv", "amount"):
        if role in closed or (role == "amount" and ("dose" in closed or "dose" in stated)):
            continue
        guess = find(role)
        if guess is not None:
            found[role] = guess
    known = {**found, **stated}
    if "amount" in found and _given_once(frame, known):
        found["dose"] = found.pop("amount")
    has_doses = bool({"amount", "dose"} & known.keys())
    for role in ("date", *DOSING, "occasion", "censor", "limit", "response_id"):
        known = {**found, **stated}
        skip = (
            role in closed
            or (role in DOSING and not has_doses)
            or (role == "limit" and "censor" not in known)
            or (role == "date" and _all_numbers(frame, known.get("time")))
        )
        guess = None if skip else find(role)
        if guess is not None and (role != "censor" or _says_limit(frame, guess, known, names)):
            found[role] = guess
    return found


def _plausible(role: str, synonym: str, values: pd.Series[Any]) -> bool:
    """Names with other common meanings count only where the content fits."""
    if role == "response" and not pd.api.types.is_numeric_dtype(values.dtype):
        return synonym not in _OPTIONAL_NAMES
    if role == "time" and synonym in _OPTIONAL_NAMES:
        return pd.api.types.is_numeric_dtype(values.dtype) and len(values.unique()) > 1
    return True


def _says_limit(frame: pd.DataFrame, flag: str, roles: Mapping[str, str], names: Mapping[str, str]) -> bool:
    """A flag (BLQ) counts as censoring where the limit is known: from its column, or because DV holds it."""
    values = pd.to_numeric(frame[flag], errors="coerce")
    if not set(values.dropna().unique()) <= {0, 1, -1} or "response" not in roles:
        return False
    flagged = pd.to_numeric(frame[roles["response"]], errors="coerce")[values.isin([1, -1])]
    limited = "limit" in roles or any(synonym in names for synonym in SYNONYMS["limit"])
    return limited or not flagged.size or bool((flagged.fillna(0) != 0).any())


def _all_numbers(frame: pd.DataFrame, column: str | None) -> bool:
    """NONMEM's DATE counts only beside clock times; beside plain numbers it is left alone."""
    return column is not None and pd.api.types.is_numeric_dtype(frame[column].dtype)


def _given_once(frame: pd.DataFrame, roles: Mapping[str, str]) -> bool:
    """Whether the amount is repeated beside the observations: one dose per subject, as in R's Theoph."""
    if "evid" in roles or "mdv" in roles or "response" not in roles:
        return False
    amount = pd.to_numeric(frame[roles["amount"]], errors="coerce")
    observed = pd.to_numeric(frame[roles["response"]], errors="coerce").notna().to_numpy()
    if not observed.any() or not (amount.to_numpy()[observed] > 0).all():
        return False
    if "subject" not in roles:
        return len(amount.dropna().unique()) == 1
    spread = amount.groupby(frame[roles["subject"]].astype(object), sort=False).agg(["min", "max"])
    return bool(np.array_equal(spread["min"], spread["max"], equal_nan=True))
