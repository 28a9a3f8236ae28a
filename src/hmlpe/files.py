"""Files that are whole or absent: written to a temporary name, then renamed. Digests of files and values."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hmlpe.errors import UserError


@contextmanager
def new_file(path: Path, ending: str = "") -> Iterator[Path]:
    """A temporary name beside `path`, which takes its place when the block is left without an error; else it is gone.

    Args:
        ending: of the temporary name, for writers that go by the suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{ending}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno and error.filename is None:  # a full disk's error does not say where
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Delete temporary files in `folder` that killed writers left; for who holds its lock: no other writes there.

    Args:
        name: of the files that they were to become, or a pattern.
    """
    for leftover in folder.glob(f".{name}.*.tmp*"):
        leftover.unlink(missing_ok=True)


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path`, which holds the old or the new content at any moment."""
    with new_file(path) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_text_atomic(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, atomically."""
    write_bytes_atomic(path, text.encode())


def write_json_atomic(path: Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN and infinity are refused (ValueError), as JSON has neither."""
    write_text_atomic(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises UserError naming the file if it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from error


def digest_of(value: Any) -> str:
    """Hex digest (16 digits) of a JSON-like value; equal values have equal digests whatever their key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def digest_of_file(path: Path) -> str:
    """Hex SHA-256 (64 digits) of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_files(paths: Iterable[Path], root: Path) -> str:
    """Hex digest (16 digits) over the names, relative to `root`, and the contents of several files."""
    return digest_of({str(path.relative_to(root)): digest_of_file(path) for path in paths})
