"""The methods of estimation: one value each, with its titles, its options, and what it can.

Nothing else in workbench lists them: who needs to know something of a method asks its value. How it is done is its way,
in `workbench.engine.methods`; a method that is `register`ed with a way of its own is offered everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum, StrEnum
from inspect import cleandoc
from typing import Any, Literal, Protocol, TypeVar, dataclass_transform

from workbench.checks import finite, is_whole, listed, one_of, whole
from workbench.errors import ModelError

T = TypeVar("T")
USUAL = "focei"  # the method where none is stated

# -- options -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """What one option of a method means, and what it may be: a number, or one of several words.

    Attributes
    ----------
    meaning : str
        In one line.
    least, most : float, optional
        Of a number.
    real : bool
        The number need not be whole.
    choices : tuple of str
        The words; empty for a number.
    unstated : str
        What None stands for; empty where the option cannot be None.
    """

    meaning: str
    least: float = 0
    most: float | None = None
    real: bool = False
    choices: tuple[str, ...] = ()
    unstated: str = ""

    @property
    def kind(self) -> str:
        """What it may be, in words."""
        if self.choices:
            return f"{{{', '.join(map(repr, self.choices))}}}"
        number = "float" if self.real else "int"
        limits = f"{self.least:g} or more" if self.most is None else f"{self.least:g} to {self.most:g}"
        return f"{number}, {limits}{', optional' if self.unstated else ''}"

    @property
    def said(self) -> str:
        """Its meaning, and what it is where it is not stated."""
        return f"{self.meaning}; unstated, {self.unstated}" if self.unstated else self.meaning

    def checked(self, name: str, value: object) -> Any:
        """The value as the method wants it.

        Raises
        ------
        ModelError
            If it is not allowed.
        """
        if value is None and self.unstated:
            return None
        if self.choices:
            return one_of(name, value, self.choices)
        if self.real:
            number: float = finite(value, name)
            fits = number >= self.least
        elif self.most is None:
            return whole(name, value, int(self.least))
        else:
            number = whole(name, value) if is_whole(value) and value >= 0 else -1
            fits = number >= self.least
        if not fits or (self.most is not None and number > self.most):
            form = "a number" if self.real else "a whole number"
            limits = f", {self.least:g} or more," if self.most is None else f" from {self.least:g} to {self.most:g}"
            raise ModelError(f"{name}={value!r}; {form}{limits} is needed.")
        return number

    def read(self, name: str, text: str) -> Any:
        """The value that a text states.

        Raises
        ------
        ModelError
            If it is not allowed.
        """
        if self.choices or (self.unstated and text.casefold() == "none"):
            return self.checked(name, text if self.choices else None)
        try:
            value: float = float(text) if self.real else int(text)
        except ValueError:
            raise ModelError(f"{name}={text!r}; {self.kind}, is needed.") from None
        return self.checked(name, value)


def option(meaning: str, *, default: Any, **limits: Any) -> Any:
    """A field of `Options`; `limits` are further attributes of its `Option`."""
    return field(default=default, metadata={"option": Option(meaning, **limits)})


@dataclass_transform(frozen_default=True, field_specifiers=(option,))
def described(cls: type[T]) -> type[T]:
    """Make a class of options of its fields: frozen, with each of them in the docstring."""
    made: Any = dataclass(frozen=True, repr=False)(cls)
    head, examples, rest = cleandoc(cls.__doc__ or "").partition("\n\nExamples\n")
    lines = [head, "", "Parameters", "----------"]
    for name, own in made.described().items():
        lines += [f"{name} : {own.kind}", f"    {own.said[0].upper()}{own.said[1:]}."]
    lines += ["", "Raises", "------", "ModelError", "    If one of them is not allowed."]
    made.__doc__ = "\n".join(lines) + examples + rest
    found: type[T] = made
    return found


class Options:
    """Options of a method: a small frozen value whose defaults need no touching.

    It checks itself, and prints itself as the Python that makes it.
    """

    @classmethod
    def described(cls) -> dict[str, Option]:
        """What each option means and may be, by name."""
        made: Any = cls
        return {own.name: own.metadata["option"] for own in fields(made)}

    @classmethod
    def usual(cls) -> dict[str, Any]:
        """The defaults, by name."""
        made: Any = cls
        return {own.name: own.default for own in fields(made)}

    def __post_init__(self) -> None:
        for name, own in self.described().items():
            try:
                object.__setattr__(self, name, own.checked(name, getattr(self, name)))
            except ModelError as error:
                raise ModelError(f"{type(self).__name__}: {error}") from None

    def __repr__(self) -> str:
        stated = [(name, getattr(self, name)) for name in self.usual() if getattr(self, name) != self.usual()[name]]
        return f"wb.{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in stated)})"


_SEED = "of the draws: equal seeds give equal results"


@described
class Quadrature(Options):
    """Adaptive Gauss-Hermite quadrature: `wb.fit(model, data, method=wb.Quadrature(nodes=9))`.

    All nodes together are `nodes` to the power of the number of random effects.
    """

    nodes: int | None = option(
        "nodes along each random effect", default=None, least=1, most=99,
        unstated="as many as suit their number: 21, 11, 7, 5, 3 and 3 for one to six",
    )  # fmt: skip


@described
class Importance(Options):
    """Importance sampling: `wb.fit(model, data, method=wb.Importance(samples=3000))`.

    The Monte Carlo error goes with one over the root of the number of draws.
    """

    samples: int = option("draws of the random effects of each subject", default=1000, least=10)
    seed: int = option(_SEED, default=1)


@described
class Saem(Options):
    """Stochastic approximation EM: `wb.fit(model, data, method=wb.Saem(exploration=500))`.

    In the first half of the exploration variances fall slowly (simulated annealing). In the smoothing the k-th
    iteration goes 1/k of the way. Importance sampling gives -2LL and the standard errors at the end.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.Saem(seed=2)
    wb.Saem(seed=2)
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> fit = wb.fit(model, data, method=wb.Saem(50, 30, samples=100), covariance=False)
    >>> fit.method
    'saem'
    """

    exploration: int = option("iterations that go all the way to what suits the draws best", default=300, least=1)
    smoothing: int = option("iterations after these, which average", default=200, least=1)
    chains: int | None = option(
        "draws of each subject in an iteration", default=None, least=1,
        unstated="as many as make 50 with the number of subjects",
    )  # fmt: skip
    samples: int = option("draws for -2LL and the standard errors", default=1000, least=10)
    seed: int = option(_SEED, default=1)

    @property
    def importance(self) -> Importance:
        """What gives -2LL and the standard errors."""
        return Importance(self.samples, self.seed)


@described
class TwoStage(Options):
    """From the subjects fitted alone: `wb.fit(model, data, method=wb.TwoStage(kind="standard"))`.

    Standard: mean (a regression where the model has covariates) and covariance of the subjects' own values; Ψ is too
    large by their errors. Global: maximum likelihood in view of these errors, which takes them out of Ψ.
    """

    kind: Literal["global", "standard"] = option(
        "standard: mean and covariance of the own values; global: with their errors taken out of Ψ",
        default="global", choices=("global", "standard"),
    )  # fmt: skip


# -- methods -------------------------------------------------------------------------------------------------------


class Approximation(StrEnum):
    """What stands for the likelihood of a subject, an integral over its random effects that has no closed form."""

    FO = "fo"
    FOCE = "foce"
    FOCEI = "focei"
    LAPLACE = "laplace"

    @property
    def linear(self) -> bool:
        """Whether the prediction is made linear around η = 0, so that there are no modes."""
        return self is Approximation.FO

    @property
    def interaction(self) -> bool:
        """Whether the residual variance is that at the individual prediction, not at η = 0."""
        return self in (Approximation.FOCEI, Approximation.LAPLACE)


class Subjects(Enum):
    """How a method sees the subjects."""

    POPULATION = "as a sample of a population, by their random effects"
    POOLED = "as one, without random effects"
    ALONE = "one by one, with nothing in common but the residual error"


class Ability(Enum):
    """What not every method can; the value says it in words."""

    STARTS = "a search from several points"
    VALUES = "an objective at the values of a model"
    ERRORS = "standard errors"
    COVARIATES = "covariate effects"
    TEST = "a likelihood-ratio test"
    PROFILE = "a profile"
    SIR = "importance resampling"
    BOOTSTRAP = "a bootstrap"  # by the objective of its approximation, subjects weighted


class _WithRandomEffects(Protocol):
    def without_random_effects(self) -> Any:
        """The same without them."""


Stated = TypeVar("Stated", bound=_WithRandomEffects)


@dataclass(frozen=True, eq=False)
class Method:
    """A method of estimation.

    Attributes
    ----------
    name : str
        As in `wb.fit(…, method=name)`.
    title, short : str
        In words, and as short as a menu needs it.
    subjects : Subjects
    approximation : Approximation
        What it minimises, or where that is something else, whose modes and linear model go with it.
    way : str or object
        How it is done: the name of one of the ways in `workbench.engine.methods`, or a `Way` of its own.
    options : type of Options, optional
    random_effects : bool
        It is for models with random effects only.
    drawn : bool
        Its OFV comes from draws.
    converged : str
        What is said of a fit that converged; empty for what is usually said.
    cannot : mapping of Ability to str
        Why it lacks an ability. It has all others.
    """

    name: str
    title: str
    short: str
    subjects: Subjects = Subjects.POPULATION
    approximation: Approximation = Approximation.FOCEI
    way: object = "ByGradient"
    options: type[Options] | None = None
    random_effects: bool = False
    drawn: bool = False
    converged: str = ""
    cannot: Mapping[Ability, str] = field(default_factory=dict)

    def can(self, ability: Ability) -> bool:
        """Whether it has an ability."""
        return ability not in self.cannot

    @property
    def is_mixed(self) -> bool:
        """Whether it estimates how the subjects vary."""
        return self.subjects is Subjects.POPULATION

    def fitted(self, model: Stated) -> Stated:
        """What of a model it fits."""
        if self.subjects is Subjects.POOLED:
            pooled: Stated = model.without_random_effects()
            return pooled
        return model

    def stated(self, options: object = None) -> Any:
        """The shortest that states it: its name, or its options where they are not the usual ones."""
        return self.name if self.options is None or options in (None, self.options()) else options


METHODS: dict[str, Method] = {}  # in the order in which they are offered


def register(method: Method) -> Method:
    """Offer one more method.

    Raises
    ------
    ModelError
        If there is one of that name, or with these options.
    """
    if method.name in METHODS:
        raise ModelError(f"There is a method {method.name!r} already.")
    if method.options is not None and method.options in (known.options for known in METHODS.values()):
        raise ModelError(f"The options {method.options.__name__} belong to another method.")
    METHODS[method.name] = method
    return method


def withdraw(name: str) -> None:
    """Offer a method no longer."""
    METHODS.pop(name, None)


def method_of(stated: object) -> Method:
    """The method that is stated by its name or by its options.

    Raises
    ------
    ModelError
        If there is no such method.
    """
    if isinstance(stated, type) and issubclass(stated, Options):
        raise ModelError(f"method=wb.{stated.__name__}: options are made by a call, wb.{stated.__name__}().")
    for method in METHODS.values():
        if stated == method.name if isinstance(stated, str) else type(stated) is method.options:
            return method
    raise ModelError(f"method={stated!r}; allowed are {listed(METHODS)}.")


def options_of(stated: object) -> Any:
    """The options of a method that is stated by its name or by its options; None where it has none.

    Raises
    ------
    ModelError
        If there is no such method.
    """
    method = method_of(stated)
    return (stated if isinstance(stated, Options) else method.options()) if method.options else None


def that_can(ability: Ability) -> tuple[str, ...]:
    """Names of the methods that have an ability."""
    return tuple(name for name, method in METHODS.items() if method.can(ability))


def that_see(subjects: Subjects) -> tuple[str, ...]:
    """Names of the methods that see the subjects in this way."""
    return tuple(name for name, method in METHODS.items() if method.subjects is subjects)


_STAGES = {
    Ability.STARTS: "has one start, near the typical values of the model",
    Ability.VALUES: "gives every subject values of its own",
    Ability.PROFILE: "begins with values of every subject's own",
    Ability.SIR: "begins with values of every subject's own",
    Ability.BOOTSTRAP: "begins with values of every subject's own",
}
_SUMS = {Ability.BOOTSTRAP: "sums over nodes, which are not made for weighted subjects"}
_DRAWS = "searches by draws, and ends near a minimum"

for _method in (
    Method("focei", "first-order conditional estimation with interaction (FOCEI)", "FOCEI"),
    Method("foce", "first-order conditional estimation (FOCE)", "FOCE", approximation=Approximation.FOCE),
    Method("fo", "first order (FO)", "FO", approximation=Approximation.FO),
    Method("laplace", "Laplace approximation with interaction", "Laplace", approximation=Approximation.LAPLACE),
    Method(
        "quadrature", "adaptive Gauss-Hermite quadrature", "quadrature",
        way="ByIntegration", options=Quadrature, cannot=_SUMS,
    ),
    Method(
        "importance", "importance sampling", "importance",
        way="ByIntegration", options=Importance, drawn=True, cannot=_SUMS,
    ),
    Method(
        "saem", "stochastic approximation EM (SAEM)", "SAEM",
        way="BySaem", options=Saem, random_effects=True, drawn=True,
        converged="The fit converged: by the draws no direction is left in which the objective falls.",
        cannot={
            Ability.STARTS: "begins wide; give it another seed, wb.Saem(seed=2)",
            Ability.PROFILE: _DRAWS, Ability.SIR: _DRAWS, Ability.BOOTSTRAP: _DRAWS,
        },
    ),
    Method(
        "pooled", "naive pooled", "pooled",
        subjects=Subjects.POOLED, cannot={Ability.BOOTSTRAP: "leaves the random effects out"},
    ),
    Method(
        "individual", "each subject alone", "alone",
        subjects=Subjects.ALONE, way="BySubject",
        converged="The fit converged: every subject that could be fitted is at its own minimum.",
        cannot=_STAGES | {
            Ability.ERRORS: "fits each subject alone; wb.TwoStage() has those of the mean",
            Ability.COVARIATES: "fits each subject alone and leaves covariates out",
        },
    ),
    Method(
        "two-stage", "two-stage", "two-stage",
        way="ByTwoStages", options=TwoStage,
        cannot=_STAGES | {
            Ability.TEST: "takes the subjects' own values as data, so that its objective is no likelihood",
        },
    ),
):  # fmt: skip
    register(_method)
