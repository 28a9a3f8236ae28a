"""Ctrl-C ends every program with 130, whatever it is at, and whatever a library makes of it."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130  # as shells have it: 128 + SIGINT
_heard = False


def end_at_once() -> None:
    """While modules load there is nothing to put in order, and an exception within an import may be lost.

    It is for our programs alone, not for whoever imports them. Where Ctrl-C is ignored (nohup) it stays so.
    """
    ours = any(word.startswith("hmlpe.cli.") or os.path.basename(word).startswith("hmlpe-") for word in sys.orig_argv)
    if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))


def raise_and_remember() -> None:
    """From now on it raises KeyboardInterrupt, as everywhere, and is remembered."""
    if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
        signal.signal(signal.SIGINT, _hear)


def interrupted() -> bool:
    """Whether there was a Ctrl-C since `raise_and_remember`: Lightning and others turn it into errors of their own."""
    return _heard


def _hear(number: int, frame: FrameType | None) -> None:
    global _heard
    _heard = True
    signal.default_int_handler(number, frame)
