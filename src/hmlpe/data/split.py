"""The validation split, cut from the training split by image."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from hmlpe.errors import UserError


def split_by_image(
    images: np.ndarray, fraction: float, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]:
    """Rows for training and for validation; no image is in both.

    Args:
        images: the image's name of every row.
        fraction: the share of images that validates, in (0, 1).
        seed: of the choice; it is not the run's seed, so that all runs of a study share one split.

    Raises:
        UserError: the fraction is outside (0, 1), or leaves a side empty.
    """
    names = np.unique(images)
    count = round(fraction * len(names)) if 0 < fraction < 1 else 0
    if not 0 < count < len(names):
        raise UserError(f"data.validation.fraction: {fraction} of {len(names)} training images leaves a split empty")
    chosen = np.random.default_rng(seed).permutation(names)[:count]
    validates = np.isin(images, chosen)
    return np.flatnonzero(~validates), np.flatnonzero(validates)
