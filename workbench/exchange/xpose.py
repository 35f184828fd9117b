"""Tables of a fit as NONMEM writes them: what xpose and other R packages read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import FileError, ModelError
from workbench.exchange.outline import codes_of
from workbench.exchange.table import written_labels
from workbench.results import FitResult

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ("TIME", "TAD", "DOSE", "DV", "PRED", "IPRED", "RES", "IRES", "IWRES", "CWRES", "CENS")


def to_xpose(fit: FitResult, name: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write the tables that xpose looks for: sdtab, patab, cotab and catab.

    A row for each observation, as in `fit.table()`. Labels become codes; residuals that a censored observation has not
    are NA.

    Parameters
    ----------
    fit : FitResult
    name : path
        The run, as "run1": the number at its end is that of the tables, 1 where there is none. They go into its
        folder.

    Returns
    -------
    tuple of Path
        sdtab, patab, and cotab and catab where there are covariates of the kind.

    Raises
    ------
    ModelError
        If it is no fit.
    FileError
        If a table cannot be written.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> fit = wb.fit(wb.Model(wb.pk(absorption="first-order")), wb.load_example("theophylline"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in wb.to_xpose(fit, folder + "/run7")]
    ['sdtab7', 'patab7', 'cotab7']
    """
    if not isinstance(fit, FitResult):
        raise ModelError(f"to_xpose: a fit is needed, got {type(fit).__name__}.")
    place = Path(name)
    stem = place.name if place.suffix.casefold() not in (".mod", ".ctl", ".lst") else place.stem
    number = stem[len(stem.rstrip("0123456789")) :] or "1"
    table = fit.table()
    codes, _ = written_labels(fit.data.events.subjects)
    identity = {"ID": np.array([codes[label] for label in table["ID"]])}
    shown: dict[str, Any] = {column: table[column] for column in _SHOWN if column in table}
    if len(fit.model.structure.responses) > 1:
        shown["DVID"] = fit.response + 1
    own: dict[str, Any] = {p: table[p] for p in fit.model.structure.names if p in table}
    own |= {f"ETA{i}": table[f"eta_{p}"] for i, p in enumerate(fit.random_effects, 1)}
    kinds = fit.data.covariates
    taken = {*shown, *own, "ID"}
    continuous: dict[str, Any] = {}
    categorical: dict[str, Any] = {}
    for covariate in fit.data.covariate_names:
        if covariate in taken or covariate not in table:
            continue
        coded = codes_of(fit.data, covariate)
        values = table[covariate].astype(str).map(coded) if coded else table[covariate].astype(float)
        (categorical if kinds.loc[covariate, "kind"] == "categorical" else continuous)[covariate] = values
    written = []
    for word, columns in (("sdtab", shown), ("patab", own), ("cotab", continuous), ("catab", categorical)):
        if columns or word in ("sdtab", "patab"):
            path = place.parent / f"{word}{number}"
            try:
                path.write_text(_text({**identity, **columns}), encoding="utf-8")
            except OSError as error:
                raise FileError(f"{path} cannot be written: {error.strerror or error}.") from error
            written.append(path)
    return tuple(written)


def _text(columns: dict[str, pd.Series[Any]] | dict[str, Any]) -> str:
    """Columns of twelve characters and more, below NONMEM's first line."""
    width = max(12, *(len(column) + 1 for column in columns))
    rows = zip(*(np.asarray(values, dtype=float) for values in columns.values()), strict=True)
    lines = ["TABLE NO.  1", "".join(f" {column:<{width}}" for column in columns)]
    lines += ["".join(f" {'NA' if np.isnan(v) else f'{v:.6E}':<{width}}" for v in row) for row in rows]
    return "\n".join(line.rstrip() for line in lines) + "\n"
