"""Files whose people are told by windows, none of which fits anybody: said at once, with how far off they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hmlpe.errors import UserError
from hmlpe.evaluate.truth import Truth
from hmlpe.geometry import iou

Box = Float[np.ndarray, " 4"]


def check_matched(path: Path, truth: Truth, windows: Mapping[int, Sequence[Box]], matched: int) -> None:
    """Raise UserError if the file has people in images of annotated ones, and nobody is found.

    A file that has nobody in any image says that nobody is found, which is an answer.

    Args:
        windows: person -> the windows that the file has in this person's image.
        matched: how many people are found.
    """
    pairs = [(truth.window_px[person], box) for person, boxes in windows.items() for box in boxes]
    if matched or not pairs:
        return
    best = max(iou(true, box) for true, box in pairs)
    sizes = [np.sqrt((box[2:] - box[:2]).prod() / (true[2:] - true[:2]).prod()) for true, box in pairs]
    raise UserError(
        f"{path}: nobody of {len(truth)} test people of {truth.data} is found: no window has an IoU above 0.5 with the "
        f"true one (the best {best:.2f}), and they are {np.nanmedian(sizes):.2g} times as large; are the pixels those "
        "of the set's own images, and the windows x0 y0 x1 y1?"
    )
