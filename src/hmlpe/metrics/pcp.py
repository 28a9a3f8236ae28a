"""PCP: the share of sticks that are found, strictly or by the official Buffy tool's rule (FACTS 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hmlpe.metrics.person import GroupMetric
from hmlpe.metrics.stick_errors import official_errors, strict_errors
from hmlpe.runs.metric import SHARE, MetricInfo, Reduction
from hmlpe.skeleton import Skeleton

Sticks = Float[Tensor, "batch stick 2 2"]


class StrictPCP(GroupMetric):
    """Corrected PCP, the paper's own: BOTH end points within half the true stick's length of theirs.

    Args:
        sticks: names of the sticks.
        groups: name in the result -> sticks, e.g. upper_arm -> left_upper_arm, right_upper_arm; the group's value is
            the mean over its sticks, as the paper reports it.
        threshold: share of the true stick's length.
        free_ends: the end points' order says nothing, so the better of the two pairings counts.
    """

    protocol = "pcp_strict"
    inclusive = True

    def __init__(
        self,
        sticks: Sequence[str],
        groups: Mapping[str, Sequence[str]],
        threshold: float = 0.5,
        free_ends: bool = False,
    ) -> None:
        super().__init__(self.protocol, sticks, groups)
        self.threshold, self.free_ends = threshold, free_ends

    def update(self, predicted_sticks_px: Sticks, true_sticks_px: Sticks) -> None:
        """Add people; a stick with an unknown end does not count, and one that is not predicted (NaN) is wrong."""
        self.add(self.stick_errors(predicted_sticks_px, true_sticks_px), true_sticks_px.flatten(2).isfinite().all(-1))

    def stick_errors(self, predicted_px: Sticks, truth_px: Sticks) -> Float[Tensor, "batch stick"]:
        """In lengths of the true stick."""
        return strict_errors(predicted_px, truth_px, self.free_ends)

    def infos(self) -> dict[str, MetricInfo]:
        """`<protocol>_<group>`, in [0, 1]."""
        words = self.protocol.removeprefix("pcp_")
        return {
            f"{self.protocol}_{name}": MetricInfo(
                title=f"PCP {words} {name.replace('_', ' ')}",
                kind="protocol",
                section="PCP",
                panel=f"PCP {words}",
                label=name.replace("_", " "),
                reduction=self.reduction(name, self.threshold),
                **SHARE,
            )
            for name in self.groups
        }

    def reduction(self, group: str, threshold: float) -> Reduction:
        """The share of a group's sticks within another threshold."""
        return Reduction(
            errors=self.array,
            items=self.groups[group],
            within=(threshold,),
            inclusive=self.inclusive,
            pooled=False,
        )


class OfficialPCP(StrictPCP):
    """PCP of the official Buffy tool: the MEAN over both ends of the parallel and of the perpendicular distance counts.

    It is given people who are detected alone; the tool multiplies by the detection rate afterwards.
    """

    protocol = "pcp_official"
    inclusive = False

    def stick_errors(self, predicted_px: Sticks, truth_px: Sticks) -> Float[Tensor, "batch stick"]:
        """In lengths of the true stick."""
        return official_errors(predicted_px, truth_px)


class StrictPCPOfJoints(StrictPCP):
    """Corrected PCP of the sticks between joints, whose ends are therefore paired.

    Args:
        skeleton: whose parts are the sticks.
        groups: name in the result -> parts.
        threshold: share of the true stick's length.
    """

    def __init__(self, skeleton: Skeleton, groups: Mapping[str, Sequence[str]], threshold: float = 0.5) -> None:
        super().__init__(list(skeleton.parts), groups, threshold)
        self.ends = torch.tensor(skeleton.part_ends)

    def update(  # by these names, as a collection of metrics hands out
        self, predicted_px: Float[Tensor, "batch joint 2"], truth_px: Float[Tensor, "batch joint 2"]
    ) -> None:
        """Add people; a stick with an unknown end does not count."""
        ends = self.ends.to(truth_px.device)
        super().update(predicted_px[:, ends], truth_px[:, ends])
