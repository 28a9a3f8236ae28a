"""Colour noise along the principal axes of an image's colours."""

from __future__ import annotations

from typing import Any

import albumentations as A
import cv2
import numpy as np
from jaxtyping import Float, UInt8

_COVARIANCE = cv2.COVAR_NORMAL | cv2.COVAR_ROWS | cv2.COVAR_SCALE


class PcaColourNoise(A.ImageOnlyTransform):  # type: ignore[misc] # albumentations has no types
    """Adds one random colour to all pixels, mostly along the axis in which the image's own colours differ most.

    The added colour is normally distributed with mean 0. Along each principal axis of the pixels' colours, its standard
    deviation is `strength` times that of the pixels' colours. The idea is from Krizhevsky et al. 2012. A.FancyPCA does
    something else: it stretches the colours about their mean, which does not change; at its default strength of 0.1 a
    photo's pixels change by 0.1 of 255.

    Args:
        strength: standard deviation of the noise, in standard deviations of the image's colours.
        p: probability that the noise is applied.
    """

    def __init__(self, strength: float | int = 0.1, p: float | int = 1) -> None:
        super().__init__(p=p)
        self.strength = strength

    def get_params(self) -> dict[str, Any]:
        """Draw a standard normal number for each of the three principal axes."""
        return {"draw": self.random_generator.standard_normal(3)}

    def apply(
        self, img: UInt8[np.ndarray, "height width 3"], draw: Float[np.ndarray, 3], **params: Any
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Return the image with one random colour added to all pixels, made of the normal numbers `draw` (3,)."""
        covariance, _ = cv2.calcCovarMatrix(img.reshape(-1, 3), np.empty((1, 3)), _COVARIANCE)
        variances, axes = np.linalg.eigh(covariance)
        # The symmetric root of the covariance: the signs of the axes, which the solver chooses freely, cancel.
        shift = self.strength * (axes * np.sqrt(variances.clip(min=0))) @ axes.T @ draw
        return np.asarray(np.clip(np.rint(img + shift.astype(np.float32)), 0, 255), dtype=np.uint8)
