"""The columns that a covariate term makes on the records of a data set."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from workbench.data import GroupedData
from workbench.language.formula import Design, columns_of, design_columns

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
