"""How sure a mean over seeds is: for these trained networks, and for the recipe that made them."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from hmlpe.resample import interval

DRAWS, LEVEL, SEED = 2000, 0.95, 0  # as hmlpe-evaluate draws

Interval = tuple[float, float]


def over_people(values: Float[np.ndarray, "seed draw"], shots: int) -> Interval:
    """Of the mean over these very seeds: the people drawn anew, shot by shot.

    Args:
        values: of each seed, of the people themselves first, then of each draw of people.
        shots: that were drawn.
    """
    return interval(values[:, 1:].mean(0), LEVEL, shots)


def over_both(values: Float[np.ndarray, "seed draw"], shots: int) -> Interval:
    """Of the mean over all seeds there could be, of two at least: the half widths over people and over seeds in one.

    That over seeds is Student's (1908), t * s / sqrt(seeds), as a bootstrap over few seeds cannot leave their range.
    """
    seeds = values[:, 0].astype(float)
    mean, (low, high) = float(seeds.mean()), over_people(values, shots)
    quantile = float(stdtrit(len(seeds) - 1, (1 + LEVEL) / 2))
    half = quantile * float(seeds.std(ddof=1)) / math.sqrt(len(seeds))
    return mean - math.hypot(max(mean - low, 0.0), half), mean + math.hypot(max(high - mean, 0.0), half)
