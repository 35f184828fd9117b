"""Fits of one data set side by side: criteria, tests, estimates, and how their models differ, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import FitError
from workbench.inference import likelihood_ratio_test
from workbench.markup import Shown
from workbench.methods import Subjects, method_of
from workbench.model import Effect, Model, Parameter
from workbench.model.residual import ResidualError
from workbench.results.fit import FitResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Shown):
    """Fits side by side; the first is what the others are compared with.

    Attributes
    ----------
    names : tuple of str
    fits : tuple of FitResult
    """

    names: tuple[str, ...]
    fits: tuple[FitResult, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row per fit: method, ofv, delta_ofv, df, p, aic, bic, estimated, status, remark.

        `delta_ofv` is the OFV less that of the first fit, `df` how many estimates more there are. `p` is that of the
        likelihood-ratio test against the first where one of the two models is a case of the other; `remark` says why
        there is none. AIC and BIC can be compared where the method and the data are the same.
        """
        import pandas as pd

        first, rows = self.fits[0], []
        for k, fit in enumerate(self.fits):
            comparable = _same_objective(first, fit)
            p, remark = _test(first, fit) if k else (math.nan, "")
            rows.append(
                {
                    "method": fit.method,
                    "ofv": fit.ofv,
                    "delta_ofv": fit.ofv - first.ofv if comparable else math.nan,
                    "df": fit.n_estimated - first.n_estimated,
                    "p": p,
                    "aic": fit.aic,
                    "bic": fit.bic,
                    "estimated": fit.n_estimated,
                    "status": fit.status.name,
                    "remark": remark,
                }
            )
        return pd.DataFrame(rows, index=pd.Index(self.names, name="fit"))

    @property
    def parameters(self) -> pd.DataFrame:
        """Estimates by name and, under each fit, estimate and rse (per cent); NaN where it has none."""
        import pandas as pd

        order = dict.fromkeys(e.name for fit in self.fits for e in fit.lines)
        kinds = ("value", "coefficient", "iiv", "iov", "correlation", "share", "error")
        kind = {e.name: kinds.index(e.kind) if e.kind in kinds else 0 for fit in self.fits for e in fit.lines}
        names = sorted(order, key=lambda name: kind[name])
        parts = [fit.estimates.reindex(names)[["estimate", "rse"]] for fit in self.fits]
        return pd.concat(parts, axis=1, keys=self.names)

    @property
    def by_subject(self) -> pd.DataFrame:
        """What each subject adds to the OFV: a column by fit, and what it adds more than to the first ("Δ name").

        NaN for who is not in the data of a fit.

        Raises
        ------
        FitError
            If a fit has no objective by subject, or the objectives cannot be compared.
        """
        import pandas as pd

        first, columns = self.fits[0], {}
        for name, fit in zip(self.names, self.fits, strict=True):
            if method_of(fit.method).subjects is Subjects.ALONE or method_of(fit.method) is not method_of(first.method):
                raise FitError(
                    f"OFVs by subject are compared between fits by one method with a population, got {first.method!r} "
                    f"and {fit.method!r}."
                )
            columns[name] = pd.Series(fit.subject_ofv, index=pd.Index(fit.data.events.subjects, name="subject"))
        frame = pd.DataFrame(columns).reindex(list(dict.fromkeys(s for c in columns.values() for s in c.index)))
        for name in self.names[1:]:
            frame[f"Δ {name}"] = frame[name] - frame[self.names[0]]
        return frame.rename_axis("subject")

    @property
    def differences(self) -> dict[str, tuple[str, ...]]:
        """By fit, what its model has other than the first, in words."""
        first = self.fits[0]
        others = zip(self.names[1:], self.fits[1:], strict=True)
        return {name: differences(first, fit) for name, fit in others}

    def _lines(self) -> list[str]:
        return [
            f"{name}: {'; '.join(found) if found else f'the model of {self.names[0]}'}."
            for name, found in self.differences.items()
        ]

    def _shown(self) -> list[str | pd.DataFrame]:
        table = self.table
        for column in ("ofv", "delta_ofv", "aic", "bic"):
            table[column] = [f"{value:.2f}" if math.isfinite(value) else "" for value in table[column]]
        return [table, "", *self._lines(), "", self.parameters]


