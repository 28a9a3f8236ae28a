"""Gradient surgery: what of a task's gradient opposes another's is taken out (Yu et al., NeurIPS 2020, algorithm 1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from hmlpe.balance.balance import Balance, Moment


class PCGrad(Balance):
    """The trunk's gradient is the sum of the weighted losses', each first projected so that it opposes no other.

    With two tasks a gradient is projected onto the plane that is normal to the other, if they conflict. With more
    the others come one after another, in an order that is drawn anew for each task and step.
    """

    def combine(self, gradients: Mapping[str, Float[Tensor, " value"]], moment: Moment) -> Float[Tensor, " value"]:
        """The sum of the projected gradients; to the bit the plain sum where nothing conflicts."""
        rng, total = moment.rng(), None
        for task, gradient in gradients.items():
            others = [other for name, other in gradients.items() if name != task]
            for index in rng.permutation(len(others)):
                product = torch.dot(gradient, others[index])
                if product < 0:
                    gradient = gradient - product / others[index].square().sum() * others[index]
            total = gradient if total is None else total + gradient
        assert total is not None
        return total
