"""Pose prior and proportions: where the joints of a person are, before anything is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from hmlpe.data.sources.embedded.style import Style

JOINTS: Final = (
    "head", "left_shoulder", "neck", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
HEAD, L_SHOULDER, NECK, R_SHOULDER, L_ELBOW, R_ELBOW, L_WRIST, R_WRIST = range(8)
ARMS: Final = ((L_SHOULDER, L_ELBOW, L_WRIST), (R_SHOULDER, R_ELBOW, R_WRIST))

# Arm modes. Angles in degrees from straight down, positive outwards (away from the torso), negative across it, 180 up.
# (upper arm mean, spread; forearm mean, spread; forearm relative to the upper arm; can go behind the torso)
_MODES: Final = (
    (12.0, 10.0, -8.0, 16.0, True, True),  # hanging
    (42.0, 11.0, -45.0, 20.0, False, True),  # hand on hip
    (2.0, 12.0, -98.0, 16.0, False, False),  # folded, crossing the torso
    (12.0, 14.0, -58.0, 22.0, False, False),  # hands in front
    (22.0, 16.0, -150.0, 40.0, False, False),  # forearm up, gesturing
    (130.0, 24.0, 25.0, 50.0, True, False),  # raised
    (72.0, 18.0, -15.0, 55.0, True, False),  # out to the side
)
_AT_HEAD: Final = len(_MODES)  # the last mode has a goal, not angles: a hand near the head


@dataclass(frozen=True)
class Body:
    """A posed body, in image pixels.

    Attributes:
        joints_px: (8, 2) in the order of JOINTS.
        hips_px: (2, 2) left, right.
        unit_px: torso height, the measure of all widths.
        lean: angle of the torso in radians, positive when the image's right side is lower.
        yaw: turn of the head and torso in radians, positive when facing the image's right.
        head_px: (2,) half width and half height of the head.
        head_tilt: angle of the head in radians.
        girth: width of the limbs relative to the usual.
        under: (left, right): the arm is behind the torso.
    """

    joints_px: Float[np.ndarray, "8 2"]
    hips_px: Float[np.ndarray, "2 2"]
    unit_px: float
    lean: float
    yaw: float
    head_px: Float[np.ndarray, " 2"]
    head_tilt: float
    girth: float
    under: tuple[bool, bool]

    @property
    def torso_px(self) -> float:
        """Left shoulder to right hip, in pixels."""
        return float(np.linalg.norm(self.joints_px[L_SHOULDER] - self.hips_px[1]))


def heading(angle: float) -> Float[np.ndarray, " 2"]:
    """(2,) unit vector along the image's right, turned by `angle` radians towards the image's bottom."""
    return np.array([math.cos(angle), math.sin(angle)])


def frame(angle: float) -> Float[np.ndarray, "2 2"]:
    """(2, 2) rows: the image's right and down, both turned by `angle` radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, sin], [-sin, cos]])


