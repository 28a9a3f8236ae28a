"""A loss, averaged over people."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric


class MeanLoss(Metric):
    """Mean over people, however they lie in batches and on processes; NaN of a broken prediction stays.

    Two others are not used, as they are wrong here: Lightning's mean over processes divides by the mean of their counts
    rounded down to a whole (2.6), and torchmetrics' MeanMetric that keeps NaN forgets the weights (1.9).
    """

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, loss: Float[Tensor, ""], people: int) -> None:
        """Add the mean loss of so many people."""
        self.total += loss.detach().double() * people
        self.count += people

    def compute(self) -> Float[Tensor, ""]:
        """The mean."""
        return (self.total / self.count).float()
