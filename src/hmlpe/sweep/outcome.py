"""How a job ended, and why."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import Literal, get_args

from hmlpe.control_group import oom_kill_count

Kind = Literal["finished", "error", "killed", "out_of_memory", "timed_out", "interrupted", "stale"]
RETRIED = ("error", "killed", "out_of_memory", "timed_out")  # kinds of failure that can be retried
assert set(RETRIED) < set(get_args(Kind))

# Names of errors that mean "killed": `training.launch.RankKilled`, and Lightning's. (Nothing here may load torch.)
KILLED = ("RankKilled", "SIGTERMException")
_MEMORY = re.compile(r"out of memory|can't allocate memory|cannot allocate memory|MemoryError|bad_alloc", re.IGNORECASE)


@dataclass(frozen=True)
class Outcome:
    """How a job ended; `message` is one line for the user."""

    kind: Kind
    message: str = ""

    def __str__(self) -> str:
        """Return kind and message in one line, e.g. "killed: by signal 9 (SIGKILL)"."""
        return f"{self.kind.replace('_', ' ')}: {self.message}" if self.message else self.kind.replace("_", " ")


def outcome_of_error(error: BaseException) -> Outcome:
    """Return the outcome of a job that raised `error`; for a SystemExit, the outcome of the error that led to it."""
    if isinstance(error, SystemExit) and error.__context__ is not None:
        error = error.__context__
    if isinstance(error, KeyboardInterrupt):
        return Outcome("interrupted")
    text = " ".join(f"{error}".split()) or type(error).__name__
    named = text if type(error).__name__ in ("UserError", "RankKilled") else f"{type(error).__name__}: {text}"
    if type(error).__name__ in KILLED:
        return Outcome("killed", text)
    memory = isinstance(error, MemoryError) or _MEMORY.search(named)
    return Outcome("out_of_memory" if memory else "error", named)


def outcome_of_exit(code: int | None, kills_before: int) -> Outcome:
    """Return the outcome of a job whose process ended without reporting one.

    Args:
        code: the process's exit code; -n if signal n ended it; None: its fork server is gone.
        kills_before: value of `oom_kill_count()` when it started.
    """
    if code is None or code == 255:
        return Outcome("killed", "the process that had started it died")
    if code >= 0:
        return Outcome("error", f"ended with exit code {code} without a result")
    if code == -signal.SIGKILL and oom_kill_count() > kills_before:
        return Outcome("out_of_memory", "killed by the system, which had run out of memory")
    return Outcome("killed", f"by signal {-code} ({signal.Signals(-code).name})")
