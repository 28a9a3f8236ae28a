"""Read the text format of stickmen: a header line, then six lines `x1 y1 x2 y2` for each person.

The header is an image's name (or a frame number), in some sets followed by the numbers of people and of parts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hmlpe.data.sources.folder import LARGEST_PX
from hmlpe.errors import UserError

PARTS = 6
ORIGIN_PX = 1  # coordinate of the first pixel's centre: the sets' tools are in MATLAB, which counts from 1 (grade I)
LONGEST_NAME = 255  # bytes; file systems allow no longer names

# Stricter than float(), which accepts 1_0 and infinity.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, eq=False)
class Stickman:
    """An annotated person in a stickman file: six sticks.

    Attributes:
        image: the image's name, which `to_image_name` of `read_stickmen` returned for the header's first word.
        where: the file, and the line of the first stick, for messages.
        sticks_px: (6, 4) x1 y1 x2 y2, pixels counted from 0, in the file's order; a hidden stick is NaN.
    """

    image: str
    where: str
    sticks_px: Float[np.ndarray, "6 4"]


def read_stickmen(
    path: Path, allowed_counts: Collection[int], to_image_name: Callable[[str, str], str]
) -> list[Stickman]:
    """Read all stickmen of an annotation file, in its order.

    Args:
        path: the file.
        allowed_counts: how many numbers may follow the name in a header; the first number is the number of people (1
            if missing), the second the number of parts, which must be 6.
        to_image_name: function of (the header's first word, its place for messages) that returns the image's name; it
            may raise UserError.

    Raises:
        UserError: a line is not in this format, or an image has a second record; names file and line.
    """
    lines = _read_lines(path)
    people: list[Stickman] = []
    headers: dict[str, int] = {}  # line of the header, by image
    at = 0
    while at < len(lines):
        where = f"{path}, line {at + 1}"
        name, number = _parse_header(_split_words(lines[at]), allowed_counts, where)
        image = to_image_name(name, where)
        if image in headers:
            raise UserError(f"{where}: {image!r} already has a record, at line {headers[image]}; remove one of them")
        headers[image] = at + 1
        due, left = number * PARTS, len(lines) - at - 1
        if due > left:  # checked before memory is allocated for so many
            raise UserError(f"{where}: expected {due} lines of sticks, but {left} follow; is the file cut off?")
        for first in range(at + 1, at + 1 + due, PARTS):
            rows = range(first, first + PARTS)
            sticks = np.array([_parse_stick(_split_words(lines[row]), f"{path}, line {row + 1}") for row in rows])
            people.append(Stickman(image, f"{path}, line {first + 1}", sticks - ORIGIN_PX))
        at += 1 + due
    return people


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, without empty ones at the end. Raises UserError if it is cut off."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: annotation file is missing; does data.root name the set's folder?") from error
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror})") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not UTF-8 text; is this the set's own annotation file?") from error
    lines = text.split("\n")  # not splitlines(), which also splits at other line ends of Unicode
    if _split_words(lines[-1]):  # a number that is cut off can look complete
        raise UserError(f"{path}, line {len(lines)}: has no line break; fetch it again, or add one if it is whole")
    while lines and not _split_words(lines[-1]):
        lines.pop()
    if not lines:
        raise UserError(f"{path}: empty; fetch it again")
    return lines


def _split_words(line: str) -> list[str]:
    return [word for word in re.split(r"[ \t]+", line.removesuffix("\r")) if word]


def _parse_header(words: list[str], counts: Collection[int], where: str) -> tuple[str, int]:
    """Return the image's name and the number of people in a header line. Raises UserError if it is no header."""
    if len(words) - 1 not in counts:
        due = " or ".join(str(1 + count) for count in sorted(counts))
        raise UserError(f"{where}: expected a header of {due} words, got {_short_repr(' '.join(words))}")
    name = words[0]
    if name.lower() == "nan" or (_NUMBER.fullmatch(name) and not name.isdecimal()):
        raise UserError(f"{where}: expected a header, got the number {_short_repr(name)}; is a line missing or extra?")
    if len(name.encode()) > LONGEST_NAME:
        raise UserError(f"{where}: the name {_short_repr(name)} is too long")
    numbers = [_parse_count(word, where) for word in words[1:]]
    if numbers[1:] not in ([], [PARTS]):
        raise UserError(f"{where}: a person must have {PARTS} parts, got {numbers[1]}")
    return name, numbers[0] if numbers else 1


def _parse_count(word: str, where: str) -> int:
    """Return a positive number of a header. Raises UserError if the word is none."""
    if not _COUNT.fullmatch(word) or int(word) == 0:
        raise UserError(f"{where}: the header's counts must be positive whole numbers, got {_short_repr(word)}")
    return int(word)


def _parse_stick(words: list[str], where: str) -> list[float]:
    """Return the numbers x1 y1 x2 y2 of a line; NaN if the stick is hidden. Raises UserError if it is no stick."""
    if len(words) != 4:
        raise UserError(f"{where}: expected a stick's four numbers, got {_short_repr(' '.join(words))}")
    numbers = [_parse_coordinate(word, where) for word in words]
    if 0 < sum(math.isnan(number) for number in numbers) < 4:
        raise UserError(f"{where}: a hidden stick must be all NaN, got {_short_repr(' '.join(words))}")
    return numbers


def _parse_coordinate(word: str, where: str) -> float:
    """Return a coordinate in pixels, or NaN. Raises UserError if the word is neither."""
    if word.lower() == "nan":
        return math.nan
    if len(word) > 40 or not _NUMBER.fullmatch(word) or not abs(float(word)) < LARGEST_PX:
        raise UserError(f"{where}: expected a number of pixels, got {_short_repr(word)}")
    return float(word)


def _short_repr(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
