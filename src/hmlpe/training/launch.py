"""Start the processes (ranks) of a run over several devices of this machine, and watch them until all have ended.

Each rank is a child process that calls the run's own function with the same settings. Lightning's own ddp would instead
start the same command line again, `-m` included, and then every process would sweep on its own and train wrong models.

On several nodes torchrun starts the processes, the same number on each node. `paths.data` and `paths.outputs` must then
be folders that all nodes see, as rank zero writes them for all.
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
from hmlpe.runs.folder import RESULT, file_version, mark_failed, read_result_json
from hmlpe.settings import to_plain_containers
from hmlpe.training.devices import is_rank, world_size
from hmlpe.training.ranks import process_group
from hmlpe.training.settings import TrainSettings
from hmlpe.training.watch import get_listener, set_listener

RunFunction = Callable[[TrainSettings, Path], dict[str, Any]]
Error = UserError | RuntimeError
NOT_FINISHED = ("running", "failed")  # failed, too: a rank may have recorded an error that only follows from the first
GRACE_S = 10.0  # time for the other ranks to end by themselves, once one has failed
log = logging.getLogger(__name__)


class RankKilled(UserError):
    """Raised when a rank was killed from outside, so that it could not report an error of its own."""


@dataclass(frozen=True)
class RankJob:
    """The arguments with which all ranks of a run are started.

    Attributes:
        run: the function that trains and evaluates the run.
        settings: the settings of the run.
        folder: folder of the run.
        environment: the ranks' environment variables, apart from the rank's own number.
        error_folder: folder in which a rank that fails writes a report of its error.
        job_logging: Hydra's logging configuration; None without Hydra.
        progress: the pipe through which rank zero reports progress; None if there is no listener.
    """

    run: RunFunction
    settings: TrainSettings
    folder: Path
    environment: dict[str, str]
    error_folder: Path
    job_logging: dict[str, Any] | None
    progress: Connection | None


def run_rank(rank: int, job: RankJob) -> None:
    """Take part in the run as one rank; on an error, write a report of the error and its time to `job.error_folder`."""
    multiprocessing._prctl_pr_set_pdeathsig(signal.SIGKILL)  # type: ignore[attr-defined]  # leave no orphan processes
    os.environ |= job.environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if job.job_logging is not None:
        logging.config.dictConfig(job.job_logging)
    if job.progress is not None:
        if rank == 0:
            set_listener(job.progress.send)
        else:
            job.progress.close()
    try:
        job.run(job.settings, job.folder)
    except BaseException as error:
        cause = error.__cause__ if isinstance(error.__cause__, UserError) else error
        found: Error | KeyboardInterrupt
        trace = ""
        if isinstance(cause, BAD_INPUT):
            found = UserError(str(cause))
        elif isinstance(cause, KeyboardInterrupt | SystemExit):  # Lightning turns KeyboardInterrupt into SystemExit
            found = KeyboardInterrupt()
        else:
            trace = "".join(traceback.format_exception(error))
            found = RuntimeError(f"in rank {rank}: {type(error).__name__}: {' '.join(str(error).split())}")
        write_bytes_atomic(job.error_folder / str(rank), pickle.dumps((time.monotonic(), found, trace)))
        os._exit(1)  # a normal exit would wait for other ranks that no longer answer


def first_error(error_folder: Path, exit_codes: dict[int, int], world_size: int) -> Error | None:
    """Return the first error of the ranks that have ended; None if none has failed.

    Later errors, which only follow from the first, are ignored, and their tracebacks are not printed.

    Args:
        error_folder: folder of the error reports that `run_rank` writes.
        exit_codes: exit codes of the ranks that have ended, by rank.
        world_size: number of ranks.

    Raises:
        KeyboardInterrupt: the run was interrupted.
    """
    for rank, code in exit_codes.items():
        if code != 0 and not (error_folder / str(rank)).is_file():
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return RankKilled(
                f"rank {rank} of {world_size} was killed ({how}); rerun the same command to resume after the last "
                "full epoch"
            )
    if not any(exit_codes.values()):
        return None
    reports = [pickle.loads(path.read_bytes()) for path in error_folder.glob("[0-9]*")]
    _, found, trace = min(reports, key=lambda report: report[0])
    if isinstance(found, KeyboardInterrupt):
        raise found
    sys.stderr.write(trace)
    assert isinstance(found, UserError | RuntimeError)
    return found


def distribute_over_devices(run: RunFunction) -> RunFunction:
    """Decorate the function of a run so that it is executed in as many processes as `trainer.devices` says.

    The decorated function returns the content of result.json.

    Raises:
        UserError: a rank raised it, or a rank was killed.
        RuntimeError: there is a bug in a rank, whose traceback is printed.
    """

    @wraps(run)
    def wrapped(settings: TrainSettings, folder: Path) -> dict[str, Any]:
        world = world_size(settings.trainer)
        if world == 1:
            return run(settings, folder)
        if is_rank():
            with process_group(settings.trainer):
                return run(settings, folder)
        return _run_ranks(wrapped, settings, folder, world)

    return wrapped


def _run_ranks(run: RunFunction, settings: TrainSettings, folder: Path, world: int) -> dict[str, Any]:
    """Call `run` in `world` new processes, and return the content of result.json, or raise the ranks' first error."""
    log.info("%s · seed %s: over %d processes", settings.row.name, settings.seed, world)
    before = file_version(folder / RESULT)
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    job_logging: Any = None
    if HydraConfig.initialized():
        job_logging = to_plain_containers(HydraConfig.get().job_logging)
    ours, theirs = connection.Pipe(duplex=False) if get_listener() else (None, None)
    error: Error | None = None
    with TemporaryDirectory() as error_folder, _sigterm_as_system_exit():
        job = RankJob(
            run, settings, folder, _rank_environment(world, store.port), Path(error_folder), job_logging, theirs
        )
        # The ranks start with Ctrl-C blocked; until they can handle it, it reaches this process alone.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            started = multiprocessing.start_processes(run_rank, (job,), world, join=False)  # type: ignore[attr-defined, no-untyped-call]
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            if theirs is not None:
                theirs.close()
        processes = started.processes
        try:
            error = _wait_for_ranks(processes, Path(error_folder), ours)
        except (KeyboardInterrupt, SystemExit):
            for process in processes:
                process.terminate()  # the rank handles SIGTERM like Ctrl-C
            _end_ranks(processes)
            mark_failed(folder, "interrupted", NOT_FINISHED, before)
            raise
        finally:
            _end_ranks(processes)
    if error is not None:
        if not isinstance(error, UserError) or isinstance(error, RankKilled):
            mark_failed(folder, " ".join(str(error).splitlines()[-1].split()), NOT_FINISHED, before)
        raise error
    return read_result_json(folder)


