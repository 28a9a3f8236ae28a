"""A balance of one's own: the weights of all tasks but one come in slowly."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from hmlpe.balance import Balance, StepInfo


class Warming(Balance):
    """Weights of all tasks but the first grow linearly from 0 to the row's over the first steps.

    Args:
        weights: the row's.
        first: the task whose weight stays.
        steps: until the others have theirs.
    """

    share: Tensor

    def __init__(self, weights: Mapping[str, object], first: str, steps: int) -> None:
        super().__init__(weights)
        self.first, self.steps = first, steps
        self.register_buffer("share", torch.zeros(()))  # in checkpoints

    def terms(self, losses: Mapping[str, Float[Tensor, ""]], step_info: StepInfo) -> dict[str, Float[Tensor, ""]]:
        """Each task's loss times its weight of now."""
        self.share.fill_(min(1.0, (step_info.step + 1) / self.steps))
        return {task: weight * losses[task] for task, weight in self.effective_weights().items()}

    def effective_weights(self) -> dict[str, float]:
        """The weights of now."""
        return {task: self.weights[task] * (1.0 if task == self.first else float(self.share)) for task in self.active}
