"""The equations of NONMEM's subroutines for compartments, and which of them are a structure of the library."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import sympy

from workbench.exchange.abbreviated import Fault
from workbench.model import Structure, pk

CLOSED = (1, 2, 3, 4, 10, 11, 12)
LINEAR = (5, 7)
GENERAL = (6, 8, 9, 13, 14, 15)
_SIZES = {1: 1, 2: 2, 3: 2, 4: 3, 10: 1, 11: 3, 12: 4}
_CENTRAL = {1: 1, 2: 2, 3: 1, 4: 2, 10: 1, 11: 1, 12: 2}
_DEPOTS = (2, 4, 12)


def amount(number: int) -> Any:
    """A(n)."""
    return sympy.Symbol(f"A({number})")


def size_of(advan: int, compartments: Sequence[str], assigned: Sequence[str]) -> int:
    """How many compartments there are: of the subroutine, of $MODEL, or of $DES."""
    if advan in _SIZES:
        return _SIZES[advan]
    numbers = [int(found.group(1)) for name in assigned if (found := re.fullmatch(r"DADT\((\d+)\)", name))]
    size = max([len(compartments), *numbers])
    if not size:
        raise Fault(f"ADVAN{advan} without {'$DES' if advan in GENERAL else '$MODEL'}")
    return size


def observed_of(advan: int, compartments: Sequence[str]) -> int:
    """The compartment that F is of by default: DEFOBSERVATION, or one called CENTRAL, or the first."""
    if advan in _CENTRAL:
        return _CENTRAL[advan]
    return _default(compartments, "DEFOB", "CENTRAL")


def dosed_of(advan: int, compartments: Sequence[str]) -> int:
    """The compartment that doses enter by default: DEFDOSE, or one called DEPOT, or the first."""
    return 1 if advan in _CENTRAL else _default(compartments, "DEFD", "DEPOT")


def _default(compartments: Sequence[str], option: str, name: str) -> int:
    words = [re.findall(r"\w+", text.upper()) for text in compartments]
    marked = [n for n, w in enumerate(words, 1) if any(word.startswith(option) for word in w[1:])]
    marked += [n for n, w in enumerate(words, 1) if w[:1] == [name]]
    return marked[0] if marked else 1


def rates_of(advan: int, trans: int, values: Mapping[str, Any], size: int) -> dict[str, Any]:
    """The differential equations of a subroutine that has none in the stream.

    Parameters
    ----------
    advan, trans : int
    values : dict of str to expression
        What $PK says.
    size : int
        Number of compartments.

    Raises
    ------
    Fault
        If a parameter is not given.
    """
    if advan in LINEAR:
        return _linear(values, size)

    def get(name: str) -> Any:
        if name not in values:
            raise Fault(f"ADVAN{advan} TRANS{trans} without {name}")
        return values[name]

    A = [amount(i) for i in range(1, size + 1)]
    if advan == 10:
        return {"DADT(1)": -get("VM") * A[0] / (get("KM") + A[0])}
    c = int(advan in _DEPOTS)
    n = c + 1
    others = size - n
    k, out, back = _constants(get, n, others, trans, advan)
    rates: dict[str, Any] = {}
    total = -(k + sum(out)) * A[c] + sum(b * A[n + i] for i, b in enumerate(back))
    if c:
        rates["DADT(1)"] = -get("KA") * A[0]
        total += get("KA") * A[0]
    rates[f"DADT({n})"] = total
    for i in range(others):
        rates[f"DADT({n + 1 + i})"] = out[i] * A[c] - back[i] * A[n + i]
    return rates


def _constants(get: Any, n: int, others: int, trans: int, advan: int) -> tuple[Any, list[Any], list[Any]]:
    """Rate constants: of elimination, to the other compartments, and back."""
    if trans == 1:
        out = [get(f"K{n}{n + 1 + i}") for i in range(others)]
        return get("K"), out, [get(f"K{n + 1 + i}{n}") for i in range(others)]
    if trans == 2 and not others:
        return get("CL") / get("V"), [], []
    if trans == 3 and others == 1:
        return get("CL") / get("V"), [get("Q") / get("V")], [get("Q") / (get("VSS") - get("V"))]
    if trans == 4 and others:
        v = get(f"V{n}")
        flow = ["Q"] if others == 1 else [f"Q{n + 1}", f"Q{n + 2}"]
        back = [get(q) / get(f"V{n + 1 + i}") for i, q in enumerate(flow)]
        return get("CL") / v, [get(q) / v for q in flow], back
    if trans == 5 and others == 1:  # macro constants: exponents and the ratio of intercepts
        alpha, beta, ratio = get("ALPHA"), get("BETA"), get("AOB")
        back = (ratio * beta + alpha) / (ratio + 1)
        k = alpha * beta / back
        return k, [alpha + beta - back - k], [back]
    if trans == 6 and others == 1:  # exponents and the rate constant back
        alpha, beta, back = get("ALPHA"), get("BETA"), get(f"K{n + 1}{n}")
        k = alpha * beta / back
        return k, [alpha + beta - back - k], [back]
    raise Fault(f"ADVAN{advan} with TRANS{trans}")


def _linear(values: Mapping[str, Any], size: int) -> dict[str, Any]:
    """ADVAN5 and 7: K12 or K1T2 is the rate constant from 1 to 2; 0 and the one after the last are the outside."""
    rates = dict.fromkeys(range(1, size + 1), sympy.Integer(0))
    found = False
    for name, k in values.items():
        numbers = re.fullmatch(r"K(\d+)T(\d+)|K(\d)(\d)", name)
        if numbers is None:
            if re.fullmatch(r"K\d{3,}", name):
                raise Fault(f"{name}, which may be several rate constants: write K1T23")
            continue
        start, end = (int(part) for part in numbers.groups() if part is not None)
        if not 1 <= start <= size or end > size + 1 or start == end:
            raise Fault(f"{name} of {size} compartments")
        found = True
        rates[start] -= k * amount(start)
        if 1 <= end <= size:
            rates[end] += k * amount(start)
    if not found:
        raise Fault("ADVAN5 or 7 without rate constants")
    return {f"DADT({i})": rate for i, rate in rates.items()}


def library_of(
    advan: int, trans: int, parts: Mapping[str, Any], prediction: Any, is_parameter: Any
) -> tuple[Structure, dict[str, str], bool] | None:
    """The structure of the library that equations are; None if they are none.

    Parameters
    ----------
    advan, trans : int
    parts : dict of str to expression
        Rates, and ALAG1, F1, D1.
    prediction : expression
    is_parameter : callable
        Whether a symbol is a parameter.

    Returns
    -------
    structure : Structure
    names : dict of str to str
        Of the structure's parameters by those of the stream.
    logs : bool
        Whether the logarithm is predicted.
    """
    if advan not in CLOSED or advan == 10:
        return None
    depot = advan in _DEPOTS
    n = 1 + int(depot)
    size = _SIZES[advan] - int(depot)
    central = amount(n)
    logs = isinstance(prediction, sympy.log)
    inner = prediction.args[0] if logs else prediction
    volume = sympy.simplify(central / inner)
    if not volume.is_Symbol or not is_parameter(volume):
        return None
    zero = {amount(i): sympy.Integer(i == n) for i in range(1, 5)}
    out = [parts[f"DADT({n + 1 + i})"].xreplace(zero) for i in range(size - 1)]
    back = [-parts[f"DADT({n + 1 + i})"].xreplace({amount(n + 1 + i): 1, central: 0}) for i in range(size - 1)]
    k = sympy.simplify(-parts[f"DADT({n})"].xreplace(zero) - sum(out))
    found: dict[str, Any] = {}
    clearance = sympy.simplify(k * volume)
    if clearance.is_Symbol and (trans != 1 or size == 1):
        written = "clearance"
        found["CL"] = clearance
        found["V" if size == 1 else "V1"] = volume
        for i in range(size - 1):
            q = sympy.simplify(out[i] * volume)
            found["Q" if size == 2 else f"Q{i + 2}"] = q
            found[f"V{i + 2}"] = sympy.simplify(q / back[i])
    else:
        written = "rate"
        found |= {"k": k, ("V" if size == 1 else "V1"): volume}
        for i in range(size - 1):
            found |= {f"k1{i + 2}": out[i], f"k{i + 2}1": back[i]}
    absorption = None
    if depot:
        absorption = "first-order"
        found["ka"] = -parts["DADT(1)"].xreplace({amount(1): sympy.Integer(1)})
    beside = {m for m in parts if re.fullmatch(r"(ALAG|F|D|R|A_0\()\d+\)?", m)}
    if beside - {"ALAG1", "F1", "D1"} or (depot and "D1" in beside):
        return None
    found |= {to: parts[name] for name, to in (("ALAG1", "lag"), ("F1", "F"), ("D1", "Tk0")) if name in beside}
    if "D1" in beside:
        absorption = "zero-order"
    names = {str(v): to for to, v in found.items()}
    if any(not v.is_Symbol or not is_parameter(v) for v in found.values()) or len(names) < len(found):
        return None
    choices: dict[str, Any] = {"absorption": absorption, "parameters": written}
    return pk(size, **choices, lag="lag" in found, bioavailability="F" in found), names, logs
