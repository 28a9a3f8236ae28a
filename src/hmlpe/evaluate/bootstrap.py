"""Bootstrap intervals of scores: shots are drawn with replacement, each with all its people (percentile bootstrap)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hmlpe.resample import bootstrap_counts, bootstrap_interval


class Score(NamedTuple):
    """A number and the ends of its bootstrap interval over people; all are NaN if there was nothing to measure."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Draws:
    """Bootstrap samples of people.

    Attributes:
        counts: how often each person is in each draw; the first row is the original sample, each person once.
        shots: the number of shots that were drawn from.
        level: the level of the interval, e.g. 0.95.
    """

    counts: Float[np.ndarray, "draw person"]
    shots: int
    level: float

    def score(self, shares: Float[np.ndarray, " draw"]) -> Score:
        """Return the value of the original sample, which is the first share, with the interval from the other draws."""
        return Score(float(shares[0]), *bootstrap_interval(shares[1:].astype(float), self.level, self.shots))


class Bootstrap:
    """Draws bootstrap samples of people.

    Args:
        draws: the number of samples.
        level: the level of the interval, e.g. 0.95.
        seed: the seed of the random numbers.
    """

    def __init__(self, draws: int = 2000, level: float = 0.95, seed: int = 0) -> None:
        self.draws, self.level, self.seed = draws, level, seed

    def of(self, shots: Sequence[str]) -> Draws:
        """Return the samples of these people; people of one shot are drawn together.

        Args:
            shots: the shot of each person.
        """
        return Draws(bootstrap_counts(shots, self.draws, self.seed), len(set(shots)), self.level)
