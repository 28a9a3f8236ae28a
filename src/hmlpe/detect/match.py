"""Match detections to annotated people (FACTS 6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from hmlpe.geometry import iou

DETECTED = 0.5  # a detection matches a person if the IoU of their windows is above this (FACTS 6)

Box = Float[np.ndarray, " 4"]


def index_of_detection(window_px: Box, boxes: Sequence[Box]) -> int | None:
    """Return the index of the box that overlaps the person's window most; None if no IoU is above `DETECTED`."""
    best = max(range(len(boxes)), key=lambda index: iou(boxes[index], window_px), default=None)
    return best if best is not None and iou(boxes[best], window_px) > DETECTED else None


def detection_of(window_px: Box, boxes: Sequence[Box]) -> Box:
    """Return the box that overlaps the person's window most; (4,) NaN if no IoU is above `DETECTED`."""
    index = index_of_detection(window_px, boxes)
    return np.full(4, np.nan) if index is None else boxes[index]


def match_people(windows_px: Sequence[Box], boxes: Sequence[Box]) -> dict[int, int]:
    """Match the annotated people of one image to a detector's boxes of the same image.

    One box may match two annotations: FLIC annotates 63 of its test people twice, with joints a few pixels apart.

    Args:
        windows_px: each person's window x0 y0 x1 y1.
        boxes: the detector's boxes x0 y0 x1 y1.

    Returns:
        Index of the person -> index of the box; people without a detection are left out.
    """
    found = {person: index_of_detection(window, boxes) for person, window in enumerate(windows_px)}
    return {person: index for person, index in found.items() if index is not None}
