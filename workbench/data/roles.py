"""Which column plays which part: guessed from names and content, or stated."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.censoring import flags, reported
from workbench.data.clock import holds_clocks, holds_days, holds_hours_of_day, restarts
from workbench.data.names import (
    AMOUNT_UNIT,
    BESIDE_RESPONSE,
    BESIDE_TIME,
    BOOKKEEPING,
    GROWN,
    OF_DAY,
    REMARKS,
    RESPONSE_UNIT,
    SYNONYMS,
    TIME_UNIT,
    UNSURE,
    WEAK_LABELS,
    bare,
    plain,
)
from workbench.errors import Fault

LISTS = ("covariates", "ignore")
DOSING = ("rate", "duration", "additional", "interval", "steady_state", "compartment")


def resolve(
    frame: pd.DataFrame, stated: Mapping[str, Any] | None, unnamed: tuple[str, ...] = (), limit_known: bool = False
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
    limit_known : bool
        Whether a limit of quantification is stated besides, so that flags without one count.

    Returns
    -------
    roles : dict
        Role to column, for the roles that have one; "covariates" and "ignore" to tuples.
    faults : list of Fault
    """
    roles, lists, absent, faults = _stated(frame, stated or {})
    taken = {*roles.values(), *lists.get("ignore", ()), *unnamed}
    guesses = _guess(frame, {role for role in SYNONYMS if role in roles or role in absent}, taken, roles, limit_known)
    if "covariates" in lists:
        guesses = {role: column for role, column in guesses.items() if column not in lists["covariates"]}
    roles = {role: ({**guesses, **roles})[role] for role in SYNONYMS if role in guesses or role in roles}
    faults += _absent(frame, roles, absent, stated or {})
    used = set(roles.values())
    ignore = tuple(dict.fromkeys([*lists.get("ignore", ()), *(c for c in unnamed if c not in used)]))
    rest = tuple(c for c in frame.columns if c not in used and c not in ignore)
    ignore += tuple(c for c in rest if _no_covariate(frame[c], c, roles))
    rest = tuple(c for c in rest if c not in ignore)
    covariates = lists.get("covariates", rest)
    ignore += tuple(c for c in rest if c not in covariates and c not in ignore)
    return {**roles, "covariates": covariates, "ignore": ignore}, faults


def role_of(roles: Mapping[str, Any], column: str) -> str:
    """The role of a column; "ignore" where it has none."""
    lists = {key for key in LISTS if column in roles.get(key, ())}
    return next((r for r in SYNONYMS if roles.get(r) == column), lists.pop() if lists else "ignore")


def restated(
    frame: pd.DataFrame,
    stated: Mapping[str, Any],
    column: str,
    role: str,
    unnamed: tuple[str, ...] = (),
    limit_known: bool = False,
) -> dict[str, Any]:
    """What is stated once a column is given another role; whatever is not stated is guessed anew.

    A column that had the role takes the one that this column had, where that was one of the single roles.
    """

    def resolved(statement: Mapping[str, Any]) -> dict[str, Any]:
        return resolve(frame, statement, unnamed, limit_known)[0]

    before = resolved(stated)
    was, other = role_of(before, column), before.get(role) if role in SYNONYMS else None
    made = {r: v for r, v in stated.items() if r in LISTS or v != column}
    made |= {key: tuple(c for c in made[key] if c != column) for key in LISTS if key in made}
    if role in SYNONYMS:
        made[role] = column
        if other is not None and was in SYNONYMS:
            made[was] = other
    elif role == "ignore":
        made["ignore"] = (*made.get("ignore", ()), column)
    else:
        if was in SYNONYMS:
            made[was] = None
        covariates = resolved(made)["covariates"]
        if column not in covariates:
            made["covariates"] = (*covariates, column)
    wanted = resolved(made)
    for key in list(made):
        less = {r: v for r, v in made.items() if r != key}
        if _same(resolved(less), wanted):
            made = less
    return made


