"""Other methods' numbers, as in conf/published: under which sides each was measured, and what it may stand beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from hmlpe.errors import UserError

Row: TypeAlias = Mapping[str, Any]
Published: TypeAlias = Mapping[str, Sequence[Row]]
"""By the set's name: methods with their scores."""
SIDES = ("image", "person")
FIELDS = ("method", "people", "sides", "scores")


def check_published(content: object) -> None:
    """Raise UserError, naming set and row, unless these are rows by set, each with its `FIELDS`."""
    if not isinstance(content, Mapping):
        raise UserError(f"published: must be rows by set, as in conf/published, got {content!r}")
    for of_set, rows in content.items():
        if not isinstance(rows, Sequence | None) or isinstance(rows, str):
            raise UserError(f"published.{of_set}: must be a list of rows, as in conf/published, got {rows!r}")
        for number, row in enumerate(rows or (), start=1):
            where = f"published.{of_set}, row {number}"
            lacking = [name for name in FIELDS if not isinstance(row, Mapping) or row.get(name) is None]
            if lacking:
                raise UserError(f"{where}: has no {' and no '.join(lacking)}; conf/published shows a whole row")
            if row["sides"] not in SIDES:
                raise UserError(f"{where}: sides must be {' or '.join(SIDES)}, got {row['sides']!r}")


def beside(rows: Sequence[Row], sides: str) -> tuple[list[Row], list[Row]]:
    """Those that may stand beside what was measured under these sides; and the others, which may not.

    Left and right decide which point a joint is compared with, so numbers of two conventions are of two measures.
    """
    return [row for row in rows if row["sides"] == sides], [row for row in rows if row["sides"] != sides]
