"""Predictions as a plain table: a CSV file, one joint or end of a stick a line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.csv_file import Row, read_table
from hmlpe.data.sources.folder import image_name
from hmlpe.detect.match import assign
from hmlpe.errors import UserError
from hmlpe.evaluate.people import Estimates, Truth
from hmlpe.evaluate.predictions.matched import People, check_matched, flag, origin_of
from hmlpe.evaluate.predictions.points import Marks, check_any, check_point
from hmlpe.file_kinds import describe_other_format
from hmlpe.predict.pose_files import WINDOW
from hmlpe.spelling import with_forward_slashes

COLUMNS = ("image", "person", "joint", "x", "y")
OPTIONAL = ("confidence", "score")  # as hmlpe-predict writes them; the score is of the detector, and not used


@dataclass(eq=False)
class Found:
    """What a table says of one person.

    Attributes:
        points_px: (mark, 2) pixels counted from 0, NaN where not predicted.
        confidence: (mark,) NaN where there is none.
        lines: mark -> the line that gives it.
        window_px: (4,) x0 y0 x1 y1, NaN where the table has no windows.
    """

    points_px: Float[np.ndarray, "mark 2"]
    confidence: Float[np.ndarray, " mark"]
    lines: dict[int, int]
    window_px: Float[np.ndarray, " 4"]

    @classmethod
    def nothing(cls, marks: int) -> Found:
        """Of whom no line is read yet."""
        return cls(np.full((marks, 2), np.nan), np.full(marks, np.nan), {}, np.full(4, np.nan))


def add(one: Found, row: Row, mark: int, origin: int, windows: bool) -> None:
    """Add a line to what is said of its person.

    Raises:
        UserError: it says something twice or otherwise, or something that is no number.
    """
    if mark in one.lines:
        name, line = row.label("joint"), one.lines[mark]
        raise UserError(f"{row.where}: {name} of this person is in line {line} already; remove one of them")
    if windows:
        window = _window(row) - origin
        if one.lines and not np.array_equal(window, one.window_px):
            first = next(iter(one.lines.values()))
            raise UserError(f"{row.where}: the window is not that of line {first}, though it is the same person")
        one.window_px = window
    point = np.array([row.number(column) for column in ("x", "y")])
    check_point(point, row.where)
    one.lines[mark] = row.line
    one.points_px[mark] = point - origin
    one.confidence[mark] = _confidence(row)


def person_number(row: Row, people: int, image: str) -> int:
    """Which of an image's people a line means, from 1. Raises UserError if there is no such person."""
    text = row.label("person")
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= people):
        there = "1, as it has one annotated test person" if people == 1 else f"a number from 1 to {people}"
        raise UserError(f"{row.where}: column 'person' must be {there} for {image}, got {text[:60]!r}")
    return int(text)


def _window(row: Row) -> Float[np.ndarray, " 4"]:
    window = np.array([row.number(column) for column in WINDOW])
    if not (np.isfinite(window).all() and (window[2:] > window[:2]).all()):
        raise UserError(f"{row.where}: columns {', '.join(WINDOW)} must be a box, got {window.tolist()}")
    return window


def _confidence(row: Row) -> float:
    if "confidence" not in row.cells:
        return np.nan
    value = row.number("confidence")
    if not (np.isnan(value) or 0 <= value <= 1):
        raise UserError(
            f"{row.where}: column 'confidence' must be from 0 to 1, or empty, got {value:g}; "
            "rename the column if it is another score"
        )
    return value


