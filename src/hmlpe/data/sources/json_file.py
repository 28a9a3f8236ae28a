"""Reading a JSON file of records: strictly, with errors that name file, record and field."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from hmlpe.data.sources.folder import LARGEST_PX
from hmlpe.errors import UserError
from hmlpe.spelling import is_plain, same_id

Record = dict[str, Any]
Identifier = int | str


def read_object(path: Path) -> Record:
    """The file's one object; NaN and infinity are read, as Python's tools write them.

    Raises:
        UserError: the file is missing, cut off, not UTF-8 or no JSON, or has a key twice in an object.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_object)
    except (OSError, ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise UserError(f"{path}: not readable as JSON ({reason}); is the file whole?") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold one JSON object, got {shown(content)}")
    return content


def records(content: Record, key: str, path: Path) -> list[Record]:
    """The list of objects under the key. Raises UserError if there is none."""
    listed = field(content, key, str(path))
    if not isinstance(listed, list):
        raise UserError(f"{path}: {key!r} must be a list, got {shown(listed)}")
    for place, record in enumerate(listed, start=1):
        if not isinstance(record, dict):
            raise UserError(f"{path}: {key!r} must hold objects, got {shown(record)} at place {place}")
    return listed


def field(record: Record, name: str, where: str) -> Any:
    """The named field; raises UserError if the record has none."""
    if name not in record:
        raise UserError(f"{where}: field {name!r} is missing")
    return record[name]


def identifier(record: Record, name: str, where: str) -> Identifier:
    """The named field, a whole number or a text; a number written as a text is that number.

    Raises:
        UserError: it is anything else, or is not there.
    """
    value = field(record, name, where)
    if isinstance(value, bool) or not isinstance(value, int | str) or not is_plain(str(value)):
        raise UserError(f"{where}: field {name!r} must be a whole number or a text, got {shown(value)}")
    return same_id(value)


def numbers(record: Record, name: str, count: int, where: str) -> Float[np.ndarray, " number"]:
    """The named field, a list of `count` numbers, none larger than any image; null and NaN are NaN.

    Raises:
        UserError: it is no such list, or is not there.
    """
    value = field(record, name, where)
    if not isinstance(value, list) or len(value) != count:
        got = f"{len(value)} of them" if isinstance(value, list) else shown(value)
        raise UserError(f"{where}: field {name!r} must be a list of {count} numbers, got {got}")
    for number in value:
        known = number is not None and number == number
        if known and (isinstance(number, bool) or not isinstance(number, int | float) or abs(number) > LARGEST_PX):
            raise UserError(f"{where}: field {name!r} must hold numbers of at most {LARGEST_PX}, got {shown(number)}")
    return np.array(value, dtype=np.float64)  # null becomes NaN


def shown(value: Any) -> str:
    """The value, short enough for a message."""
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(value)) or repr(value)[:60]


def _object(pairs: list[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) != len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {name[:60]!r} is there twice in one object")
    return record
