"""Names as file managers, labelling tools and file systems write them: what is one, and which two are the same."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from hmlpe.errors import UserError

CONTROL = {"Cc", "Cs", "Zl", "Zp"}  # of Unicode: they end a line, move a terminal's cursor, or cannot be written
MARK = "\ufeff"  # of a text's encoding: what holds it was not read as it was written


def is_plain(text: str) -> bool:
    """Whether it holds no control characters: any space and joiner may stand in a name, though Python prints it not."""
    return text.isprintable() or not any(unicodedata.category(one) in CONTROL or one == MARK for one in text)


def composed(name: str) -> str:
    """The one spelling (NFC) of a name: an ä may be one letter, or an a and its dots, as macOS has it."""
    return unicodedata.normalize("NFC", name)


def slashed(name: str) -> str:
    """A path below a folder as written on Windows, with slashes; one of a drive, or without backslashes, as it is."""
    path = PureWindowsPath(name)
    return path.as_posix() if "\\" in name and not path.drive else name


def same_id(value: int | str) -> int | str:
    """The number that a text spells, as some tools write ids as texts in one place and as numbers in another."""
    whole = isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdecimal()
    return int(value) if whole and str(int(value)) == value else value


def on_disk(folder: Path, name: str) -> str:
    """The path below `folder` as the file system spells it: of the same letters, composed or not.

    Raises:
        UserError: two files have the same letters.
    """
    if name.isascii():
        return name
    found: list[str] = []
    for part in PurePosixPath(name).parts:
        there = _entries(folder.joinpath(*found)).get(composed(part), (part,))
        if len(there) > 1:
            raise UserError(f"{folder.joinpath(*found)}: {part!r} is there in two spellings (Unicode); rename one")
        found.append(there[0])
    return "/".join(found)


def _entries(folder: Path) -> Mapping[str, tuple[str, ...]]:
    try:
        return _listed(str(folder), os.stat(folder).st_mtime_ns)
    except (OSError, ValueError):  # no such folder, or no name of one
        return {}


@lru_cache(maxsize=64)
def _listed(folder: str, changed: int) -> Mapping[str, tuple[str, ...]]:
    """Composed name -> the entries of a folder that it is of; those that have but one spelling aside."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in sorted(os.listdir(folder)):
        if not entry.isascii():
            found[composed(entry)] = (*found.get(composed(entry), ()), entry)
    return found
