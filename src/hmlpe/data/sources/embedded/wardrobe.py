"""Colours and cloth: what a person is made of and wears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from hmlpe.data.sources.embedded.shapes import Colour, Material
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
    """The materials of one person; hands are skin, the cloth of the sleeves, or a glove."""

    skin: Material
    hair: Material
    cloth: Material
    trousers: Material
    hands: Material
    inner: Material


def any_colour(rng: np.random.Generator) -> Colour:
    """Muted more often than bright, of any hue and lightness."""
    grey = rng.uniform(20, 235)
    return _near(rng, (grey, grey, grey), 28.0)


def any_skin(rng: np.random.Generator) -> Material:
    """A skin tone."""
    return Material(_near(rng, _SKIN[rng.integers(len(_SKIN))], 6.0), kind="plain")


def any_cloth(rng: np.random.Generator, style: Style) -> Material:
    """Plain or patterned cloth."""
    base = any_colour(rng)
    if rng.random() >= style.textured_p:
        return Material(base, kind="plain")
    kind = _PATTERNS[rng.integers(len(_PATTERNS))]
    contrast = float(style.texture_contrast * rng.uniform(0.4, 1.6))
    angle = 0.0 if rng.random() < 0.4 else float(rng.uniform(0, np.pi))
    return Material(base, any_colour(rng), kind, min(contrast, 1.0), float(rng.uniform(5, 24)), angle)


def dress(rng: np.random.Generator, style: Style) -> Wardrobe:
    """The clothes and colours of a person."""
    skin, cloth = any_skin(rng), any_cloth(rng, style)
    hair = Material(_near(rng, _HAIR[rng.integers(len(_HAIR))], 8.0), kind="noise", contrast=0.35, period=8.0)
    hands = skin
    if rng.random() < style.glove_p:
        hands = cloth if rng.random() < 0.6 else Material(any_colour(rng), kind="plain")
    return Wardrobe(skin, hair, cloth, any_cloth(rng, style), hands, Material(any_colour(rng), kind="plain"))


def _near(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    red, green, blue = (rng.standard_normal(3) * spread + colour).tolist()
    return min(max(red, 5.0), 250.0), min(max(green, 5.0), 250.0), min(max(blue, 5.0), 250.0)
