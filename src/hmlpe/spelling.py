"""Normalise names of files and images as file managers, labelling tools and file systems write them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from hmlpe.errors import UserError

# Unicode categories of characters that end a line, move the cursor, or cannot be encoded.
CONTROL_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
BYTE_ORDER_MARK = "\ufeff"  # a text that holds one was decoded wrongly


def is_plain(text: str) -> bool:
    """Return whether the text holds no control characters, line separators, lone surrogates or byte order mark.

    Any space or joiner is accepted, even those that Python calls not printable.
    """
    return text.isprintable() or not any(
        unicodedata.category(one) in CONTROL_CATEGORIES or one == BYTE_ORDER_MARK for one in text
    )


def to_nfc(name: str) -> str:
    """Return the name in Unicode NFC: an ä may be one character, or an a and a combining mark, as macOS writes it."""
    return unicodedata.normalize("NFC", name)


def with_forward_slashes(name: str) -> str:
    """Replace the backslashes of a relative path that was written on Windows by slashes.

    A path with a drive, or without backslashes, is unchanged.
    """
    path = PureWindowsPath(name)
    return path.as_posix() if "\\" in name and not path.drive else name


def normalised_id(value: int | str) -> int | str:
    """Return an id as an int if it is the decimal text of one, such as "17"; return any other id unchanged.

    Some tools write the same id as a text in one place and as a number in another.

    >>> normalised_id("17"), normalised_id("017"), normalised_id("a")
    (17, '017', 'a')
    """
    whole = isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdecimal()
    return int(value) if whole and str(int(value)) == value else value


def path_on_disk(folder: Path, name: str) -> str:
    """Return the path below `folder` as the file system spells it, whichever Unicode normal form it uses.

    Raises:
        UserError: two files have names that differ only in their normal form.
    """
    if name.isascii():
        return name
    found: list[str] = []
    for part in PurePosixPath(name).parts:
        there = _spellings_in(folder.joinpath(*found)).get(to_nfc(part), (part,))
        if len(there) > 1:
            raise UserError(f"{folder.joinpath(*found)}: {part!r} exists in two spellings (Unicode); rename one")
        found.append(there[0])
    return "/".join(found)


def _spellings_in(folder: Path) -> Mapping[str, tuple[str, ...]]:
    """Return the result of `_spellings_by_nfc_name` for the folder as it is now; empty if there is no such folder."""
    try:
        return _spellings_by_nfc_name(str(folder), os.stat(folder).st_mtime_ns)
    except (OSError, ValueError):  # there is no such folder, or this cannot be the name of one
        return {}


@lru_cache(maxsize=64)
def _spellings_by_nfc_name(folder: str, mtime_ns: int) -> Mapping[str, tuple[str, ...]]:
    """Return name in Unicode NFC -> the names of the folder's entries that have this normal form.

    ASCII names, which have only one spelling, are left out. The result is cached; `mtime_ns`, the folder's modification
    time, makes sure that a changed folder is read anew.
    """
    found: dict[str, tuple[str, ...]] = {}
    for entry in sorted(os.listdir(folder)):
        if not entry.isascii():
            found[to_nfc(entry)] = (*found.get(to_nfc(entry), ()), entry)
    return found
