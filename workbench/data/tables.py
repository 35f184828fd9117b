"""Tables about a data set: subjects, records, covariates, the notebook view, the NONMEM file."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.cells import plain_label
from workbench.data.content import Content
from workbench.data.names import bare
from workbench.markup import cell, joined, plain_table, tag

_DOSE_COLUMNS = {"amount": "AMT", "rate": "RATE", "duration": "DUR", "additional": "ADDL", "interval": "II",
                 "steady_state": "SS", "compartment": "CMT"}  # fmt: skip


def varying_rows(values: pd.Series[Any], subject: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows whose value differs from the first value of their subject."""
    codes = pd.factorize(values)[0]
    known = (codes >= 0) & (subject >= 0)
    order = np.argsort(subject[known], kind="stable")
    codes, who = codes[known][order], subject[known][order]
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    first = np.repeat(codes[starts], np.diff(np.append(starts, len(codes))))
    found = np.zeros(len(values), dtype=bool)
    found[np.flatnonzero(known)[order[codes != first]]] = True
    return found


def varying_subjects(data: Content, name: str) -> list[Any]:
    """Labels of the subjects in which a covariate changes."""
    rows = varying_rows(data.frame[name], data.subject_codes)
    return [data.events.subjects[i] for i in np.unique(data.subject_codes[rows])]


_CODED = re.compile(
    r"(race|sex|gender|ethnic(ity)?|study?|studyid|site|siteid|cent(er|re)|geno(type)?|pheno(type)?|form(ulation)?|route"
    r"|trt|treat(ment)?|arm|cohort|group|grp|dosegr(ou)?p|region|country|hospital|clinic|lab|batch|period|sequence|cyp\w*"
    r"|smok(er|ing|e)?|diet|fed|food|stratum|block)(n|id|no|nr|cd|code|bl)?"
)


_QUANTITY = re.compile(
    r"(wt|wgt|weight|bw|bwt|bodyweight|lbw|lbm|ffm|ibw|ht|hgt|height|age|ages|pma|pna|ga|bmi|bsa|cr|scr|crcl|clcr|creat"
    r"|creatinine|egfr|gfr|alb|albumin|alt|ast|bili|bilirubin|dose|hct|hgb)(kg|cm|mg|yr|years)?"
)


def is_categorical(values: pd.Series[Any]) -> bool:
    """Text and truth values are; so are few small whole numbers (0/1, 1…5), and codes of what is named like a category.

    Examples
    --------
    >>> is_categorical(pd.Series([101, 102, 103], name="STUDY")), is_categorical(pd.Series([101, 102, 103], name="WT"))
    (True, False)
    """
    if pd.api.types.is_bool_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(values.dtype):
        return True
    numbers = np.asarray(values.dropna().unique(), dtype=float)
    if not len(numbers) or not np.isfinite(numbers).all() or not (numbers % 1 == 0).all():
        return False
    if isinstance(values.name, str) and len(numbers) <= 50 and _CODED.fullmatch(bare(values.name)):
        return True
    if isinstance(values.name, str) and _QUANTITY.fullmatch(bare(values.name)):
        return False
    return bool(len(numbers) <= 6 and (np.abs(numbers) <= 9).all())


def covariate_table(data: Content) -> pd.DataFrame:
    """Per covariate: kind, levels, distinct values, subjects in which it varies, missing rows."""
    subject = data.subject_codes
    rows = []
    for name in data.covariate_names:
        values = data.frame[name]
        categorical = is_categorical(values)
        found = values.dropna().unique()
        rows.append(
            {
                "kind": "categorical" if categorical else "continuous",
                "varying": len(np.unique(subject[varying_rows(values, subject)])),
                "missing": int(values.isna().sum()),
                "distinct": len(found),
                "levels": _sorted_levels(found) if categorical and len(found) <= 50 else (),
            }
        )
    columns = ["kind", "varying", "missing", "distinct", "levels"]
    return pd.DataFrame(rows, index=pd.Index(data.covariate_names, name="covariate", dtype=object), columns=columns)


