"""The two steps of the percentile bootstrap: draw how often each person counts, and take the interval of the draws.

People of one shot are alike, so a shot is drawn with all its people. Drawn one by one, they would count as more
independent samples than they are, and the interval would be too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, stdtrit


def bootstrap_counts(shots: Sequence[str] | np.ndarray, draws: int, seed: int) -> Float[np.ndarray, "draw person"]:
    """Draw shots with replacement, and return how often each person is in each draw.

    The first of the draws is the sample itself, in which everyone counts once.

    Args:
        shots: (person,) the name of the camera shot that shows the person; people of one shot are drawn together.
        draws: number of bootstrap draws.
        seed: seed of the draws.
    """
    names, shot = np.unique(np.asarray(shots), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return np.concatenate([np.ones((1, len(shot))), drawn[:, shot]])


def bootstrap_interval(values: Float[np.ndarray, " draw"], level: float, shots: int) -> tuple[float, float]:
    """Return the lower and upper end of the percentile interval that holds the middle `level` of the drawn values.

    Values that are not finite are left out; if none is finite, both ends are NaN.

    With few shots n, the draws vary too little, by a factor sqrt((n - 1) / n), and the quantiles of a normal are
    narrower than Student's. The level is expanded to make up for both (the expanded percentile interval of Hesterberg
    2015, What Teachers Should Know About the Bootstrap). With a hundred shots the interval hardly changes.

    Args:
        values: the statistic in each bootstrap draw.
        level: the share of the values that the interval holds, e.g. 0.95.
        shots: the number of shots that were drawn from.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    if shots > 1:
        tail = float(ndtr(math.sqrt(shots / (shots - 1)) * stdtrit(shots - 1, tail)))
    low, high = np.quantile(known.astype(float), [tail, 1 - tail])
    return float(low), float(high)
