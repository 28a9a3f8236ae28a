"""Find out what there is to do, in a separate process, so that the launcher never loads torch or uses a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from hmlpe.bad_input import BAD_INPUT
from hmlpe.errors import UserError
from hmlpe.runs.folder import State
from hmlpe.sweep.child import export_hydra_state, restore_hydra_state, start_lifeline
from hmlpe.sweep.jobs import Job
from hmlpe.sweep.warm import start


@dataclass(frozen=True)
class Survey:
    """What is known of a batch of jobs before it runs.

    Attributes:
        states: for each job, the state of its folder, or the error if it cannot run.
        steps: for each job, its training steps if it starts anew.
        seconds_per_step: duration of a training step of the first job that is to run, on this machine; None if no
            job is to run, or nothing was timed.
        gpus: number of GPUs for the jobs; 0 if they run on the CPU.
    """

    states: Sequence[State | UserError]
    steps: Sequence[float]
    seconds_per_step: float | None
    gpus: int


def survey(jobs: Sequence[Job], time_steps: bool) -> Survey:
    """Look at every job's folder, in a separate process.

    Args:
        jobs: the jobs of a batch.
        time_steps: whether to time a training step.

    Raises:
        UserError: that process died or failed.
    """
    process, pipe = start(_look, jobs, time_steps, export_hydra_state())
    try:
        found = pipe.recv()
    except EOFError:
        process.join()
        found = UserError(f"the look at what is there of the {len(jobs)} runs ended with exit code {process.exitcode}")
    finally:
        pipe.close()
        process.join()
    if isinstance(found, BaseException):
        raise found
    assert isinstance(found, Survey)
    return found


def _look(pipe: Connection, jobs: Sequence[Job], timed: bool, state: Any) -> None:
    start_lifeline(pipe)
    restore_hydra_state(state)
    try:
        pipe.send(_survey(jobs, timed))
    except BAD_INPUT as error:
        pipe.send(UserError(str(error)))


def _survey(jobs: Sequence[Job], timed: bool) -> Survey:
    from hmlpe.training.devices import gpus
    from hmlpe.training.estimate import seconds_per_step, steps_of
    from hmlpe.training.run import look
    from hmlpe.training.stages import stages_of

    states: list[State | UserError] = []
    steps, per_step = [], None
    for job in jobs:
        if not job.is_training:  # a job of another program always runs
            states.append(State("missing"))
            steps.append(0.0)
            continue
        try:
            settings = job.settings
            chain = stages_of(settings, job.overrides)
            # Each stage of a chain looks at its own folder.
            state = State("missing") if settings.stages else look(settings, job.folder)
            states.append(state)
            steps.append(sum(steps_of(stage) for stage in chain))
            if timed and per_step is None and state.kind != "finished":
                per_step = seconds_per_step(chain[0])
        except BAD_INPUT as error:
            states.append(UserError(str(error)))
            steps.append(0.0)
    return Survey(states, steps, per_step, gpus(jobs[0].setting("trainer.accelerator", "cpu")))
