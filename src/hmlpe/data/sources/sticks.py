"""Compute joints and detector windows from sticks.

The sticks are: torso, left and right upper arm, left and right lower arm, head. Left and right are as seen in
the image. The order of a stick's two ends has no meaning.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

TORSO, HEAD = 0, 5
ARMS = {"right": (1, 3), "left": (2, 4)}  # upper and lower arm by the PERSON's side: the image's left is their right
MEANINGS = {"head": "the middle of the head's stick", "neck": "the torso's upper end"}  # FACTS 5, grade A
JOINTS = ("head", "neck", *(f"{side}_{joint}" for side in ARMS for joint in ("shoulder", "elbow", "wrist")))

MAX_SHOULDER_RATIO = 0.5  # of an upper arm without lower arm: shoulder to neck over elbow to neck, at most (U)

Point = Float[np.ndarray, " 2"]
Ends = Float[np.ndarray, "2 2"]  # the two ends of a stick
Box = Float[np.ndarray, " 4"]


def joints_of_sticks(sticks_px: Float[np.ndarray, "6 4"]) -> dict[str, Point]:
    """Return joint name -> coordinates (2,) of the joints in JOINTS; NaN where the sticks do not determine them.

    The head is the middle of its stick, the neck the torso's end nearest to it (unknown if either is hidden), and the
    elbow the middle between the closest ends of upper and lower arm (FACTS 5, grade A). Judged by eye, this is wrong
    for 9 or 10 of Buffy's 1496 arms, folded or foreshortened ones, all of training people.
    The image's left and right are converted to the person's as if everyone were seen from the front, as the sets do not
    annotate who is seen from behind.
    """
    ends = sticks_px.reshape(6, 2, 2)
    head = ends[HEAD].mean(axis=0)
    top, _, share = _nearest_end(ends[TORSO], head)
    neck = top if share < 1 else np.full(2, np.nan)
    joints = {"head": head, "neck": neck}
    for side, (upper, lower) in ARMS.items():
        arm = _arm_joints(ends[upper], ends[lower], neck)
        joints |= zip((f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist"), arm, strict=True)
    return joints


def _arm_joints(upper: Ends, lower: Ends, neck: Point) -> tuple[Point, Point, Point]:
    """Return shoulder, elbow and wrist of an arm of two sticks, NaN where unknown.

    If the lower arm is hidden, the end of the upper arm that is nearer to the neck is the shoulder.
    """
    unknown = np.full(2, np.nan)
    gaps = np.linalg.norm(upper[:, None] - lower, axis=-1)
    if np.isfinite(gaps).all():
        i = gaps.min(axis=1).argmin()
        j = gaps[i].argmin()
        return upper[1 - i], (upper[i] + lower[j]) / 2, lower[1 - j]
    near, far, share = _nearest_end(upper, neck)
    return (near, far, unknown) if share < MAX_SHOULDER_RATIO else (unknown, unknown, unknown)


def _nearest_end(ends: Ends, point: Point) -> tuple[Point, Point, float]:
    """Return the end of a stick that is nearest to the point, the other end, and the ratio of their distances.

    The ratio is at most 1; NaN if the stick or the point is unknown.
    """
    distances = np.linalg.norm(ends - point, axis=-1)
    near = distances.argmin()
    far = distances[1 - near]
    return ends[near], ends[1 - near], float(distances[near] / far) if far > 0 else np.nan


def window_of_sticks(sticks_px: Float[np.ndarray, "6 4"]) -> Box:
    """Return the window x0 y0 x1 y1 that a perfect upper-body detector would find for an annotated stickman.

    This is the rule of the official Buffy tool. The window is NaN if torso or head is hidden, or it has no area.
    """
    head, torso = sticks_px[HEAD].reshape(2, 2), sticks_px[TORSO].reshape(2, 2).mean(axis=0)
    heights = np.array([*head[:, 1], torso[1]])
    top, bottom = heights.min(), heights.max()
    half_width = (bottom - top) / 0.9 / 2
    centre_x = (head[:, 0].mean() + torso[0]) / 2
    window = np.array([centre_x - half_width, top, centre_x + half_width, bottom])
    return window if half_width > 0 and np.isfinite(window).all() else np.full(4, np.nan)
