"""The interface of a task. A new task is a subclass in a file of its own, and a config that names the class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from hmlpe.errors import UserError

Sample = Mapping[str, Tensor]
"""A batch of people, as `data.dataset.Sample` describes it: image, joints_px, occluded, attributes, mirrored, etc."""


class Target(NamedTuple):
    """What a head should output: `values` (batch, output), and which of them are `known` and enter the loss."""

    values: Float[Tensor, "batch output"]
    known: Bool[Tensor, "batch output"]

    @property
    def has_known(self) -> Bool[Tensor, " batch"]:
        """Return a mask of the people for whom at least one value is known: only they count in an evaluation."""
        return self.known.any(1)


class Task(ABC):
    """One task of the heterogeneous network: its target, its loss, and how its outputs are decoded, stored and drawn.

    Attributes:
        symbol: subscript of the task's error and weight, E_<symbol> and λ_<symbol>; if empty, the task's name.
        digits: number of decimal places with which the task's error is shown.
        pictures: names of the pictures that `draw` makes.
    """

    symbol: str = ""
    digits: int = 4
    pictures: Sequence[str] = ()

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Return the number of outputs of the task's head; 0 if there is nothing to learn."""

    def bind(self, attributes: Sequence[str]) -> None:
        """Tell the task which attributes the data's people have. Called before the first target is computed.

        Args:
            attributes: names of the attributes, in the order in which samples hold them.

        Raises:
            UserError: an attribute that the task needs is missing.
        """
        return None

    @abstractmethod
    def target(self, sample: Sample) -> Target:
        """Return the target of a batch.

        Args:
            sample: the batch: its images, joints in pixels of the crop (NaN where unknown), attributes and so on.
        """

    @abstractmethod
    def element_loss(
        self, output: Float[Tensor, "batch output"], values: Float[Tensor, "batch output"]
    ) -> Float[Tensor, "batch output"]:
        """Return the loss of each output, before unknown ones are masked and the others summed.

        Args:
            output: outputs of the task's head.
            values: the target's values.
        """

    @abstractmethod
    def decode(self, output: Float[Tensor, "batch output"]) -> dict[str, Tensor]:
        """Return the predictions that the head's output encodes, e.g. joints in pixels, as named arrays (batch, ...).

        The names are the task's own: exported networks have outputs of these names, and metrics take them as arguments.
        """

    def truth(self, target: Target, sample: Sample) -> dict[str, Tensor]:
        """Return the ground truth that the task's metrics need beside the joints, as named arrays (batch, ...).

        By default there is none: metrics that compare joints need nothing more.
        """
        return {}

    def metric_inputs(self, output: Float[Tensor, "batch output"], target: Target, sample: Sample) -> dict[str, Tensor]:
        """Return all inputs that the task has for metrics: the decoded output and the ground truth, by name."""
        return self.decode(output) | self.truth(target, sample)

    def stored_arrays(self, inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Return the arrays (person, ...) that the run's people file stores beside the metrics' errors.

        Args:
            inputs: the `metric_inputs` of all test people.
        """
        return {}

    def draw(
        self, crops: UInt8[np.ndarray, "person size size 3"], inputs: Mapping[str, np.ndarray]
    ) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
        """Return pictures of the predictions for some people, by their names in `pictures`; a dashboard shows them.

        Args:
            crops: the people's crops, RGB.
            inputs: the `metric_inputs` of these people.
        """
        return {}

    def constant_output(self, mean_pose_px: Float[Tensor, "joint 2"]) -> Float[Tensor, " output"] | None:
        """Return the bias of the head's last layer that makes the network output the mean pose; None if there is none.

        Args:
            mean_pose_px: mean joint positions of the training set, in crop pixels.
        """
        return None

    def loss(self, output: Float[Tensor, "batch output"], target: Target) -> Float[Tensor, ""]:
        """Return the training loss: the sum over the known outputs, averaged over ALL samples (FACTS 4, grade C)."""
        return self._masked_losses(output, target).sum() / len(output)

    def sample_errors(self, output: Float[Tensor, "batch output"], target: Target) -> Float[Tensor, " batch"]:
        """Return the loss of each sample; NaN for samples of which nothing is known, which an evaluation leaves out."""
        return self._masked_losses(output, target).sum(1).where(target.has_known, torch.nan)

    @torch.no_grad()
    def check(self, name: str, output: Float[Tensor, "batch output"], target: Target) -> None:
        """Raise UserError, naming the task's setting, unless target and `element_loss` have the shape of the output."""
        place, shape = f"tasks.{name}: {type(self).__name__}", tuple(output.shape)
        for key, values in zip(target._fields, target, strict=True):
            if tuple(values.shape) != shape:
                raise UserError(f"{place}.target() gives {key} of shape {tuple(values.shape)}; its output has {shape}")
        # The fork makes a loss that draws random numbers train as if it had not been called here.
        with torch.random.fork_rng([output.device] if output.is_cuda else []):
            loss = self.element_loss(output.float(), target.values)
        if tuple(loss.shape) != shape:
            raise UserError(f"{place}.element_loss() gives the shape {tuple(loss.shape)}; its output has {shape}")

    def _masked_losses(self, output: Float[Tensor, "batch output"], target: Target) -> Float[Tensor, "batch output"]:
        return self.element_loss(output.float(), target.values).where(target.known, 0.0)
