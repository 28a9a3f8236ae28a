"""An error, averaged over the people who count."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchmetrics import Metric


class MeanError(Metric):
    """Mean over the people of whom anything is known, however they lie in batches and on processes; NaN over nobody.

    NaN of a broken prediction stays. Two others are not used, as they are wrong here: Lightning's mean over processes
    divides by the mean of their counts rounded down to a whole (2.6), and torchmetrics' MeanMetric that keeps NaN
    forgets the weights (1.9).
    """

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, errors: Float[Tensor, " batch"], counts: Bool[Tensor, " batch"]) -> None:
        """Add people, of whom some count."""
        self.total += errors.detach().double().where(counts, 0.0).sum()
        self.count += counts.sum()

    def compute(self) -> Float[Tensor, ""]:
        """The mean."""
        return (self.total / self.count).float()
