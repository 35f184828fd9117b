"""Units of columns and of what is estimated from them. Units are optional: none given, none shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from workbench.errors import DataError, Fault

_DIMENSIONS = {"time": "[time]", "interval": "[time]", "duration": "[time]"}
_EXAMPLES = {"time": "h", "interval": "h", "duration": "h", "rate": "mg/h"}


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry()
    registry.define("percent = 0.01 = %") if "percent" not in registry else None
    registry.define("international_unit = [international_unit] = IU")
    return registry


_LONGEST = 60
_RAISED = str.maketrans({"µ": "u", "μ": "u", "·": "*", "⁻": "-", **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True))})
_SIZE = r"[-+]?\d(?:\.\d{1,3})?"
_POWER = re.compile(rf"(?<=[A-Za-z_%])\s*(?:\*\*|\^)\s*(?:{_SIZE}|\({_SIZE}\))(?![\d.^]|\*\*)")


def _unit(text: str, what: str) -> Any:
    registry = _registry()  # outside: that pint cannot be imported says nothing about the text
    spelled = re.sub(r"(?<=[A-Za-z_%])(?=[⁻⁰¹²³⁴⁵⁶⁷⁸⁹])", "^", str(text)) if len(str(text)) <= _LONGEST else ""
    spelled = spelled.translate(_RAISED)
    try:
        if not _takes_no_time(spelled):
            raise ValueError(text)
        return registry.Unit(spelled)
    except Exception:  # pint raises whatever the text leads its parser to
        mend = "write it as h, day, mg, ug/L, mg/kg, 1/h"
        cut = repr(text) if len(str(text)) <= _LONGEST else f"{str(text)[:_LONGEST]!r}…"
        raise DataError(Fault(f"unit {cut} of {what} is not known", mend=mend), "units") from None


def _takes_no_time(text: str) -> bool:
    """Whether nothing but names of units is raised to powers: pint calculates what 9**9**9 is."""
    return bool(text) and not re.search(r"\*\*|\^|\d{7}", _POWER.sub("", text))


_WORDS = {
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "std": "h", "stunden": "h", "mins": "min", "minutes": "min",
    "minute": "min", "secs": "s", "sec": "s", "seconds": "s", "days": "day", "d": "day", "tage": "day", "tag": "day",
    "jours": "day", "weeks": "week", "wk": "week", "months": "month", "mo": "month", "years": "year", "yrs": "year",
    "yr": "year", "y": "year", "jahre": "year", "ans": "year", "mcg": "ug", "gm": "g", "lbs": "lb", "l": "L",
    "ml": "mL", "dl": "dL", "ul": "uL", "iu": "IU", "hours.": "h", "heures": "h",
    "stunde": "h", "heure": "h", "woche": "week", "wochen": "week", "semaine": "week", "semaines": "week",
    "monat": "month", "monate": "month", "mois": "month", "jour": "day",
}  # fmt: skip
_ATOMS = frozenset((
    "h", "min", "s", "day", "week", "month", "year", "kg", "g", "mg", "ug", "ng", "pg", "mol", "mmol", "umol",
    "nmol", "pmol", "M", "mM", "uM", "nM", "pM", "L", "mL", "dL", "uL", "m", "cm", "mm", "um", "inch", "foot", "IU",
    "mIU", "kIU", "U", "mU", "lb", "%", "percent", "mmHg", "bpm", "C", "kcal",
))  # fmt: skip
TIME_UNITS = frozenset(("h", "min", "s", "day", "week", "month", "year"))
_NONE = frozenset(("", "-", "--", "none", "unitless", "dimensionless", "n/a", "na", ".", "1", "dl"))


def tidied(text: str) -> str:
    """A unit as people write it, spelled as `pint` knows it: "hrs" is "h", "ug/ml" is "ug/mL", "mcg" is "ug"."""
    text = str(text).strip().strip("[]()").replace("µ", "u").replace("μ", "u").replace("·", "*").replace("²", "^2")
    text = re.sub(r"\s+per\s+", "/", text)
    text = re.sub(r"\s*([/*^])\s*", r"\1", text)
    return re.sub(r"[A-Za-z.]+", lambda word: _WORDS.get(word[0].lower(), word[0]), text)


def looks_like_unit(text: str) -> bool:
    """Whether a text is a unit such as "h", "ng/mL", "(mg)", "1/h" or "kg/m^2"."""
    if len(str(text)) > _LONGEST:
        return False
    tidy = tidied(text)
    atoms = re.split(r"[/*^.\s()]+", tidy)
    words = [atom for atom in atoms if atom and not re.fullmatch(r"-?\d+", atom)]
    return bool(words) and all(_known_atom(word) for word in words)


def says_no_unit(text: str) -> bool:
    """Whether a cell of a row of units says that there is none."""
    return str(text).strip().strip("[]()").lower() in _NONE


def _known_atom(word: str) -> bool:
    return word in _ATOMS or word.lower() in ("kg", "mg", "ng", "ug", "g", "mmol", "nmol", "umol", "mol", "cm")


def checked(units: Mapping[str, Any] | None, roles: Mapping[str, Any]) -> dict[str, str]:
    """The units as a plain dict, once they are known to pint and do not contradict each other."""
    given = {str(key): str(unit) for key, unit in (units or {}).items() if unit not in (None, "")}
    if not given:
        return {}
    faults = []
    columns = {c for c in roles.values() if isinstance(c, str)} | set(roles.get("covariates", ()))
    known = {}
    for key, text in given.items():
        if key not in roles and key not in columns:
            have = ", ".join([*(r for r in roles if r not in ("covariates", "ignore")), *roles.get("covariates", ())])
            faults.append(Fault(f"units names {key!r}; there are {have}"))
            continue
        try:
            known[key] = _unit(text, key)
        except DataError as error:
            faults += error.faults
    dosed = bool({"amount", "dose"} & roles.keys())  # growth curves and the like may run over anything
    for key, dimension in _DIMENSIONS.items():
        if dosed and key in known and known[key].dimensionality != _registry().get_dimensionality(dimension):
            faults.append(Fault(f"{key} has the unit {given[key]!r}; allowed: a time such as {_EXAMPLES[key]!r}"))
    amount = known.get("amount", known.get("dose"))
    if not faults and {"rate", "time"} <= known.keys() and amount is not None:
        expected = amount / known["time"]
        if known["rate"] != expected:
            amount_text = given.get("amount", given.get("dose"))
            message = (
                f"rate has the unit {given['rate']!r}, but amount and time have {amount_text!r} and {given['time']!r}, "
                f"so that the rate is counted in '{expected:~}'"
            )
            faults.append(Fault(message, mend="state the unit that the numbers have, or convert one of the columns"))
    for key in ("interval", "duration"):
        if not faults and key in known and "time" in known and known[key] != known["time"]:
            message = f"{key} has the unit {given[key]!r}, but time has {given['time']!r}; they must be the same"
            faults.append(Fault(message, mend=f"give {key} in the unit of time"))
    if faults:
        raise DataError(faults, "units")
    return given


def known(units: Mapping[str, str], roles: Mapping[str, Any]) -> dict[str, str]:
    """Of units that were found, not stated, those that are units; what they say of each other is for the doctor."""
    found: dict[str, str] = {}
    for key, unit in units.items():
        try:
            found |= checked({key: unit}, roles)
        except DataError:
            continue
    return found


def factor(old: str, new: str, what: str) -> float:
    """What a number in the old unit is multiplied by to be one in the new unit."""
    before, after = _unit(old, what), _unit(new, what)
    if before.dimensionality != after.dimensionality:
        message = f"{what} in {old!r} cannot be converted to {new!r}: they measure different things"
        raise DataError(Fault(message), "units")
    return float(_registry().Quantity(1.0, before).to(after).magnitude)


def derived(units: Mapping[str, str], kind: str) -> str:
    """The unit of a quantity that follows from the units of the data; "" where they do not say.

    Parameters
    ----------
    units : mapping
        `GroupedData.units`.
    kind : str
        "time", "rate constant", "amount", "amount per time", "response", "concentration" (the same), "volume",
        "per volume" or "clearance". Any other kind, such as "fraction", has no unit that the data could tell.

    Examples
    --------
    >>> derived({"time": "h", "amount": "mg", "response": "mg/L"}, "clearance")
    'L/h'
    >>> derived({"time": "h", "amount": "mg", "response": "ng/mL"}, "volume")
    '1000 L'
    >>> derived({"time": "h", "amount": "mg/kg"}, "amount per time")
    'mg/kg/h'
    """
    amount = units.get("amount", units.get("dose", ""))
    time, response = units.get("time", ""), units.get("response", "")
    known = {
        "time": time,
        "amount": amount,
        "response": response,
        "concentration": response,
        "rate constant": f"1/{time}" if time else "",
        "amount per time": f"{amount}/{time}" if amount and time else "",
    }
    if kind not in ("volume", "per volume", "clearance"):
        return known.get(kind, "")
    if not amount or not response or (kind == "clearance" and not time):
        return ""
    volume = _registry().Quantity(1.0, _unit(amount, "amount")) / _registry().Quantity(1.0, _unit(response, "response"))
    weight = _per_weight(amount)
    for litre in ("L", f"L/{weight}" if weight else "L"):
        target = _unit(litre, "volume")
        if volume.dimensionality == target.dimensionality:
            size = float(volume.to(target).magnitude)
            if kind == "per volume":
                number = "" if abs(size - 1) < 1e-9 else f"{1 / size:g}"
                return f"{number or 1}/L" if litre == "L" else f"{number} {weight}/L".strip()
            name = litre if abs(size - 1) < 1e-9 else f"{size:g} {litre}"
            return name if kind == "volume" else f"{name}/{time}"
    if kind == "per volume":
        return f"({response})/({amount})"
    name = f"({amount})/({response})"
    return name if kind == "volume" else f"{name}/{time}"


def _per_weight(amount: str) -> str:
    return amount.rsplit("/", 1)[1].strip() if "/" in amount else ""
