"""What was found of each person, kept apart instead of averaged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int, Shaped
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class Rows(Metric):
    """Named arrays, a line a person, in the order of their row numbers, however people lie in batches and on processes.

    Args:
        names: of the arrays.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = ("row", *names)
        for name in self.names:
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, row: Int[Tensor, " batch"], **found: Shaped[Tensor, "batch ..."]) -> None:
        """Add people; what no name was given for is left out."""
        for name, value in {"row": row, **found}.items():
            if name in self.names:
                getattr(self, name).append(value.detach())

    def compute(self) -> dict[str, Tensor]:
        """`row` (person,), growing, and every named array, (person, ...)."""
        found = {name: dim_zero_cat(getattr(self, name)) for name in self.names}
        order = torch.argsort(found["row"])
        return {name: value[order] for name, value in found.items()}
