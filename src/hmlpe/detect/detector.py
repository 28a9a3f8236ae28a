"""What a person detector is."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8


class Detections(NamedTuple):
    """The people found in one image, the surest first.

    Attributes:
        windows_px: (person, 4) x0 y0 x1 y1 in image pixels: each person's upper-body window by the Buffy tool's rule
            (FACTS 6): from the top of the head to the torso's centre, its width height / 0.9, its x centre the mean of
            head's and torso's. A detector whose own box is another (a face) maps it to this one.
        scores: (person,) larger is surer; of one detector comparable, of two not.
    """

    windows_px: Float[np.ndarray, "person 4"]
    scores: Float[np.ndarray, " person"]


@runtime_checkable
class Detector(Protocol):
    """Finds people's upper bodies."""

    def __call__(self, image: UInt8[np.ndarray, "height width 3"], name: str) -> Detections:
        """The people in an RGB image; none is an answer. `name` is the image's, for detectors that look boxes up."""
        ...