def _same(roles: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(roles.get(r) == wanted.get(r) for r in SYNONYMS) and all(set(roles[k]) == set(wanted[k]) for k in LISTS)


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


def _no_covariate(values: pd.Series[Any], column: str, roles: Mapping[str, str]) -> bool:
    """Columns that number, label or repeat what others say: subjects again, other times, dates, remarks."""
    name = plain(column)
    if values.isna().all() or _DATES.fullmatch(str(values.dropna().iloc[0])):
        return True
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or name in BOOKKEEPING or name in REMARKS:
        return True
    if bare(column) in (*RESPONSE_UNIT, *AMOUNT_UNIT, *TIME_UNIT) and not pd.api.types.is_numeric_dtype(values.dtype):
        return True
    for role in ("censor", "limit"):
        if role in roles and name in SYNONYMS[role]:
            return True
    if "response" in roles and name in SYNONYMS["response_id"] and name not in WEAK_LABELS and values.nunique() < 2:
        return True
    again = name in SYNONYMS["subject"] and name not in UNSURE and "subject" in roles
    other_time = "time" in roles and (name in BESIDE_TIME or (name in SYNONYMS["date"] and name not in ("day", "tag")))
    return again or other_time or ("response" in roles and name in BESIDE_RESPONSE)


def _guess(
    frame: pd.DataFrame, closed: set[str], taken: set[str], stated: Mapping[str, str], limit_known: bool
) -> dict[str, str]:
    names: dict[str, str] = {}
    for column in frame.columns:
        if column not in taken:
            names.setdefault(plain(column), column)

    dosed = bool({"amount", "dose", "evid"} & stated.keys() or {*SYNONYMS["amount"], "evid"} & names.keys())

    def find(role: str) -> str | None:
        for synonym in SYNONYMS[role]:
            column = None if dosed and (synonym == "age" or synonym in GROWN) else names.get(synonym)
            if column is not None and column not in found.values() and _plausible(role, synonym, frame[column]):
                return column
        return None

    found: dict[str, str] = {}
    for role in ("subject", "time", "response", "evid", "mdv", "amount"):
        if role in closed or (role == "amount" and ("dose" in closed or "dose" in stated)):
            continue
        guess = find(role)
        if guess is None and role == "subject":
            guess = _finest_label(frame, [c for n, c in names.items() if n.endswith("id") and n not in _LABELS])
        if guess is None and role == "time":
            guess = next(
                (c for n, c in names.items() if n in _DAYS - {"day", "jour", "tag"} and _dated(frame[c])), None
            )
        if guess is not None:
            found[role] = guess
    if "time" not in stated and "date" not in closed:
        _join_clock(frame, found, [c for c in frame.columns if c not in taken], names)
    known = {**found, **stated}
    if "amount" in found and _given_once(frame, known):
        found["dose"] = found.pop("amount")
    has_doses = bool({"amount", "dose"} & known.keys())
    for role in ("date", *DOSING, "occasion", "censor", "limit", "response_id"):
        known = {**found, **stated}
        if role in closed or role in known or (role in DOSING and role != "compartment" and not has_doses):
            continue
        guess = find(role)
        if guess is None:
            continue
        if role == "date" and not _says_the_day(frame, known, guess):
            continue
        if role == "censor" and not (
            _says_limit(frame, guess, known, names) or (limit_known and flags(frame[guess]) is not None)
        ):
            continue
        if role == "limit" and not pd.api.types.is_numeric_dtype(frame[guess].dtype):
            continue
        if role == "response_id":
            guess = telling_label(frame, known, names)
        if guess is not None:
            found[role] = guess
    return found


def _join_clock(frame: pd.DataFrame, found: dict[str, str], columns: list[str], names: Mapping[str, str]) -> None:
    """Dates without a time of day and times of day in another column, whatever its name, belong together."""
    time = found.get("time")
    free = [c for c in columns if c not in found.values()]
    by_name = {names[n] for n in OF_DAY if n in names}
    clocks = [c for c in free if holds_clocks(frame[c]) or (c in by_name and holds_hours_of_day(frame[c]))]
    if time is not None and len(clocks) == 1 and holds_days(frame[time], plain(time) in ("day", "date", "tag")):
        found["time"], found["date"] = clocks[0], time
    elif time is not None and (holds_clocks(frame[time]) or time in by_name) and not names.keys() & _DAYS:
        days = [c for c in free if holds_days(frame[c]) and not _BORN.search(plain(c))]
        if len(days) == 1:
            found["date"] = days[0]


_DAYS = frozenset(SYNONYMS["date"])
_BORN = re.compile(r"birth|dob|born|geb|naiss|enrol|consent|random|screen")
_DATES = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?|\d{2}:\d{2}:\d{2}")
_LABELS = frozenset((*SYNONYMS["response_id"], *SYNONYMS["evid"], "studyid", "siteid", "projid"))


def _finest_label(frame: pd.DataFrame, columns: list[str]) -> str | None:
    """Of columns such as ChickID and BroodID, the one with the most labels that still repeat."""
    count = {column: frame[column].nunique() for column in columns}
    repeated = {column: n for column, n in count.items() if 1 < n <= len(frame) / 2 or 1 == n == len(columns)}
    return max(repeated, key=lambda column: repeated[column], default=None)


def _plausible(role: str, synonym: str, values: pd.Series[Any]) -> bool:
    """Names with other common meanings count only where the content fits."""
    numeric = pd.api.types.is_numeric_dtype(values.dtype)
    if role == "response" and not numeric:
        return synonym not in UNSURE or _mostly_numbers(values)
    if role in ("time", "date") and synonym in UNSURE:
        return numeric and len(values.unique()) > 1
    if role == "subject" and synonym in UNSURE:
        return len(values.unique()) > 1
    return bool(role not in ("time", "response", "amount") or values.notna().any())


def _mostly_numbers(values: pd.Series[Any]) -> bool:
    """Whether a column of text holds numbers, and words about limits, but for a few cells."""
    if not (pd.api.types.is_object_dtype(values.dtype) or isinstance(values.dtype, pd.StringDtype)):
        return False
    read = reported(values)
    numbers = np.isfinite(read.value) & (read.censored == 0)
    return bool(numbers.sum() > read.unread.sum())


def _says_limit(frame: pd.DataFrame, flag: str, roles: Mapping[str, str], names: Mapping[str, str]) -> bool:
    """A flag (BLQ) counts as censoring where the limit is known: from its column, or because DV holds it."""
    marks = flags(frame[flag])
    if marks is None or "response" not in roles:
        return False
    response = frame[roles["response"]]
    read = reported(response[marks != 0])
    limited = "limit" in roles or any(synonym in names for synonym in SYNONYMS["limit"])
    return limited or not len(read.value) or bool((np.nan_to_num(read.value) != 0).any())


def _dated(values: pd.Series[Any]) -> bool:
    return pd.api.types.is_datetime64_any_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(values.dtype)


def _says_the_day(frame: pd.DataFrame, roles: Mapping[str, str], column: str) -> bool:
    """A date counts beside clock times; beside plain numbers only where they start anew with it."""
    time = roles.get("time")
    if time is None or time == column or pd.api.types.is_datetime64_any_dtype(frame[time].dtype):
        return False
    if not pd.api.types.is_numeric_dtype(frame[time].dtype):
        return True
    subject = pd.factorize(frame[roles["subject"]])[0] if "subject" in roles else np.zeros(len(frame), dtype=np.int64)
    return restarts(frame[time], frame[column], subject)


def observed_rows(frame: pd.DataFrame, roles: Mapping[str, str]) -> NDArray[np.bool_]:
    """Rows that look like observations, before records are made of them."""
    rows = np.ones(len(frame), dtype=bool)
    for role in ("evid", "mdv"):
        if role in roles:
            rows &= ~(pd.to_numeric(frame[roles[role]], errors="coerce").fillna(0).to_numpy(dtype=float) > 0)
    if "response" in roles:
        rows &= frame[roles["response"]].notna().to_numpy()
    return rows


def tells_apart(frame: pd.DataFrame, roles: Mapping[str, str], column: str) -> bool:
    """Whether rows of a subject at the same time differ in a column, by labels that several subjects share."""
    rows = observed_rows(frame, roles) & frame[column].notna().to_numpy()
    subject = frame[roles["subject"]] if "subject" in roles else pd.Series(0, index=frame.index)
    key = pd.DataFrame({"s": subject.astype(object), "t": frame[roles["time"]].astype(object), "c": frame[column]})[
        rows
    ]
    if "date" in roles:
        key["d"] = frame[roles["date"]].astype(object)[rows]
    keys = [name for name in ("s", "t", "d") if name in key]
    twice = key.duplicated(keys, keep=False)
    if not twice.any() or key[twice].duplicated([*keys, "c"]).any():
        return False
    shared = key.groupby("c", observed=True, sort=False)["s"].nunique()
    return bool(len(shared) > 1 and ((shared > 1).all() or len(key["s"].unique()) == 1) and len(shared) <= 12)


def _scales_differ(frame: pd.DataFrame, roles: Mapping[str, str], column: str) -> bool:
    """Whether the response lies on another scale by the labels of a column, which change within most subjects."""
    rows = observed_rows(frame, roles) & frame[column].notna().to_numpy()
    subject = frame[roles["subject"]] if "subject" in roles else pd.Series(0, index=frame.index)
    table = pd.DataFrame({"s": pd.factorize(subject)[0], "c": pd.factorize(frame[column])[0],
                          "y": pd.to_numeric(frame[roles["response"]], errors="coerce")})[rows].dropna()  # fmt: skip
    if not len(table) or (table.drop_duplicates(["s", "c"]).groupby("s").size() > 1).mean() < 0.5:
        return False
    middle = table[table["y"] > 0].groupby("c")["y"].median()
    return bool(len(middle) > 1 and middle.max() > 3 * middle.min())


def telling_label(frame: pd.DataFrame, roles: Mapping[str, str], names: Mapping[str, str]) -> str | None:
    """The column that labels several responses: by its name, or by its name and what the rows show."""
    used = set(roles.values())
    for synonym in SYNONYMS["response_id"]:
        column = names.get(synonym)
        if column is None or column in used:
            continue
        seen = frame[column][observed_rows(frame, roles)]
        several = 2 <= seen.nunique() <= 12
        if synonym in ("dvid", "ytype") or (several and synonym not in WEAK_LABELS):
            return column
        if several and "time" in roles and (tells_apart(frame, roles, column) or _scales_differ(frame, roles, column)):
            return column
    return None


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
