"""In which order, and how often, an epoch shows the training people."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int
from torch.utils.data import Sampler


class EpochSampler(Sampler[tuple[int, int]]):
    """A shuffle that is a function of (seed, epoch); yields (epoch, index): a sample knows its epoch in any worker.

    Args:
        length: number of people; an epoch yields as many.
        seed: of the order.
        groups: (person,) the set that each person is of: every set then gives the same share of an epoch, its people
            one after another in a new order until the share is full. None: everyone once.
    """

    def __init__(self, length: int, seed: int, groups: np.ndarray | None = None) -> None:
        self.length, self.seed, self.epoch = length, seed, 0
        self.members = None if groups is None else [np.flatnonzero(groups == name) for name in np.unique(groups)]

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(self.length) if self.members is None else self._balanced(rng)
        return iter((self.epoch, int(index)) for index in order)

    def _balanced(self, rng: np.random.Generator) -> Int[np.ndarray, " length"]:
        members = self.members or []
        shares = np.full(len(members), self.length // len(members))
        shares[: self.length % len(members)] += 1
        chosen = []
        for rows, share in zip(members, shares, strict=True):
            rounds = -(-int(share) // len(rows))
            chosen.append(np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:share])
        return rng.permutation(np.concatenate(chosen))
