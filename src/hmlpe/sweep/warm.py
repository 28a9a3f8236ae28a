"""Processes that start warm: forks of a server that has loaded the heavy packages, and has no GPU and no state."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

PRELOAD = "hmlpe.sweep.preload"

_context = multiprocessing.get_context("forkserver")


def warm_up() -> None:
    """Start the server, which loads in the background; the first process waits for it."""
    _context.set_forkserver_preload([PRELOAD])
    forkserver.ensure_running()


def start(target: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Start `target(pipe, *arguments)` in a process of its own.

    Returns:
        The process, and this side of its pipe: whoever closes it, or dies with it, ends the process (`lifeline`).
    """
    ours, theirs = _context.Pipe(duplex=True)
    process = _context.Process(target=target, args=(theirs, *arguments))
    process.start()
    theirs.close()
    return process, ours
