"""PDJ by MODEC's rule: the share of joints within t % of the torso's length, t = 1 ... 20 (FACTS 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hmlpe.metrics.curve import ErrorCurve
from hmlpe.skeleton import Skeleton

THRESHOLDS = tuple(t / 100 for t in range(1, 21))


class ModecPDJ(ErrorCurve):
    """Curve of detected joints; error / |left shoulder - right hip| <= threshold, in image pixels.

    The length is handed in (`data.labels.Labels.torso_px`): under sides=image MODEC's left shoulder of a person seen
    from behind is the person's own right one, and the hip stays the own right one: MODEC's hips never change places.

    Left and right joints of a group are pooled. A person without a torso length, or a joint without coordinates, does
    not count.

    Args:
        skeleton: of the predictions.
        groups: name in the result -> joints, e.g. wrist -> left_wrist, right_wrist.
    """

    protocol = "pdj_modec"
    pooled = True

    def __init__(self, skeleton: Skeleton, groups: Mapping[str, Sequence[str]]) -> None:
        super().__init__(skeleton.joints, groups)

    def update(
        self,
        predicted_px: Float[Tensor, "batch joint 2"],
        truth_px: Float[Tensor, "batch joint 2"],
        torso_px: Float[Tensor, " batch"],
    ) -> None:
        """Add people; a joint that is not predicted (NaN) is wrong."""
        error = (predicted_px - truth_px).norm(dim=-1) / torso_px[:, None]
        self.add(error, (truth_px.sum(-1) + torso_px[:, None]).isfinite())

    def curve(self) -> Float[Tensor, "threshold person joint"]:
        """`within` for each of THRESHOLDS."""
        return torch.stack([self.within(threshold) for threshold in THRESHOLDS])

    def compute(self) -> dict[str, Tensor]:
        """`pdj_modec_<group>@<threshold>` for each threshold, and `pdj_modec_<group>_auc`, the curve's mean."""
        curve, found = self.curve(), {}
        for name in self.groups:
            shares = torch.cat([self.share(hits, name) for hits in curve])
            found[f"pdj_modec_{name}_auc"] = shares.mean()
            for threshold, share in zip(THRESHOLDS, shares, strict=True):
                found[f"pdj_modec_{name}@{threshold:.2f}"] = share
        return found
