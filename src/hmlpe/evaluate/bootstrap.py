"""How sure a share is: shots are drawn anew with their people, with replacement, many times (percentile bootstrap)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hmlpe.resample import bootstrap_counts, bootstrap_interval


class Score(NamedTuple):
    """A number and its interval over people; all NaN where there was nothing to measure."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Draws:
    """Of some people.

    Attributes:
        counts: how often each person is in each draw; the first row is the people themselves, each once.
        shots: that were drawn from.
        level: of the interval.
    """

    counts: Float[np.ndarray, "draw person"]
    shots: int
    level: float

    def score(self, shares: Float[np.ndarray, " draw"]) -> Score:
        """The share of the people themselves (the first), and the interval that the draws span."""
        return Score(float(shares[0]), *bootstrap_interval(shares[1:].astype(float), self.level, self.shots))


class Bootstrap:
    """Draws of people.

    Args:
        draws: how many.
        level: of the interval, e.g. 0.95.
        seed: of the draws.
    """

    def __init__(self, draws: int = 2000, level: float = 0.95, seed: int = 0) -> None:
        self.draws, self.level, self.seed = draws, level, seed

    def of(self, shots: Sequence[str]) -> Draws:
        """The draws of people by the shots that they are of; people of one shot are drawn together."""
        return Draws(bootstrap_counts(shots, self.draws, self.seed), len(set(shots)), self.level)
