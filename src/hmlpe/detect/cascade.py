"""Detect people by OpenCV's cascades of Haar features; their boxes are mapped to upper-body windows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import cv2.data
import numpy as np
from jaxtyping import Float, Int, UInt8

from hmlpe.detect.box_map import BoxMap
from hmlpe.detect.detector import Detections
from hmlpe.errors import UserError
from hmlpe.geometry import iou

Grey = UInt8[np.ndarray, "height width"]
CascadeBoxes = tuple[Float[np.ndarray, "_ 4"], Float[np.ndarray, " _"]]  # one cascade's boxes and their last-stage sums
MIN_SCORE = 0.01  # lowest score of a box, however far its sum lies below `zero`: the cascade did find it


def merge_windows(
    windows_px: Float[np.ndarray, "box 4"],
    scores: Float[np.ndarray, " box"],
    finder_ids: Int[np.ndarray, " box"],
    iou_threshold: float | int,
) -> Detections:
    """Merge overlapping windows into people, by non-maximum suppression that adds the scores of different finders.

    The window with the highest score absorbs all that overlap it and keeps its place. Its new score sums, over the
    finders, the best score among each finder's merged windows. A person found by two finders thus counts more than one
    found by a single finder, but not more because one finder found them twice.

    Args:
        windows_px: (box, 4) windows x0 y0 x1 y1 in pixels.
        scores: (box,) scores above 0 that are comparable between finders.
        finder_ids: (box,) index of the finder (e.g. cascade) that found each window.
        iou_threshold: two windows belong to one person if their IoU is above this.

    Returns:
        The people, the highest score first; the result does not depend on the order of the input.
    """
    x0, y0, x1, y1 = windows_px.T
    order = np.lexsort((finder_ids, y1, x1, y0, x0, -scores))  # ties are broken by place, not by the order of the input
    found, sums = [], []
    while len(order):
        first = order[0]
        near = np.array([iou(windows_px[first], windows_px[other]) > iou_threshold for other in order])
        near[0] = True  # the window itself, even if it has no area
        own = order[near]
        found.append(windows_px[first])
        sums.append(sum(float(scores[own[finder_ids[own] == finder]].max()) for finder in np.unique(finder_ids[own])))
        order = order[~near]
    ranks = np.argsort(-np.array(sums), kind="stable")
    return Detections(np.array(found).reshape(-1, 4)[ranks], np.array(sums, dtype=np.float64)[ranks])


@dataclass(frozen=True)
class Cascade:
    """Settings of one OpenCV cascade: how it searches, and how its boxes become upper-body windows with scores.

    Attributes:
        file: path of the cascade's file; without a folder, a file that comes with OpenCV.
        to_window: map from the cascade's box to the upper-body window.
        scale_factor: ratio between successive box sizes that the search tries.
        min_neighbours: number of hits at about the same place that are needed for a box, at least 1.
        least_px: side of the smallest box, in pixels of the image shrunk to `longest_px` (the cascade's shorter side).
        zero: the last-stage sum (OpenCV's `levelWeights`) that is mapped to a score of 0; the sums of different
            cascades are not comparable.
        weight: score per unit of the sum above `zero`.
        mirror: search the mirrored image, e.g. for profile faces, which look only one way in OpenCV's file.
    """

    file: str
    to_window: BoxMap
    scale_factor: float | int = 1.1
    min_neighbours: int = 3
    least_px: int = 24
    zero: float | int = 0.0
    weight: float | int = 1.0
    mirror: bool = False

    def __post_init__(self) -> None:
        wanted = {
            "scale_factor": (self.scale_factor, 1.001, 10),
            "min_neighbours": (self.min_neighbours, 1, 1000),  # without neighbours OpenCV gives no scores
            "least_px": (self.least_px, 1, 100_000),
            "zero": (self.zero, -1e9, 1e9),
            "weight": (self.weight, 1e-9, 1e9),
        }
        for name, (value, low, high) in wanted.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise UserError(f"cascade {self.file}: {name} must be from {low:g} to {high:g}, got {value!r}")

    def scores_from_sums(self, sums: Float[np.ndarray, " box"]) -> Float[np.ndarray, " box"]:
        """Convert OpenCV's last-stage sums, one per box, to scores of at least `MIN_SCORE`."""
        return np.maximum(self.weight * (sums - self.zero), MIN_SCORE)


class CascadeDetector:
    """A person detector that runs several cascades, e.g. of faces and bodies, and merges their windows into people.

    Args:
        cascades: name -> settings of a cascade; None switches that cascade off.
        longest_px: largest longer side, in pixels, that is searched; larger images are shrunk to it.
        overlap: IoU above which two windows belong to one person.
        least_score: people whose summed score is lower are dropped; -inf drops nobody.

    Raises:
        UserError: a setting is not valid, or a file is not a cascade.
    """

    def __init__(
        self,
        cascades: Mapping[str, Cascade | None],
        longest_px: int = 640,
        overlap: float | int = 0.4,
        least_score: float | int = 0.0,
    ) -> None:
        self.cascades = {name: cascade for name, cascade in cascades.items() if cascade is not None}
        if not self.cascades:
            raise UserError("detector.cascades: there must be at least one")
        if isinstance(longest_px, bool) or not isinstance(longest_px, int) or longest_px < 1:
            raise UserError(f"detector.longest_px: must be a whole number of pixels, got {longest_px!r}")
        if not 0 <= overlap < 1:
            raise UserError(f"detector.overlap: must be at least 0 and below 1, got {overlap}")
        if math.isnan(least_score) or least_score == math.inf:
            raise UserError(f"detector.least_score: must be a number, got {least_score}")
        self.longest_px, self.overlap, self.least_score = longest_px, overlap, least_score
        self._classifiers = {name: _load_classifier(cascade.file) for name, cascade in self.cascades.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings: OpenCV's classifiers cannot be pickled, so their files are read again."""
        return type(self), (self.cascades, self.longest_px, self.overlap, self.least_score)

    def __call__(self, image: UInt8[np.ndarray, "height width 3"], name: str = "") -> Detections:
        """Return the people in an RGB image, the highest score first."""
        return self.merge_boxes(self.detect_boxes(image))

    def merge_boxes(self, boxes: Mapping[str, CascadeBoxes]) -> Detections:
        """Return the people that the cascades' boxes show, the highest score first.

        Args:
            boxes: name of the cascade -> its boxes and last-stage sums, see `detect_boxes`.
        """
        windows, scores, finder_ids = [np.zeros((0, 4))], [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
        for number, (key, (edges, sums)) in enumerate(boxes.items()):
            windows.append(self.cascades[key].to_window(edges))
            scores.append(self.cascades[key].scores_from_sums(sums))
            finder_ids.append(np.full(len(edges), number))
        found = merge_windows(np.concatenate(windows), np.concatenate(scores), np.concatenate(finder_ids), self.overlap)
        sure = found.scores >= self.least_score
        return Detections(found.windows_px[sure], found.scores[sure])

    def detect_boxes(self, image: UInt8[np.ndarray, "height width 3"]) -> dict[str, CascadeBoxes]:
        """Return, for each cascade's name, its own boxes and their last-stage sums, in no fixed order.

        The boxes (e.g. of faces) are x0 y0 x1 y1 in image pixels, not yet mapped to windows.
        """
        height, width = image.shape[:2]
        if not height or not width:
            return {}
        grey = _to_grey(image, self.longest_px)
        size = np.array([width / grey.shape[1], height / grey.shape[0]] * 2)
        found = {}
        for key, cascade in self.cascades.items():
            edges, sums = _detect_boxes(self._classifiers[key], cascade, grey)
            found[key] = edges * size - 0.5, sums
        return found


def _load_classifier(file: str) -> cv2.CascadeClassifier:
    """Load a cascade's XML file. Raises UserError if there is no such file, or OpenCV cannot read it."""
    path = Path(file).expanduser()
    if path == Path(path.name):
        path = Path(cv2.data.haarcascades) / path
    if not path.is_file():
        raise UserError(f"cascade {file}: there is no such file, here or among OpenCV's {cv2.data.haarcascades}")
    classifier = cv2.CascadeClassifier()
    try:
        read = classifier.load(str(path))
    except cv2.error as error:
        raise UserError(f"cascade {path}: OpenCV cannot read it; it must be a cascade's XML file") from error
    if not read:
        raise UserError(f"cascade {path}: OpenCV cannot read it; it must be a cascade's XML file")
    return classifier


def _to_grey(image: UInt8[np.ndarray, "height width 3"], longest_px: int) -> UInt8[np.ndarray, "new_height new_width"]:
    """Convert to grey and shrink the longer side to at most `longest_px`, averaging over areas to avoid aliasing."""
    height, width = image.shape[:2]
    factor = longest_px / max(height, width)
    if factor < 1:
        size = max(round(width * factor), 1), max(round(height * factor), 1)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _detect_boxes(classifier: cv2.CascadeClassifier, cascade: Cascade, grey: Grey) -> CascadeBoxes:
    """Return the boxes x0 y0 x1 y1 that one cascade finds, and their last-stage sums.

    Coordinates are pixels of the grey image, in which pixel i covers [i, i + 1].
    """
    window = classifier.getOriginalWindowSize()
    least = [max(round(cascade.least_px * side / min(window)), side) for side in window]
    if grey.shape[1] < least[0] or grey.shape[0] < least[1]:
        return np.zeros((0, 4)), np.zeros(0)
    seen = np.ascontiguousarray(grey[:, ::-1]) if cascade.mirror else grey
    rectangles, _, weights = classifier.detectMultiScale3(
        seen, cascade.scale_factor, cascade.min_neighbours, minSize=least, outputRejectLevels=True
    )
    found = np.array(rectangles, dtype=np.float64).reshape(-1, 4)
    if cascade.mirror:
        found[:, 0] = grey.shape[1] - found[:, 0] - found[:, 2]
    found[:, 2:] += found[:, :2]
    return found, np.array(weights, dtype=np.float64).reshape(-1)