class CsvReader:
    """Reader of a CSV file with the columns image, person, joint, x, y, in any order; other columns are counted.

    A line is a joint of a person in an image, or an end of a stick, `<stick>_1` or `<stick>_2`. Empty or NaN x and y
    are not predicted, which is wrong. `person` counts the annotated test people of the image from 1, in the
    annotation's order. With the columns window_x0, window_y0, window_x1 and window_y1, as hmlpe-predict writes them,
    `person` only tells the people apart who were found, and an annotated person is who is found of them by the
    windows' IoU, above 0.5 (FACTS 6); others are not detected, and a header alone says that nobody is. A column
    confidence, in [0, 1] or empty, is kept.

    Args:
        origin: the coordinate of the first pixel's centre: 0, or 1.
        match: "window" or "person", see above; None: by windows if the file has them.
        allow_missing: people without a line count as wrong; else they are an error. With windows they are no error.
        allow_unknown: lines of other images are left out; else they are an error.

    Raises:
        UserError: a setting is of no use.
    """

    def __init__(
        self,
        origin: object = 0,  # object: a configuration can hold anything, and what is of no use is refused
        match: object = None,
        allow_missing: object = False,
        allow_unknown: object = False,
    ) -> None:
        if match not in (None, "window", "person"):
            raise UserError(f"predictions_form.match: must be window, person or null, got {match!r}")
        self.origin, self.match = origin_of(origin), match
        self.allow_missing = flag(allow_missing, "allow_missing")
        self.allow_unknown = flag(allow_unknown, "allow_unknown")

    def __call__(self, path: Path, truth: Truth) -> Estimates:
        """The table's answers. Raises UserError naming file and line."""
        other = describe_other_format(path)
        if other is not None:
            raise UserError(f"{path}: {other}; a csv with the columns {', '.join(COLUMNS)} is due")
        header = _header(path)
        windows = any(name in header for name in WINDOW) if self.match is None else self.match == "window"
        required = (*COLUMNS, *WINDOW) if windows else COLUMNS
        table = read_table(path, required, OPTIONAL if windows else (*OPTIONAL, *WINDOW), may_be_empty=windows)
        people, marks = People(truth), Marks(truth)
        found, given, left_out = self._found(table.rows, people, marks, windows)
        if windows and not found:  # nobody is detected: every joint was looked for
            given[: len(truth.skeleton.joints)] = True
        chosen, missing = (
            self._by_window(path, found, people, truth) if windows else self._by_number(path, found, people)
        )
        points = np.full((len(truth), len(marks.names), 2), np.nan)
        confidence = np.full((len(truth), len(marks.names)), np.nan)
        for person, one in chosen.items():
            points[person], confidence[person] = one.points_px, one.confidence
        detected = np.isfinite(points).all(axis=-1).any(axis=-1)
        if not windows:
            check_any(points, str(path))
        else:
            detected[list(chosen)] = True
        if left_out:
            missing.append(f"lines of {left_out} other images left out")
        missing += [f"{count} {what} left out" for what, count in table.ignored.items()]
        return marks.estimates(points, given, detected, confidence, "; ".join(missing))

    def _found(
        self, rows: Sequence[Row], people: People, marks: Marks, windows: bool
    ) -> tuple[dict[tuple[str, str], Found], Bool[np.ndarray, " mark"], int]:
        """(image, person as the table has it) -> what it says of them; the points that it gives; other images."""
        found: dict[tuple[str, str], Found] = {}
        given, others = np.zeros(len(marks.names), dtype=bool), set()
        for row in rows:
            name = image_name(with_forward_slashes(row.cells["image"]), f"{row.where}, column 'image'")
            image = people.image(name, row.where)
            if image is None and not self.allow_unknown:
                raise people.unknown(name, row.where, "csv")
            mark = marks.index(row.label("joint"), row.where)
            if image is None:
                others.add(name)
                continue
            label = row.label("person")
            if not label:
                raise UserError(f"{row.where}: column 'person' is empty; number the people of an image")
            label = label if windows else str(person_number(row, len(people.of_image[image]), image))
            one = found.setdefault((image, label), Found.nothing(len(marks.names)))
            add(one, row, mark, self.origin, windows)
            given[mark] = True
        return found, given, len(others)

    def _by_number(
        self, path: Path, found: dict[tuple[str, str], Found], people: People
    ) -> tuple[dict[int, Found], list[str]]:
        chosen = {people.of_image[image][int(number) - 1]: one for (image, number), one in found.items()}
        everyone = [person for own in people.of_image.values() for person in own]
        missing = sorted(set(everyone) - set(chosen))
        if not self.allow_missing:
            people.check_missing(missing, path, "line", "csv")
        return chosen, [f"no line for {len(missing)} of {len(everyone)} people"] if missing else []

    def _by_window(
        self, path: Path, found: dict[tuple[str, str], Found], people: People, truth: Truth
    ) -> tuple[dict[int, Found], list[str]]:
        if not np.isfinite(truth.window_px).all(axis=1).any():
            raise UserError(
                f"{path}: people of {truth.data} have no upper-body windows to find them by; let column 'person' count "
                "the annotated people, with predictions_form=csv predictions_form.match=person"
            )
        chosen: dict[int, Found] = {}
        silent = 0
        found_in: dict[str, list[Found]] = {}
        for (image, _), one in found.items():
            found_in.setdefault(image, []).append(one)
        for image, own in people.of_image.items():
            there = found_in.get(image, [])
            silent += 0 if there else len(own)
            best = assign(list(truth.window_px[own]), [one.window_px for one in there])
            chosen |= {own[i]: there[j] for i, j in best.items()}
        windows = {image: [one.window_px for one in men] for image, men in found_in.items()}
        check_matched(path, truth, {i: windows.get(image, []) for i, image in enumerate(truth.images)}, len(chosen))
        lost, extra = len(truth) - len(chosen), len(found) - len({id(one) for one in chosen.values()})
        text = [f"{lost} of {len(truth)} people not found, {silent} of them in images without a line"] if lost else []
        return chosen, text + ([f"{extra} found who are nobody annotated"] if extra else [])


def _header(path: Path) -> list[str]:
    """The columns' names as far as they can be read; what is wrong with the file is for `read_table` to say."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [name.strip() for name in next(csv.reader(file, skipinitialspace=True), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
