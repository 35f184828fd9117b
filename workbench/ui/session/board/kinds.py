"""All figures of the Diagnose board, and which of them are shown unless others are chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.ui.session.board import checks, effects, errors, subjects
from workbench.ui.session.board.matter import COMPUTED, Matter, Need, Offered
from workbench.ui.session.drawing import Drawing, Index


def _needs_errors(matter: Matter) -> Sequence[Need]:
    return ("errors",) if matter.residual in COMPUTED and matter.errors is None else ()


def _needs(name: Need) -> Callable[[Matter], Sequence[Need]]:
    return lambda matter: (name,) if getattr(matter, name) is None else ()


def _effects_needed(matter: Matter) -> Sequence[Need]:
    return ("effects",) if matter.effect_names and matter.effects is None else ()


def _over(what: str) -> Callable[[Matter, str], Drawing]:
    return lambda matter, option: errors.errors_over(matter, what)


KINDS = (
    Offered("fits", "Observed and predicted", errors.fits, lambda matter: ("both", "typical", "individual")),
    *(
        Offered(f"over {what}", f"Residuals over {what}", _over(what), needs=_needs_errors)
        for what in ("time", "time after dose", "prediction", "individual prediction")
    ),
    Offered("normal", "Residuals against the normal", errors.against_normal, needs=_needs_errors),
    Offered("histogram", "Histogram of residuals", errors.histogram, needs=_needs_errors),
    Offered("effects", "Random effects, η", effects.strips),
    Offered("effect histogram", "Histogram of η", effects.effect_histogram, lambda m: m.effect_names, _effects_needed),
    Offered("effect normal", "η against the normal", effects.effect_normal, lambda m: m.effect_names, _effects_needed),
    Offered("effect pairs", "Pairs of η", effects.pairs, effects.pair_names, _effects_needed),
    Offered("effect covariates", "η against covariates", effects.along, effects.covariate_names, _effects_needed),
    Offered("check", "Visual predictive check", checks.check, checks.strata_of, _needs("check")),
    Offered("censored", "Share below the limit", checks.censored, checks.strata_of, _needs("check")),
    Offered("objective", "OFV by subject", subjects.objective),
    Offered("change", "Change of the OFV by subject", subjects.change, subjects.rivals),
    Offered("influence", "Influence of subjects", subjects.influence, needs=_needs("influence")),
    Offered("correlation", "Correlation of estimates", subjects.correlation),
)  # fmt: skip
BY_NAME = {kind.name: kind for kind in KINDS}
USUAL = ("fits", "over time", "over prediction", "normal", "effects", "check")


def mask(owner: Index, row: Index, subjects: NDArray[np.bool_], records: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which points are marked, by the subjects and the records that are selected."""
    found = np.zeros(len(owner), dtype=bool)
    somebody = owner >= 0
    found[somebody] = subjects[owner[somebody]]
    seen = row >= 0
    found[seen] |= records[row[seen]]
    return found
