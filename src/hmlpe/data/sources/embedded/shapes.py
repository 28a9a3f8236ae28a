"""Layers of a painted scene: convex outlines, filled with materials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.sources.embedded.pose import rotated_axes, unit_vector

Colour = tuple[float, float, float]
_CIRCLE: Final = np.stack([unit_vector(angle) for angle in np.linspace(0, 2 * np.pi, 20, endpoint=False)])


@dataclass(frozen=True)
class Material:
    """A surface: a base colour, and a second colour in a pattern with a period, rotated by an angle (radians)."""

    base: Colour
    second: Colour = (0.0, 0.0, 0.0)
    kind: Literal["flat", "plain", "stripes", "checks", "noise"] = "flat"
    contrast: float = 0.0
    period: float = 8.0
    angle: float = 0.0


@dataclass(frozen=True, eq=False)
class Layer:
    """A convex shape to paint.

    Attributes:
        outline_px: (point, 2) float32 image pixels, pixel centres at integers; convex.
        material: what fills it; "flat" is neither textured nor shaded.
        own_joints: indices of joints that belong to the layer: they stay visible, all other joints under it are hidden.
        origin_px: (2,) start of the layer's axis, where its texture begins; None: the first point of the outline.
        angle: angle of the axis, in radians.
        half_px: half width of the layer, for the shading.
        tint: brightness relative to the material.
        shadow: strength of the shadow that it casts on layers under it.
        edge: darkness of its outline.
    """

    outline_px: Float[np.ndarray, "point 2"]
    material: Material
    own_joints: tuple[int, ...] = ()
    origin_px: Float[np.ndarray, " 2"] | None = None
    angle: float = 0.0
    half_px: float = 1.0
    tint: float = 1.0
    shadow: float = 0.0
    edge: float = 0.0

    def covers(self, points_px: Float[np.ndarray, "point_under 2"]) -> Bool[np.ndarray, " point_under"]:
        """Return a mask of the points that lie inside the outline."""
        inside = [cv2.pointPolygonTest(self.outline_px, (x, y), False) >= 0 for x, y in points_px.tolist()]
        return np.array(inside, dtype=bool)


def hull_outline(
    centres_px: Sequence[Float[np.ndarray, " 2"]], radii_px: Sequence[float]
) -> Float[np.ndarray, "point 2"]:
    """Return the outline (point, 2), float32, of the convex hull of circles; that of two is a tapered, rounded limb."""
    circles = np.array(centres_px)[:, None] + np.array(radii_px)[:, None, None] * _CIRCLE
    return np.ascontiguousarray(cv2.convexHull(circles.reshape(-1, 2).astype(np.float32))[:, 0])


def ellipse_outline(
    centre_px: Float[np.ndarray, " 2"], half_px: Float[np.ndarray, " 2"], angle: float = 0.0
) -> Float[np.ndarray, "20 2"]:
    """Return the outline (20, 2), float32, of an ellipse with the half axes `half_px`, rotated by `angle` radians."""
    return np.asarray(centre_px + (_CIRCLE * half_px) @ rotated_axes(angle), np.float32)


def limb_layer(
    start_px: Float[np.ndarray, " 2"], end_px: Float[np.ndarray, " 2"], radii_px: tuple[float, float],
    material: Material, own_joints: tuple[int, ...] = (), tint: float = 1.0, shadow: float = 0.0, edge: float = 0.0,
) -> Layer:  # fmt: skip
    """Return the layer of a tapered limb from `start_px` to `end_px`, with these radii at its ends."""
    dx, dy = end_px - start_px
    outline = hull_outline([start_px, end_px], radii_px)
    return Layer(outline, material, own_joints, start_px, math.atan2(dy, dx), max(radii_px), tint, shadow, edge)
