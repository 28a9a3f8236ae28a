"""The pose in pixels of the crop: its mean error, and how much the predictions vary at all."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from hmlpe.skeleton import Skeleton


class PixelError(Metric):
    """Mean distance of predicted and true joints, in pixels of the network's crop."""

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(
        self, predicted_crop_px: Float[Tensor, "batch joint 2"], truth_crop_px: Float[Tensor, "batch joint 2"]
    ) -> None:
        """Add people."""
        known = truth_crop_px.isfinite().all(-1)
        self.total += (predicted_crop_px - truth_crop_px).norm(dim=-1)[known].sum()  # NaN of a broken prediction stays
        self.count += known.sum()

    def compute(self) -> dict[str, Tensor]:
        """`error_px`."""
        return {"error_px": (self.total / self.count).float()}


class Spread(Metric):
    """Spread of the predictions relative to the truth's: 0 is one pose for every image, 1 is as varied as people are.

    The square root of the ratio of total variances over people, joints' coordinates in the crop, known joints alone.
    """

    count: Tensor
    sums: Tensor

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        joints = len(skeleton.joints)
        self.add_state("count", torch.zeros(joints, 2, dtype=torch.float64), dist_reduce_fx="sum")
        # predicted, predicted squared, true, true squared
        self.add_state("sums", torch.zeros(4, joints, 2, dtype=torch.float64), dist_reduce_fx="sum")

    def update(
        self, predicted_crop_px: Float[Tensor, "batch joint 2"], truth_crop_px: Float[Tensor, "batch joint 2"]
    ) -> None:
        """Add people."""
        known = truth_crop_px.isfinite()
        predicted = predicted_crop_px.double().where(known, 0)
        truth = truth_crop_px.double().where(known, 0)
        self.count += known.sum(0)
        self.sums += torch.stack([predicted, predicted**2, truth, truth**2]).sum(1)

    def compute(self) -> dict[str, Tensor]:
        """`spread`."""
        known = self.count > 0
        mean = self.sums[:, known] / self.count[known]
        predicted = (mean[1] - mean[0] ** 2).clamp(min=0).sum()  # NaN of a broken prediction stays NaN
        truth = (mean[3] - mean[2] ** 2).sum()
        return {"spread": (predicted / truth).sqrt().float()}
