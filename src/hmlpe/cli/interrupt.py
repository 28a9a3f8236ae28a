"""Make Ctrl-C end every program with exit code 130, whatever it is doing, and whatever error a library raises then."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130  # as shells have it: 128 + SIGINT
_interrupted = False


def exit_at_once_on_interrupt() -> None:
    """Let Ctrl-C end the process at once with exit code 130, while modules load.

    There is nothing to clean up yet, and an exception inside an import could get lost. This applies only to hmlpe's own
    programs, not to programs that import hmlpe, and not where SIGINT is ignored (nohup).
    """
    ours = any(word.startswith("hmlpe.cli.") or os.path.basename(word).startswith("hmlpe-") for word in sys.orig_argv)
    if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))


def record_interrupts() -> None:
    """From now on, let Ctrl-C raise KeyboardInterrupt as usual, and record it for `interrupted`.

    Where SIGINT is ignored (nohup), it stays ignored.
    """
    if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
        signal.signal(signal.SIGINT, _record_sigint)


def interrupted() -> bool:
    """Return whether Ctrl-C was pressed since `record_interrupts`.

    Needed because Lightning and other libraries turn it into errors of their own.
    """
    return _interrupted


def _record_sigint(signal_number: int, frame: FrameType | None) -> None:
    """Record that Ctrl-C was pressed, and raise KeyboardInterrupt, as Python's own SIGINT handler does."""
    global _interrupted
    _interrupted = True
    signal.default_int_handler(signal_number, frame)
