"""Let one process at a time work in a folder: a kernel lock, which is released when its process ends in any way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hmlpe.errors import UserError


@contextmanager
def locked(path: Path, what: str, timeout_s: float = 0.0) -> Iterator[None]:
    """Hold an exclusive lock on the file `path` while the `with` block runs; the file itself stays afterwards.

    Args:
        path: lock file, created if it is missing; it holds the id of the process that locked it last.
        what: the name of what the lock protects, for the error message, e.g. "run".
        timeout_s: how long to wait for another process to release the lock: a killed process may take a moment to end.

    Raises:
        UserError: another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(path, timeout_s, poll_interval=0.1, fallback_to_soft=False).acquire()
    except Timeout:
        raise UserError(
            f"{path.parent}: this {what} is already running{_owner_in_words(path)}; wait for it, or stop it"
        ) from None
    with held:
        path.write_text(f"{os.getpid()}\n")
        yield


def _owner_in_words(path: Path) -> str:
    """Return ` (process <id>)` of the process that holds the lock, for a message; "" if the file has no id yet."""
    number = path.read_text().strip()
    return f" (process {number})" if number else ""
