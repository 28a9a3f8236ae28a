"""Start the processes of a run over several devices of this machine, and watch them until all have ended.

Each is a child that calls the run's own function with the same, resolved configuration. Lightning's own ddp would type
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
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import distributed as dist
from torch import multiprocessing

from hmlpe.errors import UserError
from hmlpe.files import read_json, write_bytes_atomic
from hmlpe.training.build import plain
from hmlpe.training.devices import is_rank, world_size
from hmlpe.training.ranks import joined
from hmlpe.training.result import write_result

Run = Callable[[DictConfig, Path], dict[str, Any]]

GRACE_S = 10.0  # for the others to end by themselves, once one has failed

log = logging.getLogger(__name__)


def over_devices(run: Run) -> Run:
    """The same function, run by as many processes as the configuration says; it returns what result.json holds.

    Raises:
        UserError: of a rank, or a rank was killed.
        RuntimeError: a bug in a rank, with its traceback.
    """

    @wraps(run)
    def wrapped(config: DictConfig, folder: Path) -> dict[str, Any]:
        world = world_size(config)
        if world == 1:
            return run(config, folder)
        if is_rank():
            with joined(config):
                return run(config, folder)
        return _start(wrapped, config, folder, world)

    return wrapped


def _start(run: Run, config: DictConfig, folder: Path, world: int) -> dict[str, Any]:
    log.info("%s · seed %s: over %d processes", config.row.name, config.seed, world)
    record = folder / "result.json"
    before = record.read_bytes() if record.is_file() else None
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    environment = {
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    for _, name in socket.if_nameindex():
        if name in ("lo", "lo0"):
            environment["GLOO_SOCKET_IFNAME"] = name  # not the host's name, which may lead to nowhere
    job_logging = None
    if HydraConfig.initialized():
        job_logging = OmegaConf.to_container(HydraConfig.get().job_logging, resolve=True)
    error: UserError | RuntimeError | None = None
    with TemporaryDirectory() as notes, _sigterm_raises():
        # The ranks start with Ctrl-C blocked; until they are able to take it, it reaches this process alone.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            started = multiprocessing.start_processes(  # type: ignore[attr-defined, no-untyped-call]
                _rank, (run, plain(config), folder, environment, Path(notes), job_logging), world, join=False
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        processes = started.processes
        try:
            error = _first_error(processes, Path(notes))
        except (KeyboardInterrupt, SystemExit):
            for process in processes:
                process.terminate()  # the rank takes it as Ctrl-C
            _end(processes)
            _record(record, before, "interrupted")
            raise
        finally:
            _end(processes)
    if error is not None:
        if not isinstance(error, UserError) or isinstance(error, Killed):
            _record(record, before, " ".join(str(error).splitlines()[-1].split()))
        raise error
    result: dict[str, Any] = read_json(record)
    return result


class Killed(UserError):
    """A rank was ended from outside, by no error of its own."""


def _rank(
    local: int,
    run: Run,
    tree: dict[str, Any],
    folder: Path,
    environment: dict[str, str],
    notes: Path,
    job_logging: dict[str, Any] | None,
) -> None:
    """What a child does. It leaves a note of its error, and when that came."""
    multiprocessing._prctl_pr_set_pdeathsig(signal.SIGKILL)  # type: ignore[attr-defined]  # no orphans
    os.environ |= environment | {"RANK": str(local), "LOCAL_RANK": str(local)}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if job_logging is not None:
        logging.config.dictConfig(job_logging)
    try:
        run(OmegaConf.create(tree), folder)
    except BaseException as error:
        cause = error.__cause__ if isinstance(error.__cause__, UserError) else error
        found: UserError | RuntimeError | KeyboardInterrupt
        if isinstance(cause, UserError | HydraException | OmegaConfBaseException):
            found = UserError(str(cause))
        elif isinstance(cause, KeyboardInterrupt | SystemExit):  # Lightning turns the one into the other
            found = KeyboardInterrupt()
        else:
            traceback.print_exception(error)
            found = RuntimeError(f"in rank {local}: {type(error).__name__}: {' '.join(str(error).split())}")
        write_bytes_atomic(notes / str(local), pickle.dumps((time.monotonic(), found)))
        os._exit(1)  # without waiting for what the others will not answer any more


def _first_error(processes: list[BaseProcess], notes: Path) -> UserError | RuntimeError | None:
    """Wait until all have ended well (None), or one has not: what it was. Those that follow from it do not count."""
    left = dict(enumerate(processes))
    while left:
        connection.wait([process.sentinel for process in left.values()])
        ended = {rank: process.exitcode for rank, process in left.items() if process.exitcode is not None}
        for rank, code in ended.items():
            if code != 0 and not (notes / str(rank)).is_file():
                how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                return Killed(
                    f"rank {rank} of {len(processes)} was killed ({how}); the same command goes on after the last "
                    "whole epoch"
                )
        if any(ended.values()):
            found = min((pickle.loads(path.read_bytes()) for path in notes.glob("[0-9]*")), key=lambda note: note[0])[1]
            if isinstance(found, KeyboardInterrupt):
                raise found
            assert isinstance(found, UserError | RuntimeError)
            return found
        left = {rank: process for rank, process in left.items() if rank not in ended}
    return None


def _end(processes: list[BaseProcess]) -> None:
    """Let them end, then end them."""
    until = time.monotonic() + GRACE_S
    try:
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
    finally:
        for process in processes:
            process.kill()
            process.join()


def _record(record: Path, before: bytes | None, error: str) -> None:
    """Say in the run's record, if it has written one since, what ended it."""
    if not record.is_file() or record.read_bytes() == before:
        return
    result: dict[str, Any] = read_json(record)
    if result.pop("status") != "finished":
        result.pop("schema")
        write_result(record.parent, "failed", result | {"error": error})


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
