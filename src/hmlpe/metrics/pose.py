"""Metrics of the pose in crop pixels: the mean error, and how much the predictions vary between people."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from hmlpe.metrics.person import PersonMetric
from hmlpe.runs.metric import MetricInfo, Reduction
from hmlpe.skeleton import Skeleton

SECTION = "Pose, in numbers"
COLLAPSED = 0.1  # predictions that vary less, relative to the truth, are about one pose for every image


class PixelError(PersonMetric):
    """Computes the mean distance of predicted and true joints, in pixels of the network's crop."""

    def __init__(self) -> None:
        super().__init__("error_px")

    def infos(self) -> dict[str, MetricInfo]:
        """Return the description of the number `error_px`."""
        reduction = Reduction(errors=self.array)
        return {
            "error_px": MetricInfo(title="joint error", unit="px", better="low", section=SECTION, reduction=reduction)
        }

    def update(
        self, predicted_crop_px: Float[Tensor, "batch joint 2"], truth_crop_px: Float[Tensor, "batch joint 2"]
    ) -> None:
        """Add a batch; joints with unknown ground truth are left out."""
        self.add((predicted_crop_px - truth_crop_px).norm(dim=-1), truth_crop_px.isfinite().all(-1))


class Spread(Metric):
    """Computes the spread (variation over people) of the predictions relative to that of the ground truth.

    0 means the same pose for every image, 1 that the predictions vary as much as the true poses. It is the square root
    of the ratio of two total variances over people, of the predicted and of the true coordinates of the joints in the
    crop; only known joints are counted.
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
        """Add a batch; joints with unknown ground truth are left out."""
        known = truth_crop_px.isfinite()
        predicted = predicted_crop_px.double().where(known, 0)
        truth = truth_crop_px.double().where(known, 0)
        self.count += known.sum(0)
        self.sums += torch.stack([predicted, predicted**2, truth, truth**2]).sum(1)

    def infos(self) -> dict[str, MetricInfo]:
        """Return the description of the number `spread`."""
        return {"spread": MetricInfo(title="spread of predictions", kind="check", section=SECTION, below=COLLAPSED)}

    def compute(self) -> dict[str, Tensor]:
        """Return the relative spread, as `spread`."""
        known = self.count > 0
        mean = self.sums[:, known] / self.count[known]
        predicted = (mean[1] - mean[0] ** 2).clamp(min=0).sum()  # a NaN from a broken prediction stays NaN
        truth = (mean[3] - mean[2] ** 2).sum()
        return {"spread": (predicted / truth).sqrt().float()}
