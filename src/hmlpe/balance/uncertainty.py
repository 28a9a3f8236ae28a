"""Weights by the tasks' uncertainty, which is learned (Kendall, Gal, Cipolla, CVPR 2018, equation 7)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hmlpe.balance.balance import Balance, Moment


class UncertaintyWeights(Balance):
    """phi = sum over tasks of weight * exp(-s) * loss + s, where s, the logarithm of a variance, learns.

    s begins at 0, so that training begins with the row's weights. For losses that stay as they are the optimum is
    s = log(weight * loss): whatever the row's weights were, a task's weight tends to one over its loss.
    """

    def __init__(self, weights: Mapping[str, object]) -> None:
        super().__init__(weights)
        self.log_variances = nn.Parameter(torch.zeros(len(self.active)))

    def terms(self, losses: Mapping[str, Float[Tensor, ""]], moment: Moment) -> dict[str, Float[Tensor, ""]]:
        """weight * exp(-s) * loss."""
        factors = dict(zip(self.active, torch.exp(-self.log_variances), strict=True))
        return {name: factors[name] * term for name, term in super().terms(losses, moment).items()}

    def extra(self) -> Float[Tensor, ""]:
        """The sum of s, without which all variances would grow for ever."""
        return self.log_variances.sum()

    def effective(self) -> dict[str, float]:
        """weight * exp(-s)."""
        factors = torch.exp(-self.log_variances.detach()).tolist()
        return {name: self.weights[name] * factor for name, factor in zip(self.active, factors, strict=True)}
