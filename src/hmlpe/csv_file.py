"""Reading a CSV file: strictly, with errors that name file and line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hmlpe.errors import UserError


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        where: file and line, for messages.
        line: counted from 1, which is the header.
        cells: column -> its text, without spaces around it.
    """

    where: str
    line: int
    cells: Mapping[str, str]


def read_rows(path: Path, required: Sequence[str], optional: Sequence[str], may_be_empty: bool = False) -> list[Row]:
    """The lines below the header, which names all required columns and no others than the optional; empty lines aside.

    Args:
        may_be_empty: a header alone is a table too.

    Raises:
        UserError: no such file, not UTF-8, cut off, separated by something else, other columns, or cells that are odd.
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
        raise UserError(f"{path}: its last line has no end; is the file cut off? If it is whole, add an empty line")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    rows = []
    try:
        header = _header(path, next(reader, []), required, optional)
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(header):
                raise UserError(f"{where}: {len(cells)} cells, the header has {len(header)}; is a cell missing?")
            if not "".join(cells).isprintable():
                raise UserError(f"{where}: a cell holds a line break, or another sign that is not printable")
            rows.append(Row(where, reader.line_num, dict(zip(header, map(str.strip, cells), strict=True))))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not readable as CSV ({error})") from error
    if not rows and not may_be_empty:
        raise UserError(f"{path}: there are no lines below its header")
    return rows


def _header(path: Path, cells: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    allowed = f"the columns are {', '.join(required)}, and optionally {', '.join(optional)}"
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and sign in cells[0]:
            raise UserError(f"{path}, line 1: separated by {name}; save it with commas (and numbers with points)")
    for column in names:
        if column not in (*required, *optional):
            raise UserError(f"{path}, line 1: unknown column {column[:60]!r}; {allowed}")
        if names.count(column) > 1:
            raise UserError(f"{path}, line 1: the column {column!r} is there twice")
    for column in required:
        if column not in names:
            raise UserError(f"{path}, line 1: no column {column!r}; {allowed}")
    return names
