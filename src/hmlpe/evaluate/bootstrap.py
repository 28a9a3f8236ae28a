"""How sure a share is: the people are drawn anew, with replacement, many times (the percentile bootstrap)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hmlpe.resample import counts, interval


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
        return torch.from_numpy(counts(people, self.draws, self.seed))

    def score(self, shares: Float[Tensor, " draw"]) -> Score:
        """The share of the people themselves (the first), and the interval that the draws span."""
        return Score(float(shares[0]), *interval(shares[1:].double().numpy(), self.level))
