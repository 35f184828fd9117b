"""What is hidden is drawn from a seed and a key, by HMAC-SHA256: the same everywhere, and unknown without the key.

Numbers of a truth come from the digest itself, so that they do not depend on the version of numpy; only noise does.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from workbench.errors import ModelError

T = TypeVar("T")

KEY_VARIABLE = "WORKBENCH_EXERCISES_KEY"
SHORTEST = 16  # characters: a key that can be guessed opens every truth
_PRACTICE = b"practice: this key is public, and so is every truth that is drawn with it"


def new_key() -> str:
    """Make a lecturer's key: 32 random hexadecimal digits.

    Returns
    -------
    str

    Examples
    --------
    >>> import workbench as wb
    >>> len(wb.exercises.new_key())
    32
    """
    return secrets.token_hex(16)


def checked_key(key: str | None) -> str | None:
    """A key that is long enough; that of the environment where none is given, None where there is none either.

    Raises
    ------
    ModelError
        If it is no text, or so short that it could be guessed.
    """
    stated = os.environ.get(KEY_VARIABLE) or None if key is None else key
    if stated is None:
        return None
    if not isinstance(stated, str):
        raise ModelError(f"key= is text, as wb.exercises.new_key() makes it; got {type(stated).__name__}.")
    if len(stated) < SHORTEST:
        raise ModelError(
            f"The key has {len(stated)} characters; {SHORTEST} or more are needed, else whoever has an exercise could "
            "try keys until one fits. wb.exercises.new_key() makes one."
        )
    return stated


@dataclass(frozen=True)
class Draws:
    """What follows from a key, a topic and a seed. Each draw has a label and does not depend on the others."""

    topic: str
    seed: str
    _secret: bytes = field(repr=False)

    @classmethod
    def of(cls, topic: str, seed: str, key: str | None) -> Draws:
        """The draws of a student's exercise; with no key those that everybody can repeat."""
        return cls(topic, seed, _PRACTICE if key is None else key.encode("utf-8"))

    def digest(self, label: str) -> bytes:
        """32 bytes for a label."""
        parts = (self.topic, self.seed, label)
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.new(self._secret, message, hashlib.sha256).digest()

    def between(self, label: str, low: float, high: float) -> float:
        """A number of three digits, log-uniform between two positive ones."""
        share = int.from_bytes(self.digest(label)[:7], "big") / 2.0**56
        return float(f"{math.exp(math.log(low) + share * math.log(high / low)):.3g}")

    def one_of(self, label: str, choices: Sequence[T]) -> T:
        """One of several."""
        return choices[int.from_bytes(self.digest(label)[:8], "big") % len(choices)]

    def generator(self, label: str) -> np.random.Generator:
        """A generator of noise."""
        return np.random.Generator(np.random.PCG64(int.from_bytes(self.digest(label)[:16], "big")))

    def seal(self, content: str) -> str:
        """A mark that only the key can make, for what was handed out."""
        return self.digest(f"seal {content}").hex()
