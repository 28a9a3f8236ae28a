"""Several windows of one person become one."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from hmlpe.detect.detector import Detections
from hmlpe.geometry import iou


def merged(
    windows_px: Float[np.ndarray, "box 4"],
    scores: Float[np.ndarray, " box"],
    finders: Int[np.ndarray, " box"],
    overlap: float | int,
) -> Detections:
    """Non-maximum suppression in which finders support each other.

    The surest window takes in all that overlap it and stays where it is. Its new score is the sum over the finders of
    their best score there, so that what two have found counts more than what one has, but not what one found twice.

    Args:
        windows_px: x0 y0 x1 y1.
        scores: above 0; of different finders comparable.
        finders: the number of the one who found it.
        overlap: windows are one person's if their IoU is above this.

    Returns:
        The people, the surest first; the order of the input does not matter.
    """
    x0, y0, x1, y1 = windows_px.T
    order = np.lexsort((finders, y1, x1, y0, x0, -scores))  # ties broken by what is seen, not by who came first
    found, sums = [], []
    while len(order):
        first = order[0]
        near = np.array([iou(windows_px[first], windows_px[other]) > overlap for other in order])
        near[0] = True  # itself, even without area
        own = order[near]
        found.append(windows_px[first])
        sums.append(sum(float(scores[own[finders[own] == finder]].max()) for finder in np.unique(finders[own])))
        order = order[~near]
    ranks = np.argsort(-np.array(sums), kind="stable")
    return Detections(np.array(found).reshape(-1, 4)[ranks], np.array(sums, dtype=np.float64)[ranks])
