"""Let one process at a time work in a folder: a kernel lock, which is released when its process ends in any way."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hmlpe.errors import UserError

POLL_INTERVAL_S = 0.1


@contextmanager
def locked(path: Path, what: str, timeout_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of the file `path` while the block runs. The file stays behind and means nothing by itself.

    Args:
        path: lock file, created if it is missing; it holds the id of the process that locked it last.
        what: what the folder is for, as the message calls it, e.g. "run".
        timeout_s: how long to wait for another process to release the lock: a killed process may take a moment to end.

    Raises:
        UserError: another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        until = time.monotonic() + timeout_s
        while not _try_lock(file.fileno()):
            if time.monotonic() > until:
                raise UserError(f"{path.parent}: this {what} is at work already{_owner(path)}; wait for it, or end it")
            time.sleep(POLL_INTERVAL_S)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _try_lock(descriptor: int) -> bool:
    """Try to take the lock, and return whether that succeeded."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _owner(path: Path) -> str:
    number = path.read_text().strip()
    return f" (process {number})" if number else ""
