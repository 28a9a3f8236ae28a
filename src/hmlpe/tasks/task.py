"""What a task is. A new one is a subclass in a file of its own, and a config that names it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from hmlpe.errors import UserError


class Target(NamedTuple):
    """What a head should give: `values` (batch, output), and which of them are `known` and count in the loss."""

    values: Float[Tensor, "batch output"]
    known: Bool[Tensor, "batch output"]

    @property
    def counts(self) -> Bool[Tensor, " batch"]:
        """Of whom anything is known: who counts in an evaluation."""
        return self.known.any(1)


Sample = Mapping[str, Tensor]
"""A batch of people, as `data.dataset.Sample` has one: image, joints_px, occluded, attributes, mirrored, and so on."""


class Task(ABC):
    """One task of the heterogeneous network: its target, loss, answers, and how these are kept and drawn.

    Attributes:
        symbol: index of its error and weight, E_<symbol> and λ_<symbol>; empty: its name.
        digits: with which its error is shown.
        pictures: names of what `draw` makes.
    """

    symbol: str = ""
    digits: int = 4
    pictures: Sequence[str] = ()

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of outputs of the task's head; 0: there is nothing to learn."""

    def bind(self, attributes: Sequence[str]) -> None:
        """Take what the data's people carry, before the first target is asked for.

        Args:
            attributes: names, in the order of the samples'.

        Raises:
            UserError: one that the task needs is not there.
        """
        return None

    @abstractmethod
    def target(self, sample: Sample) -> Target:
        """The target from a batch of samples: joints in pixels of the crop, NaN where unknown, and all else."""

    @abstractmethod
    def element_loss(
        self, output: Float[Tensor, "batch output"], values: Float[Tensor, "batch output"]
    ) -> Float[Tensor, "batch output"]:
        """The loss of each output by itself."""

    @abstractmethod
    def decode(self, output: Float[Tensor, "batch output"]) -> dict[str, Tensor]:
        """What the output means, (batch, ...), by the names of the task's own: they are exported, and metrics ask for
        them."""

    def truth(self, target: Target, sample: Sample) -> dict[str, Tensor]:
        """What else the task's metrics ask for: the target by names of its own, say; nothing, if joints will do."""
        return {}

    def found(self, output: Float[Tensor, "batch output"], target: Target, sample: Sample) -> dict[str, Tensor]:
        """All that metrics may ask the task for."""
        return self.decode(output) | self.truth(target, sample)

    def kept(self, found: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """What of `found` of all test people the run's people file keeps beside the metrics' errors, (person, ...)."""
        return {}

    def draw(
        self, crops: UInt8[np.ndarray, "person size size 3"], found: Mapping[str, np.ndarray]
    ) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
        """Pictures of some people's answers, by their names in `pictures`; for a dashboard."""
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

    @torch.no_grad()
    def check(self, name: str, output: Float[Tensor, "batch output"], target: Target) -> None:
        """Raise UserError, naming the task's setting, unless target and loss have the shape of the output."""
        said, shape = f"tasks.{name}: {type(self).__name__}", tuple(output.shape)
        for key, values in zip(target._fields, target, strict=True):
            if tuple(values.shape) != shape:
                raise UserError(f"{said}.target() gives {key} of shape {tuple(values.shape)}; its output's is {shape}")
        with torch.random.fork_rng([output.device] if output.is_cuda else []):  # a loss that draws goes on as without
            loss = self.element_loss(output.float(), target.values)
        if tuple(loss.shape) != shape:
            raise UserError(f"{said}.element_loss() gives the shape {tuple(loss.shape)}; its output's is {shape}")

    def _counted(self, output: Float[Tensor, "batch output"], target: Target) -> Float[Tensor, "batch output"]:
        return self.element_loss(output.float(), target.values).where(target.known, 0.0)