def _rank_environment(world_size: int, port: int) -> dict[str, str]:
    """Return the environment variables that torch and Lightning need in every rank.

    Args:
        world_size: number of ranks.
        port: port of the store through which the ranks find each other.
    """
    found = {
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    for _, name in socket.if_nameindex():
        if name in ("lo", "lo0"):
            found["GLOO_SOCKET_IFNAME"] = name  # the default is the host's name, which may not resolve
    return found


def _wait_for_ranks(processes: Sequence[BaseProcess], error_folder: Path, progress: Connection | None) -> Error | None:
    """Wait until one rank has failed, and return its error, or until all have ended without one, and return None.

    Meanwhile, the progress that rank zero reports is passed on to this process's listener.
    """
    left, report = dict(enumerate(processes)), get_listener()
    while left:
        ready = connection.wait([*(process.sentinel for process in left.values()), *([progress] if progress else [])])
        if progress in ready and progress is not None and report is not None:
            try:
                report(progress.recv())
            except EOFError:  # rank zero has ended
                progress = None
        exit_codes = {rank: process.exitcode for rank, process in left.items() if process.exitcode is not None}
        error = first_error(error_folder, exit_codes, len(processes))
        if error is not None:
            return error
        left = {rank: process for rank, process in left.items() if rank not in exit_codes}
    return None


def _end_ranks(processes: Sequence[BaseProcess]) -> None:
    """Wait up to `GRACE_S` seconds for the processes to end, then kill those that are left."""
    until = time.monotonic() + GRACE_S
    try:
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
    finally:
        for process in processes:
            process.kill()
            process.join()


@contextmanager
def _sigterm_as_system_exit() -> Iterator[None]:
    """Let SIGTERM raise SystemExit inside the `with` block, unless the program has set a handler of its own."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    def raise_system_exit(signum: int, frame: object) -> None:
        raise SystemExit(128 + signum)

    if ours:
        signal.signal(signal.SIGTERM, raise_system_exit)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
