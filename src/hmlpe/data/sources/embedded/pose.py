"""Pose prior and body proportions: sample the joints of a person, before anything is painted."""

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
# (upper arm mean, spread; forearm mean, spread; forearm relative to the upper arm; may be behind the torso)
_MODES: Final = (
    (12.0, 10.0, -8.0, 16.0, True, True),  # hanging
    (42.0, 11.0, -45.0, 20.0, False, True),  # hand on hip
    (2.0, 12.0, -98.0, 16.0, False, False),  # folded, crossing the torso
    (12.0, 14.0, -58.0, 22.0, False, False),  # hands in front
    (22.0, 16.0, -150.0, 40.0, False, False),  # forearm up, gesturing
    (130.0, 24.0, 25.0, 50.0, True, False),  # raised
    (72.0, 18.0, -15.0, 55.0, True, False),  # out to the side
)
_AT_HEAD: Final = len(_MODES)  # the last mode has no angles, but a target for the hand near the head


@dataclass(frozen=True)
class Body:
    """A posed body, in image pixels.

    Attributes:
        joints_px: (8, 2) in the order of JOINTS.
        hips_px: (2, 2) left and right hip.
        unit_px: torso height, the unit of all widths.
        lean: angle of the torso in radians, positive when the image's right side is lower.
        yaw: rotation of head and torso in radians, positive when facing the image's right.
        head_px: (2,) half width and half height of the head.
        head_tilt: angle of the head in radians.
        girth: width of the limbs relative to the average.
        arm_behind: for the left and the right arm, whether it is behind the torso.
    """

    joints_px: Float[np.ndarray, "8 2"]
    hips_px: Float[np.ndarray, "2 2"]
    unit_px: float
    lean: float
    yaw: float
    head_px: Float[np.ndarray, " 2"]
    head_tilt: float
    girth: float
    arm_behind: tuple[bool, bool]

    @property
    def torso_px(self) -> float:
        """Return the distance from left shoulder to right hip, in pixels."""
        return float(np.linalg.norm(self.joints_px[L_SHOULDER] - self.hips_px[1]))


def unit_vector(angle: float) -> Float[np.ndarray, " 2"]:
    """Return the unit vector (2,) that points to the image's right, rotated by `angle` radians towards the bottom."""
    return np.array([math.cos(angle), math.sin(angle)])


def rotated_axes(angle: float) -> Float[np.ndarray, "2 2"]:
    """Return unit vectors to the image's right and bottom as rows (2, 2), both rotated by `angle` radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, sin], [-sin, cos]])


def sample_body(rng: np.random.Generator, style: Style, image_px: int, shift_px: float = 0.0) -> Body:
    """Sample a body in the middle of an image with side `image_px`, shifted to the right by `shift_px`."""

    def vary(length: float) -> float:
        """Return the length, multiplied by a random factor around 1."""
        return length * math.exp(_clipped_normal(rng, style.proportion_spread))

    unit = image_px * style.unit * math.exp(_clipped_normal(rng, style.unit_spread))
    neck = image_px * (np.array([0.5, 0.43]) + rng.normal(0, style.place_spread, 2)) + [shift_px, 0]
    lean = math.radians(rng.normal(0, style.lean_deg))
    tilt = lean + math.radians(rng.normal(0, style.tilt_deg))
    yaw = math.radians(min(max(rng.normal(0, style.yaw_deg), -50), 50))
    across, down = rotated_axes(lean)

    shoulder = unit_vector(tilt) * vary(0.36) * unit * math.cos(yaw)
    hip = across * vary(0.2) * unit * math.cos(yaw)
    middle = neck + down * vary(0.95) * unit
    head_px = np.array([vary(0.175), vary(0.245)]) * unit
    head_tilt = lean + math.radians(rng.normal(0, 8))
    head = neck + unit_vector(head_tilt - np.pi / 2) * (0.13 * unit + head_px[1]) + across * 0.12 * unit * math.sin(yaw)

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
            joints[elbow], joints[wrist] = _arm_to_head(rng, joints[origin], head, lengths, head_px, side)
        else:
            joints[elbow], joints[wrist] = _arm_by_angles(rng, style, joints[origin], lengths, mode, side, lean)
        under.append(mode != _AT_HEAD and _MODES[mode][5] and bool(rng.random() < style.under_p))
    hips = np.stack([middle + hip, middle - hip])
    return Body(joints, hips, unit, lean, yaw, head_px, head_tilt, vary(1.0), (under[0], under[1]))


def _clipped_normal(rng: np.random.Generator, spread: float) -> float:
    """Sample a normal number with mean 0 and standard deviation `spread`, clipped at 2.5 standard deviations."""
    return spread * min(max(rng.normal(), -2.5), 2.5)


def _arm_by_angles(
    rng: np.random.Generator, style: Style, shoulder: Float[np.ndarray, " 2"], lengths: Float[np.ndarray, " 2"],
    mode: int, side: int, lean: float,
) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"]]:  # fmt: skip
    """Sample an arm by its angles, and return elbow and wrist (2,) in image pixels.

    Args:
        shoulder: (2,) in image pixels.
        lengths: (2,) of upper and lower arm, in pixels.
        mode: index of the mode of the pose prior, `Style.modes`.
        side: 1 for the arm on the image's right, -1 for the other.
        lean: angle of the torso in radians.
    """
    mean, spread, fore_mean, fore_spread, relative, _ = _MODES[mode]
    upper = rng.normal(mean, spread * style.angle_spread)
    fore = rng.normal(fore_mean, fore_spread * style.angle_spread) + (upper if relative else 0)
    # The elbow bends at most 150 degrees, else the hand would pass through the upper arm.
    fore = upper + min(max(fore - upper, -150), 150)
    # Forearms that cross the torso or point up in front of it are foreshortened most.
    most = style.foreshortening * np.array([1.0, 2.0 if fore < -30 else 1.0])
    upper_px, fore_px = lengths * (1 - most * rng.random(2) ** 1.5)
    elbow = shoulder + upper_px * unit_vector(lean + np.pi / 2 - side * math.radians(upper))
    return elbow, elbow + fore_px * unit_vector(lean + np.pi / 2 - side * math.radians(fore))


def _arm_to_head(
    rng: np.random.Generator, shoulder: Float[np.ndarray, " 2"], head: Float[np.ndarray, " 2"],
    lengths: Float[np.ndarray, " 2"], head_px: Float[np.ndarray, " 2"], side: int,
) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"]]:  # fmt: skip
    """Sample an arm whose hand is near the head, and return elbow and wrist (2,) in image pixels.

    Of the two possible elbows the outer one is taken.
    """
    goal = head + head_px * [side * rng.uniform(0.1, 1.5), rng.uniform(-1.0, 1.4)] - shoulder
    upper, fore = lengths * rng.uniform(0.75, 1.0, 2)
    far = float(np.clip(np.linalg.norm(goal), abs(upper - fore) * 1.05, (upper + fore) * 0.99))
    along = goal / max(float(np.linalg.norm(goal)), 1e-6)
    offset = (far**2 + upper**2 - fore**2) / (2 * far)
    outwards = np.array([-along[1], along[0]])
    outwards = outwards * (side if outwards[0] > 0 else -side)
    elbow = shoulder + along * offset + outwards * np.sqrt(max(upper**2 - offset**2, 0.0))
    return elbow, shoulder + along * far
