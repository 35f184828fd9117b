"""Options of the methods that have any: small frozen values whose defaults need no touching."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from workbench.checks import whole
from workbench.errors import ModelError


class Options:
    """Options of a method; prints itself as the Python that makes it.

    Attributes
    ----------
    name : str
        Of the method.
    """

    name: ClassVar[str]

    def __repr__(self) -> str:
        own: Any = self
        stated = [(f.name, getattr(self, f.name)) for f in fields(own) if getattr(self, f.name) != f.default]
        return f"wb.{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in stated)})"

    def _whole(self, name: str, least: int) -> None:
        """Make a field a whole number, which it must be."""
        try:
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        except ModelError as error:
            raise ModelError(f"{type(self).__name__}: {error}") from None


@dataclass(frozen=True, repr=False)
class Quadrature(Options):
    """Adaptive Gauss-Hermite quadrature: `wb.fit(model, data, method=wb.Quadrature(nodes=9))`.

    Parameters
    ----------
    nodes : int, optional
        Along each random effect; all together are nodes to the power of their number. By default 21, 11, 7, 5, 3 and 3
        for one to six random effects.

    Raises
    ------
    ModelError
        If `nodes` is no whole number from 1 to 99.
    """

    nodes: int | None = None

    name = "quadrature"

    def __post_init__(self) -> None:
        if self.nodes is not None:
            self._whole("nodes", 1)
            if self.nodes > 99:
                raise ModelError(f"Quadrature(nodes={self.nodes!r}): a whole number from 1 to 99 is needed.")


@dataclass(frozen=True, repr=False)
class Importance(Options):
    """Importance sampling: `wb.fit(model, data, method=wb.Importance(samples=3000))`.

    Parameters
    ----------
    samples : int
        Draws of the random effects of each subject; the Monte Carlo error goes with one over the root of it.
    seed : int
        Equal seeds give equal results.

    Raises
    ------
    ModelError
        If `samples` is less than 10, or either is no whole number.
    """

    samples: int = 1000
    seed: int = 1

    name = "importance"

    def __post_init__(self) -> None:
        self._whole("samples", 10)
        self._whole("seed", 0)


@dataclass(frozen=True, repr=False)
class Saem(Options):
    """Stochastic approximation EM: `wb.fit(model, data, method=wb.Saem(exploration=500))`.

    Parameters
    ----------
    exploration : int
        Iterations that go all the way to what suits the draws of the random effects best; in the first half of them
        variances fall slowly (simulated annealing).
    smoothing : int
        Iterations after these, in which the k-th goes 1/k of the way.
    chains : int, optional
        Draws of each subject in an iteration; by default as many as make 50 with the number of subjects.
    samples : int
        Draws for -2LL and the standard errors, which importance sampling gives at the end.
    seed : int
        Equal seeds give equal results.

    Raises
    ------
    ModelError
        If one of them is no whole number, or too small.
    """

    exploration: int = 300
    smoothing: int = 200
    chains: int | None = None
    samples: int = 1000
    seed: int = 1

    name = "saem"

    def __post_init__(self) -> None:
        lowest = {"exploration": 1, "smoothing": 1, "chains": 1, "samples": 10, "seed": 0}
        for name, least in lowest.items():
            if name == "chains" and self.chains is None:
                continue
            self._whole(name, least)

    @property
    def importance(self) -> Importance:
        """What gives -2LL and the standard errors."""
        return Importance(self.samples, self.seed)


@dataclass(frozen=True, repr=False)
class TwoStage(Options):
    """From the subjects fitted alone: `wb.fit(model, data, method=wb.TwoStage(kind="standard"))`.

    Parameters
    ----------
    kind : {"global", "standard"}
        "standard": mean (a regression where the model has covariates) and covariance of the subjects' own values; Ψ is
        too large by their errors. "global": maximum likelihood in view of these errors, which takes them out of Ψ.

    Raises
    ------
    ModelError
        If `kind` is neither.
    """

    kind: Literal["global", "standard"] = "global"

    name = "two-stage"

    def __post_init__(self) -> None:
        if self.kind not in ("global", "standard"):
            raise ModelError(f"TwoStage(kind={self.kind!r}): allowed are 'global' and 'standard'.")


WITHOUT_STARTS = ("saem", "individual", "two-stage")  # methods that begin in a way of their own
OPTIONS: dict[str, type[Options]] = {options.name: options for options in (Quadrature, Importance, Saem, TwoStage)}
