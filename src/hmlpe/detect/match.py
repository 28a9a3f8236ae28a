"""Whose detection is it? (FACTS 6)"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from hmlpe.geometry import iou

DETECTED = 0.5  # a detection is of a person if their windows' IoU is above this (FACTS 6)

Box = Float[np.ndarray, " 4"]


def index_of_detection(window_px: Box, boxes: Sequence[Box]) -> int | None:
    """Which of the boxes is a detection of the person with this window, the best if several are; None if none is."""
    best = max(range(len(boxes)), key=lambda index: iou(boxes[index], window_px), default=None)
    return best if best is not None and iou(boxes[best], window_px) > DETECTED else None


def detection_of(window_px: Box, boxes: Sequence[Box]) -> Box:
    """The box that is a detection of the person with this window, or NaN."""
    index = index_of_detection(window_px, boxes)
    return np.full(4, np.nan) if index is None else boxes[index]


def assign(windows_px: Sequence[Box], boxes: Sequence[Box]) -> dict[int, int]:
    """Person -> box, for the annotated people of one image and a detector's boxes in it; who has none is left out.

    A box may be of two annotations: FLIC annotates 63 of its test people twice, with joints a few pixels apart.
    """
    found = {person: index_of_detection(window, boxes) for person, window in enumerate(windows_px)}
    return {person: index for person, index in found.items() if index is not None}
