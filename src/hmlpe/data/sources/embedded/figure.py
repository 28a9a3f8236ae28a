"""A body becomes layers: torso, arms and hands in the clothes of a wardrobe."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hmlpe.data.sources.embedded.head import back_hair, head
from hmlpe.data.sources.embedded.pose import ARMS, L_SHOULDER, NECK, R_SHOULDER, Body, frame, heading
from hmlpe.data.sources.embedded.shapes import Layer, Material, hull, limb
from hmlpe.data.sources.embedded.style import Style
from hmlpe.data.sources.embedded.wardrobe import Wardrobe


def figure(body: Body, wardrobe: Wardrobe, rng: np.random.Generator, style: Style) -> list[Layer]:
    """The person from back to front. Arms behind the torso come first, the others last, in either order."""
    arms = [_arm(body, wardrobe, rng, style, side) for side in (0, 1)]
    behind = [layer for arm, under in zip(arms, body.under, strict=True) if under for layer in arm]
    order = (0, 1) if rng.random() < 0.5 else (1, 0)
    over = [layer for side in order if not body.under[side] for layer in arms[side]]
    hair = back_hair(body, wardrobe, rng)
    return [*hair, *behind, *_torso(body, wardrobe, rng, style), *head(body, wardrobe, rng, style), *over]


def _torso(body: Body, wardrobe: Wardrobe, rng: np.random.Generator, style: Style) -> list[Layer]:
    """Trousers or skirt, the trunk, and on it a collar, an open front, a tie or a zip."""
    unit, joints = body.unit_px, body.joints_px
    across, down = frame(body.lean)
    hips = list(body.hips_px)
    broad = 0.5 * float(np.linalg.norm(joints[L_SHOULDER] - joints[R_SHOULDER])) + 0.1 * unit
    legs = [hip + down * unit for hip in hips]
    radius = 0.12 * unit * body.girth
    upright = body.lean + np.pi / 2
    edge = style.outline * rng.uniform(0.3, 1.5)
    hem = [hip + down * unit * rng.uniform(0.0, 0.2) for hip in hips]
    neck = joints[NECK]
    trunk = hull(
        [joints[L_SHOULDER], joints[R_SHOULDER], neck - down * 0.04 * unit, *hem],
        [0.105 * unit, 0.105 * unit, 0.13 * unit, radius, radius],
    )
    layers = [
        Layer(hull([*hips, *legs], [radius] * 4), wardrobe.trousers, (), neck, upright, broad),
        Layer(trunk, wardrobe.cloth, (L_SHOULDER, R_SHOULDER, NECK), neck, upright, broad, edge=min(edge, 1.0)),
    ]
    turned = across * np.sin(body.yaw) * 0.2 * unit
    width = across * 0.1 * unit
    front = rng.integers(4)
    if front == 0:  # an open jacket over something else
        low = neck + down * unit * rng.uniform(0.5, 1.0) + turned
        gap = hull([neck + turned - width, neck + turned + width, low], [0.02 * unit] * 3)
        layers.append(Layer(gap, wardrobe.inner, (NECK,), neck, upright, broad))
    elif front in (1, 2):  # a neckline, under it sometimes a tie or a zip
        depth = neck + turned + down * unit * rng.uniform(0.03, 0.22)
        line = hull([neck + turned - width, neck + turned + width, depth], [0.02 * unit] * 3)
        layers.append(Layer(line, wardrobe.skin, (NECK,), neck, upright, broad))
        if front == 2:
            size = unit * rng.uniform(0.012, 0.05)
            strip = Material(wardrobe.inner.base)
            layers.append(limb(depth, depth + down * unit * rng.uniform(0.4, 0.8), (0.6 * size, size), strip))
    return layers


def _arm(body: Body, wardrobe: Wardrobe, rng: np.random.Generator, style: Style, side: int) -> list[Layer]:
    """Sleeve and hand of one arm (side 0 is the left): upper arm, forearm, hand."""
    shoulder, elbow, wrist = ARMS[side]
    points, unit = body.joints_px, body.unit_px
    thick = unit * body.girth * np.array([0.115, 0.095, 0.068])
    edge = min(style.outline * rng.uniform(0.3, 1.5), 1.0)
    tints = 1 + rng.normal(0, style.limb_tint, 2)
    cast = style.cast_shadow * rng.uniform(0.3, 1.3)
    shadow = 0.0 if body.under[side] else min(cast, 1.0)
    upper = limb(
        points[shoulder], points[elbow], (thick[0], thick[1]), wardrobe.cloth, (shoulder, elbow),
        tints[0], shadow, edge,
    )  # fmt: skip
    # The sleeve ends AT the wrist, so that the joint is where cloth turns into hand.
    fore = points[wrist] - points[elbow]
    along = fore / max(float(np.linalg.norm(fore)), 1e-6)
    end = points[wrist] - along * thick[2] * 0.8
    lower = limb(
        points[elbow], end, (thick[1] * 0.97, thick[2]), wardrobe.cloth, (elbow, wrist), tints[1], shadow, edge
    )
    return [upper, *_hand(points[wrist], along, unit, wardrobe.hands, rng, (wrist,), edge), lower]


def _hand(
    wrist_px: Float[np.ndarray, " 2"], along: Float[np.ndarray, " 2"], unit: float, material: Material,
    rng: np.random.Generator, own: tuple[int, ...], edge: float,
) -> list[Layer]:  # fmt: skip
    """Palm, fingers (a fist or stretched) and thumb, bent a little at the wrist."""
    angle = float(np.arctan2(along[1], along[0]) + rng.normal(0, 0.3))
    ahead, thumb = heading(angle), heading(angle + (0.8 if rng.random() < 0.5 else -0.8))
    knuckles = wrist_px + ahead * 0.1 * unit
    tips = knuckles + heading(angle + rng.normal(0, 0.3)) * unit * rng.uniform(0.0, 0.12)
    palm = hull([wrist_px, knuckles, tips], [0.05 * unit, 0.062 * unit, 0.038 * unit])
    return [
        limb(
            wrist_px + thumb * 0.04 * unit, wrist_px + thumb * 0.13 * unit, (0.03 * unit, 0.025 * unit), material, own
        ),
        Layer(palm, material, own, wrist_px, angle, 0.065 * unit, edge=edge),
    ]
