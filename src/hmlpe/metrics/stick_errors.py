"""How far an estimated stick is from the true one, in lengths of the true one (FACTS 6)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Sticks = Float[Tensor, "*batch 2 2"]
"""The two end points (x, y) of every stick, in pixels; NaN where unknown."""


def strict_errors(predicted_px: Sticks, truth_px: Sticks, free_ends: bool) -> Float[Tensor, "*batch"]:
    """The larger of both ends' distances; a true stick of no length allows no distance at all.

    Args:
        free_ends: which end comes first says nothing, so the better of the two pairings counts.
    """
    length = _length(truth_px)
    error = _worse_end(predicted_px - truth_px)
    if free_ends:
        error = torch.minimum(error, _worse_end(predicted_px.flip(-2) - truth_px))
    return torch.where(error == 0, error, error / length)


def official_errors(predicted_px: Sticks, truth_px: Sticks) -> Float[Tensor, "*batch"]:
    """The official Buffy tool's rule: the larger of the mean parallel and the mean perpendicular distance of the ends.

    The estimated stick's FIRST end is paired with whichever true end is nearer, its second with the other; each end's
    error is turned onto the true stick; the absolute parallel and perpendicular parts are averaged over both ends.
    """
    length = _length(truth_px)
    first = (predicted_px[..., :1, :] - truth_px).norm(dim=-1)
    turned = (first[..., 1] < first[..., 0])[..., None, None]
    truth = torch.where(turned, truth_px.flip(-2), truth_px)
    along = (truth[..., 1, :] - truth[..., 0, :]) / length[..., None]
    error = predicted_px - truth
    parallel = (error * along[..., None, :]).sum(-1).abs().mean(-1)
    across = torch.stack([-along[..., 1], along[..., 0]], -1)
    perpendicular = (error * across[..., None, :]).sum(-1).abs().mean(-1)
    return torch.maximum(parallel, perpendicular) / length


def _length(sticks_px: Sticks) -> Float[Tensor, "*batch"]:
    return _norm(sticks_px[..., 1, :] - sticks_px[..., 0, :])


def _worse_end(error_px: Sticks) -> Float[Tensor, "*batch"]:
    return _norm(error_px).amax(-1)


def _norm(vectors_px: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
    return torch.hypot(vectors_px[..., 0], vectors_px[..., 1])