def sample_body(rng: np.random.Generator, style: Style, image_px: int, shift_px: float = 0.0) -> Body:
    """A body in the middle of an image of side image_px, moved to the right by shift_px."""

    def vary(length: float) -> float:
        return length * math.exp(_normal(rng, style.proportion_spread))

    unit = image_px * style.unit * math.exp(_normal(rng, style.unit_spread))
    neck = image_px * (np.array([0.5, 0.43]) + rng.normal(0, style.place_spread, 2)) + [shift_px, 0]
    lean = math.radians(rng.normal(0, style.lean_deg))
    tilt = lean + math.radians(rng.normal(0, style.tilt_deg))
    yaw = math.radians(min(max(rng.normal(0, style.yaw_deg), -50), 50))
    across, down = frame(lean)

    shoulder = heading(tilt) * vary(0.36) * unit * math.cos(yaw)
    hip = across * vary(0.2) * unit * math.cos(yaw)
    middle = neck + down * vary(0.95) * unit
    head_px = np.array([vary(0.175), vary(0.245)]) * unit
    head_tilt = lean + math.radians(rng.normal(0, 8))
    head = neck + heading(head_tilt - np.pi / 2) * (0.13 * unit + head_px[1]) + across * 0.12 * unit * math.sin(yaw)

    joints = np.empty((8, 2))
    joints[[HEAD, NECK, L_SHOULDER, R_SHOULDER]] = head, neck, neck + shoulder, neck - shoulder
    lengths = unit * np.array([vary(0.58), vary(0.49)])
    steps = np.cumsum(style.modes) / sum(style.modes)
    first, second = np.searchsorted(steps[:-1], rng.random(2), side="right").tolist()
    if rng.random() < style.same_mode_p:
        second = first
    under = []
    for (origin, elbow, wrist), mode, side in zip(ARMS, (first, second), (1, -1), strict=True):
        if mode == _AT_HEAD:
            joints[elbow], joints[wrist] = _reach(rng, joints[origin], head, lengths, head_px, side)
        else:
            joints[elbow], joints[wrist] = _swing(rng, style, joints[origin], lengths, mode, side, lean)
        under.append(mode != _AT_HEAD and _MODES[mode][5] and bool(rng.random() < style.under_p))
    hips = np.stack([middle + hip, middle - hip])
    return Body(joints, hips, unit, lean, yaw, head_px, head_tilt, vary(1.0), (under[0], under[1]))


def _normal(rng: np.random.Generator, spread: float) -> float:
    """Normal with mean 0, cut at 2.5 standard deviations: nobody has a giant's arms."""
    return spread * min(max(rng.normal(), -2.5), 2.5)


def _swing(
    rng: np.random.Generator, style: Style, shoulder: Float[np.ndarray, " 2"], lengths: Float[np.ndarray, " 2"],
    mode: int, side: int, lean: float,
) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"]]:  # fmt: skip
    """(elbow, wrist) of an arm whose two angles are drawn from a mode; side is 1 for the arm on the image's right."""
    mean, spread, fore_mean, fore_spread, relative, _ = _MODES[mode]
    upper = rng.normal(mean, spread * style.angle_spread)
    fore = rng.normal(fore_mean, fore_spread * style.angle_spread) + (upper if relative else 0)
    # Nobody folds an arm shut: the hand would go through the upper arm.
    fore = upper + min(max(fore - upper, -150), 150)
    # Forearms that cross the torso or point up in front of it come towards the camera most.
    most = style.foreshortening * np.array([1.0, 2.0 if fore < -30 else 1.0])
    upper_px, fore_px = lengths * (1 - most * rng.random(2) ** 1.5)
    elbow = shoulder + upper_px * heading(lean + np.pi / 2 - side * math.radians(upper))
    return elbow, elbow + fore_px * heading(lean + np.pi / 2 - side * math.radians(fore))


def _reach(
    rng: np.random.Generator, shoulder: Float[np.ndarray, " 2"], head: Float[np.ndarray, " 2"],
    lengths: Float[np.ndarray, " 2"], head_px: Float[np.ndarray, " 2"], side: int,
) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"]]:  # fmt: skip
    """(elbow, wrist) of an arm whose hand is near the head: two circles meet, the elbow is the outer point."""
    goal = head + head_px * [side * rng.uniform(0.1, 1.5), rng.uniform(-1.0, 1.4)] - shoulder
    upper, fore = lengths * rng.uniform(0.75, 1.0, 2)
    far = float(np.clip(np.linalg.norm(goal), abs(upper - fore) * 1.05, (upper + fore) * 0.99))
    along = goal / max(float(np.linalg.norm(goal)), 1e-6)
    offset = (far**2 + upper**2 - fore**2) / (2 * far)
    outwards = np.array([-along[1], along[0]])
    outwards = outwards * (side if outwards[0] > 0 else -side)
    elbow = shoulder + along * offset + outwards * np.sqrt(max(upper**2 - offset**2, 0.0))
    return elbow, shoulder + along * far
