"""How sure a share is: the people are drawn anew, with replacement, many times (the percentile bootstrap)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


class Score(NamedTuple):
    """A number and its interval over people; all NaN where there was nothing to measure."""

    value: float
    low: float
    high: float


class Bootstrap:
    """Draws of people.

    Args:
        draws: how many.
        level: of the interval, e.g. 0.95.
        seed: of the draws.
    """

    def __init__(self, draws: int = 2000, level: float = 0.95, seed: int = 0) -> None:
        self.draws, self.level, self.seed = draws, level, seed

    def counts(self, people: int) -> Float[Tensor, "draw person"]:
        """How often each person is in each draw; the first row is the people themselves, each once."""
        drawn = np.random.default_rng(self.seed).multinomial(people, np.full(people, 1 / people), size=self.draws)
        return torch.from_numpy(np.concatenate([np.ones((1, people)), drawn]))

    def score(self, shares: Float[Tensor, " draw"]) -> Score:
        """The share of the people themselves (the first), and the interval that the draws span."""
        value, drawn = float(shares[0]), shares[1:].double()
        known = drawn[drawn.isfinite()]
        if not len(known):
            return Score(value, float("nan"), float("nan"))
        tail = (1 - self.level) / 2
        low, high = torch.quantile(known, torch.tensor([tail, 1 - tail], dtype=known.dtype)).tolist()
        return Score(value, low, high)
