"""The two steps of the percentile bootstrap: how often each one is drawn, and the interval that the draws span."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def counts(ones: int, draws: int, seed: int) -> Float[np.ndarray, "draw one"]:
    """How often each of `ones` (people, seeds) is in each draw with replacement; the first row is each of them once."""
    drawn = np.random.default_rng(seed).multinomial(ones, np.full(ones, 1 / ones), size=draws)
    return np.concatenate([np.ones((1, ones)), drawn])


def interval(values: Float[np.ndarray, " draw"], level: float) -> tuple[float, float]:
    """The middle `level` of the values that the draws gave; those that are not finite aside, NaN if all are."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    low, high = np.quantile(known.astype(float), [tail, 1 - tail])
    return float(low), float(high)
