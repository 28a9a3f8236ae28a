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

    def __init__(self, weights: Mapping[str, object]) -> None:
        self.weights = {name: _checked(name, weight) for name, weight in weights.items()}
        if not self.active:
            raise UserError(f"row.weights: at least one weight must be positive, got {self.weights}")

    @property
    def active(self) -> list[str]:
        """Names of the tasks with a positive weight."""
        return [name for name, weight in self.weights.items() if weight > 0]

    def weighted(self, losses: Mapping[str, Float[Tensor, ""]]) -> dict[str, Float[Tensor, ""]]:
        """The terms of phi, one for each active task."""
        return {name: self.weights[name] * losses[name] for name in self.active}


def _checked(name: str, weight: object) -> float:
    if isinstance(weight, int | float) and not isinstance(weight, bool) and math.isfinite(weight) and weight >= 0:
        return float(weight)
    raise UserError(f"row.weights.{name}: a weight must be a finite number of at least 0, got {weight!r}")
