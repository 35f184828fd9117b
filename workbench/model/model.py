"""The model: one frozen value that prints itself as the Python that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from workbench.errors import ModelError
from workbench.model.formula import columns_of
from workbench.model.parameter import Effect, Parameter, finite
from workbench.model.residual import Combined2, ResidualError
from workbench.model.structure import Structure


@dataclass(frozen=True, init=False)
class Block:
    """Random effects that are correlated: a block of Ψ.

    Parameters
    ----------
    *names : str
        Two or more parameters with a random effect.
    correlations : sequence of float, optional
        Lower triangle by rows: (2,1), (3,1), (3,2), … Default: start from 0.
    """

    names: tuple[str, ...]
    correlations: tuple[float, ...]

    def __init__(self, *names: str, correlations: Iterable[float] = ()):
        if len(names) < 2 or len(set(names)) < len(names):
            raise ModelError(f"A block of Ψ names two or more different parameters, got {names!r}.")
        values = tuple(finite(r, f"A correlation of {', '.join(names)}") for r in correlations)
        needed = len(names) * (len(names) - 1) // 2
        if values and len(values) != needed:
            raise ModelError(f"A block of {len(names)} has {needed} correlations, got {len(values)}.")
        object.__setattr__(self, "names", tuple(names))
        object.__setattr__(self, "correlations", values or (0.0,) * needed)
        if np.linalg.eigvalsh(self.matrix())[0] <= 0:
            raise ModelError(f"The correlations {values} of {', '.join(names)} make no positive definite matrix.")

    def matrix(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Correlation matrix, float64[names, names]."""
        matrix = np.eye(len(self.names))
        rows, columns = np.tril_indices(len(self.names), -1)
        matrix[rows, columns] = matrix[columns, rows] = self.correlations
        return matrix

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self.names))
        return f"wb.Block({names}, correlations={self.correlations!r})" if any(self.correlations) else f"({names})"


Correlate = Literal["full"] | Sequence[Block | Sequence[str]] | None
Shape = Literal["power", "exponential", "linear"]