def compare(*fits: FitResult, names: tuple[str, ...] | list[str] | None = None) -> Comparison:
    """Put fits side by side.

    Parameters
    ----------
    *fits : FitResult
        Two or more; the others are compared with the first.
    names : sequence of str, optional
        What they are called; "1", "2", … if not given.

    Returns
    -------
    Comparison

    Raises
    ------
    FitError
        If there are less than two, one is no fit, or the names are not one for each.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> fit = wb.fit(model, data)
    >>> compared = wb.compare(fit, wb.fit(model.with_covariate("V", "WT"), data), names=["base", "WT"])
    >>> compared.table["df"].tolist()
    [0, 1]
    """
    for fit in fits:
        if not isinstance(fit, FitResult):
            raise FitError(f"Fits as wb.fit(…) gives them are compared, got {type(fit).__name__}.")
    if len(fits) < 2:
        raise FitError(f"Two fits or more are compared, got {len(fits)}.")
    called = tuple(map(str, names)) if names is not None else tuple(str(k) for k in range(1, len(fits) + 1))
    if len(called) != len(fits) or len(set(called)) < len(called):
        raise FitError(f"names={names!r}: a different name for each of the {len(fits)} fits is needed.")
    return Comparison(called, fits)


def _same_objective(first: FitResult, fit: FitResult) -> bool:
    same_data = first.data.hash == fit.data.hash and first.n_observations == fit.n_observations
    return same_data and (first.method, first.options) == (fit.method, fit.options)


def _test(first: FitResult, fit: FitResult) -> tuple[float, str]:
    """p of the likelihood-ratio test of two fits, whichever is the smaller; a remark where there is none."""
    small, large = (first, fit) if fit.n_estimated >= first.n_estimated else (fit, first)
    if small.n_estimated == large.n_estimated and _same_objective(small, large):
        return math.nan, "As many estimates as the first: no test; compare AIC or BIC."
    try:
        test = likelihood_ratio_test(small, large)
    except FitError as error:
        return math.nan, str(error)
    obstacle = not_nested(small.model, large.model)
    if obstacle:
        return math.nan, f"No case of each other: {obstacle}. Compare AIC or BIC."
    if test.delta_ofv < 0:
        return test.p, "The larger model has the higher OFV: its search did not end at its minimum."
    return test.p, f"{test.law}: {test.note}" if len(test.weights) > 1 else test.note


def not_nested(small: Model, large: Model) -> str:
    """Why a model is not a case of a larger one, in words; "" where it is.

    It is one if the larger model has the same structure, transforms and kinds of residual error, and all random
    effects, correlations and covariate effects of the smaller one.
    """
    if small.structure != large.structure:
        return "other structures"
    if small.blq != large.blq:
        return "censored observations are counted otherwise"
    for mine, theirs in zip(small.errors, large.errors, strict=True):
        nested = type(theirs) is type(mine) or mine.is_case_of(theirs)
        if not nested or _settings(mine) != _settings(theirs):
            return f"a residual error that is {mine.title} in one and {theirs.title} in the other"
    for parameter in small.parameters:
        other = large[parameter.name]
        if (parameter.transform, parameter.column) != (other.transform, other.column):
            return f"{parameter.name} is stated otherwise"
        for part in other.fixed_parts:
            if part not in parameter.fixed_parts or getattr(parameter, part) != getattr(other, part):
                return f"{part} of {parameter.name} is fixed in the larger model"
        if parameter.share is not None and (other.share is None or other.share[0] != parameter.share[0]):
            return f"{parameter.name} shares no random effect with {parameter.share[0]} in the larger model"
        for part in ("iiv", "iov"):
            if getattr(parameter, part) is not None and getattr(other, part) is None:
                return f"the larger model has no {part} of {parameter.name}"
        there = {effect.term: effect for effect in other.covariates}
        for effect in parameter.covariates:
            theirs_ = there.get(effect.term)
            if theirs_ is None:
                return f"the larger model has no {effect.term} on {parameter.name}"
            if effect.fractional != theirs_.fractional or (theirs_.fixed and effect != theirs_):
                return f"{effect.term} on {parameter.name} is another effect in the larger model"
    pairs = _pairs(small) - _pairs(large)
    if pairs:
        level, one, other_ = sorted(pairs)[0]
        return f"the larger model has no correlation of {one} and {other_} ({level})"
    return ""


