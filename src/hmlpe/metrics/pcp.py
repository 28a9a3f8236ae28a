"""PCP: the share of sticks (limbs) whose ends are both near enough to the true ends, by the rules in use (FACTS 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hmlpe.metrics.person import GroupMetric
from hmlpe.runs.metric import SHARE, MetricInfo, Reduction
from hmlpe.skeleton import Skeleton

AnySticks = Float[Tensor, "*batch 2 2"]
"""The two end points (x, y) of every stick, in pixels; NaN where unknown."""
Sticks = Float[Tensor, "batch stick 2 2"]


def strict_errors(predicted_px: AnySticks, truth_px: AnySticks, free_ends: bool) -> Float[Tensor, "*batch"]:
    """Return each stick's error: the larger distance of its two ends, divided by the length of the true stick.

    For a true stick of length zero the error is 0 if the prediction is exact and infinite otherwise.

    Args:
        predicted_px: the predicted end points.
        truth_px: the true end points.
        free_ends: whether the order of the end points has no meaning, so that the better of the two pairings counts.
    """
    length = _stick_length(truth_px)
    error = _larger_end_distance(predicted_px - truth_px)
    if free_ends:
        error = torch.minimum(error, _larger_end_distance(predicted_px.flip(-2) - truth_px))
    return torch.where(error == 0, error, error / length)


def official_errors(predicted_px: AnySticks, truth_px: AnySticks) -> Float[Tensor, "*batch"]:
    """Return each stick's error by the official Buffy tool's rule, divided by the length of the true stick.

    The error is the larger of the mean parallel and the mean perpendicular distance of the ends. The estimated stick's
    FIRST end is paired with whichever true end is nearer, its second end with the other one. Each end's error is split
    into a part parallel to the true stick and a part perpendicular to it; the absolute parts are averaged over both
    ends.
    """
    length = _stick_length(truth_px)
    first = (predicted_px[..., :1, :] - truth_px).norm(dim=-1)
    turned = (first[..., 1] < first[..., 0])[..., None, None]
    truth = torch.where(turned, truth_px.flip(-2), truth_px)
    along = (truth[..., 1, :] - truth[..., 0, :]) / length[..., None]
    error = predicted_px - truth
    parallel = (error * along[..., None, :]).sum(-1).abs().mean(-1)
    across = torch.stack([-along[..., 1], along[..., 0]], -1)
    perpendicular = (error * across[..., None, :]).sum(-1).abs().mean(-1)
    return torch.maximum(parallel, perpendicular) / length


def _stick_length(sticks_px: AnySticks) -> Float[Tensor, "*batch"]:
    """Return the length of each stick, in pixels."""
    return _norm(sticks_px[..., 1, :] - sticks_px[..., 0, :])


def _larger_end_distance(error_px: AnySticks) -> Float[Tensor, "*batch"]:
    """Return the larger of the two ends' distances from the truth, in pixels."""
    return _norm(error_px).amax(-1)


def _norm(vectors_px: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
    return torch.hypot(vectors_px[..., 0], vectors_px[..., 1])


class StrictPCP(GroupMetric):
    """Corrected PCP, the paper's own: BOTH end points must lie within half the true stick's length of the true ones.

    Args:
        sticks: names of the sticks.
        groups: name in the result -> sticks, e.g. upper_arm -> left_upper_arm, right_upper_arm; the group's value is
            the mean over its sticks, as the paper reports it.
        threshold: largest allowed distance, as a share of the true stick's length.
        free_ends: whether the order of the end points has no meaning, so that the better of the two pairings counts.
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
        """Add a batch.

        Sticks with an unknown true end are left out, and those that are not predicted (NaN) are wrong.
        """
        self.add(self.stick_errors(predicted_sticks_px, true_sticks_px), true_sticks_px.flatten(2).isfinite().all(-1))

    def stick_errors(self, predicted_px: Sticks, truth_px: Sticks) -> Float[Tensor, "batch stick"]:
        """Return the error of each stick, divided by the length of the true stick."""
        return strict_errors(predicted_px, truth_px, self.free_ends)

    def infos(self) -> dict[str, MetricInfo]:
        """Return the descriptions of the metric's numbers, `<protocol>_<group>`, each in [0, 1]."""
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
        """Return the function of the errors that gives the share of a group's sticks within `threshold`."""
        return Reduction(
            errors=self.array,
            items=self.groups[group],
            within=(threshold,),
            inclusive=self.inclusive,
            pooled=False,
        )


class OfficialPCP(StrictPCP):
    """PCP of the official Buffy tool, which takes the MEAN over both ends of the parallel and perpendicular distances.

    It must be given only people who were detected; the tool multiplies the result by the detection rate afterwards.
    """

    protocol = "pcp_official"
    inclusive = False

    def stick_errors(self, predicted_px: Sticks, truth_px: Sticks) -> Float[Tensor, "batch stick"]:
        """Return the error of each stick, divided by the length of the true stick."""
        return official_errors(predicted_px, truth_px)


class StrictPCPOfJoints(StrictPCP):
    """Corrected PCP of the sticks between joints; as their ends are joints, it is known which ends belong together.

    Args:
        skeleton: the skeleton whose parts are the sticks.
        groups: name in the result -> parts.
        threshold: largest allowed distance, as a share of the true stick's length.
    """

    def __init__(self, skeleton: Skeleton, groups: Mapping[str, Sequence[str]], threshold: float = 0.5) -> None:
        super().__init__(list(skeleton.parts), groups, threshold)
        self.ends = torch.tensor(skeleton.part_ends)

    def update(  # the argument names by which a MetricCollection passes its inputs on
        self, predicted_px: Float[Tensor, "batch joint 2"], truth_px: Float[Tensor, "batch joint 2"]
    ) -> None:
        """Add a batch; a stick with an unknown true end is left out."""
        ends = self.ends.to(truth_px.device)
        super().update(predicted_px[:, ends], truth_px[:, ends])
