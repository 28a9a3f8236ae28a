"""Weights by a schedule, which can switch a task off or on during training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from hmlpe.balance.balance import Balance, StepInfo
from hmlpe.errors import UserError


class ScheduledWeights(Balance):
    """Minimises phi = sum over tasks of weight * factor * loss, where a task's factor changes with the epoch.

    Args:
        weights: task name -> weight of the row, at least 0.
        factors: triples of a task, the epoch (counted from 0) from which the factor holds, and the factor. Before its
            first triple a task's factor is 1.

    Raises:
        UserError: a factor is not a finite number of at least 0, an epoch is not a whole number of at least 0, a task
            has no weight, or a task has two factors from the same epoch.
    """

    def __init__(self, weights: Mapping[str, object], factors: Sequence[object]) -> None:
        super().__init__(weights)
        self.factors = sorted(_checked_factor(one, self.active) for one in factors)
        starts = [(task, epoch) for task, epoch, _ in self.factors]
        for task, epoch in starts:
            if starts.count((task, epoch)) > 1:
                raise UserError(f"balance.factors: {task} has several factors from epoch {epoch}")
        self.epoch = 0

    def current_factor(self, task: str) -> float:
        """Return the factor of a task's weight in the epoch of the latest step."""
        found = 1.0
        for name, start, factor in self.factors:
            found = factor if name == task and start <= self.epoch else found
        return found

    def terms(self, losses: Mapping[str, Float[Tensor, ""]], step_info: StepInfo) -> dict[str, Float[Tensor, ""]]:
        """Return weight * factor * loss of each active task.

        With a factor of 0 a task has no gradient, though the optimiser's momentum of earlier steps may still act.
        """
        self.epoch = step_info.epoch
        return {name: self.current_factor(name) * term for name, term in super().terms(losses, step_info).items()}

    def effective_weights(self) -> dict[str, float]:
        """Return weight * factor of each active task."""
        return {name: self.weights[name] * self.current_factor(name) for name in self.active}


def _checked_factor(triple: object, active: Sequence[str]) -> tuple[str, int, float]:
    match triple:
        case [str() as task, int() as epoch, int() | float() as factor] if bool not in (type(epoch), type(factor)):
            if task not in active:
                raise UserError(f"balance.factors: no weight for {task}; the row has weights for {', '.join(active)}")
            if epoch >= 0 <= factor < math.inf:
                return task, epoch, float(factor)
    raise UserError(
        "balance.factors: must be triples of a task, a whole epoch and a finite factor, each at least 0, e.g. "
        f"[[detection, 30, 0]], got {triple!r}"
    )
