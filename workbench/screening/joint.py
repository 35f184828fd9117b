"""Covariates together: how they are related, and which of them explain a random effect between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.screening.covariates import UsableCovariate

if TYPE_CHECKING:
    import pandas as pd


Array = NDArray[np.float64]

_MOST_MISSING = 0.2  # of the subjects: a covariate with more would cost the others too much
_BETTER = 1e-6  # of the BIC
_COLLINEAR = 1e-10  # share of a variance that others leave: it is rounding


class Term(NamedTuple):
    """A covariate in a shape, with its columns, float64[N, k]."""

    covariate: str
    shape: str
    columns: Array


def _kept(candidates: Sequence[UsableCovariate]) -> list[UsableCovariate]:
    return [c for c in candidates if c.missing <= _MOST_MISSING * len(c.baseline)]


def correlations(candidates: Sequence[UsableCovariate]) -> pd.DataFrame:
    """How covariates go together, over the subjects that have both.

    Of two numbers Pearson's correlation; of a number and a category the correlation ratio, the root of R² of an
    analysis of variance; of two categories Cramér's V. The latter two have no sign.
    """
    import pandas as pd

    names = [c.name for c in candidates]
    matrix = np.eye(len(names))
    for i, one in enumerate(candidates):
        for j, other in enumerate(candidates[:i]):
            matrix[i, j] = matrix[j, i] = _association(one, other)
    return pd.DataFrame(matrix, index=names, columns=names)


def _association(one: UsableCovariate, other: UsableCovariate) -> float:
    both = one.known & other.known
    a, b = one.baseline[both], other.baseline[both]
    if len(a) < 2 or len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return float("nan")
    if one.kind == other.kind == "continuous":
        return float(np.corrcoef(a, b)[0, 1])
    if one.kind == other.kind:
        from scipy.stats.contingency import association, crosstab

        return float(association(crosstab(a, b).count, method="cramer"))
    group, number = (a, b) if one.kind == "categorical" else (b, a)
    within = sum(((part - part.mean()) ** 2).sum() for g in np.unique(group) if len(part := number[group == g]))
    return float(np.sqrt(max(1.0 - within / ((number - number.mean()) ** 2).sum(), 0.0)))


def variance_inflation(candidates: Sequence[UsableCovariate]) -> pd.Series[Any]:
    """By how much each covariate's relation to all others inflates the variance of its coefficient.

    1 / (1 - R²) of a number on the others; for a category of k + 1 levels the k-th root of the generalised factor,
    which compares with it (Fox & Monette 1992, J Am Stat Assoc 87:178). Infinite where the others determine it. Over
    the subjects that have all of the covariates; NaN for one that is missing in more than a fifth of the subjects.
    """
    import pandas as pd

    found = {c.name: np.nan for c in candidates}
    kept = _kept(candidates)
    blocks = [c.plain for c in kept]
    X = np.column_stack([np.ones((len(kept[0].baseline), 1)), *blocks]) if kept else np.empty((0, 1))
    X = X[np.isfinite(X).all(axis=1)]
    owner = np.concatenate([[-1], *(np.full(block.shape[1], i) for i, block in enumerate(blocks))])
    scale = np.sqrt((X**2).mean(axis=0)) if len(X) else np.ones(1)
    X = X / np.where(scale > 0, scale, 1.0)
    for i, candidate in enumerate(kept):
        mine, others = X[:, owner == i], X[:, owner != i]
        if len(X) <= X.shape[1]:
            continue
        centred = mine - mine.mean(axis=0)
        left = mine - others @ np.linalg.lstsq(others, mine, rcond=None)[0]
        total, rest = (np.linalg.det(part.T @ part) for part in (centred, left))
        k = mine.shape[1]
        if total > 0:
            found[candidate.name] = np.inf if rest <= _COLLINEAR * total else (total / rest) ** (1 / k)
    return pd.Series(found, name="vif", dtype=float)


def forward_selection(
    etas: Mapping[str, Array], candidates: Sequence[UsableCovariate], shapes: Mapping[str, Sequence[tuple[str, str]]]
) -> pd.DataFrame:
    """Multivariable regressions of the random effects, built forwards by BIC.

    The term that lowers the BIC most enters, one shape of each covariate, until none lowers it. Over the subjects that
    have all covariates; those missing in more than a fifth of the subjects, and those identical with others, stay out.

    Parameters
    ----------
    etas : dict of str to float64[N]
    candidates : sequence of UsableCovariate
    shapes : dict of str to sequence of (covariate, shape)
        What may enter, by parameter.

    Returns
    -------
    DataFrame
        A row for each term in the order of entry: parameter, step, covariate, shape, bic and its change delta_bic, r2
        so far; p of the term in the last regression, all others given, and its coefficients there; n.
    """
    import pandas as pd
    from statsmodels.regression.linear_model import OLS

    rows = []
    kept = {c.name: c for c in _kept(candidates) if not c.twin}
    everywhere = np.array([c.known for c in kept.values()]).all(axis=0) if kept else np.empty(0, bool)
    for parameter, eta in etas.items() if kept else ():
        use = everywhere & np.isfinite(eta)
        n = int(use.sum())
        left = [Term(c, s, kept[c].columns(s)[use]) for c, s in shapes.get(parameter, ()) if c in kept]
        X, y, entered, steps = np.ones((n, 1)), eta[use], [], []
        best = OLS(y, X).fit()
        while left:
            larger = [(np.column_stack([X, term.columns]), term) for term in left]
            tried = [(OLS(y, Z).fit(), term) for Z, term in larger if n > Z.shape[1] + 1 and _independent(Z)]
            better = [(fitted.bic, index) for index, (fitted, _) in enumerate(tried)]
            if not better or min(better)[0] > best.bic - _BETTER:
                break
            fitted, term = tried[min(better)[1]]
            steps.append((fitted.bic, fitted.bic - best.bic, fitted.rsquared))
            best, X = fitted, np.column_stack([X, term.columns])
            entered.append(term)
            left = [other for other in left if other.covariate != term.covariate]
        at = 1
        for step, (term, (bic, change, r2)) in enumerate(zip(entered, steps, strict=True), 1):
            k = term.columns.shape[1]
            which = np.eye(X.shape[1])[at : at + k]
            p = float(best.f_test(which).pvalue)
            coefficients = tuple(best.params[at : at + k].tolist())
            rows.append((parameter, step, term.covariate, term.shape, bic, change, r2, p, coefficients, n))
            at += k
    columns = ["parameter", "step", "covariate", "shape", "bic", "delta_bic", "r2", "p", "coefficients", "n"]
    return pd.DataFrame(rows, columns=columns)


def _independent(X: Array) -> bool:
    return bool(np.linalg.matrix_rank(X) == X.shape[1])


def penalised_path(
    eta: Array, candidates: Sequence[UsableCovariate], terms: Sequence[tuple[str, str]], l1: float, points: int
) -> pd.DataFrame:
    """Coefficients as a penalty on their size is relaxed: the lasso for l1 = 1, else the elastic net.

    Minimises Σ (η - Xβ)² / 2n + α (l1·Σ|β| + (1 - l1)·Σβ² / 2), all centred and columns of X scaled to standard
    deviation 1 (Zou & Hastie 2005, J R Stat Soc B 67:301).

    Returns
    -------
    DataFrame
        A row for each α, from where all are 0 down to a thousandth of that; a column for each column of X, in units of
        η per standard deviation.
    """
    import pandas as pd
    from statsmodels.regression.linear_model import OLS

    by_name = {c.name: c for c in _kept(candidates) if not c.twin}
    blocks, labels = [], []
    for name, shape in terms:
        if name in by_name:
            block, levels = by_name[name].columns(shape), by_name[name].levels[1:]
            blocks.append(block)
            labels += [f"{name}[{level}]" for level in levels] if levels else [name]
    if not blocks:
        return pd.DataFrame(index=pd.Index([], name="alpha"))
    X = np.column_stack(blocks)
    use = np.isfinite(X).all(axis=1) & np.isfinite(eta)
    X, y = X[use] - X[use].mean(axis=0), eta[use] - eta[use].mean()
    deviation = X.std(axis=0)
    X = X / np.where(deviation > 0, deviation, 1.0)
    highest = float(np.abs(X.T @ y).max() / len(y) / l1)
    alphas = highest * np.logspace(0, -3, points)
    beta, path = np.zeros(X.shape[1]), []
    for alpha in alphas:
        model = OLS(y, X)
        beta = np.asarray(model.fit_regularized("elastic_net", alpha=alpha, L1_wt=l1, start_params=beta).params)
        path.append(beta)
    return pd.DataFrame(np.array(path), index=pd.Index(alphas, name="alpha"), columns=labels)