def _settings(error: ResidualError) -> tuple[object, ...]:
    return tuple(getattr(error, name) for name in error.settings)


def _pairs(model: Model) -> set[tuple[str, str, str]]:
    """Correlated pairs of random effects: level and two names."""
    return {
        (block.level, *sorted((one, other)))  # type: ignore[misc]
        for block in model.correlate
        for k, one in enumerate(block.names)
        for other in block.names[:k]
    }


def differences(first: FitResult, fit: FitResult) -> tuple[str, ...]:
    """What a fit has other than the first one, in words."""
    a, b = first.model, fit.model
    found: list[str] = []
    if first.data.hash != fit.data.hash:
        found.append(f"other data ({fit.data.name}: {fit.n_observations} observations)")
    if (first.method, first.options) != (fit.method, fit.options):
        found.append(f"by {method_of(fit.method).title}")
    if a.structure != b.structure:
        found.append(f"structure {b.structure!r} instead of {a.structure!r}")
    known = {p.name: p for p in a.parameters}
    for parameter in b.parameters:
        if parameter.name in known:
            found += _of_parameter(known[parameter.name], parameter)
    for sign, pairs in (("with", _pairs(b) - _pairs(a)), ("without", _pairs(a) - _pairs(b))):
        for level, one, other in sorted(pairs):
            of = " between occasions" if level == "occasion" else ""
            found.append(f"{sign} a correlation of {one} and {other}{of}")
    for response, mine in zip(b.structure.responses, b.errors, strict=True):
        if response not in a.structure.responses:
            continue
        before = a.errors[a.structure.responses.index(response)]
        of = f" of {response}" if len(b.structure.responses) > 1 else ""
        if type(before) is not type(mine):
            found.append(f"{mine.title} residual error{of} instead of {before.title}")
        elif before.fixed != mine.fixed:
            found.append(f"residual error{of} with {', '.join(mine.fixed) or 'nothing'} fixed")
    if a.blq != b.blq:
        found.append(f"censored observations by {b.blq or 'nothing'} instead of {a.blq or 'nothing'}")
    return tuple(found)


def _of_parameter(a: Parameter, b: Parameter) -> list[str]:
    found = []
    if a.transform != b.transform:
        found.append(f"{b.name} with the transform {b.transform} instead of {a.transform}")
    if a.column != b.column:
        found.append(f"{b.name} from column {b.column}" if b.column else f"{b.name} estimated")
    for part, what in (("iiv", "random effect"), ("iov", "random effect between occasions")):
        before, after = getattr(a, part), getattr(b, part)
        if (before is None) != (after is None):
            found.append(f"{'with' if before is None else 'without'} a {what} of {b.name}")
    shared = b.share[0] if b.share else None
    if (a.share[0] if a.share else None) != shared:
        found.append(
            f"{b.name} shares the random effect of {shared}" if shared else f"{b.name} shares no random effect"
        )
    if a.fixed_parts != b.fixed_parts:
        found.append(f"{b.name} with {', '.join(b.fixed_parts) or 'nothing'} fixed")
    before, after = ({(e.term, e.fractional): e for e in p.covariates} for p in (a, b))
    found += [f"with {term} on {b.name}{_how(after[term, f])}" for term, f in after if (term, f) not in before]
    found += [f"without {term} on {b.name}" for term, f in before if (term, f) not in after]
    for key in (key for key in after if key in before):
        was, is_ = before[key], after[key]
        if was.fixed != is_.fixed:
            found.append(f"{key[0]} on {b.name} {'fixed' if is_.fixed else 'estimated'}")
        elif is_.fixed and was.value != is_.value:
            found.append(f"{key[0]} on {b.name} fixed at {_numbers(is_)} instead of {_numbers(was)}")
    return found


def _how(effect: Effect) -> str:
    return " (fractional)" if effect.fractional else ""


def _numbers(effect: Effect) -> str:
    return ", ".join(f"{value:g}" for value in effect.value or ())
