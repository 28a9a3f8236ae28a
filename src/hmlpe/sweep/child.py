"""What a job's process does: open its log, tie its life to the launcher's, and run the job as a plain single run.

The state that Hydra keeps for a whole process (search paths, plugins, the job's configuration) is copied into it.
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

import hmlpe.row_name  # noqa: F401  registers the resolver that the configurations use
from hmlpe.sweep.outcome import Outcome, outcome_of_error
from hmlpe.sweep.warm import LAUNCHER_SIGNALS, detach_from_server, end_with_parent
from hmlpe.training.watch import set_listener


def export_hydra_state() -> dict[Any, Any]:
    """Return Hydra's singletons of this process, by class, so that they can be sent to another process."""
    instances: dict[Any, Any] = Singleton.get_state()["instances"]
    return instances


def restore_hydra_state(instances: dict[Any, Any]) -> None:
    """Install the singletons that `export_hydra_state` returned in another process.

    (Hydra's own function would search for all plugins in every job.)
    """
    setup_globals()
    Singleton._instances.update(instances)


@dataclass(frozen=True, eq=False)
class JobRequest:
    """The message to a job's process with all that it needs for one attempt at the job."""

    config: DictConfig
    overrides: Sequence[str]
    folder: Path
    log_file: Path
    slot: str
    environment: dict[str, str]
    attempt: int
    hydra_context: HydraContext
    task_function: TaskFunction
    hydra_state: dict[Any, Any]


@dataclass(frozen=True)
class JobStarted:
    """The first message of a job's process: it is ready, with its configuration, and the job starts now."""


@dataclass(frozen=True, eq=False)
class JobEnded:
    """The last message of a job's process: how the job ended."""

    outcome: Outcome
    value: Any = None  # what the job returned


def run_request(pipe: Connection, request: JobRequest) -> None:
    """Run the requested job in this process, its output going to its log file; send how it ended through the pipe."""
    detach_from_server()
    start_lifeline(pipe)
    os.environ.update(request.environment)
    try:
        redirect_output(request.log_file)
    except OSError as error:  # without a log there is no place for the job's output, so it does not run
        pipe.send(JobEnded(outcome_of_error(error)))
        return
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        # From here on, these signals are meant for this process alone.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, LAUNCHER_SIGNALS)
        command = f"{Path(sys.argv[0]).name} {' '.join(request.overrides)}"
        print(f"[{datetime.now():%F %T}] {command} (try {request.attempt}, {request.slot}, process {os.getpid()})")
        ended = JobEnded(Outcome("finished"), run_as_single_run(pipe, request))
    except BaseException as error:
        ended = JobEnded(outcome_of_error(error))
        if not isinstance(error, SystemExit):  # a program that exits has printed its message
            with suppress(OSError):  # a full disk
                traceback.print_exception(error)
    with suppress(OSError):
        print(f"[{datetime.now():%F %T}] {ended.outcome}")
    pipe.send(ended)  # before the exit handlers, which may hang or fail without changing the outcome
    atexit._run_exitfuncs()  # multiprocessing ends a fork without them


def start_lifeline(pipe: Connection) -> None:
    """Start a thread that kills this process group as soon as the launcher dies or closes its side of the pipe.

    A process that is stopped, or stuck in a call, does not notice that; it is killed when the fork server ends.

    This process gets its own process group, so that Ctrl-C in the terminal reaches only the launcher, which then
    ends the jobs cleanly.
    """
    os.setsid()
    end_with_parent()

    def kill_group_at_end_of_pipe() -> None:
        try:
            pipe.recv()  # nothing is ever sent this way
        except (EOFError, OSError):
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=kill_group_at_end_of_pipe, name="lifeline", daemon=True).start()


def redirect_output(log_file: Path) -> None:
    """Append all output of this process and of its children to the file `log_file`."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # they are text streams, as nothing has replaced them


def run_as_single_run(pipe: Connection, request: JobRequest) -> Any:
    """Run the job and return its value, with Hydra's state and sys.argv as in a single run outside a sweep."""
    restore_hydra_state(request.hydra_state)
    config = request.config
    with read_write(config), open_dict(config):
        config.hydra.mode = RunMode.RUN
        config.hydra.run.dir = str(request.folder)
        if OmegaConf.select(config, "hydra.job_logging.root.handlers"):
            config.hydra.job_logging.root.handlers = ["console"]  # the console is the log file already
    HydraConfig.instance().set_config(config)
    sys.argv[1:] = [*request.overrides, f"hydra.run.dir={request.folder}"]
    set_listener(pipe.send)
    pipe.send(JobStarted())
    done = run_job(
        task_function=request.task_function,
        config=config,
        job_dir_key="hydra.run.dir",
        job_subdir_key=None,
        hydra_context=request.hydra_context,
    )
    if done.status != JobStatus.COMPLETED:
        raise done._return_value  # the property `return_value` would print Hydra's own lines
    return done.return_value
