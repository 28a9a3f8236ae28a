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

    def score(self, values: Float[np.ndarray, " draw"]) -> Score:
        """Return a statistic's value on the original sample, with its bootstrap interval.

        Args:
            values: the statistic on each draw; the first is the value on the original sample.
        """
        return Score(float(values[0]), *bootstrap_interval(values[1:].astype(float), self.level, self.shots))


class Bootstrap:
    """Draws bootstrap samples of people.

    Args:
        draws: the number of samples.
        level: the level of the interval, e.g. 0.95.
        seed: the seed of the random numbers.
    """

    def __init__(self, draws: int = 2000, level: float = 0.95, seed: int = 0) -> None:
        self.draws, self.level, self.seed = draws, level, seed

    def draw(self, shots: Sequence[str]) -> Draws:
        """Draw the bootstrap samples of people; people of one shot are drawn together.

        Args:
            shots: the shot of each person.
        """
        return Draws(bootstrap_counts(shots, self.draws, self.seed), len(set(shots)), self.level)
