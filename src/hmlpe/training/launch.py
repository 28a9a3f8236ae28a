"""Start the processes of a run over several devices of this machine, and watch them until all have ended.

Each is a child that calls the run's own function with the same settings. Lightning's own ddp would type
the command line again instead, `-m` included, and then every process sweeps on its own and trains wrong models.

On several nodes torchrun starts the processes, on each node the same number; `paths.data` and `paths.outputs` are then
folders that all nodes see, as the first process writes them for all.
"""

from __future__ import annotations

import logging
import logging.config
import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.hydra_config import HydraConfig
from torch import distributed as dist
from torch import multiprocessing

from hmlpe.bad_input import BAD_INPUT
from hmlpe.errors import UserError
from hmlpe.files import write_bytes_atomic
from hmlpe.runs.folder import RESULT, file_version, mark_failed, read_record
from hmlpe.settings import plain
from hmlpe.training.devices import is_rank, world_size
from hmlpe.training.ranks import joined
from hmlpe.training.settings import TrainSettings
from hmlpe.training.watch import listen, listener

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


NOT_FINISHED = ("running", "failed")  # a rank may have noted an error that only follows from the first one
GRACE_S = 10.0  # for the others to end by themselves, once one has failed

log = logging.getLogger(__name__)


def over_devices(run: Run) -> Run:
    """The same function, run by as many processes as the settings say; it returns what result.json holds.

    Raises:
        UserError: of a rank, or a rank was killed.
        RuntimeError: a bug in a rank, with its traceback.
    """

    @wraps(run)
    def wrapped(settings: TrainSettings, folder: Path) -> dict[str, Any]:
        world = world_size(settings.trainer)
        if world == 1:
            return run(settings, folder)
        if is_rank():
            with joined(settings.trainer):
                return run(settings, folder)
        return _start(wrapped, settings, folder, world)

    return wrapped


def _start(run: Run, settings: TrainSettings, folder: Path, world: int) -> dict[str, Any]:
    log.info("%s · seed %s: over %d processes", settings.row.name, settings.seed, world)
    before = file_version(folder / RESULT)
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    job_logging: Any = None
    if HydraConfig.initialized():
        job_logging = plain(HydraConfig.get().job_logging)
    ours, theirs = connection.Pipe(duplex=False) if listener() else (None, None)
    error: Error | None = None
    with TemporaryDirectory() as notes, _sigterm_raises():
        order = Order(run, settings, folder, _environment(world, store.port), Path(notes), job_logging, theirs)
        # The ranks start with Ctrl-C blocked; until they are able to take it, it reaches this process alone.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            started = multiprocessing.start_processes(work, (order,), world, join=False)  # type: ignore[attr-defined, no-untyped-call]
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            if theirs is not None:
                theirs.close()
        processes = started.processes
        try:
            error = _watch(processes, Path(notes), ours)
        except (KeyboardInterrupt, SystemExit):
            for process in processes:
                process.terminate()  # the rank takes it as Ctrl-C
            _end(processes)
            mark_failed(folder, "interrupted", NOT_FINISHED, before)
            raise
        finally:
            _end(processes)
    if error is not None:
        if not isinstance(error, UserError) or isinstance(error, Killed):
            mark_failed(folder, " ".join(str(error).splitlines()[-1].split()), NOT_FINISHED, before)
        raise error
    return read_record(folder)


def _environment(world: int, port: int) -> dict[str, str]:
    """What torch and Lightning ask for, of every rank; `port` is that of the store in which they meet."""
    found = {
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    for _, name in socket.if_nameindex():
        if name in ("lo", "lo0"):
            found["GLOO_SOCKET_IFNAME"] = name  # not the host's name, which may lead to nowhere
    return found


def _watch(processes: Sequence[BaseProcess], notes: Path, told: Connection | None) -> Error | None:
    """Wait until all have ended well (None), or one has not: what it was. What they tell goes to our listener."""
    left, tell = dict(enumerate(processes)), listener()
    while left:
        ready = connection.wait([*(process.sentinel for process in left.values()), *([told] if told else [])])
        if told in ready and told is not None and tell is not None:
            try:
                tell(told.recv())
            except EOFError:  # the first rank has ended
                told = None
        codes = {rank: process.exitcode for rank, process in left.items() if process.exitcode is not None}
        error = error_of(notes, codes, len(processes))
        if error is not None:
            return error
        left = {rank: process for rank, process in left.items() if rank not in codes}
    return None


def _end(processes: Sequence[BaseProcess]) -> None:
    """Let them end, then end them."""
    until = time.monotonic() + GRACE_S
    try:
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
    finally:
        for process in processes:
            process.kill()
            process.join()


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Within, SIGTERM leaves as SystemExit does, unless the program has its own way with it."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    def leave(signum: int, frame: object) -> None:
        raise SystemExit(128 + signum)

    if ours:
        signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
