"""What a job's process does: a log of its own, a lifeline to the launcher, then the job as a plain single run.

What Hydra keeps for a whole process (search paths, plugins, the job's configuration) is carried into it.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobStatus, run_job, setup_globals
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

import hmlpe.row_name  # noqa: F401  its resolver, which the configurations name
from hmlpe.sweep.outcome import Outcome, of_error
from hmlpe.sweep.warm import FOR_THE_LAUNCHER, end_with_parent, stand_alone
from hmlpe.training.watch import set_listener


def take_hydra_state() -> dict[Any, Any]:
    """The state of this process, without resolvers and plugins: functions and modules cannot be sent."""
    instances: dict[Any, Any] = Singleton.get_state()["instances"]
    return instances


def give_hydra_state(instances: dict[Any, Any]) -> None:
    """Make it this process's own. (Hydra's own way would look for all plugins again, in every job.)"""
    setup_globals()
    Singleton._instances.update(instances)


@dataclass(frozen=True, eq=False)
class Errand:
    """One try of a job, as it is sent to its process."""

    config: DictConfig
    overrides: Sequence[str]
    folder: Path
    log: Path
    slot: str
    environment: dict[str, str]
    attempt: int
    hydra_context: HydraContext
    task_function: TaskFunction
    hydra_state: dict[Any, Any]


@dataclass(frozen=True)
class Begun:
    """A job's first word: the process is there, its configuration too, and the job begins."""


@dataclass(frozen=True, eq=False)
class Ended:
    """A job's last word."""

    outcome: Outcome
    value: Any = None  # that the job returned


def work(pipe: Connection, errand: Errand) -> None:
    """Do the errand, and send how it ended."""
    stand_alone()
    lifeline(pipe)
    os.environ.update(errand.environment)
    try:
        redirect(errand.log)
    except OSError as error:  # no log, no job: its words would have no place
        pipe.send(Ended(of_error(error)))
        return
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_THE_LAUNCHER)  # now it is for us alone
        command = f"{Path(sys.argv[0]).name} {' '.join(errand.overrides)}"
        print(f"[{datetime.now():%F %T}] {command} (try {errand.attempt}, {errand.slot}, process {os.getpid()})")
        ended = Ended(Outcome("finished"), run(pipe, errand))
    except BaseException as error:
        ended = Ended(of_error(error))
        if not isinstance(error, SystemExit):  # what ends in one has said its line
            with suppress(OSError):  # a full disk
                traceback.print_exception(error)
    with suppress(OSError):
        print(f"[{datetime.now():%F %T}] {ended.outcome}")
    pipe.send(ended)  # first: what follows may hang or fail, and changes nothing
    atexit._run_exitfuncs()  # a fork would end without them


def lifeline(pipe: Connection) -> None:
    """End this process and all that it starts, at once, when the other side of the pipe is closed or dies.

    A process that is stopped, or stuck in a call, does not read its pipe: it ends with the fork server.

    It gets a process group of its own: Ctrl-C in the terminal reaches the launcher alone, which ends all in order.
    """
    os.setsid()
    end_with_parent()

    def wait() -> None:
        try:
            pipe.recv()  # nothing is ever sent this way
        except (EOFError, OSError):
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def redirect(log: Path) -> None:
    """Let all output of this process and of its children go to the end of `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # text streams, as nothing replaced them


def run(pipe: Connection, errand: Errand) -> Any:
    """The job as a plain single run: what asks Hydra or sys.argv finds one, not a sweep."""
    give_hydra_state(errand.hydra_state)
    config = errand.config
    with read_write(config), open_dict(config):
        config.hydra.mode = RunMode.RUN
        config.hydra.run.dir = str(errand.folder)
        if OmegaConf.select(config, "hydra.job_logging.root.handlers"):
            config.hydra.job_logging.root.handlers = ["console"]  # which is the log file already
    HydraConfig.instance().set_config(config)
    sys.argv[1:] = [*errand.overrides, f"hydra.run.dir={errand.folder}"]
    set_listener(pipe.send)
    pipe.send(Begun())
    done = run_job(
        task_function=errand.task_function,
        config=config,
        job_dir_key="hydra.run.dir",
        job_subdir_key=None,
        hydra_context=errand.hydra_context,
    )
    if done.status != JobStatus.COMPLETED:
        raise done._return_value  # the property would print lines of Hydra's own
    return done.return_value
