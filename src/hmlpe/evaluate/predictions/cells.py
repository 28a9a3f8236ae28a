"""The cells of a table of predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hmlpe.csv_file import Row
from hmlpe.errors import UserError
from hmlpe.evaluate.predictions.points import check_point
from hmlpe.predict.write import WINDOW

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
