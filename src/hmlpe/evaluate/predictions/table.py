"""Read predictions from a CSV file with a line for each joint or end of a stick."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.csv_file import Row, read_table
from hmlpe.data.sources.folder import checked_image_name
from hmlpe.detect.match import match_people
from hmlpe.errors import UserError
from hmlpe.evaluate.people import Estimates, Truth
from hmlpe.evaluate.predictions.matched import (
    PeopleByImage,
    check_any_matched,
    parse_bool_setting,
    parse_origin_setting,
)
from hmlpe.evaluate.predictions.points import Marks, check_not_empty, check_point
from hmlpe.file_kinds import describe_other_format
from hmlpe.predict.pose_files import WINDOW
from hmlpe.spelling import with_forward_slashes

COLUMNS = ("image", "person", "joint", "x", "y")
OPTIONAL = ("confidence", "score")  # as hmlpe-predict writes them; the score is the detector's and is not used


@dataclass(eq=False)
class TablePerson:
    """What the lines of a CSV file predict for one person; a mark is a joint or a stick's end (see `points.Marks`).

    Attributes:
        points_px: (mark, 2) in pixels counted from 0; NaN if not predicted.
        confidence: (mark,) NaN if there is none.
        lines: mark -> the number of the line that gives it.
        window_px: (4,) x0 y0 x1 y1; NaN if the table has no windows.
    """

    points_px: Float[np.ndarray, "mark 2"]
    confidence: Float[np.ndarray, " mark"]
    lines: dict[int, int]
    window_px: Float[np.ndarray, " 4"]

    @classmethod
    def without_lines(cls, mark_count: int) -> TablePerson:
        """Return a person of whom no line has been read yet, so that all `mark_count` marks are NaN."""
        return cls(np.full((mark_count, 2), np.nan), np.full(mark_count, np.nan), {}, np.full(4, np.nan))


def add_line(person: TablePerson, row: Row, mark: int, origin: int, has_windows: bool) -> None:
    """Add a line of the table to its person.

    Args:
        person: the person, who is changed.
        row: the line.
        mark: the index of the line's joint or end of a stick.
        origin: the coordinate of the first pixel's centre in the table.
        has_windows: whether the table has windows.

    Raises:
        UserError: the mark was given before, the window is not that of the person's earlier lines, or a value is not
            valid.
    """
    if mark in person.lines:
        name, line = row.parse_text("joint"), person.lines[mark]
        raise UserError(f"{row.where}: {name} of this person is already in line {line}; remove one of them")
    if has_windows:
        window = _parse_window(row) - origin
        if person.lines and not np.array_equal(window, person.window_px):
            first = next(iter(person.lines.values()))
            raise UserError(f"{row.where}: the window is not that of line {first}, though it is the same person")
        person.window_px = window
    point = np.array([row.parse_number(column) for column in ("x", "y")])
    check_point(point, row.where)
    person.lines[mark] = row.line
    person.points_px[mark] = point - origin
    person.confidence[mark] = _parse_confidence(row)


def parse_person_number(row: Row, people_in_image: int, image: str) -> int:
    """Return the number, counted from 1, of the annotated person of an image that a line is about.

    Args:
        row: the line.
        people_in_image: the number of annotated test people in the image.
        image: the image's name, for the error message.

    Raises:
        UserError: there is no such person.
    """
    text = row.parse_text("person")
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= people_in_image):
        there = (
            "1 (the only annotated test person)" if people_in_image == 1 else f"a number from 1 to {people_in_image}"
        )
        raise UserError(f"{row.where}: column 'person' must be {there} for {image}, got {text[:60]!r}")
    return int(text)


def _parse_window(row: Row) -> Float[np.ndarray, " 4"]:
    """Return the window (x0, y0, x1, y1) of a line. Raises UserError if it is not a box."""
    window = np.array([row.parse_number(column) for column in WINDOW])
    if not (np.isfinite(window).all() and (window[2:] > window[:2]).all()):
        raise UserError(f"{row.where}: columns {', '.join(WINDOW)} must be a box, got {window.tolist()}")
    return window


def _parse_confidence(row: Row) -> float:
    """Return the confidence of a line; NaN if it has none. Raises UserError if it is not in [0, 1]."""
    if "confidence" not in row.cells:
        return np.nan
    value = row.parse_number("confidence")
    if not (np.isnan(value) or 0 <= value <= 1):
        raise UserError(
            f"{row.where}: column 'confidence' must be from 0 to 1, or empty, got {value:g}; "
            "rename the column if it is another score"
        )
    return value


class CsvReader:
    """Reads a CSV file with the columns image, person, joint, x, y, in any order; other columns are only counted.

    A line gives a joint of a person in an image, or an end of a stick, `<stick>_1` or `<stick>_2`. If x and y are empty
    or NaN, the point is not predicted, and counts as wrong.

    There are two ways to match the people of the file with the annotated test people. By person: `person` is the number
    of an annotated test person in the image, counted from 1 in the annotation's order. By window: the file also has the
    columns window_x0, window_y0, window_x1 and window_y1, as hmlpe-predict writes them, and `person` only tells the
    found people of an image apart; an annotated person is matched with the found person whose window has the highest
    IoU with the true one, if it is above 0.5 (FACTS 6). Annotated people without a match are not detected; a file with
    a header only says that nobody is.

    A column confidence, with values in [0, 1] or empty, is kept.

    Args:
        origin: the coordinate of the first pixel's centre: 0, or 1.
        match: "window" or "person", see above; None: by window if the file has windows.
        allow_missing: when matching by person, whether people without a line count as wrong; else they are an error.
        allow_unknown: whether lines of other images are left out; else such a line is an error.

    Raises:
        UserError: a setting is not valid.
    """

    def __init__(
        self,
        origin: object = 0,  # object: a configuration may hold any type, and an invalid one is rejected below
        match: object = None,
        allow_missing: object = False,
        allow_unknown: object = False,
    ) -> None:
        if match not in (None, "window", "person"):
            raise UserError(f"predictions_form.match: must be window, person or null, got {match!r}")
        self.origin, self.match = parse_origin_setting(origin), match
        self.allow_missing = parse_bool_setting(allow_missing, "allow_missing")
        self.allow_unknown = parse_bool_setting(allow_unknown, "allow_unknown")

    def __call__(self, path: Path, truth: Truth) -> Estimates:
        """Return the table's predictions. Raises UserError, which names file and line, if they are not valid."""
        other = describe_other_format(path)
        if other is not None:
            raise UserError(f"{path}: {other}; expected a csv with the columns {', '.join(COLUMNS)}")
        header = _read_header(path)
        windows = any(name in header for name in WINDOW) if self.match is None else self.match == "window"
        required = (*COLUMNS, *WINDOW) if windows else COLUMNS
        table = read_table(path, required, OPTIONAL if windows else (*OPTIONAL, *WINDOW), may_be_empty=windows)
        people, marks = PeopleByImage(truth), Marks(truth)
        found, given, left_out = self._group_by_person(table.rows, people, marks, windows)
        if windows and not found:  # nobody is detected: all joints count as given, so that none is called missing
            given[: len(truth.skeleton.joints)] = True
        chosen, missing = (
            self._match_by_window(path, found, people, truth) if windows else self._match_by_number(path, found, people)
        )
        points = np.full((len(truth), len(marks.names), 2), np.nan)
        confidence = np.full((len(truth), len(marks.names)), np.nan)
        for person, one in chosen.items():
            points[person], confidence[person] = one.points_px, one.confidence
        detected = np.isfinite(points).all(axis=-1).any(axis=-1)
        if not windows:
            check_not_empty(points, str(path))
        else:
            detected[list(chosen)] = True
        if left_out:
            missing.append(f"lines of {left_out} other images left out")
        missing += [f"{count} {what} left out" for what, count in table.ignored.items()]
        return marks.to_estimates(points, given, detected, confidence, "; ".join(missing))

    def _group_by_person(
        self, rows: Sequence[Row], people: PeopleByImage, marks: Marks, has_windows: bool
    ) -> tuple[dict[tuple[str, str], TablePerson], Bool[np.ndarray, " mark"], int]:
        """Group the table's lines by person.

        Returns:
            The people by (image, the table's label of the person); (mark,) whether the table gives the mark for
            somebody; and the number of images that are not test images.
        """
        found: dict[tuple[str, str], TablePerson] = {}
        given, others = np.zeros(len(marks.names), dtype=bool), set()
        for row in rows:
            name = checked_image_name(with_forward_slashes(row.cells["image"]), f"{row.where}, column 'image'")
            image = people.find_image(name, row.where)
            if image is None and not self.allow_unknown:
                raise people.unknown_image_error(name, row.where, "csv")
            mark = marks.index(row.parse_text("joint"), row.where)
            if image is None:
                others.add(name)
                continue
            label = row.parse_text("person")
            if not label:
                raise UserError(f"{row.where}: column 'person' is empty; number the people of an image")
            label = label if has_windows else str(parse_person_number(row, len(people.indices_by_image[image]), image))
            one = found.setdefault((image, label), TablePerson.without_lines(len(marks.names)))
            add_line(one, row, mark, self.origin, has_windows)
            given[mark] = True
        return found, given, len(others)

    def _match_by_number(
        self, path: Path, table_people: dict[tuple[str, str], TablePerson], people: PeopleByImage
    ) -> tuple[dict[int, TablePerson], list[str]]:
        """Match the people of the file with annotated people by their number in the image.

        Returns:
            What the file predicts for each person, by the person's index in the truth; and notes on the people without
            a line.
        """
        chosen = {people.indices_by_image[image][int(number) - 1]: one for (image, number), one in table_people.items()}
        everyone = [person for own in people.indices_by_image.values() for person in own]
        missing = sorted(set(everyone) - set(chosen))
        if not self.allow_missing:
            people.check_nobody_missing(missing, path, "line", "csv")
        return chosen, [f"no line for {len(missing)} of {len(everyone)} people"] if missing else []

    def _match_by_window(
        self, path: Path, table_people: dict[tuple[str, str], TablePerson], people: PeopleByImage, truth: Truth
    ) -> tuple[dict[int, TablePerson], list[str]]:
        """Match the people of the file with annotated people by the IoU of their windows.

        Returns:
            What the file predicts for each matched person, by the person's index in the truth; and notes on the people
            who are not matched.
        """
        if not np.isfinite(truth.window_px).all(axis=1).any():
            raise UserError(
                f"{path}: people of {truth.data} have no upper-body windows to find them by; let column 'person' count "
                "the annotated people, with predictions_form=csv predictions_form.match=person"
            )
        chosen: dict[int, TablePerson] = {}
        silent = 0
        found_in: dict[str, list[TablePerson]] = {}
        for (image, _), one in table_people.items():
            found_in.setdefault(image, []).append(one)
        for image, own in people.indices_by_image.items():
            there = found_in.get(image, [])
            silent += 0 if there else len(own)
            best = match_people(list(truth.window_px[own]), [one.window_px for one in there])
            chosen |= {own[i]: there[j] for i, j in best.items()}
        windows = {image: [one.window_px for one in men] for image, men in found_in.items()}
        check_any_matched(path, truth, {i: windows.get(image, []) for i, image in enumerate(truth.images)}, len(chosen))
        lost, extra = len(truth) - len(chosen), len(table_people) - len({id(one) for one in chosen.values()})
        text = [f"{lost} of {len(truth)} people not found, {silent} of them in images without a line"] if lost else []
        return chosen, text + ([f"{extra} found who are not annotated"] if extra else [])


def _read_header(path: Path) -> list[str]:
    """Return the column names in the file's first line; empty if it cannot be read, which `read_table` reports."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [name.strip() for name in next(csv.reader(file, skipinitialspace=True), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
