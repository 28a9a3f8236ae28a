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
        batch: people of a step, over all processes.
        rank, world: number of this process, and of all, which divides `batch`. One of several yields its share of each
            batch of one process, in that order, and nothing of an incomplete last one.
    """

    def __init__(
        self, length: int, seed: int, groups: np.ndarray | None = None, batch: int = 1, rank: int = 0, world: int = 1
    ) -> None:
        self.length, self.seed, self.epoch = length, seed, 0
        self.batch, self.rank, self.world = batch, rank, world
        self.members = None if groups is None else [np.flatnonzero(groups == name) for name in np.unique(groups)]

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length if self.world == 1 else self.length // self.batch * (self.batch // self.world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(self.length) if self.members is None else self._balanced(rng)
        if self.world > 1:
            whole = order[: self.length // self.batch * self.batch]
            order = whole.reshape(-1, self.world, self.batch // self.world)[:, self.rank].flatten()
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
