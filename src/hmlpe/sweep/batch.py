"""One batch of a sweep's jobs: checks the settings, selects the jobs to run, runs them and reports the outcomes."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hmlpe.errors import UserError
from hmlpe.files import remove_leftovers
from hmlpe.lock import locked
from hmlpe.runs.folder import describe_stale_result, objective_value, remove_training_checkpoints
from hmlpe.sweep.devices import Slot, cpu_slots, gpu_slots, visible_gpus
from hmlpe.sweep.jobs import Job, compose_jobs, write_sweep_json
from hmlpe.sweep.outcome import Outcome
from hmlpe.sweep.schedule import FailurePolicy, Scheduler
from hmlpe.sweep.survey import Survey, survey_jobs
from hmlpe.sweep.tries import Attempt
from hmlpe.sweep.view import check_progress_setting, format_duration, make_view
from hmlpe.sweep.warm import start_fork_server
from hmlpe.training.mirrors import warn_of_incomplete_wandb_runs
from hmlpe.words import count_with_noun

log = logging.getLogger(__name__)

MINUTE_S = 60


class Batch:
    """Jobs that are launched together.

    Args:
        settings: the launcher's settings.
        context, task, config: Hydra's context, task function and configuration of the sweep.
        sweep_jobs: the jobs of the sweep's earlier batches, by folder; `run` adds this batch's jobs.

    Attributes:
        folder: the sweep's folder.

    Raises:
        UserError: a setting of the launcher is invalid.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        context: HydraContext,
        task: TaskFunction,
        config: DictConfig,
        sweep_jobs: dict[Path, Job],
    ) -> None:
        self.settings, self.context, self.task, self.config, self.sweep_jobs = (
            settings,
            context,
            task,
            config,
            sweep_jobs,
        )
        self.folder = Path(str(config.hydra.sweep.dir))
        if settings["on_failure"] not in ("go_on", "stop"):
            raise UserError(f"hydra.launcher.on_failure: must be go_on or stop, got {settings['on_failure']!r}")
        for name in ("timeout_s", "grace_s"):
            value = settings[name]
            if not ((name == "timeout_s" and value is None) or (isinstance(value, int | float) and value > 0)):
                raise UserError(f"hydra.launcher.{name}: must be a positive number of seconds, got {value!r}")
        check_progress_setting(settings["progress"])
        self.policy = FailurePolicy(settings["retries"], settings["on_failure"] == "stop")
        self.redo, self.dry = (OmegaConf.select(config, f"sweep.{name}") for name in ("redo", "dry_run"))

    def lock_folder(self, stack: ExitStack) -> None:
        """Lock the sweep's folder until `stack` is closed. Raises UserError if another process has locked it."""
        stack.enter_context(locked(self.folder / ".lock", "sweep"))
        remove_leftovers(self.folder, "sweep.json")

    def run(self, overrides: Sequence[Sequence[str]], first_number: int) -> Sequence[JobReturn]:
        """Run the jobs that are not finished yet.

        Args:
            overrides: the overrides of each job.
            first_number: number of the first job within the sweep.

        Returns:
            What each job returned; if a job failed, reading its value raises the error.

        Raises:
            UserError: a setting of the launcher or of a job is invalid.
            SystemExit: after a dry run.
        """
        start_fork_server()  # in the background, while the next line runs
        jobs = compose_jobs(self.context, self.config, overrides, first_number, self.sweep_jobs)
        survey = survey_jobs(jobs, measure_step_time=len(jobs) > 1 or self.dry)
        todo = select_jobs(jobs, survey, self.redo == "stale")
        check_equal_resources(jobs)
        slots = self.make_slots(jobs[0], survey)
        log_plan(self.folder, jobs, todo, survey, len(slots), log_each=bool(self.dry))
        if self.dry:
            sys.exit(0)  # before a sweeper asks for values that do not exist
        self.sweep_jobs |= {job.folder: job for job in jobs}
        for job in jobs:
            if job.state.kind == "finished":  # so nothing else will clean up its folder
                remove_training_checkpoints(job.folder)
        with exit_on_signals(), make_view(self.settings["progress"], todo, len(slots)) as view:
            schedule = Scheduler(self.start_attempt, slots, self.policy, view, self.write_state)
            try:
                schedule.run(todo)
            except BaseException:
                log.warning(
                    "interrupted; %s; rerun the same command to resume", summarise_outcomes(self.sweep_jobs.values())
                )
                raise
            finally:
                self.write_state()
        for job in todo:
            if job.outcome is not None and job.outcome.kind != "finished":
                log.error("%s: %s; its log: %s", job.name, job.outcome, job.log_file)
        log.info("%s", summarise_outcomes(self.sweep_jobs.values()))
        warn_of_incomplete_wandb_runs(job.folder for job in todo)
        return [job.to_job_return() for job in jobs]

    def write_state(self) -> None:
        """Write the state of all jobs into `sweep.json`."""
        write_sweep_json(self.folder, self.sweep_jobs.values())

    def make_slots(self, job: Job, survey: Survey) -> list[Slot]:
        """Return the slots that the jobs run on, with the devices and threads that `job`, like every job, needs."""
        n_jobs, devices_per_job = self.settings["n_jobs"], job.get_setting("trainer.devices", 1)
        if not isinstance(devices_per_job, int) or isinstance(devices_per_job, bool) or devices_per_job < 1:
            raise UserError(f"trainer.devices: in a sweep, say how many devices a run takes; got {devices_per_job!r}")
        if survey.gpus:
            return gpu_slots(n_jobs, self.settings["devices"], devices_per_job, visible_gpus(survey.gpus))
        if self.settings["devices"] != "auto":
            raise UserError(f"hydra.launcher.devices: {self.settings['devices']!r}: the runs find no GPU here")
        return cpu_slots(n_jobs, job.get_setting("trainer.threads"), devices_per_job)

    def start_attempt(self, job: Job, slot: Slot) -> Attempt:
        """Start a process that runs the job on the slot, and return the attempt."""
        return Attempt(job, slot, self.context, self.task, self.settings["timeout_s"], self.settings["grace_s"])


