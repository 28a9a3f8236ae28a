"""Write files atomically (to a temporary name, then renamed), and compute digests of files and values."""

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
def atomic_file(path: Path, ending: str = "") -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` on success and is deleted on an error.

    Args:
        ending: suffix of the temporary name, for writers that choose the format by suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{ending}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno and error.filename is None:  # the error of a full disk does not name the file
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Delete temporary files in `folder` that killed writers left behind.

    Only the holder of the folder's lock may call this, as it would delete what another process is writing.

    Args:
        name: name of the files that were to be written, or a glob pattern.
    """
    for leftover in folder.glob(f".{name}.*.tmp*"):
        leftover.unlink(missing_ok=True)


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path`, which holds either the old or the new content at any moment."""
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_text_atomic(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, atomically."""
    write_bytes_atomic(path, text.encode())


def write_json_atomic(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. Raises ValueError on NaN and infinity, which JSON does not have."""
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
    """Return a hex digest (16 digits) of a JSON-like value; it does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def digest_of_file(path: Path) -> str:
    """Return the hex SHA-256 (64 digits) of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_files(paths: Iterable[Path], root: Path) -> str:
    """Return a hex digest (16 digits) of the names, relative to `root`, and the contents of several files."""
    return digest_of({str(path.relative_to(root)): digest_of_file(path) for path in paths})
