"""Bounding boxes, crops, and the maps between image and crop coordinates, which are exact inverses.

Image coordinates are continuous (x, y) with pixel centres at integers: pixel i covers [i - 0.5, i + 0.5].
A box is x0 y0 x1 y1, its edges in the same coordinates. A crop of a box has pixel centres at integers too,
so the box's left edge lies at -0.5 in the crop and its right edge at size - 0.5.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

SHRINK_ABOVE = 6  # image pixels per crop pixel above which the image is shrunk first; frames of films stay below it

Points = Float[np.ndarray, "*batch 2"]
Box = Float[np.ndarray, " 4"]


def image_to_crop(points_px: Points, box_px: Float[np.ndarray, "*#batch 4"], size: int) -> Points:
    """Map points from image pixels to pixels of a crop of `size` x `size` that shows the box; NaN stays NaN."""
    origin, extent = box_px[..., :2], box_px[..., 2:] - box_px[..., :2]
    return np.asarray((points_px - origin) / extent * size - 0.5)


def crop_to_image(points_px: Points, box_px: Float[np.ndarray, "*#batch 4"], size: int) -> Points:
    """Map points from crop pixels to image pixels: the exact inverse of `image_to_crop`."""
    origin, extent = box_px[..., :2], box_px[..., 2:] - box_px[..., :2]
    return np.asarray((points_px + 0.5) / size * extent + origin)


def scale_box(box_px: Box, factors: tuple[float, float, float]) -> Box:
    """Return the box that the network's crop shows: a detection's box, scaled by factors fitted on a training set.

    See section 4 of the paper, and FACTS 5.

    Args:
        box_px: the detection, x0 y0 x1 y1.
        factors: (across, up, down): the new half width in half widths of the detection, and how far the box is extended
            beyond the detection's upper and lower edge, in half heights of the detection.
    """
    across, up, down = factors
    centre_x = (box_px[0] + box_px[2]) / 2
    half_width, half_height = (box_px[2:] - box_px[:2]) / 2
    return np.array(
        [
            centre_x - across * half_width,
            box_px[1] - up * half_height,
            centre_x + across * half_width,
            box_px[3] + down * half_height,
        ]
    )


def bounding_box(points_px: Float[np.ndarray, "point 2"], margin: float) -> Box:
    """Return the box around all known points, NaN if none is known.

    Each side is moved outwards by `margin` times the longer side.
    """
    known = points_px[np.isfinite(points_px).all(axis=1)]
    if not len(known):
        return np.full(4, np.nan)
    low, high = known.min(axis=0), known.max(axis=0)
    pad = margin * float((high - low).max())
    return np.concatenate([low - pad, high + pad])


def union(box_px: Box, other_px: Box) -> Box:
    """Return the smallest box that holds both; a box that is NaN is ignored."""
    return np.concatenate([np.fmin(box_px[:2], other_px[:2]), np.fmax(box_px[2:], other_px[2:])])


def iou(a_px: Box, b_px: Box) -> float:
    """Return the intersection over union of two boxes (x0 y0 x1 y1); 0 if one is NaN or has no area.

    >>> iou(np.array([0.0, 0, 2, 2]), np.array([0.0, 1, 2, 3]))
    0.3333333333333333
    """
    sides = np.minimum(a_px[2:], b_px[2:]) - np.maximum(a_px[:2], b_px[:2])
    if not (sides > 0).all():
        return 0.0
    common = sides.prod()
    return float(common / ((a_px[2:] - a_px[:2]).prod() + (b_px[2:] - b_px[:2]).prod() - common))


def crop_resized(
    image: UInt8[np.ndarray, "height width 3"], box_px: Box, size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """Return the box's region of the image, resized to `size` x `size` with antialiasing; its aspect ratio is not kept.

    Where the box reaches beyond the image, the border pixels are repeated.

    Raises:
        ValueError: the box has no area, or is not finite.
    """
    if not (np.isfinite(box_px).all() and (box_px[2:] > box_px[:2]).all()):
        raise ValueError(f"box without area: {box_px.tolist()}")
    shrink = int((box_px[2:] - box_px[:2]).min() / size / SHRINK_ABOVE)
    if shrink > 1:  # as for a close-up in a photo of many megapixels with a box that reaches far beyond it
        image = np.asarray(Image.fromarray(image).reduce(shrink))
        box_px = (box_px + 0.5) / shrink - 0.5
    height, width = image.shape[:2]
    left, top, right, bottom = box_px + 0.5  # Pillow puts pixel EDGES at integers
    x0, y0, x1, y1 = int(np.floor(left)), int(np.floor(top)), int(np.ceil(right)), int(np.ceil(bottom))
    rows = np.clip(np.arange(y0, y1), 0, height - 1)
    columns = np.clip(np.arange(x0, x1), 0, width - 1)
    region = Image.fromarray(image[rows[:, None], columns[None, :]])
    window = (left - x0, top - y0, right - x0, bottom - y0)
    return np.asarray(region.resize((size, size), Image.Resampling.BILINEAR, box=window))