def check_equal_resources(jobs: Sequence[Job]) -> None:
    """Raise UserError unless all jobs have the same accelerator, devices and threads, as all slots are alike."""
    for name in ("trainer.accelerator", "trainer.devices", "trainer.threads"):
        values = {str(job.get_setting(name)) for job in jobs}
        if len(values) > 1:
            raise UserError(f"{name}: must be one for all runs of a sweep, got {', '.join(sorted(values))}")


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP (a closed terminal) raise SystemExit inside the `with` block, unless they are ignored."""

    def raise_system_exit(number: int, frame: object) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # which alone may set handlers: the sweeper's stay
        yield
        return
    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    # Signals that are ignored, as under nohup, stay ignored.
    before = {number: signal.signal(number, raise_system_exit) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def select_jobs(jobs: Sequence[Job], survey: Survey, redo_stale: bool) -> list[Job]:
    """Return the jobs that are to run; set the outcome of those that are finished, stale or invalid.

    Raises:
        UserError: no job can run, and all for the same reason.
    """
    todo = []
    for job, state, steps in zip(jobs, survey.states, survey.steps, strict=True):
        job.steps = steps
        if isinstance(state, UserError):
            job.outcome = Outcome("error", str(state))
            continue
        job.state = state
        if state.kind == "finished":
            job.outcome = Outcome("finished", "before")
            job.value = objective_value(state.result or {}, str(job.config.objective))
        elif state.kind == "stale" and not redo_stale and not job.config.get("overwrite"):
            job.outcome = Outcome("stale", f"{describe_stale_result(job.folder, state)}; sweep.redo=stale replaces it")
        else:
            todo.append(job)
    reasons = {str(state) for state in survey.states if isinstance(state, UserError)}
    if len(reasons) == 1 and all(isinstance(state, UserError) for state in survey.states):
        raise UserError(reasons.pop())
    return todo


def log_plan(
    folder: object, jobs: Sequence[Job], todo: Sequence[Job], survey: Survey, slot_count: int, log_each: bool
) -> None:
    """Log what the jobs' folders hold, how many jobs are to run, and how long they will take.

    Args:
        folder: the sweep's folder.
        jobs: all jobs of the batch.
        todo: the jobs that are to run.
        survey: the survey of all jobs.
        slot_count: number of jobs that run at once.
        log_each: whether to log every job's state, not only that of the jobs that cannot run.
    """
    for job in jobs:
        if job not in todo and job.outcome is not None and job.outcome.kind != "finished":
            log.warning("%s: %s", job.name, job.outcome)
        elif log_each:
            log.info("%s: %s", job.name, job.state.describe())
    kinds = [job.state.kind if job in todo else _outcome_in_words(job) for job in jobs]
    counts = Counter(f"already {kind}" if kind == "finished" else kind for kind in kinds)
    line = f"{folder}: {count_with_noun(len(jobs), 'run')}: " + ", ".join(
        f"{count} {kind}" for kind, count in counts.items()
    )
    if todo:
        beside = min(slot_count, len(todo))
        line += f"; {len(todo)} to run, " + (f"{beside} at a time" if beside > 1 else "one at a time")
    if todo and survey.seconds_per_step is not None:
        seconds = sum(job.steps for job in todo) * survey.seconds_per_step / min(slot_count, len(todo))
        minutes = max(MINUTE_S, round(seconds / MINUTE_S) * MINUTE_S)
        begun = sum(job.state.kind == "unfinished" for job in todo)
        line += f": about {format_duration(minutes)} of training on this machine"
        line += (
            f", less what {count_with_noun(begun, 'unfinished one has', 'unfinished ones have')} done" if begun else ""
        )
    log.info("%s", line)


def summarise_outcomes(jobs: Collection[Job]) -> str:
    """Return a text that says how many jobs ended with which outcome, e.g. "of 3 runs: 1 killed, 2 finished"."""
    found = Counter(_outcome_in_words(job) for job in jobs)
    if len(found) == 1:
        return f"{'1 run' if len(jobs) == 1 else f'all {len(jobs)} runs'}: {next(iter(found))}"
    return f"of {len(jobs)} runs: " + ", ".join(f"{count} {kind}" for kind, count in found.items())


def _outcome_in_words(job: Job) -> str:
    return job.outcome.kind.replace("_", " ") if job.outcome is not None else "not started"
