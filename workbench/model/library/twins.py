"""Other values of a compartment model that give the same typical curve.

With λ the exponents of the disposition, k_p the rate constants back from the peripheral compartments and V the central
volume, the concentration after a dose through a depot is, in terms of Laplace's s,

    (ka/V) · Π (s + k_p) / [(s + ka) Π (s + λ)]

so that ka may be any of the exponents, with V in proportion to it; the product of all exponents, and with it CL, stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

_APART = 1e-6  # relative: nearer exponents are the same
_GREEK = ("alpha", "beta", "gamma")


class Disposition(NamedTuple):
    """The central volume, the exponents, and the rate constants back from each peripheral compartment."""

    V: float
    exponents: tuple[float, ...]
    back: tuple[float, ...]


def disposition_of(parameters: str, compartments: int, values: Mapping[str, float]) -> Disposition | None:
    """The disposition at values of the parameters; None where they state none."""
    with np.errstate(all="ignore"):
        found = _disposition(parameters, compartments, {name: np.float64(value) for name, value in values.items()})
    numbers = (found.V, *found.exponents, *found.back)
    return found if all(math.isfinite(number) and number > 0 for number in numbers) else None


def _disposition(parameters: str, n: int, values: Mapping[str, float]) -> Disposition:
    nothing = Disposition(math.nan, (), ())
    try:
        if parameters == "macro" or (parameters == "half-life" and n > 1):
            A = np.array([values[name] for name in "ABC"[:n]])
            if parameters == "macro":
                rates = np.array([values[name] for name in _GREEK[:n]])
            else:
                rates = math.log(2.0) / np.array([values[f"t_half_{name}"] for name in _GREEK[:n]])
            top = sum(a * np.poly(-np.delete(rates, j)) for j, a in enumerate(A))
            back = -np.roots(np.atleast_1d(top))
            if np.iscomplexobj(back):
                return nothing
            return Disposition(float(1.0 / A.sum()), tuple(rates.tolist()), tuple(back.tolist()))
        V = values["V"] if n == 1 else values["V1"]
        if parameters == "half-life":
            return Disposition(float(V), (math.log(2.0) / float(values["t_half"]),), ())
        if parameters == "clearance":
            k, flows = values["CL"] / V, {1: (), 2: (("Q", "V2"),), 3: (("Q2", "V2"), ("Q3", "V3"))}[n]
            out, back = [values[Q] / V for Q, _ in flows], np.array([values[Q] / values[P] for Q, P in flows])
        else:
            k, out = values["k"], [values[f"k1{p}"] for p in range(2, n + 1)]
            back = np.array([values[f"k{p}1"] for p in range(2, n + 1)])
        if not out:
            return Disposition(float(V), (float(k),), ())
        matrix = np.diag([float(k) + float(np.sum(out)), *back])
        matrix[0, 1:], matrix[1:, 0] = -back, -np.array(out)
        exponents = np.linalg.eigvals(matrix) if np.isfinite(matrix).all() else np.array([math.nan])
        return Disposition(float(V), tuple(np.sort(exponents.real)[::-1].tolist()), tuple(back.tolist()))
    except KeyError:
        return nothing


def exchanged(ka: float, of: Disposition) -> Iterator[tuple[float, Disposition]]:
    """ka and the disposition with ka in place of one of the exponents, for each that compartments can have."""
    for j, other in enumerate(of.exponents):
        if math.isfinite(ka) and ka > 0 and abs(other - ka) > _APART * ka:
            exponents = (*of.exponents[:j], ka, *of.exponents[j + 1 :])
            moved = Disposition(of.V * other / ka, exponents, of.back)
            if all(number > 0 for number in _micro(moved).values()):
                yield other, moved


def _micro(of: Disposition) -> dict[str, float]:
    """Rate constants between the compartments."""
    rates, back = np.array(of.exponents), of.back
    k = float(np.prod(rates) / np.prod(back)) if back else float(rates[0])
    named = {"k": k} | {f"k{p}1": value for p, value in enumerate(back, 2)}
    left = float(rates.sum()) - k - sum(back)
    if len(back) == 1:
        named["k12"] = left
    elif len(back) == 2:
        pairs = rates[0] * rates[1] + rates[0] * rates[2] + rates[1] * rates[2]
        if abs(back[0] - back[1]) < _APART * back[0]:
            return {"k": math.nan}
        further = float(pairs) - k * sum(back) - back[0] * back[1]
        named["k12"], named["k13"] = np.linalg.solve(
            np.array([[1.0, 1.0], [back[1], back[0]]]), [left, further]
        ).tolist()
    return named


def named(of: Disposition) -> dict[str, float]:
    """The disposition under every name that the library has for its parameters."""
    micro, V, n = _micro(of), of.V, len(of.exponents)
    found = {**micro, "V": V, "V1": V, "CL": micro["k"] * V, "t_half": math.log(2.0) / of.exponents[0]}
    for p in range(2, n + 1):
        Q = micro[f"k1{p}"] * V
        found |= {"Q" if n == 2 else f"Q{p}": Q, f"V{p}": Q / micro[f"k{p}1"]}
    order = sorted(of.exponents, reverse=True)
    for j, (letter, greek, rate) in enumerate(zip("ABC", _GREEK, order, strict=False)):
        others = np.array([other for m, other in enumerate(order) if m != j])
        weight = np.prod(np.array(of.back) - rate) / np.prod(others - rate) / V
        found |= {letter: float(weight), greek: rate, f"t_half_{greek}": math.log(2.0) / rate}
    return found


def relabelled(parameters: str, compartments: int, values: Mapping[str, float]) -> Iterator[dict[str, float]]:
    """Two peripheral compartments, or two exponentials, exchanged."""
    groups: list[tuple[str, ...]] = []
    if parameters == "macro":
        groups = list(zip("ABC"[:compartments], _GREEK, strict=False))
    elif parameters == "half-life" and compartments > 1:
        groups = [(letter, f"t_half_{greek}") for letter, greek in zip("ABC"[:compartments], _GREEK, strict=False)]
    elif compartments == 3:
        groups = [("Q2", "V2"), ("Q3", "V3")] if parameters == "clearance" else [("k12", "k21"), ("k13", "k31")]
    for later in range(1, len(groups)):
        for first, second in ((groups[earlier], groups[later]) for earlier in range(later)):
            pairs = [*zip(first, second, strict=True), *zip(second, first, strict=True)]
            if all(name in values for name, _ in pairs):
                yield {name: values[other] for name, other in pairs}
