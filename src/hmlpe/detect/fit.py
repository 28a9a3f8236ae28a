"""How a detector's boxes lie to the windows of true people, and how many of them it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hmlpe.detect.box_map import BoxMap, relative_to
from hmlpe.detect.cascade import Found
from hmlpe.detect.match import DETECTED, index_of_detection
from hmlpe.geometry import iou

# A box that no map has been fitted for is taken to be of a person if its centre lies about the middle of the window
# and it is neither very small nor very large.
NEAR = 0.35  # of the window's height, to the left and right of the window's centre
SIZES = (0.15, 1.5)  # the box's height over the window's

Windows = Float[np.ndarray, "_ 4"]  # of one image's people; how many differs from image to image
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class Relation:
    """A cascade's own boxes against the windows of the people that they are of.

    Attributes:
        quartiles: (quartile, 3) of shift, top and height of the map (`BoxMap`) from box to window; NaN without boxes.
        boxes: how many boxes these are.
        sum_low: the tenth part of the sums of boxes that are of nobody is below it: a cascade's `zero`.
        sum_true: the median sum of boxes that are of somebody: `weight` is 1 / (this - sum_low).
    """

    quartiles: Float[np.ndarray, "quartile 3"]
    boxes: int
    sum_low: float
    sum_true: float


@dataclass(frozen=True)
class Score:
    """What was found.

    Attributes:
        people: with a known window.
        found: those with a window of the detector's whose IoU with theirs is above 0.5.
        false: windows of no annotated person; a person whom nobody annotated counts here.
        images: seen.
    """

    people: int
    found: int
    false: int
    images: int

    @property
    def recall(self) -> float:
        """Share of the people that was found; NaN without people."""
        return self.found / self.people if self.people else float("nan")

    @property
    def false_per_image(self) -> float:
        """False windows per image; NaN without images."""
        return self.false / self.images if self.images else float("nan")


def relation(truths: Sequence[Windows], found: Sequence[Found]) -> Relation:
    """Over several images: the surest box near each person, and how the others score."""
    rows: list[Float[np.ndarray, " 3"]] = []
    true: list[float] = []
    others: list[float] = []
    for windows, (boxes, sums) in zip(truths, found, strict=True):
        taken = np.zeros(len(boxes), dtype=bool)
        for window in windows:
            near = _near(window, boxes)
            if near.any():
                surest = int(np.flatnonzero(near)[sums[near].argmax()])
                rows.append(relative_to(window, boxes[surest]))
                true.append(sums[surest])
            taken |= near
        others.extend(sums[~taken])
    quartiles = np.quantile(np.array(rows).reshape(-1, 3), QUARTILES, axis=0) if rows else np.full((3, 3), np.nan)
    low = float(np.quantile(others, 0.1)) if others else float("nan")
    return Relation(quartiles, len(rows), low, float(np.median(true)) if true else float("nan"))


def score(truths: Sequence[Windows], found: Sequence[Windows]) -> Score:
    """How many of the people the windows are of."""
    hits = false = 0
    for windows, own in zip(truths, found, strict=True):
        hits += sum(index_of_detection(window, list(own)) is not None for window in windows)
        false += sum(all(iou(one, window) <= DETECTED for window in windows) for one in own)
    return Score(sum(map(len, truths)), hits, false, len(truths))


def score_of_boxes(truths: Sequence[Windows], found: Sequence[Found], to_window: BoxMap) -> Score:
    """`score` of a cascade's own boxes, each brought to its window by the map."""
    return score(truths, [to_window(boxes) for boxes, _ in found])


def _near(window: Float[np.ndarray, " 4"], boxes: Float[np.ndarray, "box 4"]) -> np.ndarray:
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    height = window[3] - window[1]
    size = (boxes[:, 3] - boxes[:, 1]) / height
    aside = np.abs(centre[:, 0] - (window[0] + window[2]) / 2)
    level = (centre[:, 1] > window[1]) & (centre[:, 1] < window[3])
    return np.asarray(level & (aside < NEAR * height) & (size > SIZES[0]) & (size < SIZES[1]))
