"""Paint a scene: background, stray limbs, the person's layers and occluders; then simulate light and camera."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.data.sources.embedded.figure import (
    Wardrobe,
    person_layers,
    random_cloth,
    random_colour,
    random_skin,
    random_wardrobe,
)
from hmlpe.data.sources.embedded.pose import ARMS, Body, sample_body, unit_vector
from hmlpe.data.sources.embedded.shapes import Layer, Material, hull_outline, limb_layer
from hmlpe.data.sources.embedded.style import Style

_SPARE: Final = 64  # pixels by which the cloth texture is larger than the picture


class Painter:
    """Paints layers, one over the other, into one image.

    Args:
        picture: (3, height, width) float32 image, painted in place; channels come first, as blending is then faster.
        rng: random generator for the folds and blotches of the cloth.
        light: direction in which the light travels, in radians.
        shading: how much darker a limb's side away from the light is; 0: not at all.
        grain_px: image pixels per unit of a material's period.
    """

    def __init__(
        self, picture: Float[np.ndarray, "3 height width"], rng: np.random.Generator,
        light: float, shading: float, grain_px: float,
    ) -> None:  # fmt: skip
        self.picture, self._rng, self._shading, self._grain = picture, rng, shading, grain_px
        self._light = math.cos(light), math.sin(light)
        size = (picture.shape[2] + _SPARE, picture.shape[1] + _SPARE)
        folds = 1 + np.float32(0.09) * rng.standard_normal((28, 28), dtype=np.float32)
        self._folds = cv2.resize(folds, size, interpolation=cv2.INTER_CUBIC)
        cells = int(rng.integers(30, 80))
        self._blotches = cv2.resize(rng.random((cells, cells), dtype=np.float32), size, interpolation=cv2.INTER_LINEAR)

    def paint(self, layer: Layer) -> None:
        """Blend the layer over the picture; parts outside it are cut off."""
        height, width = self.picture.shape[1:]
        pad = 5 if layer.shadow else 2
        left, top, wide, high = cv2.boundingRect(layer.outline_px)
        x0, y0 = max(left - pad, 0), max(top - pad, 0)
        x1, y1 = min(left + wide + pad, width), min(top + high + pad, height)
        if x1 <= x0 or y1 <= y0:
            return
        part = self.picture[:, y0:y1, x0:x1]
        points = np.rint((layer.outline_px - np.array([x0, y0], np.float32)) * np.float32(16)).astype(np.int32)
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillConvexPoly(mask, points, 255, cv2.LINE_AA, 4)
        alpha = mask.astype(np.float32)
        alpha *= np.float32(1 / 255)
        keep = 1 - alpha
        if layer.shadow:
            keep *= 1 - cv2.blur(alpha, (7, 7)) * np.float32(layer.shadow)
        part *= keep
        base = np.array(layer.material.base, np.float32)[:, None, None]
        if layer.material.kind == "flat":
            part += base * (alpha * np.float32(layer.tint))
        else:
            mix, shade = self._cloth_texture(layer, x0, y0, x1 - x0, y1 - y0)
            shade *= alpha
            part += base * shade
            if mix is not None:
                shade *= mix
                part += (np.array(layer.material.second, np.float32)[:, None, None] - base) * shade
        if layer.edge:
            line = np.zeros_like(mask)
            cv2.polylines(line, [points], True, 255, 1, cv2.LINE_AA, 4)
            part *= 1 - line.astype(np.float32) * np.float32(layer.edge / 255)

    def _cloth_texture(
        self, layer: Layer, x0: int, y0: int, width: int, height: int
    ) -> tuple[Float[np.ndarray, "height width"] | None, Float[np.ndarray, "height width"]]:
        """Return the share of the second colour (None: 0) and the brightness of each pixel of cloth on a round limb."""
        origin_x, origin_y = layer.outline_px[0].tolist() if layer.origin_px is None else layer.origin_px.tolist()
        x = np.arange(x0, x0 + width, dtype=np.float32) - np.float32(origin_x)
        y = np.arange(y0, y0 + height, dtype=np.float32)[:, None] - np.float32(origin_y)
        # Every layer uses another part of the folds, else a fold would continue from the sleeve into the torso.
        shift = self._rng.integers(_SPARE, size=2).tolist()
        window = slice(shift[0], shift[0] + height), slice(shift[1], shift[1] + width)
        normal_x, normal_y = -math.sin(layer.angle), math.cos(layer.angle)
        side = x * np.float32(normal_x / layer.half_px) + y * np.float32(normal_y / layer.half_px)
        shade = (np.float32(-(normal_x * self._light[0] + normal_y * self._light[1])) - side) * side
        shade *= np.float32(self._shading * layer.tint)
        shade += np.float32(layer.tint)
        shade *= self._folds[window]
        material = layer.material
        if material.kind == "plain":
            return None, shade
        if material.kind == "noise":
            return self._blotches[window] * np.float32(material.contrast), shade
        mix = self._stripe_pattern(x, y, layer.angle + material.angle, material)
        if material.kind == "checks":
            mix += self._stripe_pattern(x, y, layer.angle + material.angle + np.pi / 2, material)
            mix *= np.float32(0.5)
        return mix, shade

    def _stripe_pattern(
        self, x: Float[np.ndarray, " width"], y: Float[np.ndarray, "height 1"], angle: float, material: Material
    ) -> Float[np.ndarray, "height width"]:
        """Return soft stripes across the direction `angle` (radians), with values from 0 to the material's contrast."""
        pace = 2 * np.pi / (material.period * self._grain)
        wave = np.sin(x * np.float32(pace * math.cos(angle)) + y * np.float32(pace * math.sin(angle)))
        wave *= np.float32(1.5 * material.contrast)
        wave += np.float32(0.5 * material.contrast)
        return np.asarray(np.minimum(np.maximum(wave, 0), np.float32(material.contrast)))


