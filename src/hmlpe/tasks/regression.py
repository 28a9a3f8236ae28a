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
    """Regression of the joints' coordinates, relative to the size of the crop.

    The error is E_r = sum over joints of |J - tanh(output)|^2 with J = joint / crop size. A joint without coordinates
    does not count. A labelled joint outside the crop keeps its true target, clamped to values that tanh can reach.

    Args:
        skeleton: the skeleton that names the joints.
        size_px: side of the crop in pixels, by which coordinates are divided.
        limit: targets are clamped to [-limit, limit].
    """

    symbol = "r"
    pictures = (POSES,)

    def __init__(self, skeleton: Skeleton, size_px: int, limit: float) -> None:
        self.skeleton, self.size_px, self.limit = skeleton, size_px, limit

    @property
    def joint_count(self) -> int:
        """Return the number of joints."""
        return len(self.skeleton.joints)

    @property
    def outputs(self) -> int:
        """Return the number of outputs: x and y of each joint."""
        return 2 * self.joint_count

    def target(self, sample: Sample) -> Target:
        """Return the joint positions divided by the size of the crop, (batch, 2 * joint)."""
        return self._target_of_joints(sample["joints_px"])

    def _target_of_joints(self, joints_px: Float[Tensor, "batch joint 2"]) -> Target:
        values = (joints_px / self.size_px).clamp(-self.limit, self.limit).flatten(1)
        known = joints_px.isfinite().all(-1, keepdim=True).expand_as(joints_px).flatten(1)
        return Target(values.nan_to_num(), known)

    def element_loss(
        self, output: Float[Tensor, "batch output"], values: Float[Tensor, "batch output"]
    ) -> Float[Tensor, "batch output"]:
        """Return the squared error of each coordinate."""
        return (torch.tanh(output) - values).square()

    def decode(self, output: Float[Tensor, "batch output"]) -> dict[str, Tensor]:
        """Return predicted_crop_px (batch, joint, 2): the predicted joints in crop pixels."""
        return {"predicted_crop_px": (torch.tanh(output.float()) * self.size_px).reshape(-1, self.joint_count, 2)}

    def metric_inputs(self, output: Float[Tensor, "batch output"], target: Target, sample: Sample) -> dict[str, Tensor]:
        """Return the predicted joints (batch, joint, 2) twice.

        `predicted_crop_px` is in crop pixels, `predicted_px` in image pixels.
        """
        decoded = self.decode(output)
        return decoded | {"predicted_px": to_image_px(decoded["predicted_crop_px"], sample)}

    def stored_arrays(self, inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Return predicted_crop_px and predicted_px (person, joint, 2), in float32."""
        return {name: inputs[name].numpy() for name in ("predicted_crop_px", "predicted_px")}

    def draw(
        self, crops: UInt8[np.ndarray, "person size size 3"], inputs: Mapping[str, np.ndarray]
    ) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
        """Return a dict with one named picture: the people's true and predicted poses."""
        from hmlpe.pictures import draw_poses  # imported here, as it loads matplotlib

        return {POSES: draw_poses(crops, inputs["truth_crop_px"], inputs["predicted_crop_px"], self.skeleton)}

    def constant_output(self, mean_pose_px: Float[Tensor, "joint 2"]) -> Float[Tensor, " output"]:
        """Return the outputs whose tanh is the mean pose divided by the size of the crop."""
        return (mean_pose_px.flatten() / self.size_px).clamp(-self.limit, self.limit).atanh()


def to_image_px(crop_px: Float[Tensor, "batch joint 2"], sample: Sample) -> Float[Tensor, "batch joint 2"]:
    """Return joints, given in pixels of the test crop, in image pixels.

    This is `geometry.crop_to_image` for a batch on any device.
    """
    box, size = sample["box_px"][:, None], sample["image"].shape[-1]
    return (crop_px + 0.5) / size * (box[..., 2:] - box[..., :2]) + box[..., :2]
