"""What a structural model answers, and how it looks in a notebook.

A structure is anything that answers the questions of `Structure`; whoever computes, draws or edits asks, and nobody
asks what it is. `Shown` gives the usual answers: a structure of one's own states the rest (see `library`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

from workbench.data import derived_unit
from workbench.language.latex import aligned
from workbench.markup import Html, plain_table, tag
from workbench.model.kinetics import Kinetics, System

Dimension = Literal[
    "clearance", "volume", "rate constant", "time", "fraction", "amount", "amount per time", "concentration",
    "per volume", "number", "effect", "",
]  # fmt: skip


@dataclass(frozen=True)
class ParameterInfo:
    """What a structural parameter means.

    Attributes
    ----------
    name : str
    meaning : str
        In words, for panels and reports.
    dimension : str
        One of "clearance", "volume", "rate constant", "time", "fraction", "amount", "amount per time",
        "concentration", "per volume", "number", "effect", or "" where nothing is known. Its unit follows from
        those of the data, see `workbench.data.derived_unit`.
    range : (float, float), optional
        Where values usually lie in people, if doses are in mg, times in h and concentrations in mg/L; a hint only.
    transform : str
        Scale on which the parameter is best estimated: "log", or "logit" for a fraction.
    known : bool
        False where nothing is known of it but its name, as in equations of the user's own.
    """

    name: str
    meaning: str
    dimension: Dimension
    range: tuple[float, float] | None = None
    transform: str = "log"
    known: bool = True


@dataclass(frozen=True)
class Choice:
    """A choice that a structure offers; panels make a control of it.

    Attributes
    ----------
    field : str
        As `chosen` and `with_choice` of the structure name it.
    label : str
    kind : {"list", "tick", "number"}
        One of the options, yes or no, or a whole number.
    options : tuple of (str, value)
        What a person reads, and what it means; of a number, "fewest", "most" and "usual".
    about : str
        What it means, in words.
    beside : str
        The choice that it stands beside, as a detail of it.
    """

    field: str
    label: str
    kind: Literal["list", "tick", "number"] = "list"
    options: tuple[tuple[str, Any], ...] = ()
    about: str = ""
    beside: str = ""


class Structure(Protocol):
    """A structural model: says what its parameters are, how to compute it, how it looks; prints itself as Python.

    The engine computes what `kinetics` has a closed form for, else `system`; one of the two is needed.
    """

    @property
    def info(self) -> tuple[ParameterInfo, ...]:
        """The parameters, in the order in which the engine takes them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the same order."""

    @property
    def title(self) -> str:
        """One line for headings."""

    @property
    def responses(self) -> tuple[str, ...]:
        """Names of what is predicted; the labels of DVID in the data belong to them, in order."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the equations themselves use."""

    @property
    def needs_dose(self) -> bool:
        """Whether it predicts nothing of interest without a dose."""

    @property
    def dosing(self) -> tuple[str, ...]:
        """Compartments that doses can go into, CMT 1, 2, …; "" where there is none; (): any number will do."""

    @property
    def timed(self) -> tuple[int, ...]:
        """Numbers (CMT) of the compartments whose doses have a duration that is a parameter."""

    @property
    def kinetics(self) -> Kinetics | None:
        """What flows where; None where that is not known."""

    @property
    def system(self) -> System | None:
        """The equations as trees; None where `kinetics` says all."""

    @property
    def is_linear(self) -> bool:
        """Whether the predictions have a closed form, which is quick."""

    def twin(self, values: Mapping[str, float]) -> dict[str, float] | None:
        """Other values that give the same typical curve, of the parameters that change; None: there are none.

        NaN for what follows from a value that is not given.
        """

    def twins(self, values: Mapping[str, float]) -> tuple[dict[str, float], ...]:
        """All such other values, whichever are the usual ones, of the parameters that change."""

    def as_ode(self) -> Structure | None:
        """The same model as differential equations that a person can edit; None where there are none."""

    def equations(self) -> list[str]:
        """The equations, each as LaTeX without delimiters."""

    def diagram(self) -> str | None:
        """A drawing of the compartments as SVG; None where there is nothing to draw."""

    def _repr_latex_(self) -> str: ...

    def _repr_html_(self) -> str: ...


class Chosen(Structure, Protocol):
    """A structure that consists of choices, which panels can offer (see `workbench.model.families`)."""

    def chosen(self) -> dict[str, Any]:
        """What is chosen, by the field of each `Choice` that has a meaning now."""

    def with_choice(self, field: str, value: Any, before: Mapping[str, Any] | None = None) -> Self:
        """Another choice; `before`: what was chosen last in fields that had no meaning."""


