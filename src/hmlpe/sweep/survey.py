"""Find out what there is to do, in a separate process, so that the launcher never loads torch or uses a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from hmlpe.bad_input import BAD_INPUT
from hmlpe.errors import UserError
from hmlpe.runs.folder import RunState
from hmlpe.sweep.child import export_hydra_state, restore_hydra_state, start_lifeline
from hmlpe.sweep.jobs import Job
from hmlpe.sweep.warm import start_process


@dataclass(frozen=True)
class Survey:
    """What is known of a batch of jobs before it runs.

    Attributes:
        states: for each job, the state of its folder, or the error if it cannot run.
        steps: for each job, its training steps if it starts anew; 0 for one that is finished.
        seconds_per_step: duration of a training step of the first job that is to run, on this machine; None if no
            job is to run, or nothing was timed.
        gpus: number of GPUs for the jobs; 0 if they run on the CPU.
    """

    states: Sequence[RunState | UserError]
    steps: Sequence[float]
    seconds_per_step: float | None
    gpus: int


def survey_jobs(jobs: Sequence[Job], measure_step_time: bool) -> Survey:
    """Return the state of every job's folder, and the jobs' number and time of steps, found out in a separate process.

    Args:
        jobs: the jobs of a batch.
        measure_step_time: whether to time a training step.

    Raises:
        UserError: that process died or failed.
    """
    process, pipe = start_process(_send_survey, jobs, measure_step_time, export_hydra_state())
    try:
        found = pipe.recv()
    except EOFError:
        process.join()
        found = UserError(f"checking the state of the {len(jobs)} runs failed with exit code {process.exitcode}")
    finally:
        pipe.close()
        process.join()
    if isinstance(found, BaseException):
        raise found
    assert isinstance(found, Survey)
    return found


def _send_survey(pipe: Connection, jobs: Sequence[Job], measure_step_time: bool, hydra_state: Any) -> None:
    """Survey the jobs in this process, and send the survey, or the error, through the pipe."""
    start_lifeline(pipe)
    restore_hydra_state(hydra_state)
    try:
        pipe.send(_survey_in_this_process(jobs, measure_step_time))
    except BAD_INPUT as error:
        pipe.send(UserError(str(error)))


def _survey_in_this_process(jobs: Sequence[Job], measure_step_time: bool) -> Survey:
    """Return the survey of the jobs, made in this process, which loads torch."""
    from hmlpe.training.devices import gpu_count
    from hmlpe.training.estimate import estimate_steps, seconds_per_step
    from hmlpe.training.run import find_run_state
    from hmlpe.training.stages import all_stage_settings

    states: list[RunState | UserError] = []
    steps, per_step = [], None
    for job in jobs:
        if not job.is_training:  # a job of another program always runs
            states.append(RunState("missing"))
            steps.append(0.0)
            continue
        try:
            settings = job.settings
            chain = all_stage_settings(settings, job.overrides)
            # Each stage of a chain looks at its own folder.
            state = RunState("missing") if settings.stages else find_run_state(settings, job.folder)
            states.append(state)
            steps.append(0.0 if state.kind == "finished" else sum(estimate_steps(stage) for stage in chain))
            if measure_step_time and per_step is None and state.kind != "finished":
                per_step = seconds_per_step(chain[0])
        except BAD_INPUT as error:
            states.append(UserError(str(error)))
            steps.append(0.0)
    return Survey(states, steps, per_step, gpu_count(jobs[0].get_setting("trainer.accelerator", "cpu")))
