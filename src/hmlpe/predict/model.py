"""Define the network together with the decoding of its outputs: crops in; joints, confidence and part maps out.

This is the module that `predict.export` exports.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from hmlpe.errors import UserError
from hmlpe.network import HeterogeneousNet
from hmlpe.predict.estimator import POSE_OUTPUTS
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import JointRegression, PartDetection, Task

FIRES: float | None = None
"""The default of `fires`, the probability above which a window counts as a detection of the part.

None weights each window by its probability instead of applying a threshold (docs/predict.md says why).
"""


class PoseModel(nn.Module):
    """The network with the decoding of its outputs: estimates the poses in uint8 crops.

    The part detectors are used at test time too: a joint's confidence says how well they agree with the joint
    regression (see `confidence`).

    Args:
        network: the network, with a head for each of the tasks below, under the task's name.
        skeleton: the skeleton of the tasks.
        regression: the name of the joint regression task, and the task.
        detection: the name of the part detection task, and the task; None if the network was not trained for it.
        fires: the probability above which a window counts as a detection, or None (see `confidence`).
        others: the names of further tasks, and the tasks; what they decode is among the outputs, too.

    Raises:
        UserError: `fires` is not a probability below 1, two tasks give outputs of the same name, or the decoded output
            of a further task is not of shape (batch, ...).
    """

    ends: Tensor
    share_of: Tensor

    def __init__(
        self,
        network: HeterogeneousNet,
        skeleton: Skeleton,
        regression: tuple[str, JointRegression],
        detection: tuple[str, PartDetection] | None,
        fires: float | int | None = FIRES,
        others: Sequence[tuple[str, Task]] = (),
    ) -> None:
        super().__init__()
        check_fires(fires)
        self.network, self.fires = network, fires
        self.regression, self.detection = regression, detection if skeleton.parts else None
        self.others = tuple(others)
        taken = list(POSE_OUTPUTS)
        for name, task in self.others:
            taken += self.decoded_names(name, task)
        if len(set(taken)) < len(taken):
            raise UserError(f"two of its tasks have outputs of the same name: {', '.join(sorted(taken))}")
        ends = torch.tensor(skeleton.part_ends, dtype=torch.long).reshape(-1, 2)
        self.register_buffer("ends", ends, persistent=False)
        self.register_buffer("share_of", part_weights(ends, len(skeleton.joints)), persistent=False)

    @staticmethod
    def decoded_names(name: str, task: Task) -> list[str]:
        """Return the names of the outputs that a task decodes. Raises UserError if one is not of shape (batch, ...)."""
        answers = task.decode(torch.zeros(2, task.outputs))
        for key, value in answers.items():
            if not value.ndim or len(value) != 2:
                raise UserError(f"tasks.{name}: its output {key} has the shape {tuple(value.shape)} for a batch of 2")
        return list(answers)

    @property
    def task_names(self) -> tuple[str, ...]:
        """Return the names of the tasks whose heads are run: joint regression, part detection, and any further ones."""
        known = [one[0] for one in (self.regression, self.detection) if one is not None]
        return (*known, *(name for name, _ in self.others))

    @property
    def output_names(self) -> tuple[str, ...]:
        """Return the names of the outputs, in the order in which `forward` gives them."""
        known = POSE_OUTPUTS[:2] if self.detection is None else POSE_OUTPUTS
        return (*known, *(key for name, task in self.others for key in self.decoded_names(name, task)))

    def forward(self, image: UInt8[Tensor, "batch 3 size size"]) -> dict[str, Tensor]:
        """Estimate the poses in RGB crops.

        Returns:
            The outputs by name: joints_px (batch, joint, 2) in crop pixels; confidence (batch, joint) in [0, 1], NaN
            for a joint in which no part ends, and for every joint if the network has no part detectors; part_maps
            (batch, part, window), only if it has part detectors; and what the further tasks decode.
        """
        raw = self.network(image, self.task_names)
        name, regression = self.regression
        joints_px = regression.decode(raw[name])["predicted_crop_px"]
        others = {key: value for name, task in self.others for key, value in task.decode(raw[name]).items()}
        if self.detection is None:
            return {"joints_px": joints_px, "confidence": torch.full_like(joints_px[..., 0], torch.nan), **others}
        name, detection = self.detection
        maps = detection.decode(raw[name])["part_maps"]
        return {"joints_px": joints_px, "confidence": self.confidence(joints_px, maps), "part_maps": maps, **others}

    def confidence(
        self, joints_px: Float[Tensor, "batch joint 2"], part_maps: Float[Tensor, "batch part window"]
    ) -> Float[Tensor, "batch joint"]:
        """Return each joint's confidence in [0, 1]: how well the part detectors agree with the regressed joints.

        Each part gets a score over the windows that contain its predicted stick, by the same rule that labels the
        windows in training: the share of these windows whose probability is above `fires`, or their mean probability
        if `fires` is None; 0 if no window contains the stick. A joint's confidence is the mean over the parts that end
        in it.
        """
        assert self.detection is not None
        inside = self.detection[1].windows.contains(joints_px[:, self.ends]).to(part_maps.dtype)
        fired = part_maps if self.fires is None else (part_maps > self.fires).to(part_maps.dtype)
        agreement = (inside * fired).sum(-1) / inside.sum(-1).clamp(min=1)
        return agreement @ self.share_of


def check_fires(fires: object) -> None:
    """Raise UserError unless `fires` is a probability below 1, or None."""
    number = isinstance(fires, int | float) and not isinstance(fires, bool)
    if fires is not None and not (number and 0 <= fires < 1):  # type: ignore[operator]  # `number` says so
        raise UserError(f"fires: must be a number of at least 0 and below 1, or null, got {fires!r}")


def part_weights(ends: Tensor, joints: int) -> Float[Tensor, "part joint"]:
    """Return the matrix that averages the scores of parts to the confidences of joints.

    Args:
        ends: (part, 2) the indices of the two joints of every part.
        joints: the number of joints.

    Returns:
        1 / (number of parts that end in the joint) for those parts, else 0; NaN for a joint in which no part ends.
    """
    meets = (ends[:, :, None] == torch.arange(joints)).any(1).float()
    return meets / meets.sum(0)
