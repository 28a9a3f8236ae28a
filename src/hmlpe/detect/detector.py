"""The interface of a person detector, and the simplest one, for photos that are already cropped to the person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.errors import UserError


class Detections(NamedTuple):
    """The people found in one image, the highest score first.

    Attributes:
        windows_px: (person, 4) x0 y0 x1 y1 in image pixels: each person's upper-body window by the rule of the official
            Buffy tool. The window reaches from the top of the head to the torso's centre; its width is its height / 0.9
            and its x centre is the mean of the head's and the torso's. A detector of other boxes (of faces) maps them
            to such windows.
        scores: (person,) higher means more certain; comparable within one detector, not between two.
    """

    windows_px: Float[np.ndarray, "person 4"]
    scores: Float[np.ndarray, " person"]


@runtime_checkable
class Detector(Protocol):
    """The interface of a person detector, which finds people's upper bodies in an image."""

    def __call__(self, image: UInt8[np.ndarray, "height width 3"], name: str) -> Detections:
        """Return the people in an RGB image, possibly none.

        Args:
            name: the image's name, for detectors that look boxes up.
        """
        ...


class WholeImage:
    """A detector that takes the whole image as one person's box.

    It returns the window that `geometry.scale_box` turns into the whole image. This is an upper-body window in the
    sense of `Detections` only if the image is cropped as the network's training boxes were.

    Args:
        factors: (across, up, down) of `scale_box`, the same by which the window will be scaled.

    Raises:
        UserError: the factors are not valid, so that no window could be scaled to the whole image.
    """

    def __init__(self, factors: Sequence[float | int]) -> None:
        if len(factors) != 3 or not np.isfinite(factors).all() or factors[0] <= 0 or 2 + factors[1] + factors[2] <= 0:
            raise UserError(
                f"detector.factors: need (across, up, down) with across > 0 and up + down > -2, got {list(factors)}"
            )
        self.across, self.up, self.down = (float(factor) for factor in factors)

    def __call__(self, image: UInt8[np.ndarray, "height width 3"], name: str = "") -> Detections:
        """Return one person with score 1; none for an image without pixels."""
        height, width = image.shape[:2]
        if not height or not width:
            return Detections(np.zeros((0, 4)), np.zeros(0))
        half_width, half_height = width / 2 / self.across, height / (2 + self.up + self.down)
        centre_x, top = width / 2 - 0.5, self.up * half_height - 0.5
        window = np.array([centre_x - half_width, top, centre_x + half_width, top + 2 * half_height])
        return Detections(window[None], np.ones(1))
