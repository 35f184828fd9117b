"""Checks of data: each file finds things of one kind, and says how they are mended."""

from __future__ import annotations

from workbench.data.checks import censored, codes, covariates, dosing, responses, subjects, times
from workbench.data.checks.mending import Mend

CHECKS = (dosing, times, censored, codes, responses, subjects, covariates)
"""The kinds, in the order in which findings are listed."""

MENDS: dict[str, Mend] = {name: mend for check in CHECKS for name, mend in check.MENDS.items()}
"""Every mend by name."""

JUDGED: tuple[str, ...] = tuple(name for check in CHECKS for name in getattr(check, "JUDGED", ()))
"""Errors that may be meant; naming them in `allow` makes them warnings."""

AS_ONE = frozenset(("marked values", *(name for check in CHECKS for name in getattr(check, "AS_ONE", ()))))
"""Errors that are said once for all their rows."""
