"""Weights by a schedule: a task is switched off, or on, in the midst of training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from hmlpe.balance.balance import Balance, Moment
from hmlpe.errors import UserError


class ScheduledWeights(Balance):
    """phi = sum over tasks of weight * factor * loss, where a task's factor changes with the epoch.

    Args:
        factors: triples of a task, the epoch from which it holds, counted from 0, and its factor; a task's factor is 1
            before its first.

    Raises:
        UserError: a factor is no number of at least 0, an epoch no whole number, or a task has no weight.
    """

    def __init__(self, weights: Mapping[str, object], factors: Sequence[object]) -> None:
        super().__init__(weights)
        self.factors = sorted(_checked(one, self.active) for one in factors)
        starts = [(task, epoch) for task, epoch, _ in self.factors]
        for task, epoch in starts:
            if starts.count((task, epoch)) > 1:
                raise UserError(f"balance.factors: {task} has several from epoch {epoch}")
        self.epoch = 0

    def factor(self, task: str) -> float:
        """That of the present epoch."""
        found = 1.0
        for name, start, factor in self.factors:
            found = factor if name == task and start <= self.epoch else found
        return found

    def terms(self, losses: Mapping[str, Float[Tensor, ""]], moment: Moment) -> dict[str, Float[Tensor, ""]]:
        """weight * factor * loss. Of a factor 0 no gradient comes, though the optimiser's momentum may go on."""
        self.epoch = moment.epoch
        return {name: self.factor(name) * term for name, term in super().terms(losses, moment).items()}

    def effective(self) -> dict[str, float]:
        """weight * factor."""
        return {name: self.weights[name] * self.factor(name) for name in self.active}


def _checked(one: object, active: Sequence[str]) -> tuple[str, int, float]:
    match one:
        case [str() as task, int() as epoch, int() | float() as factor] if bool not in (type(epoch), type(factor)):
            if task not in active:
                raise UserError(f"balance.factors: the row has no weight for {task}; it has for {', '.join(active)}")
            if epoch >= 0 <= factor < math.inf:
                return task, epoch, float(factor)
    raise UserError(
        "balance.factors: must be triples of a task, a whole epoch and a finite factor, each at least 0, e.g. "
        f"[[detection, 30, 0]], got {one!r}"
    )
