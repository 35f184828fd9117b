"""What all writers share: a model is taken apart, names are spelled, doses find compartments, refusals are listed.

A writer states its words (`Writer.tool`, `tongue`, `remark`, `methods`) and how its text is laid out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from workbench.data import GroupedData
from workbench.errors import FileError, ModelError
from workbench.exchange.outline import Outline, codes_of, outlined
from workbench.exchange.table import written_labels
from workbench.exchange.tongues import Code, Tongue
from workbench.language.tree import Expression, names_in, reaches
from workbench.methods import USUAL, method_of
from workbench.model import Model
from workbench.model.kinetics import Differential, Explicit, Kinetics
from workbench.results import FitResult


def stated(
    fit_or_model: FitResult | Model, data: GroupedData | None, method: str | None, call: str
) -> tuple[Model, GroupedData, str]:
    """The model with its values, the data and the method that a call names or its fit has."""
    if isinstance(fit_or_model, FitResult):
        fit = fit_or_model
        return fit.model, fit.data if data is None else data, method_of(method or fit.method).name
    if not isinstance(fit_or_model, Model):
        raise ModelError(f"{call}: a fit or a model is needed, got {type(fit_or_model).__name__}.")
    if not isinstance(data, GroupedData):
        raise ModelError(f"{call}: a model is written with data, {call}(model, path, data); got {type(data).__name__}.")
    return fit_or_model, data, method_of(method or USUAL).name


def place_of(path: str | os.PathLike[str], endings: Sequence[str]) -> Path:
    """The path with one of the endings; the first is put to a name that has none of them."""
    place = Path(path)
    return place if place.suffix.casefold() in endings else place.with_name(place.name + endings[0])


def save(texts: Mapping[Path, str]) -> None:
    """Write files; one that cannot be written is a `FileError`."""
    for place, text in texts.items():
        try:
            place.write_text(text, encoding="utf-8")
        except OSError as error:
            raise FileError(f"{place} cannot be written: {error.strerror or error}.") from error


def plain(text: object, length: int = 150) -> str:
    """Text on one line, in ASCII."""
    return " ".join(str(text).split()).encode("ascii", "replace").decode()[:length]


@dataclass(frozen=True)
class Closed:
    """Compartments with a closed form: how many beside a depot, and which of them the doses of each CMT enter."""

    size: int
    depot: bool
    routes: Mapping[int, tuple[int, ...]]

    @property
    def central(self) -> int:
        """Number of the central compartment."""
        return 1 + int(self.depot)

    @property
    def target(self) -> int:
        """Number of the compartment that absorption, lag and bioavailability are about."""
        return 1


def closed_form(kinetics: Kinetics | None, cmts: Iterable[int]) -> Closed | None:
    """The closed form of kinetics that other tools know; None if doses enter in a way that they do not."""
    if kinetics is None or not kinetics.is_linear or len(kinetics.inputs) > 1:
        return None
    (entry,) = kinetics.inputs
    depot = entry.target == "depot"
    if kinetics.absorbs and not depot and (entry.lag or entry.fraction) and any(c == 2 for c in cmts):
        return None  # one compartment with two kinds of doses
    if depot and entry.share is not None:
        return None
    central = 1 + int(depot)
    peripheral = {kinetics.central + 1 + i: (central + 1 + i,) for i in range(kinetics.size - 1)}
    return Closed(kinetics.size, depot, {1: (1,), kinetics.central: (central,), **peripheral})


class Writer:
    """A model in the making as another tool's text.

    Attributes
    ----------
    tool : str
        Its name in messages.
    tongue : Tongue
    remark : str
        What begins a comment.
    methods : dict of str to str
        What each method is called there; a method that is not there is refused.
    depth : int
        How far code is indented.
    transformed : bool
        Whether typical values are stated on the scale of random effects where that is logarithmic.
    """

    tool: ClassVar[str]
    tongue: ClassVar[Tongue]
    remark: ClassVar[str]
    methods: ClassVar[Mapping[str, str]]
    depth: ClassVar[int] = 1
    transformed: ClassVar[bool] = False

    def __init__(self, model: Model, data: GroupedData, method: str, name: str):
        self.model, self.data, self.method, self.name = model.with_centred(data), data, method, name
        self.outline: Outline = outlined(self.model, data, transformed=self.transformed)
        self.cannot = list(self.outline.cannot)
        self.structure = model.structure
        self.taken: set[str] = set()
        events = data.events
        self.cmts = [max(int(c), 1) for c in events.compartment[events.is_dose]]
        self.closed = self.closed_form()
        written = None if self.closed else self.structure.as_ode()
        self.system = None if self.closed else (written.system if written is not None else self.structure.system)
        if self.closed is None and self.system is None:
            self.cannot.append(f"{self.structure!r}, which has neither a closed form nor equations")
        self.columns: dict[str, str] = {}
        self.known: dict[str, str] = {}

    def closed_form(self) -> Closed | None:
        """The closed form of the structure, if the tool has one."""
        return closed_form(self.structure.kinetics, self.cmts)

    # -- names ---------------------------------------------------------------------------------------------------------

    def fresh(self, word: str) -> str:
        """A name of the tool's that nothing has yet."""
        raise NotImplementedError

    def numbered(self, name: str) -> str:
        """The name, with a number where something else has it; names that differ in case only are the same."""
        found, i = name, 2
        while found.casefold() in self.taken:
            found, i = f"{name}{i}", i + 1
        self.taken.add(found.casefold())
        return found

    def named(self, kind: str, rest: str) -> str:
        """How a theta, a random effect, a column is spelled."""
        raise NotImplementedError

    def spell(self, local: Mapping[str, str]) -> Callable[[str], str]:
        """How names are spelled; `local`: those of this part."""

        def spelled(name: str) -> str:
            if name in local:
                return local[name]
            if name in self.known:
                return self.known[name]
            kind, _, rest = name.partition(" ")
            return self.columns[rest] if kind == "data" else self.named(kind, rest)

        return spelled

    def code(self, local: Mapping[str, str] | None = None) -> Code:
        """Lines of a part."""
        return Code(self.tongue, self.spell({} if local is None else local), self.fresh, [], self.depth)

    # -- what cannot be said -------------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """Raise what cannot be said, all of it."""
        self.cannot += self._of_all()
        if self.cannot:
            listed = "\n".join(f"  - {what}" for what in dict.fromkeys(self.cannot))
            raise ModelError(f"{self.tool} cannot say all of this as it is meant:\n{listed}")

    def _of_all(self) -> list[str]:
        found = []
        if self.method not in self.methods:
            allowed = ", ".join(self.methods)
            found.append(f"the method {self.method!r}; it knows {allowed} (method=…)")
        if self.model.blq == "M4":
            found.append("censored observations by M4")
        if not self.outline.groups:
            found.append("a model without random effects, which is none of a population")
        if any(group.level == "occasion" for group in self.outline.groups) and not self.data.occasions:
            found.append("differences between occasions, of which the data state none")
        if isinstance(self.system, Differential):
            system = self.system
            tables = (system.rates, system.initial, system.lag, system.bioavailability, system.duration, system.outputs)
            trees = [tree for table in tables for tree in table.values()]
            names = {part.name for part in reaches(trees, system.definitions)}
            found += [
                f"{name} (the {what}) in differential equations"
                for name, what in (("dose", "last dose"), ("tad", "time since it"))
                if name in names
            ]
            empty = {n for n, into in enumerate(system.dosing, 1) if not into}
            found += [f"doses with CMT {n}, which enter no state" for n in sorted(empty & set(self.cmts))]
        if ((self.data.events.rate == -1) & self.data.events.is_dose).any():
            found.append("doses whose rate is a parameter (RATE = -1)")
        return found

    # -- what the text is about ----------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """Structure and data in a line."""
        return plain(f"{self.structure.title} of {self.data.name}".replace("…", "..."), 70)

    def comments(self, responses: bool = True) -> list[str]:
        """What the codes of the data mean; `responses`: those of DVID too."""
        lines = []
        ids, own = written_labels(self.data.events.subjects)
        if not own:
            lines.append("ID: " + ", ".join(f"{code} = {label}" for label, code in ids.items()))
        for column, name in self.columns.items():
            coded = codes_of(self.data, column)
            if coded:
                lines.append(f"{name}: " + ", ".join(f"{code} = {label}" for label, code in coded.items()))
        if self.data.occasions:
            lines.append("OCC: " + ", ".join(f"{i} = {label}" for i, label in enumerate(self.data.occasions, 1)))
        if responses and len(self.data.responses) > 1:
            named = zip(self.data.responses, self.structure.responses, strict=False)
            lines.append("DVID: " + ", ".join(f"{i} = {r} ({label})" for i, (label, r) in enumerate(named, 1)))
        return self.remarks(*lines)

    def remarks(self, *lines: str) -> list[str]:
        """Comments."""
        return [f"{self.remark} {plain(line, 148)}" for line in lines]

    def doses(self) -> tuple[Mapping[int, Sequence[int]] | None, Sequence[int], list[str]]:
        """Compartments that doses enter, those with a duration that is a parameter, and columns of doses."""
        if self.closed is not None:
            kinetics = self.structure.kinetics
            assert kinetics is not None
            timed = [1] if kinetics.inputs[0].duration else []
            return self.closed.routes, timed, []
        if isinstance(self.system, Differential):
            into = {n: tuple(state + 1 for state in states) for n, states in enumerate(self.system.dosing, 1)}
            return into, [self.system.states.index(name) + 1 for name in self.system.duration], []
        assert isinstance(self.system, Explicit)
        trees = [*self.system.definitions.values(), *self.system.outputs.values()]
        used = {name.name for tree in trees for name in names_in(tree)}
        return None, (), [name for name in ("dose", "tad") if name in used]

    def errors(self) -> list[tuple[str, str, float, bool]]:
        """Parameters of the residual errors: number of the response and name, as "0 a"; label; value; fixed."""
        found = []
        for i, (error, labels) in enumerate(zip(self.model.errors, self.model.error_labels, strict=True)):
            for name, label, value in zip(error.names, labels, error.values, strict=True):
                found.append((f"{i} {name}", label, float(value or 0), name in error.fixed))
        return found


def changing_parts(system: Differential) -> tuple[dict[str, Expression], dict[str, Expression]]:
    """Intermediates that stay as they are between records, and those that change with time or states."""
    changing = {*system.states, "t"}
    constants: dict[str, Expression] = {}
    moving: dict[str, Expression] = {}
    for name, tree in system.definitions.items():
        if changing & {part.name for part in names_in(tree)}:
            changing.add(name)
            moving[name] = tree
        else:
            constants[name] = tree
    return constants, moving


def needed_of(trees: Iterable[Expression], moving: Mapping[str, Expression]) -> dict[str, Expression]:
    """Those of the changing intermediates that trees use."""
    used = {part.name for part in reaches(trees, moving)}
    return {name: tree for name, tree in moving.items() if name in used}


def word_of(text: str) -> str:
    """Letters, digits and underscores of a text, beginning with a letter."""
    return re.sub(r"[^A-Za-z0-9_]", "", text.replace(" ", "_").replace(".", "_")).lstrip("0123456789_") or "x"
