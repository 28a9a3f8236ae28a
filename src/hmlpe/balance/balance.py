"""The interface of a balance: how the tasks' losses are weighted, or their gradients combined.

A new balance is a subclass in a file of its own, and a config in `conf/balance/` that names the class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from hmlpe.errors import UserError


class StepInfo(NamedTuple):
    """A training step: the run's seed, and epoch and step counted from 0; equal on all ranks and in a resumed run."""

    seed: int
    epoch: int
    step: int

    def rng(self) -> np.random.Generator:
        """Return a new random generator for what a balance draws in this step.

        It depends on (seed, step) alone, so that a resumed run draws the same numbers.
        """
        return np.random.default_rng([self.seed, self.step])


class Balance(nn.Module):
    """Combines the tasks' losses into one training step: phi = sum of weight x loss, unless a subclass differs.

    The parameters of a balance, if it has any, are trained with the network's; its buffers and parameters are stored in
    the checkpoints from which a run is resumed. A task of weight zero is not active: its term is skipped (0 * NaN would
    be NaN) and its head is left untouched.

    Args:
        weights: task name -> weight of the row, at least 0.

    Raises:
        UserError: a weight is negative or not finite; none is positive; or the balance combines gradients, and fewer
            than two tasks have a positive weight.
    """

    needs_losses_after: ClassVar[bool] = False
    """Whether `observe` also gets the losses of the same batch after the step, which costs one more forward pass."""

    def __init__(self, weights: Mapping[str, object]) -> None:
        super().__init__()
        self.weights = {name: _checked_weight(name, weight) for name, weight in weights.items()}
        if not self.active:
            raise UserError(f"row.weights: at least one weight must be positive, got {self.weights}")
        if self.combines_gradients and len(self.active) < 2:
            raise UserError(
                f"balance: {type(self).__name__} combines the gradients of several tasks, but this row has a weight "
                f"for {self.active[0]} alone; give another task a weight, or use balance=fixed"
            )

    @property
    def active(self) -> list[str]:
        """Return the names of the tasks with a positive weight."""
        return [name for name, weight in self.weights.items() if weight > 0]

    @property
    def combines_gradients(self) -> bool:
        """Return whether the subclass overrides `combine`.

        If so, each task has a backward pass of its own, and `combine` makes the trunk's gradient from the tasks'
        gradients.
        """
        return type(self).combine is not Balance.combine

    @property
    def changes_weights(self) -> bool:
        """Return whether `effective_weights` may differ from step to step, in which case the weights are logged."""
        return type(self).effective_weights is not Balance.effective_weights

    def terms(self, losses: Mapping[str, Float[Tensor, ""]], step_info: StepInfo) -> dict[str, Float[Tensor, ""]]:
        """Return the terms of phi, by active task: scalars whose sum is minimised. Called once in each step.

        Args:
            losses: the unweighted loss of each active task.
            step_info: seed, epoch and number of the present step.
        """
        return {name: self.weights[name] * losses[name] for name in self.active}

    def extra_loss(self) -> Float[Tensor, ""] | None:
        """Return a scalar loss on the balance's own parameters, minimised with the terms; None if there is none."""
        return None

    def effective_weights(self) -> dict[str, float]:
        """Return the factor of each active task's loss in phi at present, by task."""
        return {name: self.weights[name] for name in self.active}

    def combine(self, gradients: Mapping[str, Float[Tensor, " value"]], step_info: StepInfo) -> Float[Tensor, " value"]:
        """Return the gradient that the trunk gets, one vector, made of the gradients of the terms.

        The heads, and the balance's own parameters, get the gradients of the terms' sum.

        Args:
            gradients: by task, the gradient of its term with respect to the trunk's parameters, flattened to one
                vector and averaged over all ranks.
            step_info: seed, epoch and number of the present step.
        """
        raise NotImplementedError

    def observe(
        self,
        losses: Mapping[str, Float[Tensor, ""]],
        step_info: StepInfo,
        after: Mapping[str, Float[Tensor, ""]] | None = None,
    ) -> None:
        """Receive a step's losses, by which a subclass may change its weights; called after each step.

        Args:
            losses: the unweighted losses of the step, averaged over all ranks, without their graph.
            step_info: seed, epoch and number of this step.
            after: the losses of the same batch, with the same dropout, after the step; None unless
                `needs_losses_after`.
        """

    def checked_terms(
        self, losses: Mapping[str, Float[Tensor, ""]], step_info: StepInfo
    ) -> dict[str, Float[Tensor, ""]]:
        """Return the result of `terms`, after checking it.

        Raises:
            UserError: the terms are not exactly those of the active tasks, or (checked in the first step only) a
                term is not finite although its loss is.
        """
        found = self.terms(losses, step_info)
        wrong = sorted(set(found) ^ set(self.active))
        if wrong:
            raise UserError(
                f"balance: {type(self).__name__} gives terms for {', '.join(found) or 'nothing'}, "
                f"but the tasks with a weight are {', '.join(self.active)}"
            )
        if step_info.step == 0:  # later the balance may not be to blame, and the check makes the CPU wait for the GPU
            for name, term in found.items():
                if torch.isfinite(losses[name]) and not torch.isfinite(term):
                    raise UserError(
                        f"balance: {type(self).__name__} turns the loss of {name} into {float(term.detach())}"
                    )
        return found

    def checked_weights(self, step_info: StepInfo) -> dict[str, float]:
        """Return the result of `effective_weights`. Raises UserError if a weight is negative or not finite."""
        found = self.effective_weights()
        for task, weight in found.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise UserError(
                    f"balance: {type(self).__name__} gives the weight {weight:g} to {task} at step {step_info.step}; "
                    "weights must be finite and at least 0"
                )
        return found

    def checked_combine(
        self, gradients: Mapping[str, Float[Tensor, " value"]], step_info: StepInfo
    ) -> Float[Tensor, " value"]:
        """Return the result of `combine`. Raises UserError if it is not a vector as long as the gradients."""
        found = self.combine(gradients, step_info)
        length = len(next(iter(gradients.values())))
        if found.shape != (length,):
            raise UserError(
                f"balance: {type(self).__name__} combines gradients of {length} values into a tensor of shape "
                f"{tuple(found.shape)}; it must give one vector of that length"
            )
        return found


def _checked_weight(task: str, weight: object) -> float:
    if isinstance(weight, int | float) and not isinstance(weight, bool) and math.isfinite(weight) and weight >= 0:
        return float(weight)
    raise UserError(f"row.weights.{task}: a weight must be a finite number of at least 0, got {weight!r}")
