"""The network with its outputs read: crops in, joints, confidence and part maps out. What is exported is this."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from hmlpe.errors import UserError
from hmlpe.network import HeterogeneousNet
from hmlpe.predict.estimator import POSE
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import JointRegression, PartDetection, Task

FIRES: float | None = None
"""The probability above which a window fires; None counts by the probability itself (docs/predict.md says why)."""


class PoseModel(nn.Module):
    """uint8 crops -> poses.

    The detectors are used at test time too: a joint's confidence is how well they agree with the regression
    (`joint_confidence`).

    Args:
        network: with heads of these tasks' names.
        skeleton: of the tasks.
        regression: name of the joint regression, and the task.
        detection: the same of the part detection; None if the network was not trained for it.
        fires: see `joint_confidence`.
        others: the names of further tasks, and the tasks, whose answers are outputs, too.

    Raises:
        UserError: `fires` is no probability.
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
        taken = list(POSE)
        for name, task in self.others:
            taken += self.answers_of(name, task)
        if len(set(taken)) < len(taken):
            raise UserError(f"two of its tasks answer under one name: {', '.join(sorted(taken))}")
        ends = torch.tensor(skeleton.part_ends, dtype=torch.long).reshape(-1, 2)
        self.register_buffer("ends", ends, persistent=False)
        self.register_buffer("share_of", shares_of_parts(ends, len(skeleton.joints)), persistent=False)

    @staticmethod
    def answers_of(name: str, task: Task) -> list[str]:
        """The names of a task's answers. Raises UserError if one is not (batch, ...)."""
        answers = task.decode(torch.zeros(2, task.outputs))
        for key, value in answers.items():
            if not value.ndim or len(value) != 2:
                raise UserError(f"tasks.{name}: its answer {key} has the shape {tuple(value.shape)} for a batch of 2")
        return list(answers)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the heads that run."""
        known = [one[0] for one in (self.regression, self.detection) if one is not None]
        return (*known, *(name for name, _ in self.others))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        known = POSE[:2] if self.detection is None else POSE
        return (*known, *(key for name, task in self.others for key in self.answers_of(name, task)))

    def forward(self, image: UInt8[Tensor, "batch 3 size size"]) -> dict[str, Tensor]:
        """The poses in RGB crops.

        Returns:
            joints_px (batch, joint, 2) in crop pixels; confidence (batch, joint) in [0, 1], NaN for a joint in which no
            part ends, and everywhere without detectors; only with detectors, part_maps (batch, part, window); and what
            further tasks answer.
        """
        raw = self.network(image, self.tasks)
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
        """How well the part detectors agree with the joints.

        Of each part: over the windows that contain the predicted stick, by the rule that labelled the training people,
        the share that fires (probability > `fires`), or with `fires` None the mean probability; 0 if no window contains
        the stick. Of each joint: the mean over the parts that end in it.
        """
        assert self.detection is not None
        inside = self.detection[1].windows.contains(joints_px[:, self.ends]).to(part_maps.dtype)
        fired = part_maps if self.fires is None else (part_maps > self.fires).to(part_maps.dtype)
        agreement = (inside * fired).sum(-1) / inside.sum(-1).clamp(min=1)
        return agreement @ self.share_of


def check_fires(fires: object) -> None:
    """Raises UserError unless it is a probability below 1, or None."""
    number = isinstance(fires, int | float) and not isinstance(fires, bool)
    if fires is not None and not (number and 0 <= fires < 1):  # type: ignore[operator]  # `number` says so
        raise UserError(f"fires: must be a number of at least 0 and below 1, or null, got {fires!r}")


def shares_of_parts(ends: Tensor, joints: int) -> Float[Tensor, "part joint"]:
    """The weight of every part in every joint's mean; NaN for a joint in which no part ends."""
    meets = (ends[:, :, None] == torch.arange(joints)).any(1).float()
    return meets / meets.sum(0)
