"""The columns that a covariate term makes on the records of a data set: checked terms, built by formulaic.

formulaic evaluates the Python inside a formula, so nothing reaches it but text made of a tree that
`workbench.language.formula` has checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.errors import ModelError
from workbench.language.formula import (
    category_of,
    columns_of,
    compares_text,
    level_of,
    median_columns,
    spelled_number,
    tree_of,
    with_numbers,
)
from workbench.language.tree import COMPARISONS, Apply, Expression, Name, Number, Text, names_in, nodes

if TYPE_CHECKING:
    import pandas as pd

Design = tuple[NDArray[np.float64], tuple[str, ...]]


def _below(values: Any, at: Any) -> Any:
    return np.minimum(values - at, 0.0)


def _above(values: Any, at: Any) -> Any:
    return np.maximum(values - at, 0.0)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "log": np.log, "exp": np.exp, "sqrt": np.sqrt, "abs": np.abs, "below": _below, "above": _above,
}  # fmt: skip
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power, "neg": np.negative,
    "pos": np.positive, **COMPARISONS, **_FUNCTIONS,
}  # fmt: skip
_KEPT: WeakKeyDictionary[GroupedData, dict[str, Design]] = WeakKeyDictionary()
_MOST_KEPT = 500


def design_of(term: str, data: GroupedData) -> Design:
    """`design_columns` of a term on all records of a data set; kept, for a search over covariates asks again and again.

    Raises
    ------
    ModelError
        As `design_columns`.
    DataError
        If a column is missing, or has gaps that the covariate rule does not fill.
    """
    kept = _KEPT.setdefault(data, {})
    if term not in kept:
        first = np.zeros(len(data.events.time), dtype=bool)
        first[data.events.start[:-1]] = True
        values, labels = design_columns(term, data.covariate_values(columns_of(term)), first=first)
        values.setflags(write=False)
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[term] = values, labels
    return kept[term]


def design_columns(term: str, records: pd.DataFrame, *, first: NDArray[np.bool_] | None = None) -> Design:
    """Build the columns of the design matrix that a term makes.

    Parameters
    ----------
    term : str
        One checked term.
    records : DataFrame
        The covariates, one row per record.
    first : bool[records], optional
        The first record of each subject, for a term that holds median(…).

    Returns
    -------
    values : float64[records, columns]
    labels : tuple of str
        One per column: the term itself, or the term with the level of the category, as in "C(SEX)[M]".

    Raises
    ------
    ModelError
        If the term is not finite on some record, a category has a single level or not the one that is named, or a
        median is not a number yet and `first` is not given.
    """
    resolved = term if first is None else with_medians(term, records[first])
    if median_columns(resolved):
        raise ModelError(f"Covariate term {term!r}: the median is not known yet; use model.with_centred(data).")
    tree = tree_of(resolved)
    category = category_of(tree)
    if category is not None:
        values, labels = _category_columns(term, category, records)
    else:
        values, labels = _number_column(term, tree, records)
    if values.shape[1] != len(labels):
        raise ModelError(f"Covariate term {term!r} makes {values.shape[1]} columns instead of {len(labels)}.")
    bad = np.any(~np.isfinite(values), axis=1)
    if bad.any():
        values_there = records[bad].iloc[0][list(columns_of(term))].to_dict()
        raise ModelError(
            f"Covariate term {term!r} is not a number on {int(bad.sum())} of {len(bad)} records "
            f"(the first has {', '.join(f'{k}={v!r}' for k, v in values_there.items())})."
        )
    return values, labels


def with_medians(term: str, baseline: pd.DataFrame) -> str:
    """A checked term with a number for every median(…).

    Parameters
    ----------
    term : str
    baseline : DataFrame
        The first values of the subjects, a row for each; columns that have a median in the term.

    Raises
    ------
    ModelError
        If a column is missing or holds no numbers.
    """
    names = median_columns(term)
    return with_numbers(term, {name: _median(term, name, baseline) for name in names}) if names else term


def _median(term: str, name: str, baseline: pd.DataFrame) -> float:
    """The median of a column, without the digits of rounding."""
    if name not in baseline.columns:
        raise ModelError(f"Covariate term {term!r}: there is no column {name}.")
    values = baseline[name]
    if not _is_number(values):
        raise ModelError(
            f"Covariate term {term!r}: {name} is text, and text has no median. C({name}) makes categories of "
            "it, as shape='categorical' does."
        )
    median = float(np.median(np.asarray(values, dtype=float)))
    if not math.isfinite(median):
        raise ModelError(f"Covariate term {term!r}: {name} has no finite median.")
    return float(f"{median:.12g}")


def computed(tree: Expression, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """A term of numbers, whose medians are numbers, for given values of its columns."""
    if isinstance(tree, Name):
        return values[tree.name]
    if isinstance(tree, Number):
        return np.asarray(tree.value)
    assert isinstance(tree, Apply)
    parts = [computed(part, values) for part in tree.arguments]
    with np.errstate(all="ignore"):
        return np.asarray(_OPERATIONS[tree.function](*parts), dtype=float)


def levels_of(values: pd.Series[Any]) -> list[Any]:
    """The levels that occur, in the order of the categories where the column has one, else sorted."""
    there = set(values.tolist())
    if hasattr(values, "cat"):
        return [level for level in values.cat.categories.tolist() if level in there]
    return sorted(there, key=lambda level: (isinstance(level, str), level))


# -- what formulaic builds -----------------------------------------------------------------------------------------


def _number_column(term: str, tree: Expression, records: pd.DataFrame) -> Design:
    compared = [node for node in nodes(tree) if compares_text(node)]
    beside = {id(name) for node in compared for name in names_in(node)}
    numeric = list(dict.fromkeys(name.name for name in names_in(tree) if id(name) not in beside))
    text = [name for name in numeric if not _is_number(records[name])]
    if text:
        raise ModelError(f"Covariate term {term!r}: {', '.join(text)} is text, not numbers; use C({text[0]}).")
    columns = records[list(dict.fromkeys(name.name for name in names_in(tree)))]
    truths = [name for name in numeric if np.asarray(columns[name]).dtype == bool]
    columns = columns.astype(dict.fromkeys(truths, float))
    code = _evaluable(tree, columns)
    return np.asarray(_matrix(term, f"0 + {{{code}}}", columns), dtype=float), (term,)


def _evaluable(tree: Expression, columns: pd.DataFrame) -> str:
    """What formulaic evaluates: numbers as floats, for powers of whole numbers could fill the memory; comparisons as
    0.0 and 1.0; those with text as columns of their own, so that no text of the user's gets there."""
    if isinstance(tree, Number):
        return repr(tree.value)
    if isinstance(tree, Name):
        return tree.name
    assert isinstance(tree, Apply)
    if compares_text(tree):
        (column,) = (side.name for side in tree.arguments if isinstance(side, Name))
        (text,) = (side.text for side in tree.arguments if isinstance(side, Text))
        equal = np.array([str(value) == text for value in columns[column]], dtype=float)
        name = f"_compared{len(columns.columns)}"
        columns[name] = equal if tree.function == "==" else 1.0 - equal
        return name
    parts = [_evaluable(part, columns) for part in tree.arguments]
    if tree.function in _FUNCTIONS:
        return f"{tree.function}({', '.join(parts)})"
    if tree.function in ("neg", "pos"):
        return f"({'-' if tree.function == 'neg' else '+'}{parts[0]})"
    joined = f" {'**' if tree.function == '^' else tree.function} ".join(parts)
    return f"(1.0 * ({joined}))" if tree.function in COMPARISONS else f"({joined})"


