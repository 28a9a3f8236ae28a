"""Read CSV files as people, pandas and spreadsheets write them: strictly, with errors that name file and line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hmlpe.errors import UserError
from hmlpe.spelling import is_plain, to_nfc

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
WHOLE_NUMBER = re.compile(r"(\d+)\.0*", re.ASCII)  # pandas makes 1.0 of a 1 in a column that has gaps
UNKNOWN_TEXTS = ("", "nan")  # compared in lower case
FLAGS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


@dataclass(frozen=True)
class Row:
    """One line of a CSV file, whose cells are converted when they are asked for.

    Attributes:
        where: file and line, for error messages.
        line: line number in the file; the header is line 1.
        cells: name of a known column -> text of the cell, stripped.
    """

    where: str
    line: int
    cells: Mapping[str, str]

    def parse_number(self, column: str) -> float:
        """Return the cell as a float; NaN if it is empty or `nan`. Raises UserError for any other text."""
        text = self.cells[column]
        if text.lower() in UNKNOWN_TEXTS:
            return float("nan")
        if not NUMBER.fullmatch(text):
            raise UserError(
                f"{self.where}: column {column!r} must be a number (decimal point), got {text[:60]!r}; leave "
                "unknown values empty or NaN"
            )
        return float(text)

    def parse_bool(self, column: str) -> bool | None:
        """Return the cell (1, 0, true or false) as a bool; None if it is empty or `nan`. Raises UserError otherwise."""
        text = self.cells[column].lower()
        if text not in (*FLAGS, *UNKNOWN_TEXTS):
            raise UserError(f"{self.where}: column {column!r} must be 1, 0 or empty, got {text[:60]!r}")
        return FLAGS.get(text)

    def parse_text(self, column: str) -> str:
        """Return the cell's text in Unicode NFC; "" if it is empty or `nan`, or the file lacks the column.

        A whole number that is written as a float loses its decimals, e.g. 1.0 becomes "1".
        """
        text = self.cells.get(column, "")
        whole = WHOLE_NUMBER.fullmatch(text)
        return "" if text in ("nan", "NaN") else whole[1] if whole else to_nfc(text)


@dataclass(frozen=True)
class Table:
    """The content of a CSV file.

    Attributes:
        rows: the lines that have text in at least one known column.
        ignored: kind of content that was not read -> how often it occurs.
    """

    rows: Sequence[Row]
    ignored: Mapping[str, int]


def read_table(path: Path, required: Sequence[str], optional: Sequence[str], may_be_empty: bool = False) -> Table:
    """Read the lines below the header, which must name all required columns.

    Columns that are neither required nor optional, and lines whose known cells are all empty, are left out and counted.

    Args:
        path: the CSV file.
        required: names of the columns that the header must have.
        optional: names of further columns to read if the header has them.
        may_be_empty: whether a file with a header and no lines is accepted.

    Raises:
        UserError: the file is missing, not UTF-8, cut off, or not separated by commas; a required column is missing, a
            column occurs twice, or a line is malformed.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror})") from error
    if not text.strip():
        raise UserError(f"{path}: is empty; its first line must name the columns {', '.join(required)}")
    if not text.endswith(("\n", "\r")):  # the last number could be the beginning of a longer one
        raise UserError(f"{path}: its last line has no line break; is the file cut off? If it is complete, add one")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    rows, empty = [], 0
    try:
        header = _checked_header(path, next(reader, []), required, optional)
        known = [place for place, name in enumerate(header) if name in (*required, *optional)]
        others = dict.fromkeys((place for place in range(len(header)) if place not in known), 0)
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if not any(map(str.strip, cells)):
                empty += bool(cells)  # the csv module gives no cells for a line without any text or comma
                continue
            if len(cells) != len(header):
                raise UserError(f"{where}: {len(cells)} cells, the header has {len(header)}; is a cell missing?")
            if not is_plain("".join(cells)):
                raise UserError(f"{where}: a cell holds a line break or another unprintable character")
            for place in others:
                others[place] += bool(cells[place].strip())
            found = {header[place]: cells[place].strip() for place in known}
            if any(found.values()):
                rows.append(Row(where, reader.line_num, found))
            else:
                empty += 1
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not readable as CSV ({error})") from error
    if not rows and not may_be_empty:
        raise UserError(f"{path}: there are no lines below its header")
    ignored = {"empty lines": empty} if empty else {}
    for place, count in others.items():
        what = f"cells of the unknown column {header[place][:60]!r}" if count else "empty columns"
        ignored[what] = ignored.get(what, 0) + (count or 1)
    return Table(rows, ignored)


def _checked_header(path: Path, cells: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> list[str]:
    """Return the column names from the cells of the first line.

    Raises:
        UserError: a required column is missing, a column occurs twice, or the file is not separated by commas.
    """
    names = [cell.strip() for cell in cells]
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and sign in cells[0]:
            raise UserError(f"{path}, line 1: separated by {name}; save it with commas (and decimal points)")
    others = [column[:60] for column in names if column and column not in (*required, *optional)]
    for column in required:
        if column not in names:
            unknown = f"; unknown: {', '.join(map(repr, others))}" if others else ""
            raise UserError(
                f"{path}, line 1: no column {column!r}; the columns are {', '.join(required)}, and optionally "
                f"{', '.join(optional)}{unknown}"
            )
    for column in (*required, *optional):
        if names.count(column) > 1:
            raise UserError(f"{path}, line 1: the column {column!r} appears twice")
    return names
