"""The head: hair, face and what sits on it."""

from __future__ import annotations

import numpy as np

from hmlpe.data.sources.embedded.pose import HEAD, NECK, Body, frame, heading
from hmlpe.data.sources.embedded.shapes import Layer, Material, ellipse, hull, limb
from hmlpe.data.sources.embedded.style import Style
from hmlpe.data.sources.embedded.wardrobe import Wardrobe


def back_hair(body: Body, wardrobe: Wardrobe, rng: np.random.Generator) -> list[Layer]:
    """Hair behind head and shoulders: long, medium or none."""
    length = (0.0, 0.5, 1.3, 2.2)[rng.integers(4)]
    if not length:
        return []
    head, down = body.joints_px[HEAD], heading(body.head_tilt + np.pi / 2)
    wide, high = body.head_px
    tips = [head - down * 0.1 * high, head + down * length * high]
    outline = hull(tips, [wide * rng.uniform(1.1, 1.3), wide * rng.uniform(0.8, 1.2)])
    return [Layer(outline, wardrobe.hair, angle=body.head_tilt + np.pi / 2, half_px=1.3 * wide, origin_px=head)]


def head(body: Body, wardrobe: Wardrobe, rng: np.random.Generator, style: Style) -> list[Layer]:
    """Neck, face, hair and sometimes a hat, a beard or glasses. The head joint is the middle of the face."""
    middle, tilt, unit = body.joints_px[HEAD], body.head_tilt, body.unit_px
    wide, high = body.head_px
    across, down = axes = frame(tilt)
    look = across * np.sin(body.yaw) * 0.45 * wide

    def spot(
        x: float, y: float, half_x: float, half_y: float, material: Material, cheek: float = 1.0, tint: float = 1.0
    ) -> Layer:
        centre = middle + look * cheek + across * x * wide + down * y * high
        return Layer(ellipse(centre, np.array([half_x * wide, half_y * high]), tilt), material, (HEAD,), tint=tint)

    def flat(material: Material) -> Material:
        return Material(material.base)

    face = ellipse(middle, body.head_px, tilt)
    throat = limb(
        middle + down * 0.6 * high, body.joints_px[NECK], (0.1 * unit, 0.11 * unit), wardrobe.skin, (NECK,), 0.88
    )
    upright, shadow, edge = tilt + np.pi / 2, min(style.cast_shadow, 1.0), min(style.outline, 1.0)
    layers = [throat, Layer(face, wardrobe.skin, (HEAD,), middle, upright, wide, shadow=shadow, edge=edge)]
    skin, hair, dark = flat(wardrobe.skin), flat(wardrobe.hair), Material((35.0, 28.0, 28.0))
    if rng.random() < 0.2:
        layers.append(spot(0.0, 0.55, 0.72, 0.42, hair, 0.4))
    for x in (-0.4, 0.4):
        layers.append(spot(x, -0.13, 0.17, 0.07, dark))
    layers.append(spot(0.0, 0.15, 0.11, 0.16, skin, 1.3, 0.86))
    layers.append(spot(0.0, 0.5, rng.uniform(0.2, 0.36), rng.uniform(0.04, 0.1), Material((140.0, 60.0, 60.0))))
    if rng.random() < 0.15:
        layers += [spot(x, -0.1, 0.3, 0.17, dark) for x in (-0.4, 0.4)]

    # Hair falls over the forehead: the part of a larger ellipse above a slanted line.
    if rng.random() < 0.88:
        line = rng.uniform(-0.62, -0.3)
        crown = (ellipse(middle - down * 0.08 * high, body.head_px * np.array([1.13, 1.1]), tilt) - middle) @ axes.T
        fringe = line * high + rng.uniform(-0.35, 0.35) * crown[:, 0]
        crown[:, 1] = np.minimum(crown[:, 1], fringe)
        cap = (middle + crown @ axes).astype(np.float32)
        layers.append(Layer(cap, wardrobe.hair, (HEAD,), middle, upright, 1.2 * wide))
    if rng.random() < 0.15:
        layers.append(spot(0.0, -0.72, 1.12, 0.5, wardrobe.inner, 0.0))
        layers.append(spot(0.0, -0.48, 1.4, 0.1, wardrobe.inner, 0.8, 0.8))
    return layers