_NEEDED = ("info", "names", "title", "responses", "columns", "needs_dose", "equations", "diagram")
_ANSWERS = (*_NEEDED, "dosing", "timed", "kinetics", "system", "is_linear", "twin", "twins", "as_ode")


def unsaid(structure: object, to_compute: bool = True) -> str:
    """Which answers an object lacks to be a structure, in words; "" where it has all.

    Parameters
    ----------
    structure : object
    to_compute : bool
        Those too that are needed to compute its predictions, not only to state and show it.
    """
    asked = _ANSWERS if to_compute else _NEEDED
    kind = type(structure)
    missing = [name for name in asked if not hasattr(kind, name) and name not in getattr(structure, "__dict__", ())]
    if not missing:
        return ""
    return (
        f"{structure!r} is no complete structure: it does not say {', '.join(missing)}. What each means stands in "
        "workbench.model.structure.Structure; a class derived from Shown, there too, has the usual answers."
    )


class Shown:
    """The usual answers of a structure, and how it appears in a notebook.

    One that is a system of differential equations needs `info`, `title`, `responses` and `as_ode` only.
    """

    @property
    def names(self: Structure) -> tuple[str, ...]:
        """Names of the parameters, in the order in which the engine takes them."""
        return tuple(info.name for info in self.info)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the equations use: none."""
        return ()

    @property
    def needs_dose(self) -> bool:
        """Whether it predicts nothing of interest without a dose."""
        return True

    @property
    def dosing(self: Structure) -> tuple[str, ...]:
        """Compartments that doses can go into, CMT 1, 2, …."""
        written = self.as_ode()
        return () if written is None else written.dosing

    @property
    def timed(self: Structure) -> tuple[int, ...]:
        """Numbers (CMT) of the compartments whose doses have a duration that is a parameter."""
        written = self.as_ode()
        return () if written is None else written.timed

    @property
    def kinetics(self) -> Kinetics | None:
        """What flows where: not known."""
        return None

    @property
    def system(self: Structure) -> System | None:
        """The equations as trees."""
        written = self.as_ode()
        return None if written is None else written.system

    @property
    def is_linear(self: Structure) -> bool:
        """Whether the predictions have a closed form, which is quick."""
        return self.kinetics is not None and self.kinetics.is_linear

    def twin(self, values: Mapping[str, float]) -> dict[str, float] | None:
        """Other values that give the same typical curve: none."""
        return None

    def twins(self, values: Mapping[str, float]) -> tuple[dict[str, float], ...]:
        """All such other values: none."""
        return ()

    def as_ode(self) -> Structure | None:
        """The same model as differential equations: none."""
        return None

    def equations(self: Structure) -> list[str]:
        """The equations, each as LaTeX without delimiters."""
        written = self.as_ode()
        return [] if written is None else written.equations()

    def diagram(self) -> str | None:
        """A drawing of the compartments: none."""
        return None

    def _repr_latex_(self: Structure) -> str:
        return aligned(self.equations())

    def _repr_html_(self: Structure) -> str:
        return as_html(self)


def as_html(structure: Structure, units: Mapping[str, str] | None = None) -> str:
    """A structure as HTML: title, diagram, table of parameters, equations. All text of the user is escaped.

    Parameters
    ----------
    structure : Structure
    units : mapping, optional
        `GroupedData.units`: the table then has units in place of dimensions.
    """
    heads = ["parameter", "meaning", "unit" if units else "dimension", "usual range (mg, L, h)"]
    rows = [
        [
            tag("code", info.name),
            info.meaning,
            derived_unit(units, info.dimension) if units else info.dimension,
            f"{info.range[0]:g} … {info.range[1]:g}" if info.range else "",
        ]
        for info in structure.info
    ]
    shown = [at for at in range(len(heads)) if at < 2 or any(row[at] for row in rows)]
    return tag(
        "div",
        tag("p", tag("b", structure.title)),
        Html(structure.diagram() or ""),
        plain_table([heads[at] for at in shown], [[row[at] for at in shown] for row in rows], left=range(len(shown))),
        tag("div", aligned(structure.equations())),
        class_="wb-structure",
    )


def quoted_value(value: object) -> str:
    """A choice as Python, text with double quotes."""
    return f'"{value}"' if isinstance(value, str) else repr(value)
