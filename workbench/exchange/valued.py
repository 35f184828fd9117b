"""What was understood of a stream becomes a model, at the values of its thetas and variances."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.exchange.abbreviated import Fault
from workbench.exchange.initial import Omega
from workbench.exchange.residuals import Residual
from workbench.exchange.stream import Records
from workbench.exchange.symbolic import Understood, at
from workbench.model import (
    Block,
    Combined,
    Combined2,
    Constant,
    Effect,
    Exponential,
    Model,
    Parameter,
    Power,
    Proportional,
    ResidualError,
    Structure,
)


@dataclass(frozen=True)
class Understanding:
    """A model without values.

    Attributes
    ----------
    structure : Structure
    understood : dict of str to Understood
        Parameters by name, as expressions of thetas and random effects.
    pseudo : dict of str to symbol
        Thetas and random effects that are parameters of their own.
    theta, eta : list of symbol
    kappas : dict of symbol to symbol
        Random effects that are one for each occasion, and what stands for all of them.
    residuals : list of Residual
        Of each response.
    log_data : bool
        Whether the data are logarithms.
    blq : str, optional
    """

    structure: Structure
    understood: Mapping[str, Understood]
    pseudo: Mapping[str, Any]
    theta: list[Any]
    eta: list[Any]
    kappas: Mapping[Any, Any]
    residuals: list[Residual]
    log_data: bool
    blq: Any


def model_of(
    of: Understanding, records: Records, thetas: Sequence[float], omegas: Sequence[Any], sigmas: Sequence[Any]
) -> Model:
    """The model at values.

    Parameters
    ----------
    of : Understanding
    records : Records
    thetas : sequence of float
    omegas, sigmas : sequence of array
        Of each group of random effects.

    Raises
    ------
    Fault
        If there are other parameters than a model has.
    """
    return _Values(of, records, thetas, omegas, sigmas).model()


class _Values:
    """Values by symbol."""

    def __init__(self, of: Understanding, records: Records, thetas: Any, omegas: Any, sigmas: Any):
        self.of, self.records, self.omegas, self.sigmas = of, records, omegas, sigmas
        self.values = dict(zip(of.theta, thetas, strict=True))
        self.variances: dict[Any, float] = {}
        self.fixed: dict[Any, bool] = {}
        self.owner: dict[Any, str] = {}
        n = 0
        for group, matrix in zip(records.omegas, omegas, strict=True):
            for i in range(len(matrix)):
                effect = of.kappas.get(of.eta[n], of.eta[n])
                if effect not in self.variances:
                    self.variances[effect], self.fixed[effect] = float(matrix[i, i]), group.fixed
                n += 1

    def model(self) -> Model:
        of = self.of
        order = {name: i for i, name in enumerate(of.structure.names)}
        parameters = [self.parameter(name, of.understood[name]) for name in order if name in of.understood]
        parameters += [self.alone(name, of.pseudo[name]) for name in order if name in of.pseudo]
        parameters.sort(key=lambda p: order[p.name])
        self.check_apart()
        errors = [self.residual(r) for r in of.residuals]
        return Model(of.structure, parameters, errors if len(errors) > 1 else errors[0], self.blocks(), of.blq)

    def _theta(self, symbol: Any) -> Any:
        return self.records.thetas[self.of.theta.index(symbol)]

    def alone(self, name: str, symbol: Any) -> Parameter:
        """A theta or a random effect that is a parameter of its own."""
        if symbol in self.values:
            theta, value = self._theta(symbol), self.values[symbol]
            bounds = _bounds(theta.lower, value, theta.upper)
            return Parameter(name, value, transform="identity", fixed=theta.fixed, bounds=bounds)
        part = "iov" if str(symbol).startswith("KAPPA") else "iiv"
        self.owner[symbol] = name
        parts = ("value", part) if self.fixed[symbol] else ("value",)
        spread: dict[str, Any] = {part: math.sqrt(self.variances[symbol])}
        return Parameter(name, 0.0, transform="identity", fixed=parts, **spread)

    def parameter(self, name: str, u: Understood) -> Parameter:
        """A parameter that is one of a model."""
        typical = at(u.typical, self.values)
        (symbol,) = u.typical.free_symbols or {None}
        kept = symbol is None
        bounds: tuple[float | None, float | None] | None = None
        lower = -math.inf
        if symbol is not None:
            theta = self._theta(symbol)
            lower, kept = theta.lower, theta.fixed
            if u.typical == symbol:
                bounds = _bounds(theta.lower, typical, theta.upper)
        transform = u.transform
        if transform == "plain":
            transform = "log" if typical > 0 and (lower >= 0 or u.parts) else "identity"
        if transform == "log" and bounds is not None and bounds[0] is not None and bounds[0] <= 0:
            bounds = (None, bounds[1])
        if transform == "logit" or bounds == (None, None):
            bounds = None
        effects = []
        for part in u.parts:
            (own,) = part.coefficient.free_symbols or {None}
            keeps = own is None or self._theta(own).fixed
            effects.append(Effect(part.term, (at(part.coefficient, self.values),), keeps, part.fractional))
        stated = ["value"] if kept else []
        spread: dict[str, float | None] = {}
        for word, effect in (("iiv", u.eta), ("iov", u.kappa)):
            spread[word] = None
            if effect is not None:
                self.owner[effect] = name
                spread[word] = math.sqrt(self.variances[effect])
                stated += [word] if self.fixed[effect] else []
        return Parameter(
            name, typical, spread["iiv"], tuple(effects), transform, tuple(stated), None, bounds, spread["iov"]
        )

    def blocks(self) -> list[Block]:
        blocks = []
        n = 0
        for group, matrix in zip(self.records.omegas, self.omegas, strict=True):
            size = len(matrix)
            members = self.of.eta[n : n + size]
            n += size
            if group.same or size == 1:
                continue
            names = [self.owner.get(self.of.kappas.get(e, e)) for e in members]
            if None in names:
                if any(names):
                    raise Fault("a block of $OMEGA in which some random effects are used nowhere")
                continue
            sd = np.sqrt(np.diag(matrix))
            correlation = (matrix / np.outer(sd, sd))[np.tril_indices(size, -1)]
            level = "occasion" if members[0] in self.of.kappas else "subject"
            stated: dict[str, Any] = {"fixed": group.fixed, "level": level}
            blocks.append(Block(*map(str, names), correlations=tuple(map(float, correlation)), **stated))
        return blocks

    # -- residual errors -----------------------------------------------------------------------------------------------

    def unknowns(self, expression: Any, eps: Any) -> set[Any]:
        """What is estimated in a part of a residual error."""
        found = {s for s in expression.free_symbols if s in self.values and not self._theta(s).fixed}
        return found | ({eps} if eps is not None and not self._sigma(eps)[1] else set())

    def check_apart(self) -> None:
        """Each value that is estimated is that of one parameter."""
        of = self.of
        elsewhere = {s for u in of.understood.values() for s in u.thetas} | set(of.pseudo.values())
        seen: set[Any] = set()
        for residual in of.residuals:
            for expression, eps in residual.parts:
                own = self.unknowns(expression, eps)
                if len(own) > 1:
                    raise Fault(f"a residual error with more parameters than it can tell apart: {_listed(own)}")
                if own & elsewhere:
                    raise Fault(f"a residual error with {_listed(own)}, which is part of the structure as well")
                if own & seen:
                    raise Fault(f"a residual error with {_listed(own)} in more than one part or response")
                seen |= own

    def residual(self, residual: Residual) -> ResidualError:
        numbers, kept = [], []
        for expression, eps in residual.parts:
            value = at(expression, self.values) * (math.sqrt(self._sigma(eps)[0]) if eps is not None else 1.0)
            numbers.append(value)
            kept.append(not self.unknowns(expression, eps))
        if residual.kind == "combined" and numbers[0] * numbers[1] < 0:
            raise Fault("a residual error whose parts have different signs")
        numbers = [abs(numbers[0]), *(numbers[1:] if residual.kind == "power" else map(abs, numbers[1:]))]
        made: dict[str, Any] = {"constant": Constant, "proportional": Proportional, "combined": Combined,
                                "combined2": Combined2, "power": Power}  # fmt: skip
        error: ResidualError
        if residual.of_logarithm and self.of.log_data:
            error = Exponential(numbers[0], log_data=True)
        else:
            error = made[residual.kind](*numbers)
        return replace(error, fixed=tuple(n for n, k in zip(error.names, kept, strict=True) if k))

    def _sigma(self, eps: Any) -> tuple[float, bool]:
        """Variance of an EPS, and whether it is fixed."""
        n = int(str(eps)[4:-1]) - 1
        for group, matrix in zip(self.records.sigmas, self.sigmas, strict=True):
            if n < len(matrix):
                return float(matrix[n, n]), _fixed(group)
            n -= len(matrix)
        raise Fault(f"{eps}, which $SIGMA does not give")


def _fixed(group: Omega) -> bool:
    return group.fixed


def _listed(symbols: set[Any]) -> str:
    return " and ".join(sorted(map(str, symbols)))


def _bounds(lower: float, value: float, upper: float) -> tuple[float | None, float | None] | None:
    """Bounds that the value lies within."""
    if not lower < value < upper or (math.isinf(lower) and math.isinf(upper)):
        return None
    return None if math.isinf(lower) else lower, None if math.isinf(upper) else upper
