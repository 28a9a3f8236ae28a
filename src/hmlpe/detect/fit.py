"""Measure how a detector's boxes lie relative to the windows of annotated people, and how many people it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hmlpe.detect.box_map import BoxMap, box_map_parameters
from hmlpe.detect.cascade import CascadeBoxes
from hmlpe.detect.match import DETECTED, index_of_detection
from hmlpe.geometry import iou

# Before a map is fitted, a box is taken to show a person if its centre lies near the middle of the person's window
# and it is neither very small nor very large.
MAX_OFFSET = 0.35  # largest horizontal distance between the centres, in heights of the window
HEIGHT_RANGE = (0.15, 1.5)  # range of the box's height over the window's

Windows = Float[np.ndarray, "_ 4"]  # the windows in one image; their number differs between images
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class BoxRelation:
    """How a cascade's own boxes lie relative to the upper-body windows of the people that they show.

    Attributes:
        quartiles: (quartile, 3) quartiles of the shift, top and height of the upper-body window relative to the
            cascade's box (the fields of `BoxMap`); NaN without boxes.
        boxes: number of boxes that show somebody.
        sum_low: 10 % quantile of the last-stage scores (sums of the weak classifiers' votes) of boxes that show nobody.
            As a cascade's score is (sum - `zero`) * `weight`, this is a value for its `zero`.
        sum_true: median last-stage score of boxes that show somebody; with 1 / (sum_true - sum_low) as the cascade's
            `weight`, such a box has the score 1.
    """

    quartiles: Float[np.ndarray, "quartile 3"]
    boxes: int
    sum_low: float
    sum_true: float


@dataclass(frozen=True)
class DetectionScore:
    """Counts of the people that a detector found, and of its false windows.

    Attributes:
        people: number of people with a known window.
        found: number of these people for whom the detector has a window with an IoU above 0.5.
        false: number of windows that show no annotated person; a window of a person without annotation counts as false.
        images: number of images.
    """

    people: int
    found: int
    false: int
    images: int

    @property
    def recall(self) -> float:
        """Return the share of the people that were found; NaN without people."""
        return self.found / self.people if self.people else float("nan")

    @property
    def false_per_image(self) -> float:
        """Return the number of false windows per image; NaN without images."""
        return self.false / self.images if self.images else float("nan")


def relate_boxes(true_windows: Sequence[Windows], cascade_boxes: Sequence[CascadeBoxes]) -> BoxRelation:
    """Return how a cascade's boxes lie relative to people's windows, over several images.

    Each person's window is compared to the box near it that has the highest last-stage sum.

    Args:
        true_windows: for each image, the windows of the annotated people.
        cascade_boxes: for each image, the cascade's boxes and their last-stage sums.
    """
    rows: list[Float[np.ndarray, " 3"]] = []
    true: list[float] = []
    others: list[float] = []
    for windows, (boxes, sums) in zip(true_windows, cascade_boxes, strict=True):
        taken = np.zeros(len(boxes), dtype=bool)
        for window in windows:
            near = _may_show_person(window, boxes)
            if near.any():
                surest = int(np.flatnonzero(near)[sums[near].argmax()])
                rows.append(box_map_parameters(window, boxes[surest]))
                true.append(sums[surest])
            taken |= near
        others.extend(sums[~taken])
    quartiles = np.quantile(np.array(rows).reshape(-1, 3), QUARTILES, axis=0) if rows else np.full((3, 3), np.nan)
    low = float(np.quantile(others, 0.1)) if others else float("nan")
    return BoxRelation(quartiles, len(rows), low, float(np.median(true)) if true else float("nan"))


def score_windows(true_windows: Sequence[Windows], detected_windows: Sequence[Windows]) -> DetectionScore:
    """Count, over several images, the people whom a detector's windows find, and the windows that show nobody.

    Args:
        true_windows: for each image, the windows of the annotated people.
        detected_windows: for each image, the windows of the detector.
    """
    hits = false = 0
    for windows, own in zip(true_windows, detected_windows, strict=True):
        hits += sum(index_of_detection(window, list(own)) is not None for window in windows)
        false += sum(all(iou(one, window) <= DETECTED for window in windows) for one in own)
    return DetectionScore(sum(map(len, true_windows)), hits, false, len(true_windows))


def score_cascade_boxes(
    true_windows: Sequence[Windows], cascade_boxes: Sequence[CascadeBoxes], to_window: BoxMap
) -> DetectionScore:
    """Count the people whom a cascade finds and its false alarms, as `score_windows` does.

    Args:
        true_windows: for each image, the windows of the annotated people.
        cascade_boxes: for each image, the boxes that the cascade returns.
        to_window: the rule that turns such a box into a person's window.
    """
    return score_windows(true_windows, [to_window(boxes) for boxes, _ in cascade_boxes])


def _may_show_person(window: Float[np.ndarray, " 4"], boxes: Float[np.ndarray, "box 4"]) -> np.ndarray:
    """Return a mask of the boxes that lie near enough to a person's window to show this person."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    height = window[3] - window[1]
    size = (boxes[:, 3] - boxes[:, 1]) / height
    aside = np.abs(centre[:, 0] - (window[0] + window[2]) / 2)
    level = (centre[:, 1] > window[1]) & (centre[:, 1] < window[3])
    return np.asarray(level & (aside < MAX_OFFSET * height) & (size > HEIGHT_RANGE[0]) & (size < HEIGHT_RANGE[1]))
