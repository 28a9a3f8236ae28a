"""One process at a time in a folder: the kernel's lock, which goes with the process, however that ends."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hmlpe.errors import UserError

PAUSE_S = 0.1


@contextmanager
def locked(path: Path, what: str, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of the file `path` while the block runs. The file stays behind and means nothing by itself.

    Args:
        path: made if need be; it holds the process number of the one that locked it last.
        what: the folder is for, as the message says it, e.g. "run".
        patience_s: how long to wait for another to let go: a killed process may take a moment to be gone.

    Raises:
        UserError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        until = time.monotonic() + patience_s
        while not _taken(file.fileno()):
            if time.monotonic() > until:
                raise UserError(f"{path.parent}: this {what} is at work already{_owner(path)}; wait for it, or end it")
            time.sleep(PAUSE_S)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _taken(descriptor: int) -> bool:
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
