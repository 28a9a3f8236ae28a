"""What a method says of the annotated people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.sources.sticks import ARMS
from hmlpe.evaluate.truth import STICKS, Truth, parts_of
from hmlpe.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Estimates:
    """One method's answers, a row for each person of a `Truth`, in its order; NaN where there is none.

    Attributes:
        joints_px: (person, joint, 2) in image pixels, in the skeleton's order and the truth's sides; None: the method
            gives sticks alone.
        sticks_px: (person, stick, 2, 2) in the order of `Truth.sticks`.
        detected: (person,) the person detector found this person (IoU of the windows > 0.5), or boxes were given.
        confidence: (person, joint) in [0, 1]; None if the method gives none.
        by_detector: `detected` is what a person detector found, so that its rate is a number; else boxes were given.
        missing: what the file leaves out, and what else a reader must know of its answers, in words; empty if nothing.
    """

    joints_px: Float[np.ndarray, "person joint 2"] | None
    sticks_px: Float[np.ndarray, "person stick 2 2"]
    detected: Bool[np.ndarray, " person"]
    confidence: Float[np.ndarray, "person joint"] | None = None
    missing: str = ""
    by_detector: bool = True


def sticks_of(joints_px: Float[np.ndarray, "person joint 2"], truth: Truth) -> Float[np.ndarray, "person stick 2 2"]:
    """The truth's sticks between estimated joints. Of a set's own six, the arms alone: torso and head stick stay NaN.

    The set's left is the image's left, which is the person's right (FACTS 5).
    """
    if truth.sticks != STICKS:
        return parts_of(joints_px, truth.skeleton)
    found = np.full((len(joints_px), len(STICKS), 2, 2), np.nan)
    for side, (upper, lower) in ARMS.items():
        shoulder, elbow, wrist = (
            _joint(joints_px, truth.skeleton, f"{side}_{j}") for j in ("shoulder", "elbow", "wrist")
        )
        found[:, upper] = np.stack([shoulder, elbow], axis=1)
        found[:, lower] = np.stack([elbow, wrist], axis=1)
    return found


def _joint(
    joints_px: Float[np.ndarray, "person joint 2"], skeleton: Skeleton, name: str
) -> Float[np.ndarray, "person 2"]:
    if name not in skeleton.joints:
        return np.full((len(joints_px), 2), np.nan)
    return joints_px[:, skeleton.joints.index(name)]


def of_joints(
    truth: Truth,
    joints_px: Float[np.ndarray, "person joint 2"],
    detected: Bool[np.ndarray, " person"] | None = None,
    confidence: Float[np.ndarray, "person joint"] | None = None,
    missing: str = "",
    by_detector: bool = True,
) -> Estimates:
    """Estimates of a method that gives joints.

    Args:
        detected: None: everyone who has a joint.
    """
    if detected is None:
        detected = np.isfinite(joints_px).all(-1).any(-1)
    return Estimates(joints_px, sticks_of(joints_px, truth), np.asarray(detected), confidence, missing, by_detector)