def _sorted_levels(found: Any) -> tuple[Any, ...]:
    labels = [plain_label(level) for level in found]
    numbers = all(isinstance(label, (int, float)) for label in labels)
    return tuple(sorted(labels) if numbers else sorted(labels, key=str))


def covariate_statistics(data: Content) -> pd.DataFrame:
    """Per covariate, over the subjects' first values: spread of numbers, counts of levels."""
    subject = data.subject_codes
    rows = []
    for name in data.covariate_names:
        first = data.frame[name].groupby(subject, sort=False).first()
        row: dict[str, Any] = {"subjects": int(first.notna().sum()), "missing": int(first.isna().sum())}
        if is_categorical(data.frame[name]):
            counts = first.value_counts()
            row["counts"] = ", ".join(f"{plain_label(level)}: {n}" for level, n in counts.head(20).items())
        else:
            found = first.dropna().astype(float)
            found = found[np.isfinite(found)]
            quantiles = found.quantile([0, 0.25, 0.5, 0.75, 1]) if len(found) else pd.Series(np.full(5, np.nan))
            row |= {"mean": found.mean(), "sd": found.std() if len(found) > 1 else np.nan}
            row |= dict(zip(("min", "q1", "median", "q3", "max"), quantiles, strict=True))
        rows.append(row)
    columns = ["subjects", "missing", "mean", "sd", "min", "q1", "median", "q3", "max", "counts"]
    return pd.DataFrame(rows, index=pd.Index(data.covariate_names, name="covariate", dtype=object), columns=columns)


def subject_table(data: Content) -> pd.DataFrame:
    """A line per subject: observations, doses, total amount, first and last time, first value of each covariate."""
    events, n = data.events, len(data.events.subjects)
    subject = events.subject
    doses = events.is_dose
    first, last = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(first, subject, events.time)
    np.maximum.at(last, subject, events.time)
    columns: dict[str, Any] = {"observations": np.bincount(subject[events.observed], minlength=n)}
    if doses.any():
        given = events.amount * (1 + events.additional) * doses
        number = np.bincount(subject[doses], weights=1.0 + events.additional[doses], minlength=n)
        columns["doses"] = number.astype(np.int64)
        columns["total_amount"] = np.bincount(subject, weights=given, minlength=n)
    columns |= {"first_time": first, "last_time": last}
    rows = data.frame.groupby(data.subject_codes, sort=False)[list(data.covariate_names)].first()
    for name in data.covariate_names:
        columns[name if name not in columns else f"{name} "] = rows[name].reindex(range(n)).to_numpy()
    index = pd.Index(events.subjects, name=data.roles.get("subject", "subject"), tupleize_cols=False)
    return pd.DataFrame(columns, index=index)


def record_rows(data: Content, which: NDArray[np.bool_]) -> pd.DataFrame:
    """Rows of the frame that records come from, in the order of the records."""
    return data.frame.iloc[data.events.row[which]].copy()


def dose_table(data: Content) -> pd.DataFrame:
    """A line per dose record: subject, time, amount, and what else is stated about it."""
    events = data.events
    at = events.is_dose
    columns: dict[str, Any] = {
        data.roles.get("subject", "ID"): np.array([*events.subjects, None], dtype=object)[events.subject[at]],
        data.roles["time"]: events.time[at],
    }
    for name, default in _DOSE_COLUMNS.items():
        values = getattr(events, name)[at]
        if name == "amount" or name in data.roles or values.any():
            columns[data.roles.get(name, data.roles.get("dose", default) if name == "amount" else default)] = values
    frame = pd.DataFrame(columns, index=data.frame.index[events.row[at]])
    return frame.infer_objects()


