"""First-layer filters: which frequency and direction each looks for (FACTS 8: edge and gradient detectors)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

PAD = 64  # of the spectrum, which interpolates between the few frequencies that so small a filter has
GREY = np.array([0.299, 0.587, 0.114])


class Filter(NamedTuple):
    """What one filter looks for.

    Attributes:
        frequency: cycles a pixel of the strongest wave, 0 to 0.71; 0: it has no contrast at all.
        orientation_deg: of that wave's crests, hence of an edge that fits: 0 along a row, 90 along a column, [0, 180).
        oriented: 0 to 1, how much of the spectrum agrees on it; 0 for a blob.
        colour: 0 to 1, the share of its energy that is no light and dark.
    """

    frequency: float
    orientation_deg: float
    oriented: float
    colour: float


def describe(weights: Float[np.ndarray, "map 3 down across"]) -> list[Filter]:
    """Every filter of a first layer on RGB."""
    return [_describe(one.astype(np.float64)) for one in weights]


def _describe(weight: Float[np.ndarray, "3 down across"]) -> Filter:
    grey = np.tensordot(GREY, weight, axes=1)
    centred = grey - grey.mean()
    power = np.abs(np.fft.fft2(centred, s=(PAD, PAD))) ** 2
    down, across = np.meshgrid(np.fft.fftfreq(PAD), np.fft.fftfreq(PAD), indexing="ij")
    total = power.sum()
    shade = weight.sum(axis=0) / 3
    energy = (weight**2).sum()
    colour = float(1 - 3 * (shade**2).sum() / energy) if energy else 0.0
    if total < 1e-20:
        return Filter(0.0, 0.0, 0.0, max(colour, 0.0))
    peak = np.unravel_index(power.argmax(), power.shape)
    wave = np.arctan2(down[peak], across[peak])  # the way that brightness changes
    angles = np.arctan2(down, across)
    oriented = abs((power * np.exp(2j * angles)).sum()) / total
    # Rows count downwards: the crest is at right angles to the wave, and angles are said as seen, counter-clockwise
    orientation = float(np.degrees(-wave) + 90) % 180
    return Filter(float(np.hypot(down[peak], across[peak])), orientation, float(oriented), max(colour, 0.0))
