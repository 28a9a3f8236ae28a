"""Who is in the photo, found by the detector or told by the user, and how that is said."""

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
from hmlpe.predict.estimator import Card, Estimator
from hmlpe.predict.people import FoundPerson, PosePredictor
from hmlpe.predict.pose_files import PoseFiles


@dataclass(frozen=True, eq=False)
class Answer:
    """A photo and who was found in it.

    Attributes:
        name: the photo's file name.
        image: RGB, upright.
        people: the surest first.
        left_out: how many more were found than were asked for.
        found_by: what found them, in words.
    """

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    people: Sequence[FoundPerson] = ()
    left_out: int = 0
    found_by: str = ""

    def summary(self) -> str:
        """How many people were found; none is an answer."""
        count = len(self.people)
        found = f"{count} {'person' if count == 1 else 'people'} found" if count else "no person found"
        more = f" ({self.left_out} more left out: see the settings)" if self.left_out else ""
        return f"{self.name}: {found}{more}"

    def poses_json(self, card: Card) -> bytes:
        """The file that hmlpe-predict writes of this photo."""
        with TemporaryDirectory() as out:
            with PoseFiles(Path(out), card, self.found_by, folder=Path()) as files:
                height, width = self.image.shape[:2]
                files.add(self.name, width, height, self.people)
            return (Path(out) / "poses.json").read_bytes()


DETECTED, WHOLE, GIVEN = "detected", "whole", "given"

Image = UInt8[np.ndarray, "height width 3"]


class Finder:
    """From a photo and the page's settings to an answer.

    Args:
        detector: for `DETECTED`.
        estimator: of the poses.
    """

    def __init__(self, detector: Detector, estimator: Estimator) -> None:
        self.predictor = PosePredictor(detector, estimator)
        self.card, self.whole = estimator.card, WholeImage(estimator.card.from_window)

    def __call__(self, name: str, image: Image, way: str = DETECTED, box: str = "", most: int = 10) -> Answer:
        """Who is in the photo, in which pose.

        Args:
            way: `DETECTED`; `WHOLE`: one person, whose box is the photo; `GIVEN`: one person, at `box`.
            box: x0 y0 x1 y1 in pixels of the upright photo, the person's upper-body window (see `Detections`).
            most: so many people at most, the surest.

        Raises:
            UserError: the box is none, or lies outside the photo.
        """
        found = self._found(name, image, way, box)
        found_by = type(self.predictor.detector).__name__ if way == DETECTED else f"the user: {way}"
        kept = Detections(found.windows_px[:most], found.scores[:most])
        (people,) = self.predictor.poses_of([image], [kept])
        return Answer(name, image, people, len(found.scores) - len(people), found_by)

    def _found(self, name: str, image: Image, way: str, box: str) -> Detections:
        if way == GIVEN:
            return Detections(window_of(box, *image.shape[:2])[None], np.ones(1))
        return (self.whole if way == WHOLE else self.predictor.detector)(image, name)


def window_of(text: str, height: int, width: int) -> Float[np.ndarray, " 4"]:
    """The box that somebody typed, for an image of this size. Raises UserError."""
    try:
        x0, y0, x1, y1 = (float(word) for word in text.replace(",", " ").split())
    except ValueError:
        raise UserError(f"box: needs four numbers, x0 y0 x1 y1 in pixels, got {text.strip()!r}") from None
    if not (math.isfinite(x0 + y0 + x1 + y1) and x0 < x1 and y0 < y1):
        raise UserError(f"box: {text.strip()} has no area; x0 y0 is its upper left corner, x1 y1 its lower right one")
    if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0 or x1 - x0 > 2 * width or y1 - y0 > 2 * height:
        raise UserError(f"box: {text.strip()} does not lie in the photo, which is {width} x {height} pixels")
    return np.array([x0, y0, x1, y1])
