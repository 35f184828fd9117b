"""Random effects that are correlated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workbench.checks import finite, listed
from workbench.errors import ModelError

Level = Literal["subject", "occasion"]
LEVELS: tuple[Level, ...] = ("subject", "occasion")


@dataclass(frozen=True, init=False)
class Block:
    """Random effects that are correlated: a block of Ψ.

    Parameters
    ----------
    *names : str
        Two or more parameters with a random effect.
    correlations : sequence of float, optional
        Lower triangle by rows: (2,1), (3,1), (3,2), … Default: start from 0.
    fixed : bool
        Keep the correlations as they are stated.
    level : {"subject", "occasion"}
        Whether η (between subjects) or κ (between the occasions of a subject) are meant.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.Block("CL", "V", correlations=[0.5]).matrix()
    array([[1. , 0.5],
           [0.5, 1. ]])
    """

    names: tuple[str, ...]
    correlations: tuple[float, ...]
    fixed: bool
    level: Level

    def __init__(self, *names: str, correlations: Iterable[float] = (), fixed: bool = False, level: Level = "subject"):
        if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
            raise ModelError(f"A block of Ψ names two or more different parameters, got {names!r}.")
        if level not in LEVELS:
            raise ModelError(f"Block(level={level!r}): allowed are {listed(LEVELS)}.")
        if not isinstance(fixed, bool):
            raise ModelError(f"Block(fixed={fixed!r}): allowed are True and False.")
        values = tuple(finite(r, f"A correlation of {', '.join(names)}") for r in correlations)
        needed = len(names) * (len(names) - 1) // 2
        if values and len(values) != needed:
            raise ModelError(f"A block of {len(names)} has {needed} correlations, got {len(values)}.")
        object.__setattr__(self, "names", tuple(names))
        object.__setattr__(self, "correlations", values or (0.0,) * needed)
        object.__setattr__(self, "fixed", fixed)
        object.__setattr__(self, "level", level)
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
        parts = [f"correlations={self.correlations!r}"] if any(self.correlations) else []
        parts += ["fixed=True"] if self.fixed else []
        parts += [f'level="{self.level}"'] if self.level != "subject" else []
        return f"wb.Block({', '.join([names, *parts])})" if parts else f"({names})"


def restricted(blocks: tuple[Block, ...], effects: Mapping[str, Sequence[str]]) -> tuple[Block, ...]:
    """Blocks without the names that have no random effect of their level (any more)."""
    kept = []
    for block in blocks:
        at = [i for i, name in enumerate(block.names) if name in effects[block.level]]
        if len(at) == len(block.names):
            kept.append(block)
        elif len(at) > 1:
            matrix = block.matrix()[np.ix_(at, at)]
            lower = matrix[np.tril_indices(len(at), -1)]
            names = [block.names[i] for i in at]
            kept.append(Block(*names, correlations=map(float, lower), fixed=block.fixed, level=block.level))
    return tuple(kept)
