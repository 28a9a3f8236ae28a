"""The grid of local windows, and the indicator "does window l contain part p?" (paper section 3; FACTS 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hmlpe.errors import UserError


@dataclass(frozen=True)
class WindowGrid:
    """A grid of count x count square windows over the crop; window (x, y) has index count * y + x.

    Window (x, y) is the closed rectangle [stride x, stride x + extent] x [stride y, stride y + extent] in crop pixels,
    pixel centres at integers. The last row and column may reach beyond the crop and are kept as they are.

    Attributes:
        count: number of windows along each side.
        stride_px: distance between neighbouring windows.
        extent_px: last minus first coordinate of a window: 29 for 30 pixels counted by their centres.
        beta: a window contains a part if it holds more than this share of the part's length.
    """

    count: int = 8
    stride_px: float | int = 12
    extent_px: float | int = 29
    beta: float | int = 0.3

    def __post_init__(self) -> None:
        lengths = (self.stride_px, self.extent_px)
        if self.count < 1 or not all(0 < length < math.inf for length in lengths) or not 0 <= self.beta < 1:
            raise UserError(f"windows: need count >= 1, stride > 0, extent > 0 and 0 <= beta < 1, got {self}")

    def __len__(self) -> int:
        return self.count**2

    def corners(self, device: torch.device | None = None) -> Float[Tensor, "windows 2"]:
        """Return the upper left corner (x, y) of every window, in crop pixels."""
        steps = torch.arange(self.count, device=device, dtype=torch.float32) * self.stride_px
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        return torch.stack([x, y], dim=-1).reshape(-1, 2)

    def share_inside(self, sticks_px: Float[Tensor, "*batch 2 2"]) -> Float[Tensor, "*batch windows"]:
        """Return the share of each stick's length that lies inside each window, by clipping the segment (Liang-Barsky).

        Args:
            sticks_px: the two end points (x, y) of every stick in crop pixels; they may lie outside the crop.

        Returns:
            Values in [0, 1]; 0 for a stick of zero length; NaN where an end point is NaN.
        """
        corners = self.corners(sticks_px.device).to(sticks_px.dtype)
        start = sticks_px[..., None, 0, :]
        step = sticks_px[..., None, 1, :] - start  # the stick is start + t * step, t in [0, 1]
        along = step == 0  # the stick is parallel to a pair of edges: inside for all t, or for none
        safe = torch.where(along, torch.ones_like(step), step)
        first, last = (corners - start) / safe, (corners + self.extent_px - start) / safe
        enter, leave = torch.minimum(first, last), torch.maximum(first, last)
        within = (start >= corners) & (start <= corners + self.extent_px)
        enter = torch.where(along, torch.where(within, 0.0, torch.inf), enter)
        leave = torch.where(along, torch.where(within, 1.0, -torch.inf), leave)
        share = (leave.amin(-1).clamp(max=1) - enter.amax(-1).clamp(min=0)).clamp(min=0)
        share = torch.where(along.all(-1), torch.zeros_like(share), share)
        unknown = sticks_px.isnan().flatten(-2).any(-1, keepdim=True)
        return torch.where(unknown, torch.nan, share)

    def contains(self, sticks_px: Float[Tensor, "*batch 2 2"]) -> Bool[Tensor, "*batch windows"]:
        """Return whether each window contains each part: length(stick inside the window) > beta * length(stick).

        False where an end point of the stick is NaN.
        """
        return self.share_inside(sticks_px) > self.beta
