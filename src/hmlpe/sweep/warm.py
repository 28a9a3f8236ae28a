"""Worker processes that start fast: forks of a server that has imported the heavy packages, without GPU or state."""

from __future__ import annotations

import atexit
import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import weakref
from collections.abc import Callable
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from hmlpe.errors import UserError

PRELOAD = "hmlpe.sweep.preload"
START_ATTEMPTS = 3
LAUNCHER_PID = "HMLPE_LAUNCHER"  # environment variable: the id of the process that starts the server
LAUNCHER_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
PR_SET_PDEATHSIG = 1  # linux/prctl.h

_context = multiprocessing.get_context("forkserver")


def start_fork_server() -> None:
    """Start the fork server if it does not run yet; it imports `PRELOAD` in the background.

    The first process that is started waits for these imports.

    The server and the processes that it forks start with `LAUNCHER_SIGNALS` blocked, which the terminal sends to the
    whole process group: only the launcher handles them, and the server and its processes end when the launcher ends.
    """
    _context.set_forkserver_preload([PRELOAD])
    os.environ[LAUNCHER_PID] = str(os.getpid())
    resource_tracker.ensure_running()  # started before the mask is set, as it would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, LAUNCHER_SIGNALS)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(parent: int | None = None) -> None:
    """Make the kernel kill this process as soon as its parent ends (on Linux only; elsewhere a pipe must do).

    Args:
        parent: the parent's process id; if that process is no longer the parent, this one ends at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def detach_from_server() -> None:
    """Remove from this process, a fork of the server, the server's exit handlers and its way of starting processes.

    The exit handlers inherited from the server are dropped, as they would remove what other processes still use.
    (multiprocessing does the same with its own handlers.) Handlers registered from now on run when this process ends.
    """
    atexit._clear()
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]
    atexit.register(logging.shutdown)
    # Else data-loading processes come from another fork server that imports all.
    multiprocessing.set_start_method(None, force=True)


def start_process(target: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Start `target(pipe, *arguments)` in a new process.

    Returns:
        The process, and this side of its pipe: the process is killed when this side is closed, or when the process
        that holds it dies (`start_lifeline`).

    Raises:
        UserError: the fork server died at each of several attempts.
    """
    for _ in range(START_ATTEMPTS):
        start_fork_server()  # the server may have died meanwhile
        ours, theirs = _context.Pipe(duplex=True)
        process = _context.Process(target=target, args=(theirs, *arguments))
        try:
            process.start()
        except (EOFError, ConnectionError):  # the server died before it had forked the process
            continue
        finally:
            theirs.close()
        return process, ours
    raise UserError(
        f"no process could be started: the fork server died {START_ATTEMPTS} times as it loaded; is memory short?"
    )
