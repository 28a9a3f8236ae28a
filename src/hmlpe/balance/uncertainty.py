"""Weights by learned uncertainties of the tasks (Kendall, Gal, Cipolla, CVPR 2018, equation 7)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hmlpe.balance.balance import Balance, StepInfo


class UncertaintyWeights(Balance):
    """Minimises phi = sum over tasks of weight * exp(-s) * loss + s, where s is learned: the logarithm of a variance.

    s starts at 0, so that training starts with the row's weights. For constant losses the optimum is
    s = log(weight * loss): whatever the row's weights are, a task's effective weight tends to 1 / loss.
    """

    def __init__(self, weights: Mapping[str, object]) -> None:
        super().__init__(weights)
        self.log_variances = nn.Parameter(torch.zeros(len(self.active)))

    def terms(self, losses: Mapping[str, Float[Tensor, ""]], step_info: StepInfo) -> dict[str, Float[Tensor, ""]]:
        """Return weight * exp(-s) * loss of each active task."""
        factors = dict(zip(self.active, torch.exp(-self.log_variances), strict=True))
        return {name: factors[name] * term for name, term in super().terms(losses, step_info).items()}

    def extra_loss(self) -> Float[Tensor, ""]:
        """Return the sum of s over the active tasks, without which all variances would grow without bound."""
        return self.log_variances.sum()

    def effective_weights(self) -> dict[str, float]:
        """Return weight * exp(-s) of each active task."""
        factors = torch.exp(-self.log_variances.detach()).tolist()
        return {name: self.weights[name] * factor for name, factor in zip(self.active, factors, strict=True)}
