"""Joint regression: where is each joint? (paper section 3.1)"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hmlpe.skeleton import Skeleton
from hmlpe.tasks.task import Sample, Target, Task

POSES = "media/poses"


class JointRegression(Task):
    """E_r = sum over joints of |J - tanh(output)|^2, J = joint / crop size.

    A joint without coordinates does not count. A labelled joint outside the crop keeps its true target, clamped to
    what tanh reaches.

    Args:
        skeleton: the joints.
        size_px: side of the crop, which normalises coordinates.
        limit: targets are clamped to [-limit, limit].
    """

    symbol = "r"
    pictures = (POSES,)

    def __init__(self, skeleton: Skeleton, size_px: int, limit: float) -> None:
        self.skeleton, self.size_px, self.limit = skeleton, size_px, limit

    @property
    def joints(self) -> int:
        """How many."""
        return len(self.skeleton.joints)

    @property
    def outputs(self) -> int:
        """x and y of every joint."""
        return 2 * self.joints

    def target(self, sample: Sample) -> Target:
        """Joint positions in crop sizes, (batch, 2 * joint)."""
        return self._of_joints(sample["joints_px"])

    def _of_joints(self, joints_px: Float[Tensor, "batch joint 2"]) -> Target:
        values = (joints_px / self.size_px).clamp(-self.limit, self.limit).flatten(1)
        known = joints_px.isfinite().all(-1, keepdim=True).expand_as(joints_px).flatten(1)
        return Target(values.nan_to_num(), known)

    def element_loss(
        self, output: Float[Tensor, "batch output"], values: Float[Tensor, "batch output"]
    ) -> Float[Tensor, "batch output"]:
        """Squared error of each coordinate."""
        return (torch.tanh(output) - values).square()

    def decode(self, output: Float[Tensor, "batch output"]) -> dict[str, Tensor]:
        """predicted_crop_px (batch, joint, 2): joints in crop pixels."""
        return {"predicted_crop_px": (torch.tanh(output.float()) * self.size_px).reshape(-1, self.joints, 2)}

    def found(self, output: Float[Tensor, "batch output"], target: Target, sample: Sample) -> dict[str, Tensor]:
        """Also predicted_px (batch, joint, 2): joints in pixels of the image."""
        decoded = self.decode(output)
        return decoded | {"predicted_px": to_image_px(decoded["predicted_crop_px"], sample)}

    def kept(self, found: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Both, in float32."""
        return {name: found[name].numpy() for name in ("predicted_crop_px", "predicted_px")}

    def draw(
        self, crops: UInt8[np.ndarray, "person size size 3"], found: Mapping[str, np.ndarray]
    ) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
        """True and predicted poses."""
        from hmlpe.pictures import poses  # matplotlib waits until it is wanted

        return {POSES: poses(crops, found["truth_crop_px"], found["predicted_crop_px"], self.skeleton)}

    def constant_output(self, mean_pose_px: Float[Tensor, "joint 2"]) -> Float[Tensor, " output"]:
        """atanh of the mean pose."""
        return (mean_pose_px.flatten() / self.size_px).clamp(-self.limit, self.limit).atanh()


def to_image_px(crop_px: Float[Tensor, "batch joint 2"], sample: Sample) -> Float[Tensor, "batch joint 2"]:
    """Joints in pixels of the test crop -> image pixels (`geometry.crop_to_image` for a batch on any device)."""
    box, size = sample["box_px"][:, None], sample["image"].shape[-1]
    return (crop_px + 0.5) / size * (box[..., 2:] - box[..., :2]) + box[..., :2]
