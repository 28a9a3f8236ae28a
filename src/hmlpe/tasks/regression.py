"""Joint regression: where is each joint? (paper section 3.1)"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hmlpe.skeleton import Skeleton
from hmlpe.tasks.task import Target, Task


class JointRegression(Task):
    """E_r = sum over joints of |J - tanh(output)|^2, J = joint / crop size.

    A joint without coordinates does not count. A labelled joint outside the crop keeps its true target, clamped to
    what tanh reaches.

    Args:
        skeleton: the joints.
        size_px: side of the crop, which normalises coordinates.
        limit: targets are clamped to [-limit, limit].
    """

    def __init__(self, skeleton: Skeleton, size_px: int, limit: float) -> None:
        self.joints, self.size_px, self.limit = len(skeleton.joints), size_px, limit

    @property
    def outputs(self) -> int:
        """x and y of every joint."""
        return 2 * self.joints

    def target(self, joints_px: Float[Tensor, "batch joint 2"]) -> Target:
        """Joint positions in crop sizes, (batch, 2 * joint)."""
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

    def constant_output(self, mean_pose_px: Float[Tensor, "joint 2"]) -> Float[Tensor, " output"]:
        """atanh of the mean pose."""
        return (mean_pose_px.flatten() / self.size_px).clamp(-self.limit, self.limit).atanh()
