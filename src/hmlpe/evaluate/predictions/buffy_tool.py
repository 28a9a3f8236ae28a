"""Read results in the file format of the official Buffy tool (FACTS 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from hmlpe.data.sources.matlab import required_array, required_box, required_field, required_whole_number
from hmlpe.data.sources.sticks import window_of_sticks
from hmlpe.detect.match import match_people
from hmlpe.errors import UserError
from hmlpe.evaluate.people import STICKS, Estimates, Truth
from hmlpe.evaluate.predictions.matched import (
    PeopleByImage,
    check_any_matched,
    parse_bool_setting,
    parse_name_setting,
    parse_origin_setting,
)
from hmlpe.evaluate.predictions.points import check_points, choose_variable, find_struct_arrays, load_mat

FIELDS = ("episode", "frame", "stickmen")
IMAGE = "buffy_s5e{episode}_original/{frame:06d}.jpg"


@dataclass(frozen=True, eq=False)
class Stickman:
    """A predicted person, in pixels counted from 0.

    Attributes:
        sticks_px: (6, 2, 2) the ends of the sticks; NaN if a stick is not predicted.
        window_px: (4,) the upper-body window, x0 y0 x1 y1.
        derived: whether the window was computed from the sticks.
    """

    sticks_px: Float[np.ndarray, "6 2 2"]
    window_px: Float[np.ndarray, " 4"]
    derived: bool = False


class BuffyToolReader:
    """Reads a .mat file with a struct array of the fields episode, frame and stickmen, with a record for each image.

    `stickmen` is a struct array with `coor` (4 x 6: x1 y1 x2 y2 of torso, left and right upper arm, left and right
    lower arm, head; left and right as seen in the image) and `det` [minx miny maxx maxy]; it is empty if nobody was
    detected. If `det` is absent or empty it is computed from `coor`, as the tool does (`sticks.window_of_sticks`). The
    prediction for an annotated person is the stickman whose `det` has the highest IoU with the true window, if it is
    above 0.5; otherwise the person is not detected. A NaN stick is not predicted, and counts as wrong.

    Args:
        variable: the name of the struct array; None: the only one with these fields.
        image: a format string that gives a record's image name from {episode} and {frame}.
        origin: the coordinate of the first pixel's centre: 1, or 0.
        allow_missing: whether people in test images without a record count as missed; else such an image is an error.
        allow_unknown: whether records of other images are left out; else such a record is an error.

    Raises:
        UserError: a setting is not valid.
    """

    def __init__(
        self,
        variable: object = None,  # object: a configuration may hold any type, and an invalid one is rejected below
        image: object = IMAGE,
        origin: object = 1,
        allow_missing: object = False,
        allow_unknown: object = False,
    ) -> None:
        self.variable, self.origin = parse_name_setting(variable, "variable"), parse_origin_setting(origin)
        self.allow_missing = parse_bool_setting(allow_missing, "allow_missing")
        self.allow_unknown = parse_bool_setting(allow_unknown, "allow_unknown")
        self.image = str(image)
        try:
            self.image.format(episode=1, frame=1)
        except (LookupError, ValueError, AttributeError) as error:
            raise UserError(f"predictions_form.image: must be like {IMAGE}, got {self.image!r}") from error

    def __call__(self, path: Path, truth: Truth) -> Estimates:
        """Return the file's predictions. Raises UserError, which names file and record, if they are not valid."""
        if truth.sticks != STICKS:
            raise UserError(f"{path}: six sticks per person do not fit {truth.data}, which has joints; give a csv")
        content = load_mat(path, squeeze=True)
        what = f"struct array with the fields {', '.join(FIELDS)}"
        variable = choose_variable(path, content, self.variable, find_struct_arrays(content, FIELDS), what)
        people = PeopleByImage(truth)
        found, other = self._read_stickmen(path, np.atleast_1d(content[variable]).ravel().tolist(), people)
        lost = [person for image, own in people.indices_by_image.items() if image not in found for person in own]
        if not self.allow_missing:
            people.check_nobody_missing(lost, path, "record", "buffy")
        sticks, detected = np.full((len(truth), 6, 2, 2), np.nan), np.zeros(len(truth), dtype=bool)
        windows = {i: [one.window_px for one in found.get(image, [])] for i, image in enumerate(truth.images)}
        for image, stickmen in found.items():
            own = people.indices_by_image[image]
            for i, j in match_people(list(truth.window_px[own]), [one.window_px for one in stickmen]).items():
                sticks[own[i]], detected[own[i]] = stickmen[j].sticks_px, True
        check_any_matched(path, truth, windows, int(detected.sum()))
        derived = sum(one.derived for men in found.values() for one in men)
        return Estimates(None, sticks, detected, None, _describe_missing(detected, len(lost), other, derived))

    def _read_stickmen(
        self, path: Path, records: Sequence[Any], people: PeopleByImage
    ) -> tuple[dict[str, list[Stickman]], int]:
        """Return the stickmen of each test image, by the image's name, and the number of records of other images.

        Raises:
            UserError: a record is not valid, or two are of one frame.
        """
        found: dict[str, list[Stickman]] = {}
        seen: dict[str, int] = {}
        for i, record in enumerate(records, start=1):
            where = f"{path}, record {i}"
            episode, frame = (required_whole_number(record, name, where) for name in ("episode", "frame"))
            name = self.image.format(episode=episode, frame=frame)
            if name in seen:
                raise UserError(
                    f"{where}: episode {episode}, frame {frame} already has record {seen[name]}; remove one of them"
                )
            seen[name] = i
            image = people.find_image(name, where)
            if image is not None:
                men = np.atleast_1d(required_field(record, "stickmen", where)).ravel()
                stickmen = [self._parse_stickman(man, f"{where}, stickman {k}") for k, man in enumerate(men, start=1)]
                found[image] = [one for one in stickmen if one is not None]
            elif not self.allow_unknown:
                raise people.unknown_image_error(name, where, "buffy")
        return found, len(seen) - len(found)

    def _parse_stickman(self, man: Any, where: str) -> Stickman | None:
        """Return the stickman that a struct describes; None if its fields are empty, as nobody was detected."""
        derived = np.size(getattr(man, "det", ())) == 0
        if derived and np.size(required_field(man, "coor", where)) == 0:
            return None
        sticks = required_array(man, "coor", (4, 6), where).T.reshape(6, 2, 2)
        check_points(sticks, f"{where}, field 'coor'")
        if not derived:
            return Stickman(sticks - self.origin, required_box(man, "det", where) - self.origin)
        window = window_of_sticks(sticks.reshape(6, 4)) - self.origin
        if np.isnan(window).any():
            raise UserError(f"{where}: field 'det' is missing, and torso and head in 'coor' give no window; add it")
        return Stickman(sticks - self.origin, window, derived)


def _describe_missing(
    detected: np.ndarray, people_without_record: int, other_records: int, derived_windows: int
) -> str:
    """Return a text that says what the file leaves out.

    Args:
        detected: (person,) whether the person is detected.
        people_without_record: the number of people in images without a record.
        other_records: the number of records of images that are not test images.
        derived_windows: the number of stickmen whose window was computed from their sticks.
    """
    missed = int((~detected).sum())
    parts = [f"{missed} of {len(detected)} people not found" if missed else ""]
    parts += [
        f"no record for {people_without_record} of them" if people_without_record else "",
        f"{other_records} records of other images left out" if other_records else "",
        f"windows of {derived_windows} stickmen without det made from their sticks" if derived_windows else "",
    ]
    return "; ".join(part for part in parts if part)
