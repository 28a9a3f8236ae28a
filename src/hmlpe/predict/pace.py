"""How fast a video is drawn, so that each of its frames stands at its own time."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

from hmlpe.predict.sources import Video
from hmlpe.predict.video import opened

FASTEST, HELD = 120.0, 20.0  # frames a second of what is drawn, and for how many places one frame is held on average


class Pace(NamedTuple):
    """Frames per second of the drawn video; and whether the source's come unevenly, so that some are held longer."""

    rate: float
    uneven: bool


def pace_of(source: Video, rate: float, limit: int | None) -> Pace:
    """Looks through the file once, as a drawn video is of a constant rate and most files do not say that theirs is not.

    Args:
        rate: frames per second that the file claims.
        limit: at most so many frames; None: all.
    """
    times, capture = list[float](), opened(source)
    while (limit is None or len(times) < limit) and capture.grab():
        times.append(float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000)
    capture.release()
    return pace(np.array(times), rate)


def pace(times_s: Float[np.ndarray, " frame"], rate: float) -> Pace:
    """The pace of frames that come at these times; `rate` where they are of no use (missing, or going backwards)."""
    steps = np.diff(times_s)
    if not len(steps) or not np.isfinite(steps).all() or (steps <= 0).any():
        return Pace(rate, False)
    mean = steps.mean()
    if np.abs(times_s - times_s[0] - np.arange(len(times_s)) * mean).max() <= mean / 2:
        return Pace(rate if abs(mean * rate - 1) < 0.01 else float(1 / mean), False)
    return Pace(float(max(1 / mean, min(1 / steps.min(), FASTEST, HELD / mean))), True)
