"""What a balance is. A new one is a subclass in a file of its own, and a config in `conf/balance/` that names it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from hmlpe.errors import UserError


class Moment(NamedTuple):
    """When in a run: its seed, the epoch and the step, counted from 0. The same on all ranks, and in a resumed run."""

    seed: int
    epoch: int
    step: int

    def rng(self) -> np.random.Generator:
        """For all that is drawn at random: a function of (seed, step), so that a resumed run draws the same."""
        return np.random.default_rng([self.seed, self.step])


class Balance(nn.Module):
    """Makes one step of the tasks' losses: phi = sum of weight x loss, unless a subclass says otherwise.

    Its parameters, if it has any, learn with the network's; its buffers and parameters are in the checkpoints that a
    run goes on from. A task of weight zero is not active: its term is skipped (0 * NaN would be NaN) and its head is
    left untouched.

    Args:
        weights: task name -> weight, at least 0: those of the row.

    Raises:
        UserError: a weight is negative or not finite, none is positive, or there are no two gradients to combine.
    """

    looks_again: ClassVar[bool] = False
    """Whether `observe` gets the losses of the same batch after the step too, for one more forward pass."""

    def __init__(self, weights: Mapping[str, object]) -> None:
        super().__init__()
        self.weights = {name: _checked(name, weight) for name, weight in weights.items()}
        if not self.active:
            raise UserError(f"row.weights: at least one weight must be positive, got {self.weights}")
        if self.combines_gradients and len(self.active) < 2:
            raise UserError(
                f"balance: {type(self).__name__} combines the gradients of several tasks, and this row has a weight "
                f"for {self.active[0]} alone; give another task one, or take balance=fixed"
            )

    @property
    def active(self) -> list[str]:
        """Names of the tasks with a positive weight."""
        return [name for name, weight in self.weights.items() if weight > 0]

    @property
    def combines_gradients(self) -> bool:
        """Whether the trunk's gradient is what `combine` makes of the tasks', each from a backward pass of its own."""
        return type(self).combine is not Balance.combine

    @property
    def changes_weights(self) -> bool:
        """Whether `effective` may differ from step to step; it is logged then."""
        return type(self).effective is not Balance.effective

    def terms(self, losses: Mapping[str, Float[Tensor, ""]], moment: Moment) -> dict[str, Float[Tensor, ""]]:
        """The terms of phi, one for each active task, whose sum is minimised. Called once in a step."""
        return {name: self.weights[name] * losses[name] for name in self.active}

    def extra(self) -> Float[Tensor, ""] | None:
        """What is minimised beside the terms: of no task, but of the balance's own parameters."""
        return None

    def effective(self) -> dict[str, float]:
        """The weights of the active tasks as they are now."""
        return {name: self.weights[name] for name in self.active}

    def combine(self, gradients: Mapping[str, Float[Tensor, " value"]], moment: Moment) -> Float[Tensor, " value"]:
        """The trunk's gradient from those of the terms, each in one vector and the mean over all ranks.

        The heads, and the balance's own parameters, get the gradients of the sum.
        """
        raise NotImplementedError

    def observe(
        self,
        losses: Mapping[str, Float[Tensor, ""]],
        moment: Moment,
        after: Mapping[str, Float[Tensor, ""]] | None = None,
    ) -> None:
        """Called after each step, with the unweighted losses that it was made of: means over all ranks, no graph.

        Args:
            after: the losses of the same batch, with the same dropout, after the step; None without `looks_again`.
        """

    def checked_terms(self, losses: Mapping[str, Float[Tensor, ""]], moment: Moment) -> dict[str, Float[Tensor, ""]]:
        """`terms`. Raises UserError unless there is one for each active task, and no other."""
        found = self.terms(losses, moment)
        wrong = sorted(set(found) ^ set(self.active))
        if wrong:
            raise UserError(
                f"balance: {type(self).__name__} gives terms of {', '.join(found) or 'nothing'}, "
                f"but those with a weight are {', '.join(self.active)}"
            )
        if moment.step == 0:  # later it is no fault of the balance alone, and looking costs a GPU its lead
            for name, term in found.items():
                if torch.isfinite(losses[name]) and not torch.isfinite(term):
                    raise UserError(
                        f"balance: {type(self).__name__} makes {float(term.detach())} of the loss of {name}"
                    )
        return found

    def checked_weights(self, moment: Moment) -> dict[str, float]:
        """`effective`. Raises UserError if one is negative or not finite."""
        found = self.effective()
        for task, weight in found.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise UserError(
                    f"balance: {type(self).__name__} gives the weight {weight:g} to {task} at step {moment.step}; "
                    "weights are finite and at least 0"
                )
        return found

    def checked_combine(
        self, gradients: Mapping[str, Float[Tensor, " value"]], moment: Moment
    ) -> Float[Tensor, " value"]:
        """`combine`. Raises UserError if it gives a vector of another length."""
        found = self.combine(gradients, moment)
        length = len(next(iter(gradients.values())))
        if found.shape != (length,):
            raise UserError(
                f"balance: {type(self).__name__} combines gradients of {length} values to a tensor of shape "
                f"{tuple(found.shape)}; one vector as long as they are is needed"
            )
        return found


def _checked(name: str, weight: object) -> float:
    if isinstance(weight, int | float) and not isinstance(weight, bool) and math.isfinite(weight) and weight >= 0:
        return float(weight)
    raise UserError(f"row.weights.{name}: a weight must be a finite number of at least 0, got {weight!r}")
