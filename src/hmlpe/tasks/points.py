"""Joint points: which windows contain which joint? The detection task of the authors' journal version."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hmlpe.metrics import MapAP
from hmlpe.skeleton import Skeleton
from hmlpe.tasks.detection import square
from hmlpe.tasks.task import Sample, Target, Task
from hmlpe.windows import WindowGrid

MAPS = "media/point_maps"


class JointPoints(Task):
    """The sum over joints and windows of the cross-entropy; one classifier for each joint at each window.

    Window l contains joint i where the joint's point lies in its closed rectangle. A joint without coordinates counts
    in none.

    Args:
        skeleton: the joints.
        windows: the grid.
    """

    symbol, digits = "p", 2
    pictures = (MAPS,)

    def __init__(self, skeleton: Skeleton, windows: WindowGrid) -> None:
        self.skeleton, self.windows = skeleton, windows

    @property
    def outputs(self) -> int:
        """One logit for every joint and window: index joint * windows + window."""
        return len(self.skeleton.joints) * len(self.windows)

    def target(self, sample: Sample) -> Target:
        """The indicator of every joint and window, (batch, joint * window)."""
        return self._of_joints(sample["joints_px"])

    def _of_joints(self, joints_px: Float[Tensor, "batch joint 2"]) -> Target:
        corners = self.windows.corners(joints_px.device)
        points = joints_px[:, :, None]
        inside = ((points >= corners) & (points <= corners + self.windows.extent_px)).all(-1)
        known = joints_px.isfinite().all(-1, keepdim=True).expand_as(inside)
        return Target(inside.float().flatten(1), known.flatten(1))

    def element_loss(
        self, output: Float[Tensor, "batch output"], values: Float[Tensor, "batch output"]
    ) -> Float[Tensor, "batch output"]:
        """Cross-entropy of each logit."""
        return torch.nn.functional.binary_cross_entropy_with_logits(output, values, reduction="none")

    def decode(self, output: Float[Tensor, "batch output"]) -> dict[str, Tensor]:
        """point_maps (batch, joint, window): the probability that the window contains the joint."""
        return {"point_maps": output.float().sigmoid().reshape(-1, len(self.skeleton.joints), len(self.windows))}

    def truth(self, target: Target, sample: Sample) -> dict[str, Tensor]:
        """point_truth (batch, joint, window): 1 where the window contains the joint, NaN where that is unknown."""
        known = target.values.where(target.known, torch.nan)
        return {"point_truth": known.reshape(-1, len(self.skeleton.joints), len(self.windows))}

    def draw(
        self, crops: UInt8[np.ndarray, "person size size 3"], found: Mapping[str, np.ndarray]
    ) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
        """Predicted and true maps of three people."""
        from hmlpe.pictures import part_maps  # matplotlib waits until it is wanted

        predicted, truth = (square(found[name][:3]) for name in ("point_maps", "point_truth"))
        return {MAPS: part_maps(crops[:3], predicted, truth, list(self.skeleton.joints))}


class PointAP(MapAP):
    """Average precision of each joint's detectors, over all windows and people together.

    Args:
        skeleton: whose joints they are.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__(skeleton.joints, "point_ap", "point AP", "Joint detectors")

    def update(
        self, point_maps: Float[Tensor, "batch joint window"], point_truth: Float[Tensor, "batch joint window"]
    ) -> None:
        """Add people; a joint with NaN truth does not count."""
        self.add(point_maps, point_truth)
