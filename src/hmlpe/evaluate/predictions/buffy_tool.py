"""Results in the form of the official Buffy tool (FACTS 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from hmlpe.data.sources.matlab import array, box, field, whole_number
from hmlpe.data.sources.sticks import window_of_sticks
from hmlpe.detect.match import assign
from hmlpe.errors import UserError
from hmlpe.evaluate.people import STICKS, Estimates, Truth
from hmlpe.evaluate.predictions.matched import People, check_matched, flag, name_of, origin_of
from hmlpe.evaluate.predictions.points import check_points, choose, load_mat, with_fields

FIELDS = ("episode", "frame", "stickmen")
IMAGE = "buffy_s5e{episode}_original/{frame:06d}.jpg"


@dataclass(frozen=True, eq=False)
class Stickman:
    """An estimated person, pixels counted from 0; a stick that is not predicted is NaN.

    Attributes:
        derived: the window is made from the sticks.
    """

    sticks_px: Float[np.ndarray, "6 2 2"]
    window_px: Float[np.ndarray, " 4"]
    derived: bool = False


class BuffyToolReader:
    """Reader of a .mat file with a struct array of the fields episode, frame and stickmen, a record for each image.

    `stickmen` is a struct array with `coor` (4 x 6: x1 y1 x2 y2 of torso, left and right upper arm, left and right
    lower arm, head; left and right as seen in the image) and `det` [minx miny maxx maxy]; it is empty where nobody was
    detected. Where `det` is absent or empty it is made from `coor`, as the tool does (`sticks.window_of_sticks`). Of
    each annotated person, the stickman whose `det` has the best IoU above 0.5 with the true window is THE estimate; who
    has none is not detected. A NaN stick is not predicted, which is wrong.

    Args:
        variable: name of the struct array; None: the only one with these fields.
        image: which image a record is of, out of {episode} and {frame}.
        origin: the coordinate of the first pixel's centre: 1, or 0.
        allow_missing: test images without a record count as missed; else they are an error.
        allow_unknown: records of other images are left out; else they are an error.

    Raises:
        UserError: a setting is of no use.
    """

    def __init__(
        self,
        variable: object = None,  # object: a configuration can hold anything, and what is of no use is refused
        image: object = IMAGE,
        origin: object = 1,
        allow_missing: object = False,
        allow_unknown: object = False,
    ) -> None:
        self.variable, self.origin = name_of(variable, "variable"), origin_of(origin)
        self.allow_missing = flag(allow_missing, "allow_missing")
        self.allow_unknown = flag(allow_unknown, "allow_unknown")
        self.image = str(image)
        try:
            self.image.format(episode=1, frame=1)
        except (LookupError, ValueError, AttributeError) as error:
            raise UserError(f"predictions_form.image: must be like {IMAGE}, got {self.image!r}") from error

    def __call__(self, path: Path, truth: Truth) -> Estimates:
        """The file's answers. Raises UserError naming file and record."""
        if truth.sticks != STICKS:
            raise UserError(f"{path}: six sticks a person are no answer for {truth.data}, which has joints; give a csv")
        content = load_mat(path, squeeze=True)
        what = f"struct array with the fields {', '.join(FIELDS)}"
        variable = choose(path, content, self.variable, with_fields(content, FIELDS), what)
        people = People(truth)
        found, other = self._read(path, np.atleast_1d(content[variable]).ravel().tolist(), people)
        lost = [person for image, own in people.of_image.items() if image not in found for person in own]
        if not self.allow_missing:
            people.check_missing(lost, path, "record", "buffy")
        sticks, detected = np.full((len(truth), 6, 2, 2), np.nan), np.zeros(len(truth), dtype=bool)
        windows = {i: [one.window_px for one in found.get(image, [])] for i, image in enumerate(truth.images)}
        for image, stickmen in found.items():
            own = people.of_image[image]
            for i, j in assign(list(truth.window_px[own]), [one.window_px for one in stickmen]).items():
                sticks[own[i]], detected[own[i]] = stickmen[j].sticks_px, True
        check_matched(path, truth, windows, int(detected.sum()))
        derived = sum(one.derived for men in found.values() for one in men)
        return Estimates(None, sticks, detected, None, _missing(detected, len(lost), other, derived))

    def _read(self, path: Path, records: Sequence[Any], people: People) -> tuple[dict[str, list[Stickman]], int]:
        """Image -> its stickmen; and how many records are of other images."""
        found: dict[str, list[Stickman]] = {}
        seen: dict[str, int] = {}
        for i, record in enumerate(records, start=1):
            where = f"{path}, record {i}"
            episode, frame = (whole_number(record, name, where) for name in ("episode", "frame"))
            name = self.image.format(episode=episode, frame=frame)
            if name in seen:
                raise UserError(
                    f"{where}: episode {episode}, frame {frame} has record {seen[name]} already; remove one of them"
                )
            seen[name] = i
            image = people.image(name, where)
            if image is not None:
                men = np.atleast_1d(field(record, "stickmen", where)).ravel()
                stickmen = [self._stickman(man, f"{where}, stickman {k}") for k, man in enumerate(men, start=1)]
                found[image] = [one for one in stickmen if one is not None]
            elif not self.allow_unknown:
                raise people.unknown(name, where, "buffy")
        return found, len(seen) - len(found)

    def _stickman(self, man: Any, where: str) -> Stickman | None:
        """None if it is empty: nobody was detected."""
        derived = np.size(getattr(man, "det", ())) == 0
        if derived and np.size(field(man, "coor", where)) == 0:
            return None
        sticks = array(man, "coor", (4, 6), where).T.reshape(6, 2, 2)
        check_points(sticks, f"{where}, field 'coor'")
        if not derived:
            return Stickman(sticks - self.origin, box(man, "det", where) - self.origin)
        window = window_of_sticks(sticks.reshape(6, 4)) - self.origin
        if np.isnan(window).any():
            raise UserError(f"{where}: field 'det' is missing, and torso and head of 'coor' make no window; add it")
        return Stickman(sticks - self.origin, window, derived)


def _missing(detected: np.ndarray, lost: int, other: int, derived: int) -> str:
    missed = int((~detected).sum())
    parts = [f"{missed} of {len(detected)} people not found" if missed else ""]
    parts += [
        f"no record for {lost} of them" if lost else "",
        f"{other} records of other images left out" if other else "",
        f"windows of {derived} stickmen without det made from their sticks" if derived else "",
    ]
    return "; ".join(part for part in parts if part)
