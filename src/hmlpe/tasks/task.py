"""What a task is. A new one is a subclass in a file of its own, and a config that names it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Target(NamedTuple):
    """What a head should give: `values` (batch, output), and which of them are `known` and count in the loss."""

    values: Float[Tensor, "batch output"]
    known: Bool[Tensor, "batch output"]

    @property
    def counts(self) -> Bool[Tensor, " batch"]:
        """Of whom anything is known: who counts in an evaluation."""
        return self.known.any(1)


class Task(ABC):
    """One task of the heterogeneous network."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of outputs of the task's head."""

    @abstractmethod
    def target(self, joints_px: Float[Tensor, "batch joint 2"]) -> Target:
        """The target from joints in crop pixels, NaN where unknown."""

    @abstractmethod
    def element_loss(
        self, output: Float[Tensor, "batch output"], values: Float[Tensor, "batch output"]
    ) -> Float[Tensor, "batch output"]:
        """The loss of each output by itself."""

    @abstractmethod
    def decode(self, output: Float[Tensor, "batch output"]) -> dict[str, Tensor]:
        """What the output means, under the names that this task's metrics ask for."""

    def truth(self, target: Target) -> dict[str, Tensor]:
        """The target under the names that this task's metrics ask for; nothing if they need no more than the joints."""
        return {}

    def constant_output(self, mean_pose_px: Float[Tensor, "joint 2"]) -> Float[Tensor, " output"] | None:
        """Bias of the last layer with which the net starts at the training set's mean answer; None if there is none."""
        return None

    def loss(self, output: Float[Tensor, "batch output"], target: Target) -> Float[Tensor, ""]:
        """Of training: sum over the known outputs, mean over ALL samples (FACTS 4, grade C)."""
        return self._counted(output, target).sum() / len(output)

    def error_of_each(self, output: Float[Tensor, "batch output"], target: Target) -> Float[Tensor, " batch"]:
        """The loss of every sample alone, NaN where nothing of it is known: an evaluation counts the others alone."""
        return self._counted(output, target).sum(1).where(target.counts, torch.nan)

    def _counted(self, output: Float[Tensor, "batch output"], target: Target) -> Float[Tensor, "batch output"]:
        return self.element_loss(output.float(), target.values).where(target.known, 0.0)
