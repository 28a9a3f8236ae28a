"""Find the people in a photo, by the person detector or a box that the user gives, and estimate their poses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.detect.detector import Detections, Detector, WholeImage
from hmlpe.errors import UserError
from hmlpe.predict.estimator import Estimator, ModelCard
from hmlpe.predict.people import FoundPerson, PosePredictor
from hmlpe.predict.pose_files import PoseFiles

DETECTED, WHOLE, GIVEN = "detected", "whole", "given"
Image = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, eq=False)
class PhotoResult:
    """A photo and the people who were found in it, with their poses.

    Attributes:
        name: the photo's file name.
        image: the photo, in RGB and upright.
        people: the people with their poses, the one with the best score first.
        left_out: the number of people who were found, but left out as more than the largest number to show.
        found_by: a text that says what found them: the detector's class, or the user.
    """

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    people: Sequence[FoundPerson] = ()
    left_out: int = 0
    found_by: str = ""

    def summary(self) -> str:
        """Return a line of text that says how many people were found, if any."""
        count = len(self.people)
        found = f"{count} {'person' if count == 1 else 'people'} found" if count else "no person found"
        more = f" ({self.left_out} more left out: see the settings)" if self.left_out else ""
        return f"{self.name}: {found}{more}"

    def poses_json(self, card: ModelCard) -> bytes:
        """Return the content of the `poses.json` that hmlpe-predict writes for this photo."""
        with TemporaryDirectory() as out:
            with PoseFiles(Path(out), card, self.found_by, folder=Path()) as files:
                height, width = self.image.shape[:2]
                files.add(self.name, width, height, self.people)
            return (Path(out) / "poses.json").read_bytes()


class Finder:
    """A callable that finds the people in a photo, by the page's settings, and estimates their poses.

    Args:
        detector: the person detector, used in the mode `DETECTED`.
        estimator: the pose estimator.
    """

    def __init__(self, detector: Detector, estimator: Estimator) -> None:
        self.predictor = PosePredictor(detector, estimator)
        self.card, self.whole = estimator.card, WholeImage(estimator.card.factors_or_identity)

    def __call__(
        self, name: str, image: Image, mode: str = DETECTED, box: str = "", max_people: int = 10
    ) -> PhotoResult:
        """Find the people in a photo and estimate their poses.

        Args:
            name: the photo's file name.
            image: the photo, in RGB and upright.
            mode: `DETECTED`: the detector finds the people; `WHOLE`: one person, whose box is the photo; `GIVEN`: one
                person, whose upper-body box is `box`.
            box: x0 y0 x1 y1 in pixels of the upright photo, the person's upper-body box (see `Detections`), as a text.
            max_people: the largest number of people to keep, of whom those with the best scores are kept.

        Raises:
            UserError: the mode is `GIVEN` and `box` is not a box, or lies outside the photo.
        """
        found = self._detect(name, image, mode, box)
        found_by = type(self.predictor.detector).__name__ if mode == DETECTED else f"the user: {mode}"
        kept = Detections(found.windows_px[:max_people], found.scores[:max_people])
        (people,) = self.predictor.poses_of([image], [kept])
        return PhotoResult(name, image, people, len(found.scores) - len(people), found_by)

    def _detect(self, name: str, image: Image, mode: str, box: str) -> Detections:
        """Return the people in the photo by the mode (see `__call__`): detected, the whole photo, or the given box."""
        if mode == GIVEN:
            return Detections(parse_box(box, *image.shape[:2])[None], np.ones(1))
        return (self.whole if mode == WHOLE else self.predictor.detector)(image, name)


def parse_box(text: str, height: int, width: int) -> Float[np.ndarray, " 4"]:
    """Parse the box (x0 y0 x1 y1) that a user typed, in pixels of an image of this size.

    >>> parse_box("10, 5, 60, 55", height=100, width=80).tolist()
    [10.0, 5.0, 60.0, 55.0]

    Raises:
        UserError: the text is not a box (x0 y0 x1 y1), or the box does not lie in the image.
    """
    try:
        x0, y0, x1, y1 = (float(word) for word in text.replace(",", " ").split())
    except ValueError:
        raise UserError(f"box: needs four numbers, x0 y0 x1 y1 in pixels, got {text.strip()!r}") from None
    if not (math.isfinite(x0 + y0 + x1 + y1) and x0 < x1 and y0 < y1):
        raise UserError(f"box: {text.strip()} has no area; x0 y0 is its upper left corner, x1 y1 its lower right one")
    if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0 or x1 - x0 > 2 * width or y1 - y0 > 2 * height:
        raise UserError(f"box: {text.strip()} does not lie in the photo, which is {width} x {height} pixels")
    return np.array([x0, y0, x1, y1])
