"""The two steps of the percentile bootstrap: how often each one is drawn, and the interval that the draws span.

People of one shot are alike, so a shot is drawn with all its people: drawn one by one, they would pass for more than
they are, and the interval would be too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, stdtrit


def counts(shots: Sequence[str] | np.ndarray, draws: int, seed: int) -> Float[np.ndarray, "draw person"]:
    """How often each person is in each draw, with replacement, of the shots; the first row is each of them once.

    Args:
        shots: of every person, which shot; people of one are drawn together.
    """
    names, shot = np.unique(np.asarray(shots), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return np.concatenate([np.ones((1, len(shot))), drawn[:, shot]])


def interval(values: Float[np.ndarray, " draw"], level: float, shots: int) -> tuple[float, float]:
    """The middle `level` of the values that the draws gave; those that are not finite aside, NaN if all are.

    Draws of few shots vary too little, by sqrt((n - 1) / n), and a normal's quantiles are not Student's: the level is
    expanded by both (the expanded percentile interval of Hesterberg 2015, What Teachers Should Know About the
    Bootstrap). Of a hundred shots it hardly is.

    Args:
        shots: that were drawn.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    if shots > 1:
        tail = float(ndtr(math.sqrt(shots / (shots - 1)) * stdtrit(shots - 1, tail)))
    low, high = np.quantile(known.astype(float), [tail, 1 - tail])
    return float(low), float(high)
