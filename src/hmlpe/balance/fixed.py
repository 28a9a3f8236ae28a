"""Fixed weights: phi = sum over tasks of weight * loss (paper equation 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from hmlpe.errors import UserError


class FixedWeights:
    """phi = lambda_r E_r + lambda_d E_d, for any number of tasks.

    A task of weight zero is not active: its term is skipped (0 * NaN would be NaN) and its head is left untouched.

    Args:
        weights: task name -> weight, at least 0.

    Raises:
        UserError: a weight is negative or not finite, or none is positive.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        for name, weight in weights.items():
            if (
                isinstance(weight, bool)
                or not isinstance(weight, int | float)
                or not math.isfinite(weight)
                or weight < 0
            ):
                raise UserError(f"row.weights.{name}: a weight must be a finite number of at least 0, got {weight!r}")
        self.weights = {name: float(weight) for name, weight in weights.items()}
        if not self.active:
            raise UserError(f"row.weights: at least one weight must be positive, got {self.weights}")

    @property
    def active(self) -> list[str]:
        """Names of the tasks with a positive weight."""
        return [name for name, weight in self.weights.items() if weight > 0]

    def weighted(self, losses: Mapping[str, Float[Tensor, ""]]) -> dict[str, Float[Tensor, ""]]:
        """The terms of phi, one for each active task."""
        return {name: self.weights[name] * losses[name] for name in self.active}
