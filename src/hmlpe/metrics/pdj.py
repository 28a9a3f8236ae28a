"""PDJ by MODEC's rule: the share of joints within t % of the torso's length, t = 1 ... 20 (FACTS 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from hmlpe.skeleton import Skeleton

THRESHOLDS = tuple(t / 100 for t in range(1, 21))


class ModecPDJ(Metric):
    """Curve of detected joints; error / |left shoulder - right hip| <= threshold, in image pixels.

    Left and right joints of a group are pooled. A person without a torso length, or a joint without coordinates, does
    not count.

    Args:
        skeleton: of the predictions.
        groups: name in the result -> joints, e.g. wrist -> left_wrist, right_wrist.
    """

    protocol = "pdj_modec"
    hits: Tensor
    total: Tensor

    def __init__(self, skeleton: Skeleton, groups: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.groups = {name: skeleton.indices(joints, f"metrics: {name}") for name, joints in groups.items()}
        self.add_state("hits", torch.zeros(len(groups), len(THRESHOLDS), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(len(groups), dtype=torch.long), dist_reduce_fx="sum")

    def update(
        self,
        predicted_px: Float[Tensor, "batch joint 2"],
        truth_px: Float[Tensor, "batch joint 2"],
        torso_px: Float[Tensor, " batch"],
    ) -> None:
        """Add people."""
        error = (predicted_px - truth_px).norm(dim=-1) / torso_px[:, None]
        thresholds = torch.tensor(THRESHOLDS, device=error.device, dtype=error.dtype)
        countable = (truth_px.sum(-1) + torso_px[:, None]).isfinite()
        for i, joints in enumerate(self.groups.values()):
            counted = error[:, joints][countable[:, joints]]
            self.hits[i] += (counted[:, None] <= thresholds).sum(0)
            self.total[i] += len(counted)

    def compute(self) -> dict[str, Tensor]:
        """`pdj_modec_<group>@<threshold>` for each threshold, and `pdj_modec_<group>_auc`, the curve's mean."""
        curve = self.hits / self.total[:, None]
        found = {}
        for i, name in enumerate(self.groups):
            found[f"pdj_modec_{name}_auc"] = curve[i].mean()
            for j, threshold in enumerate(THRESHOLDS):
                found[f"pdj_modec_{name}@{threshold:.2f}"] = curve[i, j]
        return found
