"""What a model and a data set have against each other, said before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.data.checks.covariates import same
from workbench.data.events import RESET, RESET_AND_DOSE, Events
from workbench.data.tables import is_categorical
from workbench.errors import DataError, ModelError
from workbench.findings import Finding
from workbench.language.formula import category_of, columns_of, open_columns, tree_of
from workbench.language.tree import COMPARISONS, Apply, Expression, nodes
from workbench.model.design import design_of
from workbench.model.meant import meant_otherwise
from workbench.model.residual import ResidualError
from workbench.model.shapes import SHAPES
from workbench.model.structure import Structure, unsaid

if TYPE_CHECKING:
    import pandas as pd

    from workbench.model.parameter import Effect, Parameter

Mask = NDArray[np.bool_]
_Design = tuple[str, NDArray[np.float64] | None, tuple[str, ...]]  # problem, columns by record, labels

OF_THE_LIKELIHOOD = ("observations", "error", "blq")  # what is said there does not stand against predictions

_POSITIVE = ("clearance", "volume", "rate constant", "per volume", "concentration", "amount per time")
_SCALES = ("clearance", "volume", "amount per time", "per volume")  # what bioavailability multiplies or divides
_SAME = 1e-9  # relative size below which a column of the design adds nothing to the others


class Stated(Protocol):
    """What a check looks at: a `Model`."""

    @property
    def structure(self) -> Structure: ...

    @property
    def parameters(self) -> tuple[Parameter, ...]: ...

    @property
    def errors(self) -> tuple[ResidualError, ...]: ...

    @property
    def blq(self) -> str | None: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def occasion_effects(self) -> tuple[str, ...]: ...

    def __getitem__(self, name: str) -> Parameter: ...


def absent_columns(names: Iterable[str], data: GroupedData) -> str:
    """Which columns the data do not have, in words; "" where all are there."""
    there = data.content.frame.columns
    unknown = [name for name in dict.fromkeys(names) if name not in there]
    if not unknown:
        return ""
    have = ", ".join(map(str, data.covariate_names)) or "none"
    return f"The data have no column {', '.join(unknown)}. Covariates there: {have}."


def compares(node: Expression) -> bool:
    """Whether it is a comparison."""
    return isinstance(node, Apply) and node.function in COMPARISONS


def findings(model: Stated, data: GroupedData) -> list[Finding]:
    """See `Model.check`."""
    if not isinstance(data, GroupedData):
        raise ModelError(f"Data as wb.read_data(…) gives them are needed, got {type(data).__name__}.")
    incomplete = unsaid(model.structure)
    if incomplete:
        return [Finding("error", incomplete, "structure")]
    try:
        data.require_sound()
    except DataError as error:
        return [Finding("error", str(fault), "data") for fault in error.faults]
    found = list(_Check(model, data).all())
    return sorted(found, key=lambda finding: finding.severity != "error")


@dataclass
class _Check:
    model: Stated
    data: GroupedData
    events: Events = field(init=False)
    frame: pd.DataFrame = field(init=False)
    response: NDArray[np.int64] = field(init=False)  # of the structure, per record; -1 where there is none
    designs: dict[str, _Design] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.events = self.data.events
        self.frame = self.data.content.frame
        self.response = self._responses()[self.events.response]

    def all(self) -> Iterator[Finding]:
        yield from self.columns()
        yield from self.twins()
        stated = [parameter.name for parameter in self.model.parameters if parameter.column is not None]
        yield from meant_otherwise(self.model.structure, self.data, stated)
        for parameter in self.model.parameters:
            if parameter.column is not None:
                yield from self.known(parameter)
            else:
                yield from self.effects(parameter)
        yield from self.random_effects()
        yield from self.doses()
        yield from self.responses()
        yield from self.observations()
        yield from self.errors()
        yield from self.identifiability()

    # -- where it is -------------------------------------------------------------------------------------------

    def labels(self, at: Mask) -> tuple[Any, ...]:
        """Labels of the rows of some records."""
        return tuple(self.frame.index[np.unique(self.events.row[at])])

    def rows(self, at: Mask) -> str:
        """Labels of the rows of some records, in brackets."""
        labels = self.labels(at)
        more = ", …" if len(labels) > 5 else ""
        return f"(row{'' if len(labels) == 1 else 's'} {', '.join(map(str, labels[:5]))}{more})"

    def _responses(self) -> NDArray[np.int64]:
        """Place of every label of the data among the responses of the structure, -1 where there is none."""
        names = self.model.structure.responses
        labels = [str(label) for label in self.data.responses]
        by_name = set(labels) <= set(names)
        place = [names.index(label) if by_name else k if k < len(names) else -1 for k, label in enumerate(labels)]
        return np.array(place, dtype=np.int64)

    # -- columns and covariates --------------------------------------------------------------------------------

    def columns(self) -> Iterator[Finding]:
        """Columns that the model uses: there, not the response, and numbers where the structure computes with them."""
        model, data = self.model, self.data
        absent = absent_columns(model.columns, data)
        if absent:
            yield Finding("error", absent, "data")
        response = data.roles.get("response")
        if response in model.columns:
            yield Finding("error", f"{response} is the response; it cannot be a covariate.", "data")
        for name in model.structure.columns:
            problem, _ = self.numbers(name)
            if problem:
                yield Finding("error", f"{model.structure!r} computes with column {name!r}, {problem}.", "structure")

    def numbers(self, column: str) -> tuple[str, NDArray[np.float64] | None]:
        """What is wrong with a column of numbers, in words, and its values by record."""
        if column not in self.frame.columns:
            return "", None  # said already
        try:
            values = self.data.covariate_values((column,))[column].to_numpy()
        except DataError as error:
            return f"which has gaps: {error.faults[0]}", None
        if not (np.issubdtype(values.dtype, np.number) or np.issubdtype(values.dtype, np.bool_)):
            return "which holds text; numbers are needed", None
        return "", values.astype(float)

    def known(self, parameter: Parameter) -> Iterator[Finding]:
        """A parameter that a column states is a number everywhere, and one that it can be."""
        assert parameter.column is not None
        name, column = parameter.name, parameter.column
        problem, values = self.numbers(column)
        if problem:
            yield Finding("error", f"{name} is taken from column {column!r}, {problem}.", name)
        if values is None:
            return
        dimension = next((info.dimension for info in self.model.structure.info if info.name == name), "")
        bad, allowed = np.zeros(len(values), dtype=bool), ""
        if dimension in _POSITIVE:
            bad, allowed = ~(values > 0), "not positive"
        elif dimension in ("time", "fraction", "amount"):
            bad, allowed = ~(values >= 0), "negative"
        if bad.any():
            yield Finding(
                "error",
                f"{name} is taken from column {column!r}, which is {allowed} in {int(bad.sum())} records "
                f"{self.rows(bad)}.",
                name,
            )

    def design(self, effect: Effect) -> _Design:
        """What is wrong with a term on these data, in words; its columns by record, and their labels."""
        if effect.term not in self.designs:
            names = columns_of(effect.term)
            made: _Design = "", None, ()  # where a column is absent, which is said already
            try:
                if set(names) <= set(self.frame.columns) and not open_columns(effect.term):
                    made = "", *design_of(effect.term, self.data)
            except ModelError as error:
                made = str(error), None, ()
            except DataError as error:
                made = f"Covariate term {effect.term!r}: {error.faults[0]}", None, ()
            self.designs[effect.term] = made
        return self.designs[effect.term]

    def effects(self, parameter: Parameter) -> Iterator[Finding]:
        """Covariate effects can be computed, leave the parameter possible, and can be told apart."""
        free: list[tuple[str, NDArray[np.float64]]] = []
        factor = np.ones(len(self.events.time))
        for effect in parameter.covariates:
            yield from self.codes(parameter, effect)
            problem, values, labels = self.design(effect)
            if problem:
                yield Finding("error", f"{parameter.name}: {problem}", parameter.name)
            if values is None:
                continue
            if effect.value is not None and len(effect.value) != len(labels):
                yield Finding(
                    "error",
                    f"{parameter.name}: {effect.term} has {len(labels)} coefficients ({', '.join(labels)}), got "
                    f"{len(effect.value)} values.",
                    parameter.name,
                )
            elif effect.fractional and effect.value is not None:
                factor = factor * (1.0 + values @ np.array(effect.value))
            if not effect.fixed:
                free += [(label, values[:, k]) for k, label in enumerate(labels)]
        yield from self.factors(parameter, factor)
        yield from self.aliased(parameter, free)

    def twins(self) -> Iterator[Finding]:
        """Covariates of one parameter that say the same: their effects cannot be told apart."""
        for parameter in self.model.parameters:
            used = dict.fromkeys(name for effect in parameter.covariates for name in columns_of(effect.term))
            names = [name for name in used if name in self.data.covariate_names]
            if len(names) < 2:
                continue
            first = self.frame.iloc[self.events.row[self.events.start[:-1]]][names]
            for one, other in combinations(names, 2):
                if why := same(first[one], first[other]):
                    yield Finding(
                        "warning",
                        f"{parameter.name}: {one} and {other} say the same ({why}): their effects can hardly be told "
                        "apart. Use one of them.",
                        parameter.name,
                    )

    def codes(self, parameter: Parameter, effect: Effect) -> Iterator[Finding]:
        """Codes of a category are no quantities."""
        tree = tree_of(effect.term)
        if category_of(tree) is not None or any(compares(node) for node in nodes(tree)):
            return
        for name in columns_of(effect.term):
            values = self.frame[name] if name in self.frame.columns else None
            if values is None or values.dtype.kind not in "iuf" or values.nunique() < 3 or not is_categorical(values):
                continue
            yield Finding(
                "warning",
                f"{parameter.name}: {effect.term} computes with {name}, whose values are codes of a category: that has "
                f'no meaning. Use with_covariate({parameter.name!r}, {name!r}, "categorical").',
                parameter.name,
            )

    def factors(self, parameter: Parameter, factor: NDArray[np.float64]) -> Iterator[Finding]:
        """Fractional effects leave the typical value inside the range of its transform."""
        if parameter.link.is_identity:
            return
        link = parameter.link
        lower, upper = link.range(parameter.between)
        value = parameter.value if parameter.value is not None and not link.is_logarithm else 1.0
        bad = factor <= 0 if parameter.value is None else ~((factor * value > lower) & (factor * value < upper))
        if bad.any():
            others = ", ".join(shape.name for shape in SHAPES.values() if shape.acts == "transformed")
            yield Finding(
                "error",
                f"{parameter.name}: the stated coefficients multiply its typical value by {factor[bad][0]:.4g} in "
                f"{int(bad.sum())} records {self.rows(bad)}, which leads out of ({lower:g}, {upper:g}). State smaller "
                f"ones, or a shape that cannot: {others}.",
                parameter.name,
            )

    def aliased(self, parameter: Parameter, free: list[tuple[str, NDArray[np.float64]]]) -> Iterator[Finding]:
        """Every coefficient moves something that the typical value and the other coefficients do not."""
        basis = (
            [] if "value" in parameter.fixed_parts else [np.full(len(self.events.time), len(self.events.time) ** -0.5)]
        )
        for label, column in free:
            left = column.copy()
            for _ in range(2):  # once more for rounding
                for direction in basis:
                    left -= (direction @ left) * direction
            size = float(np.linalg.norm(left))
            if size > _SAME * float(np.linalg.norm(column)):
                basis.append(left / size)
                continue
            why = (
                "is the same on every record"
                if np.ptp(column) <= _SAME * np.abs(column).max(initial=0.0)
                else "follows from the other covariate terms"
            )
            yield Finding(
                "warning",
                f"{parameter.name}: {label} {why}, so that no data can tell its coefficient. Leave it out, or fix it.",
                parameter.name,
            )

    # -- random effects ----------------------------------------------------------------------------------------

    def random_effects(self) -> Iterator[Finding]:
        """There are subjects and occasions between which they can differ."""
        model, events = self.model, self.events
        between = [p.name for p in model.parameters if p.iiv is not None and "iiv" not in p.fixed_parts]
        if between and len(events.subjects) < 2:
            yield Finding(
                "warning",
                f"{', '.join(between)} differ between subjects, but {self.data.name} has one subject only: nothing "
                "tells by how much. Use iiv=None, or fix it.",
                between[0],
            )
        elif between:
            counts = np.bincount(events.subject[events.observed], minlength=len(events.subjects))
            if counts.max(initial=0) == 1:
                yield Finding(
                    "warning",
                    "Every subject has a single observation: random effects and residual error cannot be told apart "
                    "unless one of them is fixed.",
                    between[0],
                )
        occasional = model.occasion_effects
        if occasional and not self.data.occasions:
            yield Finding(
                "error",
                f"{', '.join(occasional)} differ between occasions (iov), but {self.data.name} states none. Say which "
                "column numbers them, wb.read_data(…, roles={'occasion': …}), or use iov=None.",
                occasional[0],
            )
        elif occasional:
            pairs = np.unique(np.stack([events.subject, events.occasion]), axis=1)
            if np.bincount(pairs[0]).max(initial=0) == 1:
                both = [name for name in occasional if model[name].iiv is not None]
                yield Finding(
                    "warning",
                    f"{', '.join(both or occasional)}: every subject has a single occasion, so that differences "
                    "between occasions and between subjects cannot be told apart. Use iov=None, or fix one of them.",
                    (both or occasional)[0],
                )
        for p in model.parameters:
            if p.value == 0 and "value" in p.fixed_parts and p.iiv is not None:
                yield Finding(
                    "warning",
                    f"{p.name} is fixed at 0 with a random effect: half of the subjects have a negative one.",
                    p.name,
                )

    # -- doses -------------------------------------------------------------------------------------------------

    def doses(self) -> Iterator[Finding]:
        """There are doses where the structure needs them, and it can take each of them."""
        structure, events = self.model.structure, self.events
        given = self.given()
        if not given.any():
            if structure.needs_dose:
                yield Finding(
                    "error",
                    f"{self.data.name} has no dose, and without one {structure!r} predicts 0 everywhere. State the "
                    "column of doses, roles={'amount': …}, or one dose for every subject, wb.read_data(…, dose=…).",
                    "doses",
                )
            return
        compartments = {number: name for number, name in enumerate(structure.dosing, start=1) if name}
        if compartments:
            used = np.where(events.compartment == 0, 1, events.compartment)
            there = ", ".join(f"{number} ({name})" for number, name in compartments.items())
            for number in np.unique(used[given & ~np.isin(used, list(compartments))]):
                at = given & (used == number)
                yield Finding(
                    "error",
                    f"{int(at.sum())} doses go into compartment {number} {self.rows(at)}, which {structure!r} does not "
                    f"have. It has {there}.",
                    "doses",
                )
        for code, what in ((-1, "rate"), (-2, "duration")):
            at = given & (events.rate == code)
            if code == -2 and at.any():
                at &= ~np.isin(np.maximum(events.compartment, 1), structure.timed)
            if at.any():
                yield Finding(
                    "error",
                    f"{int(at.sum())} doses have RATE={code} {self.rows(at)}, a {what} that the model estimates, but "
                    f"{structure!r} has none for them. State rates, or a structure with a duration such as "
                    'wb.pk(absorption="zero-order").',
                    "doses",
                )

    def given(self) -> Mask:
        """Doses, infusions at steady state included, which have a rate and no amount."""
        events = self.events
        return events.is_dose & ((events.amount > 0) | (events.rate > 0))

    # -- observations ------------------------------------------------------------------------------------------

    def responses(self) -> Iterator[Finding]:
        """Every response in the data is one of the structure, and the other way round."""
        names = self.model.structure.responses
        seen = self.events.observed
        unknown = seen & (self.response < 0)
        if unknown.any():
            labels = ", ".join(map(str, self.data.responses))
            yield Finding(
                "error",
                f"{self.data.name} has {len(self.data.responses)} responses (DVID {labels}), "
                f"{self.model.structure!r} has {len(names)} ({', '.join(names)}). Keep those that it has, "
                "data.filter('DVID == …'), or take a structure with more.",
                "responses",
            )
        own = [str(label) for label in self.data.responses]
        if 1 < len(own) <= len(names) and not set(own) <= set(names) and any(map(str.isalpha, own)):
            pairs = ", ".join(f"{label} as {name}" for label, name in zip(own, names, strict=False))
            yield Finding(
                "warning",
                f"{self.data.name} names its responses otherwise than {self.model.structure!r}; they are taken in "
                f"order: {pairs}. Rename them if that is wrong.",
                "responses",
            )
        for k, name in enumerate(names):
            if seen.any() and len(names) > 1 and not (seen & (self.response == k)).any():
                yield Finding(
                    "warning",
                    f"{self.data.name} has no observation of {name}: what only acts on it cannot be estimated.",
                    "responses",
                )

    def observations(self) -> Iterator[Finding]:
        """There is something to fit, and it is said what censored observations mean."""
        events = self.events
        if not events.observed.any():
            yield Finding("error", f"{self.data.name} has no observation to fit.", "observations")
        censored = events.observed & (events.censored != 0)
        if censored.any() and self.model.blq is None:
            yield Finding(
                "error",
                f"{self.data.name} has {int(censored.sum())} censored observations (CENS) {self.rows(censored)}. Say "
                'what they mean with model.with_blq(…): "M1" leaves them out, "M3" takes the probability of a value '
                'beyond the limit, "M4" the same given that it is positive.',
                "blq",
            )

    def errors(self) -> Iterator[Finding]:
        """A residual error has a meaning at every observation."""
        events, model = self.events, self.model
        counted = events.observed & (events.censored == 0) if model.blq else events.observed
        zero = self.without_drug()
        for k, error in enumerate(model.errors):
            at = counted & (self.response == k)
            none = at & zero & (k == 0)
            if error.logarithmic:
                low = at & ~(events.dv > 0)
                if error.takes_logarithm and low.any():
                    yield Finding(
                        "error",
                        f"The {error.title} error takes the logarithm of the data, but {int(low.sum())} observations "
                        f"are not positive {self.rows(low)}. Leave them out, take wb.Combined2(), or state "
                        "log_data=True if they are logarithms already.",
                        "error",
                        rows=self.labels(low),
                    )
                if error.counts_zero_as is None and none.any():
                    yield Finding(
                        "error",
                        f"The {error.title} error takes the logarithm of the prediction, which is 0 at "
                        f"{int(none.sum())} observations before or at the first dose {self.rows(none)}. Leave them "
                        "out, or state a floor, wb.Exponential(floor=…).",
                        "error",
                        rows=self.labels(none),
                    )
            elif error.vanishes() and none.any():
                yield Finding(
                    "warning",
                    f"The residual error is {error.title} (sd = {error.formula}), but the prediction is 0 at "
                    f"{int(none.sum())} observations before or at the first dose {self.rows(none)}, which would have "
                    "no error at all. Leave them out, or take wb.Combined2().",
                    "error",
                    rows=self.labels(none),
                )

    def without_drug(self) -> Mask:
        """Records at which a compartment model predicts the concentration 0, whatever its parameters are."""
        events, kinetics = self.events, self.model.structure.kinetics
        if kinetics is None:
            return np.zeros(len(events.time), dtype=bool)
        start = np.zeros(len(events.time), dtype=bool)
        start[events.start[:-1]] = True
        segment = np.cumsum(start | np.isin(events.kind, (RESET, RESET_AND_DOSE))) - 1
        given = self.given()
        absorbed = (events.compartment <= 1) & kinetics.absorbs
        lags = any(entry.lag for entry in kinetics.inputs)
        at_once = ~absorbed & (events.rate == 0) & (events.duration == 0) & (not lags)
        at_once &= (events.compartment == kinetics.central) | ((events.compartment == 0) & (not kinetics.absorbs))
        at_once |= events.steady_state > 0

        # by segment: the record of the first dose that acts at once, the time of the first that acts later
        count = int(segment[-1]) + 1 if len(segment) else 0
        first, later = np.full(count, len(segment)), np.full(count, np.inf)
        quick, slow = given & at_once, given & ~at_once
        np.minimum.at(first, segment[quick], np.flatnonzero(quick))
        np.minimum.at(later, segment[slow], events.time[slow])
        return np.asarray((np.arange(len(segment)) < first[segment]) & (events.time <= later[segment]))

    # -- what no data can tell ---------------------------------------------------------------------------------

    def identifiability(self) -> Iterator[Finding]:
        """Values that these doses cannot tell apart."""
        model, events, structure = self.model, self.events, self.model.structure
        kinetics = structure.kinetics
        if kinetics is None:
            return
        given = self.given()
        absorbed = given & (events.compartment <= 1) if kinetics.absorbs else given
        free = {p.name for p in model.parameters if p.column is None and "value" not in p.fixed_parts}
        scales = {info.name: info.dimension for info in structure.info if info.dimension in _SCALES}
        if "F" in free and absorbed.any() and (absorbed == given).all() and set(scales) <= free:
            ratios = " and ".join(f"F·{n}" if kind == "per volume" else f"{n}/F" for n, kind in scales.items())
            *others, last = scales
            several = f"F, {', '.join(others)} and {last}" if others else f"F and {last}"
            yield Finding(
                "warning",
                f"{several} are not identifiable together: where no dose goes around F only {ratios} "
                "can be told. Fix F, or leave bioavailability out.",
                "F",
            )
        stated = {p.name: p.value for p in model.parameters if p.value is not None}
        twin = structure.twin(stated)
        if twin is not None and len({"ka", "k", "CL", "alpha", "t_half"} & free) > 1 and (absorbed == given).all():
            yield Finding(
                "warning",
                f"Flip-flop: ka = {stated['ka']:.4g} is below the rate of elimination, k = {twin['ka']:.4g}. Exchanged "
                "they give the same curve, with another volume; if absorption is the faster, start from there.",
                "ka",
            )
