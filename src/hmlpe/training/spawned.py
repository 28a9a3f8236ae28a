"""One of the processes that `launch` starts for a run: its surroundings, and the note that it leaves of its error."""

from __future__ import annotations

import logging
import logging.config
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from torch import multiprocessing

from hmlpe.bad_input import BAD_INPUT
from hmlpe.errors import UserError
from hmlpe.files import write_bytes_atomic
from hmlpe.training.settings import TrainSettings
from hmlpe.training.watch import listen

Run = Callable[[TrainSettings, Path], dict[str, Any]]
Error = UserError | RuntimeError


class Killed(UserError):
    """A rank was ended from outside, by no error of its own."""


@dataclass(frozen=True)
class Order:
    """What the processes of a run are started with, all the same.

    Attributes:
        settings: of the run.
        folder: of the run.
        environment: theirs, but for the rank.
        notes: a folder for their notes.
        job_logging: as Hydra sets it up; None without Hydra.
        progress: where the first rank tells how the run goes; None: nobody listens.
    """

    run: Run
    settings: TrainSettings
    folder: Path
    environment: dict[str, str]
    notes: Path
    job_logging: dict[str, Any] | None
    progress: Connection | None


def work(rank: int, order: Order) -> None:
    """Take part in the run; on an error leave a note of it, and of when it came."""
    multiprocessing._prctl_pr_set_pdeathsig(signal.SIGKILL)  # type: ignore[attr-defined]  # no orphans
    os.environ |= order.environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if order.job_logging is not None:
        logging.config.dictConfig(order.job_logging)
    if order.progress is not None:
        if rank == 0:
            listen(order.progress.send)
        else:
            order.progress.close()
    try:
        order.run(order.settings, order.folder)
    except BaseException as error:
        cause = error.__cause__ if isinstance(error.__cause__, UserError) else error
        found: Error | KeyboardInterrupt
        trace = ""
        if isinstance(cause, BAD_INPUT):
            found = UserError(str(cause))
        elif isinstance(cause, KeyboardInterrupt | SystemExit):  # Lightning turns the one into the other
            found = KeyboardInterrupt()
        else:
            trace = "".join(traceback.format_exception(error))
            found = RuntimeError(f"in rank {rank}: {type(error).__name__}: {' '.join(str(error).split())}")
        write_bytes_atomic(order.notes / str(rank), pickle.dumps((time.monotonic(), found, trace)))
        os._exit(1)  # without waiting for what the others will not answer any more


def error_of(notes: Path, codes: dict[int, int], world: int) -> Error | None:
    """What went wrong first, by the exit codes of the ranks that have ended; None: nothing.

    Errors that follow from another rank's do not count, and their tracebacks are not printed.

    Raises:
        KeyboardInterrupt: the run was interrupted.
    """
    for rank, code in codes.items():
        if code != 0 and not (notes / str(rank)).is_file():
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return Killed(
                f"rank {rank} of {world} was killed ({how}); the same command goes on after the last whole epoch"
            )
    if not any(codes.values()):
        return None
    all_notes = [pickle.loads(path.read_bytes()) for path in notes.glob("[0-9]*")]
    _, found, trace = min(all_notes, key=lambda note: note[0])
    if isinstance(found, KeyboardInterrupt):
        raise found
    sys.stderr.write(trace)
    assert isinstance(found, UserError | RuntimeError)
    return found
