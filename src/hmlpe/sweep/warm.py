"""Processes that start warm: forks of a server that has loaded the heavy packages, and has no GPU and no state."""

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
TRIES = 3
LAUNCHER = "HMLPE_LAUNCHER"  # in the environment: the process that starts the server
FOR_THE_LAUNCHER = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
PR_SET_PDEATHSIG = 1  # linux/prctl.h

_context = multiprocessing.get_context("forkserver")


def warm_up() -> None:
    """Start the server, if it is not there; it loads in the background, and the first process waits for it.

    It and its processes begin deaf to what is for the launcher, though all of its group may get it: they end with that.
    """
    _context.set_forkserver_preload([PRELOAD])
    os.environ[LAUNCHER] = str(os.getpid())
    resource_tracker.ensure_running()  # apart, as it would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_LAUNCHER)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(parent: int | None = None) -> None:
    """Let the kernel kill this process as soon as the one that started it ends (Linux; elsewhere a pipe must do).

    Args:
        parent: the number of that one, should it be gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def stand_alone() -> None:
    """Let this fork of the server end, and start processes, as one that was started by itself.

    What the server would do at its end is forgotten: it would remove what others still use. (So multiprocessing does
    with what is its own.) What this process registers from now on, its end does.
    """
    atexit._clear()
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]
    atexit.register(logging.shutdown)
    multiprocessing.set_start_method(None, force=True)  # else a fork server of its own loads all for loading processes


def start(target: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Start `target(pipe, *arguments)` in a process of its own.

    Returns:
        The process, and this side of its pipe: whoever closes it, or dies with it, ends the process (`lifeline`).

    Raises:
        UserError: the server dies again and again.
    """
    for _ in range(TRIES):
        warm_up()  # should it have died meanwhile
        ours, theirs = _context.Pipe(duplex=True)
        process = _context.Process(target=target, args=(theirs, *arguments))
        try:
            process.start()
        except (EOFError, ConnectionError):  # it died before it had one
            continue
        finally:
            theirs.close()
        return process, ours
    raise UserError(f"no process could be started: the fork server died {TRIES} times as it loaded; is memory short?")
