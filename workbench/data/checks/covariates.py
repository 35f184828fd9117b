"""Covariates: constant, missing, spelled in several ways, coded by numbers, alike; nested groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from workbench.data.cells import plain_label
from workbench.data.censoring import flags
from workbench.data.checks.mending import Findings, Mend, moved, with_role, without_columns, without_rows
from workbench.data.checks.scribe import Scribe
from workbench.data.content import Content
from workbench.data.names import INCLUSION, looks_like, plain
from workbench.data.tables import covariate_table, varying_rows, varying_subjects
from workbench.findings import Finding

JUDGED = ()

ALIKE = 0.95
"""Correlation from which two covariates say the same."""

_FIXED = ("sex", "gender", "race", "ethnic", "ethnicity", "genotype", "cyp")
_MOST = 40
_SPELLINGS = {
    "female": "f", "fem": "f", "woman": "f", "w": "f", "weiblich": "f", "femme": "f",
    "male": "m", "man": "m", "maennlich": "m", "mannlich": "m", "homme": "m", "h": "m",
    "yes": "y", "true": "y", "ja": "y", "oui": "y", "j": "y", "no": "n", "false": "n", "nein": "n", "non": "n",
}  # fmt: skip
_LIMIT_WORDS = re.compile(
    r"(?i)\b(?:blq|bloq|bql|bloqd|bll?oq|lloq|b\.l\.q|below (?:the )?(?:limit|lo?q|l?loq|detection))\b"
)
_GROUPS = re.compile(
    r"(brood|litter|family|cage|plate|block|herd|farm|field|tank|pen|dam|mother|nest|colony|clutch|batch|hive|school|class"
    r"|ward|clinic)(id|no|nr)?$|(?<!site)(?<!study)(?<!proj)(?<!subj)id$"
)


def find(data: Content) -> Iterator[Finding]:
    """What is odd about the covariates."""
    overview = covariate_table(data)
    subjects = len(data.events.subjects)
    for name in overview.index[(overview["distinct"] <= 1) & (overview["missing"] < len(data.frame))]:
        if subjects > 1:
            message = "the same value everywhere: no effect can be seen"
            yield Finding("warning", message, name, "constant covariate", mend="ignore_constant_covariates")
    for name in overview.index[overview["missing"] > 0]:
        labels = tuple(map(plain_label, data.frame.index[data.frame[name].isna()]))
        message = f"missing; filled by the rule {data.covariate_rule} where the subject has another value"
        yield Finding("warning", message, name, "missing covariate", labels, mend="fill_covariates")
    for name in overview.index[overview["kind"] == "continuous"]:
        infinite = np.isinf(data.frame[name].to_numpy(dtype=float, na_value=np.nan))
        if infinite.any():
            labels = tuple(map(plain_label, data.frame.index[infinite]))
            yield Finding("warning", "no effect can be computed of it", name, "infinite covariate", labels)
    for name in overview.index[overview["kind"] == "categorical"]:
        yield from _spellings(name, overview.loc[name, "levels"])
    for name in overview.index[overview["kind"] == "continuous"]:
        yield from _few_values(data, name)
    for name in overview.index[overview["varying"] > 0]:
        few = overview.loc[name, "varying"] <= max(1, 0.05 * subjects) and subjects >= 10
        if few or name.lower() in _FIXED:
            changing = tuple(varying_subjects(data, name))
            message = "changes within a subject, where it should not or hardly does"
            yield Finding("warning", message, name, "varying covariate", (), changing, "first_covariate_values")
    yield from _twins(data, list(overview.index), overview)
    yield from _flags(data)
    yield from _groups(data)


def _spellings(name: str, levels: tuple[Any, ...]) -> Iterator[Finding]:
    """Levels that differ by case, blanks or spelling: "F", "f" and "female"."""
    by_form = _forms(levels)
    alike = [level for forms in by_form.values() if len(forms) > 1 for level in forms]
    if alike:
        message = f"levels that differ only in case, blanks or spelling: {', '.join(map(repr, alike))}"
        yield Finding("warning", message, name, "labels alike", mend="spell_levels_alike")


def _forms(levels: tuple[Any, ...]) -> dict[str, list[str]]:
    """Spellings of each level, by what they have in common."""
    texts = [level for level in levels if isinstance(level, str)]
    plain_forms = {level: re.sub(r"[\s_.\-]+", "", level.strip().lower()) for level in texts}
    short = {form for form in plain_forms.values() if len(form) == 1}
    meant = {level: _SPELLINGS.get(form, form) for level, form in plain_forms.items()}
    found: dict[str, list[str]] = {}
    for level in texts:
        known = meant[level] in short or list(meant.values()).count(meant[level]) > 1
        found.setdefault(meant[level] if known else plain_forms[level], []).append(level)
    return found


def _alike(data: Content, findings: Findings) -> Content:
    frame = data.frame
    for finding in findings:
        values = frame[finding.where]
        levels = tuple(values.dropna().unique())
        count = values.value_counts()
        chosen = {
            level: max(forms, key=lambda form: (count[form], -len(form))).strip()
            for forms in _forms(levels).values()
            for level in forms
        }
        frame = frame.assign(**{finding.where: values.replace(chosen)})
    return data.changed(frame=frame)


def _few_values(data: Content, name: str) -> Iterator[Finding]:
    """Whole numbers of which there are few: a quantity, or codes of a category."""
    values = data.frame[name].dropna()
    different = np.unique(values.to_numpy(dtype=float, na_value=np.nan))
    different = different[np.isfinite(different)]
    subjects = len(data.events.subjects)
    if 3 <= len(different) <= 8 and (different % 1 == 0).all() and subjects >= 4 * len(different):
        shown = ", ".join(f"{v:g}" for v in different[:4]) + (", …" if len(different) > 4 else "")
        message = f"only {len(different)} different values ({shown}), taken as a number: is it a quantity, or a code?"
        yield Finding("warning", message, name, "few values", mend="take_as_category")


def _as_category(data: Content, findings: Findings) -> Content:
    def label(value: Any) -> str | None:
        return None if pd.isna(value) else str(plain_label(value))

    changed = {finding.where: data.frame[finding.where].map(label) for finding in findings}
    return data.changed(frame=data.frame.assign(**changed))


def _twins(data: Content, names: list[str], overview: pd.DataFrame) -> Iterator[Finding]:
    """Covariates that say the same: correlated, one to one, or one made of others."""
    distinct = overview["distinct"].to_dict()
    names = [name for name in names if int(distinct[name]) > 1][:_MOST]
    if len(names) < 2 or len(data.events.subjects) < 4:
        return
    first = data.frame.groupby(data.subject_codes, sort=False)[names].first()
    done: set[str] = set()
    for a, b in combinations(names, 2):
        why = same(first[a], first[b])
        if why:
            done.add(b)
            yield Finding("warning", f"{a} and {b} say the same ({why}): use one of them", b, "covariates alike",
                          mend="leave_out_columns")  # fmt: skip
    numbers = [n for n in names if overview.loc[n, "kind"] == "continuous" and n not in done][:12]
    yield from _made_of_others(first, numbers)


def same(a: pd.Series[Any], b: pd.Series[Any]) -> str:
    """Why two covariates, a value per subject, say the same; "" where they do not."""
    both = a.notna() & b.notna()
    if not both.all():
        a, b = a[both], b[both]
    n, different, others = len(a), a.nunique(), b.nunique()
    if n < 4 or different < 2 or others < 2:
        return ""
    if different == others and (different <= 0.5 * n or (different == n > 8 and a.equals(b))):
        pairs = pd.DataFrame({"a": a.astype(object), "b": b.astype(object)}).drop_duplicates()
        if len(pairs) == different:
            return "one to one"
    numeric = [pd.api.types.is_numeric_dtype(v.dtype) and not pd.api.types.is_bool_dtype(v.dtype) for v in (a, b)]
    if all(numeric) and different > 2 and others > 2 and n >= 6:
        x, y = a.to_numpy(dtype=float), b.to_numpy(dtype=float)
        finite = np.isfinite(x) & np.isfinite(y)
        if finite.sum() >= 6 and np.ptp(x[finite]) > 0 and np.ptp(y[finite]) > 0:
            r = float(np.corrcoef(x[finite], y[finite])[0, 1])
            return f"r = {r:.3f}" if abs(r) > ALIKE else ""
    return ""


def _made_of_others(first: pd.DataFrame, names: list[str]) -> Iterator[Finding]:
    """A covariate that is a product of powers of two others, as BMI is of weight and height."""
    whole = first[names].astype(float).dropna()
    if len(names) < 3 or len(whole) < 8 or not (whole > 0).all().all():
        return
    logs = {name: np.log(whole[name].to_numpy(dtype=float)) for name in names}
    for name in names:
        y = logs[name]
        for pair in combinations([n for n in names if n != name], 2):
            X = np.column_stack([np.ones(len(y)), logs[pair[0]], logs[pair[1]]])
            slope, *_ = np.linalg.lstsq(X, y, rcond=None)
            if np.ptp(y) > 0 and 1 - ((y - X @ slope) ** 2).sum() / ((y - y.mean()) ** 2).sum() > 0.9995:
                message = f"{name} is a function of {pair[0]} and {pair[1]}: no data can tell its effect from theirs"
                yield Finding("warning", message, name, "covariates alike", mend="leave_out_columns")
                return


def _flags(data: Content) -> Iterator[Finding]:
    """Columns whose names say that they mark values, or state limits, and which play no part."""
    yield from _remarks(data)
    yield from _kept(data)
    for column in data.covariate_names:
        role = looks_like(column)
        if role in ("censor", "limit") and role not in data.roles and data.frame[column].notna().any():
            marks = flags(data.frame[column]) if role == "censor" else None
            count = f"marks {int((marks != 0).sum())} values as below a limit" if marks is not None else ""
            message = (
                f"{count or 'looks like a column about limits of quantification'}, but is not used: no limit is known; "
                "state it: read_data(…, lloq=…)"
            )
            if marks is not None and not (marks != 0).any():
                continue
            places = np.flatnonzero(marks) if marks is not None else np.zeros(0, dtype=np.int64)
            yield Scribe(data).of_rows("unused column", "warning", places, column, message, f"use_as_{role}")


def _remarks(data: Content) -> Iterator[Finding]:
    """Columns of text that call values below a limit, which are read as they stand."""
    events = data.events
    if "response" not in data.roles or (events.censored != 0).any():
        return
    seen = np.zeros(len(data.frame), dtype=bool)
    seen[events.row[events.observed]] = True
    for column in (*data.covariate_names, *data.roles.get("ignore", ())):
        values = data.frame[column]
        if not (values.dtype == object or isinstance(values.dtype, pd.StringDtype)) or column.endswith(" as read"):
            continue
        says = values.astype(str).str.contains(_LIMIT_WORDS, na=False).to_numpy(dtype=bool) & seen
        if says.any() and says.sum() < seen.sum():
            count = "1 value" if says.sum() == 1 else f"{int(says.sum())} values"
            example = str(values[says].iloc[0])
            message = f"says {example!r} of {count}, which are read as measured: below a limit?"
            whole = flags(values) is not None
            yield Scribe(data).of_rows("unused column", "warning", np.flatnonzero(says), column, message,
                                       "use_as_censor" if whole else "")  # fmt: skip


def _kept(data: Content) -> Iterator[Finding]:
    """Columns that say which rows to keep, and which are not used."""
    for column in data.covariate_names:
        marks = flags(data.frame[column]) if plain(column) in INCLUSION else None
        if marks is not None and (marks == 0).any() and (marks == 1).any():
            rows = np.flatnonzero(marks == 0)
            message = f"{len(rows)} {'row is' if len(rows) == 1 else 'rows are'} marked as not included, but read"
            yield Scribe(data).of_rows("not included", "warning", rows, column, message, "drop_not_included")


def _as_censor(data: Content, findings: Findings) -> Content:
    """Give the column the role; words become numbers in a column of their own."""
    column = findings[0].where
    marks = flags(data.frame[column])
    if marks is None or pd.api.types.is_numeric_dtype(data.frame[column].dtype):
        return with_role("censor")(data, findings)
    name = "CENS"
    while name in data.frame.columns:
        name += "'"
    roles = moved(moved(data.roles, column, "ignore"), name, "censor")
    return data.changed(frame=data.frame.assign(**{name: marks}), roles=roles)


def _groups(data: Content) -> Iterator[Finding]:
    """Subjects that belong to groups, such as chicks of a brood: two levels of random effects."""
    if "subject" not in data.roles or "occasion" in data.roles:
        return
    subject = data.subject_codes
    for column in (*data.covariate_names, *data.roles.get("ignore", ())):
        values = data.frame[column]
        if not _GROUPS.search(plain(column)) or values.isna().any() or pd.api.types.is_float_dtype(values.dtype):
            continue
        count = values.nunique()
        if 2 <= count <= len(data.events.subjects) / 2 and not varying_rows(values, subject).any():
            inner = data.roles["subject"]
            message = f"each {inner} belongs to one of {count} {column}: is {column} the subject, {inner} its occasion?"
            yield Finding("warning", message, column, "nested groups", mend="nest_subjects")


def _nested(data: Content, findings: Findings) -> Content:
    outer, inner = findings[0].where if findings else "", data.roles.get("subject")
    if not outer or inner is None:
        return data
    roles = {key: value for key, value in data.roles.items() if key != "subject"}
    roles = moved(moved(roles, outer, "subject"), inner, "occasion")
    order = pd.factorize(data.frame[outer])[0]
    return data.changed(roles=roles, frame=data.frame.iloc[np.argsort(order, kind="stable")])


def _filled(data: Content, findings: Findings) -> Content:
    """Missing covariates: the subject's own values by the rule; else the median or most frequent of the subjects."""
    filled = {}
    for name in data.covariate_names:
        values = data.frame[name]
        if not values.isna().any() or values.isna().all():
            continue
        own = values.groupby(data.subject_codes)
        values = own.bfill().fillna(own.ffill())
        each = values.groupby(data.subject_codes).first().dropna()
        numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
        filled[name] = values.fillna(float(each.median()) if numeric else each.mode().iloc[0])
    return data.changed(frame=data.frame.assign(**filled))


def _first_values(data: Content, findings: Findings) -> Content:
    names = [finding.where for finding in findings if finding.where]
    firsts = {name: data.frame[name].groupby(data.subject_codes).transform("first") for name in names}
    return data.changed(frame=data.frame.assign(**firsts))


MENDS = {
    "fill_covariates": Mend("fill from the subject itself, else with the median or most frequent value", _filled),
    "first_covariate_values": Mend("use the first value of each subject throughout", _first_values),
    "ignore_constant_covariates": Mend("leave these columns out", without_columns),
    "leave_out_columns": Mend("leave this column out", without_columns, by_column=True),
    "spell_levels_alike": Mend("write each level in one way", _alike, by_column=True),
    "take_as_category": Mend("take it as a category", _as_category, by_column=True),
    "nest_subjects": Mend("take the group as the subject, and this as its occasion", _nested),
    "use_as_censor": Mend("use it as the mark of censored values", _as_censor, by_column=True),
    "drop_not_included": Mend("leave these rows out", without_rows),
    "use_as_limit": Mend("use it as the limit", with_role("limit"), by_column=True),
}
