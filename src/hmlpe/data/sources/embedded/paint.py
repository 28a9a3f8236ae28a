"""Painting: layers filled with cloth, shaded as round bodies and blended into a picture."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float

from hmlpe.data.sources.embedded.shapes import Layer, Material

_SPARE: Final = 64  # pixels by which the cloth is larger than the picture


class Painter:
    """Paints layers into one picture.

    Args:
        picture: (3, height, width) float32, painted in place; planes first, because blending is then faster.
        rng: draws the folds and blotches of the cloth.
        light: direction in which the light travels, in radians.
        shading: how much darker the side away from the light is.
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
        """Blend the layer over the picture; what lies outside is cut off."""
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
            mix, shade = self._surface(layer, x0, y0, x1 - x0, y1 - y0)
            shade *= alpha
            part += base * shade
            if mix is not None:
                shade *= mix
                part += (np.array(layer.material.second, np.float32)[:, None, None] - base) * shade
        if layer.edge:
            line = np.zeros_like(mask)
            cv2.polylines(line, [points], True, 255, 1, cv2.LINE_AA, 4)
            part *= 1 - line.astype(np.float32) * np.float32(layer.edge / 255)

    def _surface(
        self, layer: Layer, x0: int, y0: int, width: int, height: int
    ) -> tuple[Float[np.ndarray, "height width"] | None, Float[np.ndarray, "height width"]]:
        """Share of the second colour (None: nowhere) and brightness, (height, width): the cloth on a round body."""
        origin_x, origin_y = layer.outline_px[0].tolist() if layer.origin_px is None else layer.origin_px.tolist()
        x = np.arange(x0, x0 + width, dtype=np.float32) - np.float32(origin_x)
        y = np.arange(y0, y0 + height, dtype=np.float32)[:, None] - np.float32(origin_y)
        # Every layer sees another part of the folds, else a fold would run on from the sleeve into the torso.
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
        mix = self._wave(x, y, layer.angle + material.angle, material)
        if material.kind == "checks":
            mix += self._wave(x, y, layer.angle + material.angle + np.pi / 2, material)
            mix *= np.float32(0.5)
        return mix, shade

    def _wave(
        self, x: Float[np.ndarray, " width"], y: Float[np.ndarray, "height 1"], angle: float, material: Material
    ) -> Float[np.ndarray, "height width"]:
        """(height, width) stripes across the direction `angle`, from 0 to the material's contrast, with soft edges."""
        pace = 2 * np.pi / (material.period * self._grain)
        wave = np.sin(x * np.float32(pace * math.cos(angle)) + y * np.float32(pace * math.sin(angle)))
        wave *= np.float32(1.5 * material.contrast)
        wave += np.float32(0.5 * material.contrast)
        return np.asarray(np.minimum(np.maximum(wave, 0), np.float32(material.contrast)))