def summary(data: Content) -> pd.DataFrame:
    """The data set in numbers."""
    events = data.events
    n = np.bincount(events.subject[events.observed], minlength=len(events.subjects))
    doses = events.is_dose
    dv = events.dv[events.observed]
    unit = {role: f" {data.units[role]}" if role in data.units else "" for role in ("time", "response", "amount")}
    unit["amount"] = unit["amount"] or (f" {data.units['dose']}" if "dose" in data.units else "")
    lines: dict[str, Any] = {"subjects": len(events.subjects), "observations": int(events.observed.sum())}
    if len(n):
        lines["observations per subject"] = f"{n.min()}–{n.max()}, median {np.median(n):g}"
    if doses.any():
        lines["doses"] = int((1 + events.additional[doses]).sum())
        amounts = events.amount[doses]
        lines["amounts"] = f"{amounts.min():g}–{amounts.max():g}{unit['amount']}"
    if len(events.time):
        lines["time"] = f"{events.time.min():g}–{events.time.max():g}{unit['time']}"
    if len(dv):
        lines["response"] = f"{dv.min():g}–{dv.max():g}{unit['response']}"
    if len(data.records.responses) > 1:
        count = np.bincount(events.response[events.observed], minlength=len(data.records.responses))
        lines["responses"] = ", ".join(f"{label}: {k}" for label, k in zip(data.records.responses, count, strict=True))
    if len(data.records.occasions) > 1:
        lines["occasions"] = len(data.records.occasions)
    if events.censored.any():
        lines["censored"] = int((events.censored != 0).sum())
    lines["covariates"] = ", ".join(data.covariate_names) or "none"
    return pd.DataFrame({"value": pd.Series(lines, dtype=object)})


def as_html(data: Content) -> str:
    """The notebook view. Whatever comes from the file is text here, never markup."""
    lines = [(tag("b", label), value) for label, value in summary(data)["value"].items()]
    parts = {role: column for role, column in data.roles.items() if isinstance(column, str)}
    roles = [joined(role, ": ", tag("code", column)) for role, column in parts.items()]
    return tag(
        "div",
        tag("b", data.name),
        plain_table((), lines, left=(0, 1)),
        tag("p", joined(*roles, between=", ")),
        preview_html(data.frame.head(6)),
        tag("p", f"{len(data.frame)} rows, {len(data.frame.columns)} columns"),
    )


def preview_html(frame: pd.DataFrame) -> str:
    """Rows as an HTML table; names, labels and cells are escaped, long ones cut."""
    rows = [
        (tag("b", cell(label)), *map(cell, row))
        for label, row in zip(frame.index, frame.itertuples(index=False, name=None), strict=True)
    ]
    return plain_table(["", *map(cell, frame.columns)], rows)


def nonmem(data: Content) -> pd.DataFrame:
    """The records in NONMEM's layout: ID, TIME, DV, AMT, EVID, MDV and whatever else is used, then the covariates."""
    events, roles = data.events, data.roles
    columns: dict[str, Any] = {
        "ID": np.array([*events.subjects, None], dtype=object)[events.subject],
        "TIME": events.time,
        "DV": np.where(events.observed, events.dv, np.nan),
    }
    if events.is_dose.any() or {"amount", "dose"} & roles.keys():
        columns["AMT"] = events.amount
    columns |= {"EVID": events.kind, "MDV": (~events.observed).astype(np.int64)}
    for name, column in _DOSE_COLUMNS.items():
        values = getattr(events, name)
        if name != "amount" and (name in roles or values.any()):
            columns[column] = values
    if "response_id" in roles:
        columns["DVID"] = np.array([*data.records.responses, None], dtype=object)[events.response]
    if "occasion" in roles:
        columns["OCC"] = np.array([*data.records.occasions, None], dtype=object)[events.occasion]
    if "censor" in roles:
        columns["CENS"], columns["LIMIT"] = events.censored, events.limit
    for name in data.covariate_names:
        columns[name if name not in columns else f"COV_{name}"] = data.frame[name].to_numpy()[events.row]
    return pd.DataFrame(columns)


def for_spreadsheet(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with an apostrophe before whatever text a spreadsheet would take for a formula."""

    def harmless(cell: Any) -> Any:
        return f"'{cell}" if isinstance(cell, str) and cell.lstrip()[:1] in tuple("=+-@") and cell.strip() else cell

    shown = frame.map(harmless)
    return shown.set_axis([harmless(name) for name in frame.columns], axis=1)
