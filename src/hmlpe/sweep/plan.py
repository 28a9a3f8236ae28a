"""Which of a batch's jobs are to run, and what is said before they do."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Sequence

from hmlpe.errors import UserError
from hmlpe.runs.folder import objective_of, stale
from hmlpe.sweep.jobs import Job
from hmlpe.sweep.outcome import Outcome
from hmlpe.sweep.survey import Survey
from hmlpe.sweep.view import duration
from hmlpe.words import number

log = logging.getLogger(__name__)

MINUTE_S = 60


def sort(jobs: Sequence[Job], found: Survey, redo_stale: bool) -> list[Job]:
    """The jobs that are to run; the others get their outcome.

    Raises:
        UserError: none of several can run, all for one reason.
    """
    todo = []
    for job, state, steps in zip(jobs, found.states, found.steps, strict=True):
        job.steps = steps
        if isinstance(state, UserError):
            job.outcome = Outcome("error", str(state))
            continue
        job.state = state
        if state.kind == "finished":
            job.outcome = Outcome("finished", "before")
            job.value = objective_of(state.result or {}, str(job.config.objective))
        elif state.kind == "stale" and not redo_stale and not job.config.get("overwrite"):
            job.outcome = Outcome("stale", f"{stale(job.folder, state)}; sweep.redo=stale replaces it")
        else:
            todo.append(job)
    reasons = {str(state) for state in found.states if isinstance(state, UserError)}
    if len(reasons) == 1 and all(isinstance(state, UserError) for state in found.states):
        raise UserError(reasons.pop())
    return todo


def say(folder: object, jobs: Sequence[Job], todo: Sequence[Job], found: Survey, slots: int, each: bool) -> None:
    """What is there, what would run, and how long it would take.

    Args:
        folder: of the sweep.
        slots: how many run at once.
        each: say every job's state, not only of those that cannot run.
    """
    for job in jobs:
        if job not in todo and job.outcome is not None and job.outcome.kind != "finished":
            log.warning("%s: %s", job.name, job.outcome)
        elif each:
            log.info("%s: %s", job.name, job.state.describe())
    kinds = [job.state.kind if job in todo else _kind(job) for job in jobs]
    counts = Counter(f"{kind} before" if kind == "finished" else kind for kind in kinds)
    line = f"{folder}: {number(len(jobs), 'run')}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items())
    if todo:
        beside = min(slots, len(todo))
        line += f"; {len(todo)} to run, " + (f"{beside} side by side" if beside > 1 else "one at a time")
    if todo and found.seconds_per_step is not None:
        seconds = sum(job.steps for job in todo) * found.seconds_per_step / min(slots, len(todo))
        minutes = max(MINUTE_S, round(seconds / MINUTE_S) * MINUTE_S)
        begun = sum(job.state.kind == "unfinished" for job in todo)
        line += f": about {duration(minutes)} of training on this machine"
        line += f", less what {number(begun, 'unfinished one has', 'unfinished ones have')} done" if begun else ""
    log.info("%s", line)


def counts(jobs: Collection[Job]) -> str:
    """How many jobs ended how, in words."""
    found = Counter(_kind(job) for job in jobs)
    if len(found) == 1:
        return f"{'1 run' if len(jobs) == 1 else f'all {len(jobs)} runs'}: {next(iter(found))}"
    return f"of {len(jobs)} runs: " + ", ".join(f"{count} {kind}" for kind, count in found.items())


def _kind(job: Job) -> str:
    return job.outcome.kind.replace("_", " ") if job.outcome is not None else "not begun"