def _category_columns(term: str, category: Apply, records: pd.DataFrame) -> Design:
    """A column of 0 and 1 for each level but the reference."""
    name, *references = category.arguments
    assert isinstance(name, Name)
    column = name.name
    levels = levels_of(records[column])
    if len(levels) < 2:
        raise ModelError(f"Covariate term {term!r}: the column has a single level, there is nothing to estimate.")
    for reference in references:
        wanted = level_of(reference)
        found = [level for level in levels if level == wanted or _named(level) == _named(wanted)]
        if not found:
            known = ", ".join(map(str, levels))
            raise ModelError(f"Covariate term {term!r}: {column} has no level {wanted!r}. It has {known}.")
        levels.remove(found[0])
        levels.insert(0, found[0])
    matrix = _matrix(term, f"1 + C({column}, levels=_levels_)", records[[column]].astype(object), _levels_=levels)
    return np.asarray(matrix, dtype=float)[:, 1:], tuple(f"{term}[{level}]" for level in levels[1:])


def _named(level: object) -> str:
    return spelled_number(level) if isinstance(level, float) and math.isfinite(level) else str(level)


def _is_number(values: pd.Series[Any]) -> bool:
    kind = np.asarray(values).dtype
    return bool(np.issubdtype(kind, np.number) or np.issubdtype(kind, np.bool_))


def _matrix(term: str, formula: str, columns: pd.DataFrame, **names: Any) -> Any:
    from formulaic import model_matrix

    try:
        with np.errstate(all="ignore"):
            return model_matrix(formula, columns, context=_FUNCTIONS | names, na_action="ignore")
    except Exception as error:  # whatever formulaic cannot evaluate is a fault of the formula or of its columns
        raise ModelError(f"Covariate term {term!r} cannot be computed from the data: {error}") from error
