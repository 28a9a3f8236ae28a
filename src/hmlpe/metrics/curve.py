"""Shares of people's items (joints, sticks) that are found, out of their normalised errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from hmlpe.errors import UserError


class ErrorCurve(Metric):
    """Keeps every person's normalised error, so that any threshold, curve or resampling of people is the same code.

    Args:
        items: names of the joints or sticks.
        groups: name in the result -> items, e.g. wrist -> left_wrist, right_wrist.
    """

    protocol: ClassVar[str]
    pooled: ClassVar[bool]  # a group's share is over all its items together; else the mean of the items' shares
    inclusive: ClassVar[bool] = True  # an error of just the threshold is within it
    errors: list[Tensor]

    def __init__(self, items: Sequence[str], groups: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        unknown = [(name, item) for name, own in groups.items() for item in own if item not in items]
        if unknown:
            group, item = unknown[0]
            raise UserError(f"metrics: {group}: no {item!r} here; there are {', '.join(items)}")
        self.items = tuple(items)
        self.groups = {str(name): [self.items.index(item) for item in own] for name, own in groups.items()}
        self.add_state("errors", [], dist_reduce_fx="cat")

    def add(self, errors: Float[Tensor, "batch item"], known: Bool[Tensor, "batch item"]) -> None:
        """Add people; an error that is NaN though the truth is known is that of no answer."""
        missed = torch.full_like(errors, torch.inf)
        self.errors.append(torch.where(errors.isnan(), missed, errors).where(known, torch.nan).detach())

    def all_errors(self) -> Float[Tensor, "person item"]:
        """Everyone's errors; NaN where the truth is unknown, infinite where there is no answer."""
        return dim_zero_cat(self.errors) if len(self.errors) else torch.empty(0, len(self.items))

    def within(self, threshold: float) -> Float[Tensor, "person item"]:
        """1 where the error is within the threshold, 0 where not, NaN where the truth is unknown."""
        errors = self.all_errors()
        limit = torch.tensor(threshold, dtype=errors.dtype, device=errors.device)
        hits = (errors <= limit) if self.inclusive else (errors < limit)
        return hits.to(errors.dtype).where(~errors.isnan(), torch.nan)

    def share(
        self, found: Float[Tensor, "person item"], group: str, counts: Float[Tensor, "draw person"] | None = None
    ) -> Float[Tensor, " draw"]:
        """The group's share.

        Args:
            found: of every person and item, in [0, 1], NaN where it does not count.
            group: its name.
            counts: how often each person counts, for each of several resamplings; None: once, in one.
        """
        own = found[:, self.groups[group]].double()
        weights = torch.ones(1, len(own), dtype=own.dtype, device=own.device) if counts is None else counts.double()
        hits, known = weights @ own.nan_to_num(0.0), weights @ (~own.isnan()).double()
        if self.pooled:
            return (hits.sum(-1) / known.sum(-1)).float()
        return (hits / known).nanmean(-1).float()
