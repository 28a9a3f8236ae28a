"""Map the box of a detector, e.g. of faces, to the upper-body window of the same person."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hmlpe.errors import UserError

WINDOW_ASPECT = 0.9  # the window's height over its width (FACTS 6)


@dataclass(frozen=True)
class BoxMap:
    """An affine map from a detector's box (e.g. of a face) to the upper-body window of the same person.

    The window has a fixed position and size relative to the box.

    Attributes:
        shift: horizontal offset of the window's centre from the box's, to the right, in widths of the box.
        top: vertical offset of the window's upper edge from the box's, downwards, in heights of the box.
        height: height of the window, in heights of the box; its width is its height / 0.9.

    Raises:
        UserError: a value is not a finite number, or the height is not above 0.
    """

    shift: float | int
    top: float | int
    height: float | int

    def __post_init__(self) -> None:
        for name in ("shift", "top", "height"):
            value: object = getattr(self, name)  # a configuration can hold anything
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise UserError(f"map of a detector's boxes: {name} must be a finite number, got {value!r}")
        if self.height <= 0:
            raise UserError(f"map of a detector's boxes: height must be above 0, got {self.height}")

    def __call__(self, boxes_px: Float[np.ndarray, "box 4"]) -> Float[np.ndarray, "box 4"]:
        """Return the upper-body window, x0 y0 x1 y1 in pixels, that belongs to each box."""
        size = boxes_px[:, 2:] - boxes_px[:, :2]
        centre_x = (boxes_px[:, 0] + boxes_px[:, 2]) / 2 + self.shift * size[:, 0]
        top, height = boxes_px[:, 1] + self.top * size[:, 1], self.height * size[:, 1]
        half_width = height / WINDOW_ASPECT / 2
        return np.stack([centre_x - half_width, top, centre_x + half_width, top + height], axis=1)


def box_map_parameters(window_px: Float[np.ndarray, " 4"], box_px: Float[np.ndarray, " 4"]) -> Float[np.ndarray, " 3"]:
    """Return shift, top and height of the `BoxMap` that maps the box to the window; the window's width is ignored."""
    size = box_px[2:] - box_px[:2]
    shift = ((window_px[0] + window_px[2]) - (box_px[0] + box_px[2])) / 2 / size[0]
    return np.array([shift, (window_px[1] - box_px[1]) / size[1], (window_px[3] - window_px[1]) / size[1]])
