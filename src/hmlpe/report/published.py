"""Other methods' published numbers, as in conf/published.

Each states its convention for left and right ("sides"), and can only be compared with numbers of the same convention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from hmlpe.errors import UserError

Row: TypeAlias = Mapping[str, Any]
Published: TypeAlias = Mapping[str, Sequence[Row]]
"""Methods with their scores, by name of the data set."""
SIDES = ("image", "person")
FIELDS = ("method", "people", "sides", "scores")


def check_published(content: object) -> None:
    """Raise UserError, naming set and row, unless `content` lists methods by data set, each with all `FIELDS`."""
    if not isinstance(content, Mapping):
        raise UserError(f"published: must list rows for each set, as in conf/published, got {content!r}")
    for of_set, rows in content.items():
        if not isinstance(rows, Sequence | None) or isinstance(rows, str):
            raise UserError(f"published.{of_set}: must be a list of rows, as in conf/published, got {rows!r}")
        for number, row in enumerate(rows or (), start=1):
            where = f"published.{of_set}, row {number}"
            lacking = [name for name in FIELDS if not isinstance(row, Mapping) or row.get(name) is None]
            if lacking:
                raise UserError(f"{where}: has no {' and no '.join(lacking)}; conf/published shows a complete row")
            if row["sides"] not in SIDES:
                raise UserError(f"{where}: sides must be {' or '.join(SIDES)}, got {row['sides']!r}")


def split_by_sides(rows: Sequence[Row], sides: str) -> tuple[list[Row], list[Row]]:
    """Split the rows into those with the given convention for left and right, which are comparable, and the others.

    Left and right decide which point a joint is compared with, so numbers of two conventions are two measures.

    Args:
        rows: published methods.
        sides: the convention of the numbers to compare with, one of `SIDES`.
    """
    return [row for row in rows if row["sides"] == sides], [row for row in rows if row["sides"] != sides]
