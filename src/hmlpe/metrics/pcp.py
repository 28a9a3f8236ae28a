"""PCP, corrected (strict): both ends of a stick within half its length of theirs (FACTS 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton


class StrictPCP(Metric):
    """Share of correct sticks, in image pixels; ends are joints, so their pairing is given.

    Args:
        skeleton: whose parts are the sticks.
        groups: name in the result -> parts, e.g. upper_arm -> left_upper_arm, right_upper_arm; the group's value is the
            mean over its parts, as the paper reports it.
        threshold: share of the true stick's length.
    """

    protocol = "pcp_strict"
    hits: Tensor
    total: Tensor

    def __init__(self, skeleton: Skeleton, groups: Mapping[str, Sequence[str]], threshold: float = 0.5) -> None:
        super().__init__()
        names = list(skeleton.parts)
        unknown = [part for parts in groups.values() for part in parts if part not in names]
        if unknown:
            raise UserError(f"metrics: no part {unknown[0]!r} in the skeleton; it has {', '.join(names)}")
        self.groups = {name: [names.index(part) for part in parts] for name, parts in groups.items()}
        self.ends, self.threshold = torch.tensor(skeleton.part_ends), threshold
        self.add_state("hits", torch.zeros(len(names), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(len(names), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, predicted_px: Float[Tensor, "batch joint 2"], truth_px: Float[Tensor, "batch joint 2"]) -> None:
        """Add people; a stick with an unknown end does not count."""
        ends = self.ends.to(truth_px.device)
        truth, error = truth_px[:, ends], (predicted_px - truth_px).norm(dim=-1)[:, ends]  # batch, part, end
        length = (truth[:, :, 0] - truth[:, :, 1]).norm(dim=-1)
        known = length.isfinite()
        correct = (error <= self.threshold * length[..., None]).all(-1)
        self.hits += (correct & known).sum(0)
        self.total += known.sum(0)

    def compute(self) -> dict[str, Tensor]:
        """`pcp_strict_<group>`, in [0, 1]."""
        share = self.hits / self.total
        return {f"pcp_strict_{name}": share[parts].nanmean() for name, parts in self.groups.items()}
