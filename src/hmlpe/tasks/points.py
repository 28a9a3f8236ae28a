"""Joint points: which windows contain which joint? The detection task of the authors' journal version."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hmlpe.metrics import MapAP
from hmlpe.skeleton import Skeleton
from hmlpe.tasks.detection import windows_to_grid
from hmlpe.tasks.task import Sample, Target, Task
from hmlpe.windows import WindowGrid

MAPS = "media/point_maps"


class JointPoints(Task):
    """Joint detection with one binary classifier for each joint at each window of a grid.

    The error is the sum of the cross-entropy over joints and windows. A window contains a joint if the joint's point
    lies in the window's closed rectangle. A joint without coordinates counts in none of its windows.

    Args:
        skeleton: the skeleton that names the joints.
        windows: the grid of windows.
    """

    symbol, digits = "p", 2
    pictures = (MAPS,)

    def __init__(self, skeleton: Skeleton, windows: WindowGrid) -> None:
        self.skeleton, self.windows = skeleton, windows

    @property
    def outputs(self) -> int:
        """Return the number of logits: one for each joint and window, at index joint * number of windows + window."""
        return len(self.skeleton.joints) * len(self.windows)

    def target(self, sample: Sample) -> Target:
        """Return the indicator (batch, joint * window) of each joint and window: 1 if the window contains the joint."""
        return self._target_of_joints(sample["joints_px"])

    def _target_of_joints(self, joints_px: Float[Tensor, "batch joint 2"]) -> Target:
        corners = self.windows.corners(joints_px.device)
        points = joints_px[:, :, None]
        inside = ((points >= corners) & (points <= corners + self.windows.extent_px)).all(-1)
        known = joints_px.isfinite().all(-1, keepdim=True).expand_as(inside)
        return Target(inside.float().flatten(1), known.flatten(1))

    def element_loss(
        self, output: Float[Tensor, "batch output"], values: Float[Tensor, "batch output"]
    ) -> Float[Tensor, "batch output"]:
        """Return the binary cross-entropy of each logit."""
        return torch.nn.functional.binary_cross_entropy_with_logits(output, values, reduction="none")

    def decode(self, output: Float[Tensor, "batch output"]) -> dict[str, Tensor]:
        """Return point_maps (batch, joint, window): the probability that the window contains the joint."""
        return {"point_maps": output.float().sigmoid().reshape(-1, len(self.skeleton.joints), len(self.windows))}

    def truth(self, target: Target, sample: Sample) -> dict[str, Tensor]:
        """Return point_truth (batch, joint, window): 1 where the window contains the joint, NaN where it is unknown."""
        known = target.values.where(target.known, torch.nan)
        return {"point_truth": known.reshape(-1, len(self.skeleton.joints), len(self.windows))}

    def draw(
        self, crops: UInt8[np.ndarray, "person size size 3"], inputs: Mapping[str, np.ndarray]
    ) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
        """Return a dict with one named picture: the predicted and true joint maps of the first three people."""
        from hmlpe.pictures import draw_part_maps  # imported here, as it loads matplotlib

        predicted, truth = (windows_to_grid(inputs[name][:3]) for name in ("point_maps", "point_truth"))
        return {MAPS: draw_part_maps(crops[:3], predicted, truth, list(self.skeleton.joints))}


class PointAP(MapAP):
    """Average precision of each joint's window classifiers, over all windows and people together.

    Args:
        skeleton: the skeleton that names the joints.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__(skeleton.joints, "point_ap", "point AP", "Joint detectors")

    def update(
        self, point_maps: Float[Tensor, "batch joint window"], point_truth: Float[Tensor, "batch joint window"]
    ) -> None:
        """Add a batch of predicted and true maps; a joint's windows with NaN as ground truth do not count."""
        self.add(point_maps, point_truth)
