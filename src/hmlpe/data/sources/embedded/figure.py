"""Convert a body to layers to paint: torso, head, arms and hands, in the colours and cloth of a wardrobe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float

from hmlpe.data.sources.embedded.pose import ARMS, HEAD, L_SHOULDER, NECK, R_SHOULDER, Body, rotated_axes, unit_vector
from hmlpe.data.sources.embedded.shapes import Colour, Layer, Material, ellipse_outline, hull_outline, limb_layer
from hmlpe.data.sources.embedded.style import Style

_SKIN: Final = (
    (236.0, 196.0, 170.0),
    (222.0, 174.0, 140.0),
    (198.0, 144.0, 108.0),
    (150.0, 102.0, 72.0),
    (98.0, 66.0, 48.0),
)
_HAIR: Final = (
    (28.0, 22.0, 20.0),
    (66.0, 44.0, 30.0),
    (112.0, 76.0, 46.0),
    (190.0, 150.0, 92.0),
    (150.0, 148.0, 146.0),
    (120.0, 52.0, 30.0),
)
_PATTERNS: Final[tuple[Literal["stripes", "checks", "noise"], ...]] = ("stripes", "checks", "noise")


@dataclass(frozen=True)
class Wardrobe:
    """The materials in which one person is painted; `hands` is skin, the cloth of the sleeves, or a glove."""

    skin: Material
    hair: Material
    cloth: Material
    trousers: Material
    hands: Material
    inner: Material


def random_colour(rng: np.random.Generator) -> Colour:
    """Return a random RGB colour of any hue and lightness, more often muted than bright."""
    grey = rng.uniform(20, 235)
    return _vary_colour(rng, (grey, grey, grey), 28.0)


def random_skin(rng: np.random.Generator) -> Material:
    """Return a material with a random skin tone."""
    return Material(_vary_colour(rng, _SKIN[rng.integers(len(_SKIN))], 6.0), kind="plain")


def random_cloth(rng: np.random.Generator, style: Style) -> Material:
    """Return a random cloth, plain or patterned."""
    base = random_colour(rng)
    if rng.random() >= style.textured_p:
        return Material(base, kind="plain")
    kind = _PATTERNS[rng.integers(len(_PATTERNS))]
    contrast = float(style.texture_contrast * rng.uniform(0.4, 1.6))
    angle = 0.0 if rng.random() < 0.4 else float(rng.uniform(0, np.pi))
    return Material(base, random_colour(rng), kind, min(contrast, 1.0), float(rng.uniform(5, 24)), angle)


def random_wardrobe(rng: np.random.Generator, style: Style) -> Wardrobe:
    """Return random materials for a person."""
    skin, cloth = random_skin(rng), random_cloth(rng, style)
    hair = Material(_vary_colour(rng, _HAIR[rng.integers(len(_HAIR))], 8.0), kind="noise", contrast=0.35, period=8.0)
    hands = skin
    if rng.random() < style.glove_p:
        hands = cloth if rng.random() < 0.6 else Material(random_colour(rng), kind="plain")
    return Wardrobe(skin, hair, cloth, random_cloth(rng, style), hands, Material(random_colour(rng), kind="plain"))


def _vary_colour(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """Return the colour, changed by random amounts."""
    red, green, blue = (rng.standard_normal(3) * spread + colour).tolist()
    return min(max(red, 5.0), 250.0), min(max(green, 5.0), 250.0), min(max(blue, 5.0), 250.0)


def back_hair_layers(body: Body, wardrobe: Wardrobe, rng: np.random.Generator) -> list[Layer]:
    """Return the layer of the hair behind head and shoulders, of a random length, as a list; empty for short hair."""
    length = (0.0, 0.5, 1.3, 2.2)[rng.integers(4)]
    if not length:
        return []
    head, down = body.joints_px[HEAD], unit_vector(body.head_tilt + np.pi / 2)
    wide, high = body.head_px
    tips = [head - down * 0.1 * high, head + down * length * high]
    outline = hull_outline(tips, [wide * rng.uniform(1.1, 1.3), wide * rng.uniform(0.8, 1.2)])
    return [Layer(outline, wardrobe.hair, angle=body.head_tilt + np.pi / 2, half_px=1.3 * wide, origin_px=head)]


def head_layers(body: Body, wardrobe: Wardrobe, rng: np.random.Generator, style: Style) -> list[Layer]:
    """Return the layers of neck, face, hair, and sometimes hat, beard or glasses, from back to front.

    The head joint is the middle of the face.
    """
    middle, tilt, unit = body.joints_px[HEAD], body.head_tilt, body.unit_px
    wide, high = body.head_px
    across, down = axes = rotated_axes(tilt)
    look = across * np.sin(body.yaw) * 0.45 * wide

    def ellipse_on_head(
        x: float,
        y: float,
        half_x: float,
        half_y: float,
        material: Material,
        turn_factor: float = 1.0,
        tint: float = 1.0,
    ) -> Layer:
        """Return an ellipse at (x, y), in half widths and half heights of the head.

        `turn_factor` scales how far the ellipse moves sideways when the head is turned.
        """
        centre = middle + look * turn_factor + across * x * wide + down * y * high
        return Layer(
            ellipse_outline(centre, np.array([half_x * wide, half_y * high]), tilt), material, (HEAD,), tint=tint
        )

    def without_texture(material: Material) -> Material:
        return Material(material.base)

    face = ellipse_outline(middle, body.head_px, tilt)
    throat = limb_layer(
        middle + down * 0.6 * high, body.joints_px[NECK], (0.1 * unit, 0.11 * unit), wardrobe.skin, (NECK,), 0.88
    )
    upright, shadow, edge = tilt + np.pi / 2, min(style.cast_shadow, 1.0), min(style.outline, 1.0)
    layers = [throat, Layer(face, wardrobe.skin, (HEAD,), middle, upright, wide, shadow=shadow, edge=edge)]
    skin, hair, dark = without_texture(wardrobe.skin), without_texture(wardrobe.hair), Material((35.0, 28.0, 28.0))
    if rng.random() < 0.2:
        layers.append(ellipse_on_head(0.0, 0.55, 0.72, 0.42, hair, 0.4))
    for x in (-0.4, 0.4):
        layers.append(ellipse_on_head(x, -0.13, 0.17, 0.07, dark))
    layers.append(ellipse_on_head(0.0, 0.15, 0.11, 0.16, skin, 1.3, 0.86))
    layers.append(
        ellipse_on_head(0.0, 0.5, rng.uniform(0.2, 0.36), rng.uniform(0.04, 0.1), Material((140.0, 60.0, 60.0)))
    )
    if rng.random() < 0.15:
        layers += [ellipse_on_head(x, -0.1, 0.3, 0.17, dark) for x in (-0.4, 0.4)]

    # Hair over the forehead is the part of a larger ellipse above a slanted line.
    if rng.random() < 0.88:
        line = rng.uniform(-0.62, -0.3)
        crown = (
            ellipse_outline(middle - down * 0.08 * high, body.head_px * np.array([1.13, 1.1]), tilt) - middle
        ) @ axes.T
        fringe = line * high + rng.uniform(-0.35, 0.35) * crown[:, 0]
        crown[:, 1] = np.minimum(crown[:, 1], fringe)
        cap = (middle + crown @ axes).astype(np.float32)
        layers.append(Layer(cap, wardrobe.hair, (HEAD,), middle, upright, 1.2 * wide))
    if rng.random() < 0.15:
        layers.append(ellipse_on_head(0.0, -0.72, 1.12, 0.5, wardrobe.inner, 0.0))
        layers.append(ellipse_on_head(0.0, -0.48, 1.4, 0.1, wardrobe.inner, 0.8, 0.8))
    return layers


def person_layers(body: Body, wardrobe: Wardrobe, rng: np.random.Generator, style: Style) -> list[Layer]:
    """Return all layers of a person from back to front: arms behind the torso first, and the other arms last."""
    arms = [_arm_layers(body, wardrobe, rng, style, side) for side in (0, 1)]
    behind = [layer for arm, under in zip(arms, body.arm_behind, strict=True) if under for layer in arm]
    order = (0, 1) if rng.random() < 0.5 else (1, 0)
    over = [layer for side in order if not body.arm_behind[side] for layer in arms[side]]
    hair = back_hair_layers(body, wardrobe, rng)
    return [*hair, *behind, *_torso_layers(body, wardrobe, rng, style), *head_layers(body, wardrobe, rng, style), *over]


def _torso_layers(body: Body, wardrobe: Wardrobe, rng: np.random.Generator, style: Style) -> list[Layer]:
    """Return the layers of trousers or skirt, of the trunk, and of a neckline, open jacket, tie or zip on it."""
    unit, joints = body.unit_px, body.joints_px
    across, down = rotated_axes(body.lean)
    hips = list(body.hips_px)
    broad = 0.5 * float(np.linalg.norm(joints[L_SHOULDER] - joints[R_SHOULDER])) + 0.1 * unit
    legs = [hip + down * unit for hip in hips]
    radius = 0.12 * unit * body.girth
    upright = body.lean + np.pi / 2
    edge = style.outline * rng.uniform(0.3, 1.5)
    hem = [hip + down * unit * rng.uniform(0.0, 0.2) for hip in hips]
    neck = joints[NECK]
    trunk = hull_outline(
        [joints[L_SHOULDER], joints[R_SHOULDER], neck - down * 0.04 * unit, *hem],
        [0.105 * unit, 0.105 * unit, 0.13 * unit, radius, radius],
    )
    layers = [
        Layer(hull_outline([*hips, *legs], [radius] * 4), wardrobe.trousers, (), neck, upright, broad),
        Layer(trunk, wardrobe.cloth, (L_SHOULDER, R_SHOULDER, NECK), neck, upright, broad, edge=min(edge, 1.0)),
    ]
    turned = across * np.sin(body.yaw) * 0.2 * unit
    width = across * 0.1 * unit
    front = rng.integers(4)
    if front == 0:  # an open jacket over something else
        low = neck + down * unit * rng.uniform(0.5, 1.0) + turned
        gap = hull_outline([neck + turned - width, neck + turned + width, low], [0.02 * unit] * 3)
        layers.append(Layer(gap, wardrobe.inner, (NECK,), neck, upright, broad))
    elif front in (1, 2):  # a neckline, under it sometimes a tie or a zip
        depth = neck + turned + down * unit * rng.uniform(0.03, 0.22)
        line = hull_outline([neck + turned - width, neck + turned + width, depth], [0.02 * unit] * 3)
        layers.append(Layer(line, wardrobe.skin, (NECK,), neck, upright, broad))
        if front == 2:
            size = unit * rng.uniform(0.012, 0.05)
            strip = Material(wardrobe.inner.base)
            layers.append(limb_layer(depth, depth + down * unit * rng.uniform(0.4, 0.8), (0.6 * size, size), strip))
    return layers


def _arm_layers(body: Body, wardrobe: Wardrobe, rng: np.random.Generator, style: Style, side: int) -> list[Layer]:
    """Return the layers of one arm, from back to front: upper sleeve, hand, lower sleeve; `side` 0 is the left."""
    shoulder, elbow, wrist = ARMS[side]
    points, unit = body.joints_px, body.unit_px
    thick = unit * body.girth * np.array([0.115, 0.095, 0.068])
    edge = min(style.outline * rng.uniform(0.3, 1.5), 1.0)
    tints = 1 + rng.normal(0, style.limb_tint, 2)
    cast = style.cast_shadow * rng.uniform(0.3, 1.3)
    shadow = 0.0 if body.arm_behind[side] else min(cast, 1.0)
    upper = limb_layer(
        points[shoulder], points[elbow], (thick[0], thick[1]), wardrobe.cloth, (shoulder, elbow),
        tints[0], shadow, edge,
    )  # fmt: skip
    # The sleeve ends AT the wrist, so that the joint is where the cloth ends and the hand begins.
    fore = points[wrist] - points[elbow]
    along = fore / max(float(np.linalg.norm(fore)), 1e-6)
    end = points[wrist] - along * thick[2] * 0.8
    lower = limb_layer(
        points[elbow], end, (thick[1] * 0.97, thick[2]), wardrobe.cloth, (elbow, wrist), tints[1], shadow, edge
    )
    return [upper, *_hand_layers(points[wrist], along, unit, wardrobe.hands, rng, (wrist,), edge), lower]


def _hand_layers(
    wrist_px: Float[np.ndarray, " 2"], along: Float[np.ndarray, " 2"], unit: float, material: Material,
    rng: np.random.Generator, own_joints: tuple[int, ...], edge: float,
) -> list[Layer]:  # fmt: skip
    """Return the layers of a hand that is a little bent at the wrist: thumb, and palm with fingers.

    Args:
        wrist_px: (2,) the wrist, where the hand begins.
        along: (2,) unit vector in the direction of the lower arm.
        unit: torso height in pixels.
        material: skin or glove.
        own_joints: joints that belong to the hand, see `Layer`.
        edge: darkness of the outline.
    """
    angle = float(np.arctan2(along[1], along[0]) + rng.normal(0, 0.3))
    ahead, thumb = unit_vector(angle), unit_vector(angle + (0.8 if rng.random() < 0.5 else -0.8))
    knuckles = wrist_px + ahead * 0.1 * unit
    tips = knuckles + unit_vector(angle + rng.normal(0, 0.3)) * unit * rng.uniform(0.0, 0.12)
    palm = hull_outline([wrist_px, knuckles, tips], [0.05 * unit, 0.062 * unit, 0.038 * unit])
    return [
        limb_layer(
            wrist_px + thumb * 0.04 * unit,
            wrist_px + thumb * 0.13 * unit,
            (0.03 * unit, 0.025 * unit),
            material,
            own_joints,
        ),
        Layer(palm, material, own_joints, wrist_px, angle, 0.065 * unit, edge=edge),
    ]