def paint_background(
    rng: np.random.Generator, style: Style, image_px: int, wardrobe: Wardrobe
) -> Float[np.ndarray, "3 image_px image_px"]:
    """Return a random background (3, image_px, image_px), float32: gradient, rectangles, ellipses, lines and noise."""
    corners = np.array([random_colour(rng) for _ in range(4)], np.float32).reshape(2, 2, 3)
    corners = 0.5 * corners + 0.5 * corners.mean((0, 1))
    picture = cv2.resize(corners, (image_px, image_px), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    mimic = rng.random() < style.camouflage_p
    for number in range(int(rng.poisson(style.shapes_n))):
        colour = wardrobe.cloth.base if mimic and number % 3 == 0 else random_colour(rng)
        x, y = rng.integers(-20, image_px + 20, 2).tolist()
        wide, high = (image_px * rng.uniform(0.03, 0.4, 2)).astype(int).tolist()
        kind = rng.integers(4)
        if kind == 0:
            cv2.rectangle(picture, (x, y), (x + wide, y + high), colour, -1)
        elif kind == 1:
            cv2.ellipse(picture, (x, y), (wide // 2, high // 2), rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
        elif kind == 2:
            end = (x + int(rng.integers(-99, 100)), y + int(rng.integers(-99, 100)))
            cv2.line(picture, (x, y), end, colour, int(rng.integers(1, 12)), cv2.LINE_AA)
        else:
            for step in range(int(rng.integers(3, 8))):  # shelves, blinds, bricks
                at = y + step * max(high // 4, 4)
                cv2.rectangle(picture, (x, at), (x + wide, at + max(high // 10, 1)), colour, -1)
    rough = np.zeros((1, 1), np.float32)
    for cells in (5, 17, 53):  # each scale is added to the coarser ones
        rough = np.asarray(cv2.resize(rough, (cells, cells), interpolation=cv2.INTER_LINEAR))
        rough += np.float32(style.texture_noise * rng.random()) * rng.standard_normal((cells, cells), dtype=np.float32)
    result = np.array(cv2.split(picture), np.float32)
    result += cv2.resize(rough, (image_px, image_px), interpolation=cv2.INTER_LINEAR)
    return result


def layers_behind(rng: np.random.Generator, style: Style, image_px: int, wardrobe: Wardrobe) -> list[Layer]:
    """Return random layers behind the annotated person: stray arms, and sometimes another person."""
    layers: list[Layer] = []
    if rng.random() < style.bystander_p:
        side = (1 if rng.random() < 0.5 else -1) * rng.uniform(0.35, 0.6) * image_px
        layers += person_layers(sample_body(rng, style, image_px, side), random_wardrobe(rng, style), rng, style)
    for _ in range(int(rng.poisson(style.stray_limbs_n))):
        cloth = wardrobe.cloth if rng.random() < 0.5 else random_cloth(rng, style)
        start, angle = rng.uniform(0, image_px, 2), rng.uniform(0, 2 * np.pi)
        layers += _stray_arm_layers(
            rng, style, image_px, start, angle, random_skin(rng) if rng.random() < 0.25 else cloth
        )
    return layers


def layers_in_front(
    rng: np.random.Generator, style: Style, image_px: int, wardrobe: Wardrobe, body: Body
) -> list[Layer]:
    """Return random layers that hide parts of the person: another person's arm, a table, a pole, or an object."""
    layers: list[Layer] = []
    unit = body.unit_px
    if rng.random() < style.reaching_arm_p:
        right = bool(rng.random() < 0.5)
        start = np.array([image_px + 2.0 if right else -3.0, rng.uniform(0.3, 0.9) * image_px])
        cloth = wardrobe.cloth if rng.random() < 0.3 else random_cloth(rng, style)
        layers += _stray_arm_layers(rng, style, image_px, start, (np.pi if right else 0) + rng.normal(0, 0.5), cloth)
    if rng.random() < style.occluder_p:
        kind, material = rng.integers(4), random_cloth(rng, style)
        if kind == 0:  # a table in front of the hips
            top, slope = body.hips_px[0, 1] - unit * rng.uniform(-0.1, 0.3), rng.normal(0, 0.04)
            left, right_end = np.array([-40.0, top]), np.array([image_px + 40.0, top + slope * image_px])
            deep = np.array([0.0, image_px])
            outline = np.stack([left, right_end, right_end + deep, left + deep]).astype(np.float32)
            layers.append(Layer(outline, material, angle=slope, half_px=3.0 * image_px, edge=style.outline))
        elif kind == 1:  # a pole
            foot = np.array([rng.uniform(0, image_px), image_px + 9.0])
            top_end = foot + np.array([rng.normal(0, 15), -image_px - 20.0])
            layers.append(limb_layer(foot, top_end, (unit * 0.05, unit * 0.05), material, edge=style.outline))
        else:  # a book, bag or screen, at a hand or somewhere on the body
            at = body.joints_px[ARMS[int(rng.integers(2))][2]] if kind == 2 else body.joints_px.mean(0)
            centre = at + rng.normal(0, 0.15 if kind == 2 else 0.4, 2) * unit
            turn, half = rng.normal(0, 0.4), unit * rng.uniform(0.06, 0.22, 2)
            a, b = unit_vector(turn) * half[0], unit_vector(turn + np.pi / 2) * half[1]
            outline = hull_outline([centre + a + b, centre + a - b, centre - a + b, centre - a - b], [unit * 0.015] * 4)
            layers.append(Layer(outline, material, (), centre, turn, float(2 * max(half)), edge=style.outline))
    return layers


def _stray_arm_layers(
    rng: np.random.Generator, style: Style, image_px: int, start: Float[np.ndarray, " 2"], angle: float, cloth: Material
) -> list[Layer]:
    """Return the layers of a bent arm, mostly with a hand, that does not belong to the annotated person."""
    size = image_px * style.unit * rng.uniform(0.75, 1.25)
    elbow = start + unit_vector(angle) * 0.58 * size
    bent = angle + rng.normal(0, 0.9)
    wrist = elbow + unit_vector(bent) * 0.49 * size
    edge = style.outline
    layers = [limb_layer(start, elbow, (0.115 * size, 0.095 * size), cloth, edge=edge)]
    if rng.random() < 0.7:
        layers.append(
            limb_layer(wrist, wrist + unit_vector(bent) * 0.12 * size, (0.055 * size, 0.05 * size), random_skin(rng))
        )
    return [*layers, limb_layer(elbow, wrist, (0.092 * size, 0.065 * size), cloth, edge=edge)]


def add_camera_effects(
    scene: Float[np.ndarray, "3 height width"], rng: np.random.Generator, style: Style
) -> UInt8[np.ndarray, "height width 3"]:
    """Return the painted scene as a photo: with uneven light, shadow, blur, gain, colour cast and noise."""
    height, width = scene.shape[1:]
    ramp = 1 + rng.uniform(-1, 1, (2, 2)).astype(np.float32) * np.float32(style.gradient)
    light = np.asarray(cv2.resize(ramp, (width, height), interpolation=cv2.INTER_LINEAR))
    if rng.random() < style.shadow_p:
        shade = np.zeros((height, width), np.uint8)
        points = (rng.uniform(-0.3, 1.3, (4, 2)) * [width, height]).astype(np.float32)
        cv2.fillConvexPoly(shade, cv2.convexHull(points).astype(np.int32), 255)
        size = int(rng.integers(1, 12)) * 2 + 1
        light = light * (
            1 - np.float32(rng.uniform(0.15, 0.5) / 255) * cv2.blur(shade, (size, size)).astype(np.float32)
        )
    cast = np.exp(rng.normal(0, style.gain_spread)) * (1 + rng.normal(0, 0.06, 3))
    result = np.asarray(
        cv2.merge([plane * light * np.float32(factor) for plane, factor in zip(scene, cast, strict=True)])
    )
    sigma = float(rng.uniform(0, style.blur_px))
    if sigma > 0.2:
        result = np.asarray(cv2.GaussianBlur(result, (5, 5), sigma))
    # The sum of two random bytes approximates a normal number and is several times faster to draw.
    dice = np.frombuffer(rng.bytes(2 * result.size), np.uint8).reshape(2, *result.shape)
    grain = np.add(dice[0], dice[1], dtype=np.uint16).astype(np.float32)
    grain -= 255
    grain *= np.float32(style.noise * rng.uniform(0.2, 1.6) / 104.5)
    result += grain
    np.maximum(np.rint(result, out=result), 0, out=result)
    return np.asarray(np.minimum(result, 255, out=result), np.uint8)
