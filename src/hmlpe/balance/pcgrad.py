"""Gradient surgery: the conflicting parts of tasks' gradients are removed (Yu et al., NeurIPS 2020, algorithm 1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from hmlpe.balance.balance import Balance, StepInfo


class PCGrad(Balance):
    """Sums the gradients of the weighted losses after projecting out what conflicts with another task's gradient.

    Two gradients conflict if their scalar product is negative. With two tasks, each gradient is then projected onto the
    plane normal to the other. With more tasks, a gradient is projected against the others one after another, in an
    order that is drawn anew for each task and step.
    """

    def combine(self, gradients: Mapping[str, Float[Tensor, " value"]], step_info: StepInfo) -> Float[Tensor, " value"]:
        """Return the sum of the tasks' gradients after projection; bit for bit their plain sum if none conflict."""
        rng, total = step_info.rng(), None
        for task, gradient in gradients.items():
            others = [other for name, other in gradients.items() if name != task]
            for index in rng.permutation(len(others)):
                product = torch.dot(gradient, others[index])
                if product < 0:
                    gradient = gradient - product / others[index].square().sum() * others[index]
            total = gradient if total is None else total + gradient
        assert total is not None
        return total
