"""Which residual error Y is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sympy

from workbench.exchange.abbreviated import Fault


@dataclass(frozen=True)
class Residual:
    """A residual error.

    Attributes
    ----------
    prediction : expression
    kind : str
        "constant", "proportional", "combined", "combined2" or "power".
    parts : tuple of (expression, symbol or None)
        Of each of its parameters an expression in thetas, and the EPS by whose deviation it is multiplied.
    of_positive : bool
        Whether it is of this kind for positive predictions only.
    """

    prediction: Any
    kind: str
    parts: tuple[tuple[Any, Any], ...]
    of_positive: bool

    @property
    def of_logarithm(self) -> bool:
        """Whether a logarithm is predicted, with a constant deviation."""
        return self.kind == "constant" and isinstance(self.prediction, sympy.log)


def eps_in(y: Any) -> list[Any]:
    """The EPS of an expression, in order."""
    return sorted((s for s in y.free_symbols if str(s).startswith("EPS(")), key=lambda s: int(str(s)[4:-1]))


def residual_of(y: Any, thetas: Collection[Any]) -> Residual:
    """Take Y apart: the prediction, where all EPS are 0, and how it moves with them there.

    Raises
    ------
    Fault
        If the residual error is none of those that there are.
    """
    eps = eps_in(y)
    if not eps:
        raise Fault("Y without EPS")
    none = dict.fromkeys(eps, sympy.Integer(0))
    f = y.xreplace(none)
    slopes = {e: sympy.diff(y, e).xreplace(none) for e in eps}
    slopes = {e: g for e, g in slopes.items() if g != 0}
    if not slopes:
        raise Fault("Y without EPS")
    free = set(thetas)
    mark = sympy.Symbol("PREDICTION", positive=True)
    conditional = any(g.has(sympy.Piecewise) for g in slopes.values())
    written = {e: _in_prediction(g, f, mark, free) for e, g in slopes.items()}
    for e, g in written.items():
        if g.free_symbols - free - {mark}:
            raise Fault(f"a residual error that is no function of the prediction: {str(slopes[e])[:80]} times {e}")
        if g.has(sympy.Piecewise):
            raise Fault(f"a residual error by conditions: {str(slopes[e])[:80]} times {e}")
    if len(written) == 1:
        ((e, g),) = written.items()
        kind, parts = _one(g, e, mark)
        return Residual(f, kind, parts, conditional)
    constant = [(g, e) for e, g in written.items() if mark not in g.free_symbols]
    relative = [((g / mark).simplify(), e) for e, g in written.items() if mark in g.free_symbols]
    if len(constant) == 1 and len(relative) == 1 and mark not in relative[0][0].free_symbols:
        return Residual(f, "combined2", (constant[0], relative[0]), conditional)
    raise Fault(f"a residual error of {len(written)} parts that are no constant and proportional one")


def _in_prediction(g: Any, f: Any, mark: Any, free: set[Any]) -> Any:
    """A slope as a function of the prediction, which is taken to be positive."""
    if not (g.free_symbols - free):
        return g
    ratio = sympy.simplify(g / f) if f != 0 else g
    if not (ratio.free_symbols - free):
        return ratio * mark
    return g.subs(f, mark)


def _one(g: Any, e: Any, mark: Any) -> tuple[str, tuple[tuple[Any, Any], ...]]:
    """Kind and parts of the deviation g(prediction)."""
    if mark not in g.free_symbols:
        return "constant", ((g, e),)
    relative = (g / mark).simplify()
    if mark not in relative.free_symbols:
        return "proportional", ((relative, e),)
    square = sympy.expand(sympy.simplify(g**2))
    c0, c2 = square.coeff(mark, 0), square.coeff(mark, 2)
    if sympy.simplify(square - c0 - c2 * mark**2) == 0 and c0 != 0:
        return "combined2", ((sympy.sqrt(c0), e), (sympy.sqrt(c2), e))
    plain = sympy.expand(g)
    d0, d1 = plain.coeff(mark, 0), plain.coeff(mark, 1)
    if sympy.simplify(plain - d0 - d1 * mark) == 0:
        return "combined", ((d0, e), (d1, e))
    scale, power = g.as_independent(mark)
    if power.is_Pow and power.base == mark and not power.exp.has(mark):
        return "power", ((scale, e), (power.exp, None))
    raise Fault(f"a residual error of another form: {str(g)[:80]}")