@dataclass(frozen=True, init=False)
class Model:
    """A nonlinear mixed-effects model.

    Parameters
    ----------
    structure : Structure
        As made by `pk`.
    parameters : sequence of Parameter, optional
        All parameters of the structure, in the order in which tables should show them. None: all of
        them log-normal with a random effect, values found from the data.
    error : ResidualError
    correlate : "full" or sequence of names or Block, optional
        Blocks of Ψ; random effects not named are independent.

    Raises
    ------
    ModelError
        If a parameter is unknown to the structure, missing, or named twice; if a block names one without
        random effect.
    """

    structure: Structure
    parameters: tuple[Parameter, ...]
    error: ResidualError
    correlate: tuple[Block, ...]

    def __init__(
        self,
        structure: Structure,
        parameters: Iterable[Parameter] | None = None,
        error: ResidualError | None = None,
        correlate: Correlate = None,
    ):
        if isinstance(structure, type) or not hasattr(structure, "names"):
            raise ModelError(f"The first argument is a structure such as wb.pk(compartments=1), got {structure!r}.")
        if parameters is None:
            parameters = [Parameter(name, iiv=True) for name in structure.names]
        parameters = tuple(parameters)
        for parameter in parameters:
            if not isinstance(parameter, Parameter):
                raise ModelError(f"parameters= holds wb.Parameter(…) values, got {parameter!r}.")
        names = [parameter.name for parameter in parameters]
        known = ", ".join(structure.names)
        unknown = [name for name in names if name not in structure.names]
        if unknown:
            raise ModelError(f"{structure!r} has no parameter {', '.join(unknown)}. It has {known}.")
        missing = [name for name in structure.names if name not in names]
        if missing:
            raise ModelError(f"{structure!r} needs {known}; missing: {', '.join(missing)}.")
        if len(set(names)) < len(names):
            raise ModelError(f"A parameter is given twice: {', '.join(names)}.")
        error = Combined2() if error is None else error
        if not isinstance(error, ResidualError):
            raise ModelError(f"error= is a residual error such as wb.Constant(0.5), got {error!r}.")
        object.__setattr__(self, "structure", structure)
        object.__setattr__(self, "parameters", parameters)
        object.__setattr__(self, "error", error)
        object.__setattr__(self, "correlate", self._blocks(correlate))

    def _blocks(self, correlate: Correlate) -> tuple[Block, ...]:
        if not correlate:
            return ()
        random = self.random_effects
        if isinstance(correlate, str):
            if correlate != "full":
                raise ModelError(f"correlate={correlate!r}; allowed are 'full' or groups such as [('CL', 'V')].")
            return (Block(*random),) if len(random) > 1 else ()
        items = list(correlate)
        if all(isinstance(item, str) for item in items):  # one group, not wrapped in a list of groups
            items = [Block(*(name for name in items if isinstance(name, str)))]
        blocks = tuple(item if isinstance(item, Block) else Block(*item) for item in items)
        seen: list[str] = []
        for name in (name for block in blocks for name in block.names):
            if name not in random:
                have = ", ".join(random) or "none has one"
                raise ModelError(f"correlate names {name}, which has no random effect. With one: {have}.")
            if name in seen:
                raise ModelError(f"correlate names {name} in two blocks; put them together into one.")
            seen.append(name)
        return blocks

    # -- reading -----------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise ModelError(f"The model has no parameter {name!r}. It has {', '.join(self.structure.names)}.")

    @property
    def random_effects(self) -> tuple[str, ...]:
        """Names of the parameters that have a random effect, in order."""
        return tuple(parameter.name for parameter in self.parameters if parameter.iiv is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that covariate formulas and known parameters use."""
        used = [name for p in self.parameters for effect in p.covariates for name in columns_of(effect.term)]
        used += [p.column for p in self.parameters if p.column is not None]
        return tuple(dict.fromkeys(used))

    @property
    def is_complete(self) -> bool:
        """Whether every value is stated, so that nothing has to be found from data."""
        values = [p.value is not None or p.column is not None for p in self.parameters]
        spreads = [p.iiv is not True for p in self.parameters]
        return all(values) and all(spreads) and None not in self.error.values

    # -- edits: each returns a new model -----------------------------------------------------------------------

    def _edit(self, **changes: Any) -> Model:
        return Model(
            **{
                "structure": self.structure,
                "parameters": self.parameters,
                "error": self.error,
                "correlate": self.correlate,
                **changes,
            }
        )

    def with_structure(self, structure: Structure) -> Model:
        """Change the structure; parameters that both have are kept, new ones are found from the data."""
        mine = {parameter.name: parameter for parameter in self.parameters}
        parameters = tuple(mine.get(name, Parameter(name, iiv=True)) for name in structure.names)
        random = [p.name for p in parameters if p.iiv is not None]
        return Model(structure, parameters, self.error, _restrict(self.correlate, random))

    def with_parameter(self, name: str, **changes: Any) -> Model:
        """Change fields of one parameter: value, iiv, covariates, transform, fixed, column."""
        try:
            changed = replace(self[name], **changes)
        except TypeError:
            allowed = [field for field in Parameter.__dataclass_fields__ if field != "name"]
            raise ModelError(f"A parameter has {', '.join(allowed)}; got {', '.join(changes)}.") from None
        parameters = tuple(changed if p.name == name else p for p in self.parameters)
        random = [p.name for p in parameters if p.iiv is not None]
        return self._edit(parameters=parameters, correlate=_restrict(self.correlate, random))

    def with_values(self, values: Mapping[str, float]) -> Model:
        """Set typical values by name, on the natural scale."""
        model = self
        for name, value in values.items():
            model = model.with_parameter(name, value=value)
        return model

    def with_error(self, error: ResidualError) -> Model:
        """Change the residual error model."""
        return self._edit(error=error)

    def with_correlate(self, correlate: Correlate) -> Model:
        """Change the blocks of Ψ."""
        return self._edit(correlate=correlate)

    def with_covariate(
        self,
        parameter: str,
        covariate: str,
        shape: Shape = "power",
        reference: float = 1.0,
        start: float | None = None,
        fixed: bool = False,
    ) -> Model:
        """Let a covariate act on a parameter.

        Parameters
        ----------
        parameter, covariate : str
        shape : {"power", "exponential", "linear"}
            On a log-normal parameter: "power" is (c / reference)^θ, "exponential" is exp(θ·(c − reference)).
            "linear" adds θ·(c − reference) and is for a parameter on the identity scale.
        reference : float
            Value of the covariate at which the parameter has its typical value.
        start : float, optional
            Coefficient to start from; 0 if not given.
        fixed : bool
            Keep the coefficient at `start`.
        """
        reference = finite(reference, "reference")
        transform = self[parameter].transform
        if (shape == "linear") != (transform == "identity") or shape not in ("power", "exponential", "linear"):
            fit = "'linear'" if transform == "identity" else "'power' or 'exponential'"
            raise ModelError(f"shape={shape!r} for {parameter} (transform {transform!r}); allowed is {fit}.")
        if shape == "power" and reference <= 0:
            raise ModelError(f"shape='power' needs a positive reference, got {reference:g}.")
        term = f"log({covariate}/{reference:.15g})" if shape == "power" else f"({covariate} - {reference:.15g})"
        effect = Effect(term, None if start is None else (start,), fixed)
        return self.with_parameter(parameter, covariates=(*self[parameter].covariates, effect))

    def without_covariate(self, parameter: str, covariate: str) -> Model:
        """Remove every term of a parameter that uses a covariate."""
        kept = tuple(e for e in self[parameter].covariates if covariate not in columns_of(e.term))
        if len(kept) == len(self[parameter].covariates):
            raise ModelError(f"{parameter} has no effect of {covariate}.")
        return self.with_parameter(parameter, covariates=kept)

    # -- printing ----------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        lines = [f"    {self.structure!r},", "    ["]
        lines += [f"        {parameter!r}," for parameter in self.parameters]
        lines += ["    ],", f"    error={self.error!r},"]
        if self.correlate:
            lines.append(f"    correlate=[{', '.join(map(repr, self.correlate))}],")
        return "wb.Model(\n" + "\n".join(lines) + "\n)"


def _restrict(blocks: tuple[Block, ...], random: Sequence[str]) -> tuple[Block, ...]:
    """Blocks without the names that have no random effect (any more)."""
    kept = []
    for block in blocks:
        at = [i for i, name in enumerate(block.names) if name in random]
        if len(at) > 1:
            matrix = block.matrix()[np.ix_(at, at)]
            lower = matrix[np.tril_indices(len(at), -1)]
            kept.append(Block(*(block.names[i] for i in at), correlations=(float(r) for r in lower)))
    return tuple(kept)
