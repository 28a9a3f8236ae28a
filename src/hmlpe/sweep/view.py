"""What one watches while a sweep runs: nothing, or plain lines; on a terminal `live` shows a table."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from types import TracebackType

from hmlpe.sweep.jobs import Job
from hmlpe.sweep.outcome import Outcome
from hmlpe.training.watch import Progress

log = logging.getLogger(__name__)

MINUTE_S = 60.0


class View:
    """Shows nothing; the others show what it is told.

    Args:
        jobs: all of the sweep.
        slots: how many run at once.
    """

    def __init__(self, jobs: Sequence[Job], slots: int) -> None:
        self.jobs, self.slots, self.at_work = jobs, slots, set[int]()

    def __enter__(self) -> View:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def started(self, job: Job) -> None:
        """A try of a job has begun."""
        self.at_work.add(job.number)

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A try has ended so; unless this is the job's own outcome, another follows."""
        self.at_work.discard(job.number)

    def tick(self) -> None:
        """Time has passed."""

    def left(self) -> float | None:
        """Seconds until all is done, by the jobs that have a rate; None before there is one."""
        running = [job for job in self.jobs if job.number in self.at_work and job.progress is not None]
        known = [(job.progress, left) for job in running if (left := seconds_left(job.progress)) is not None]
        whole = [progress.steps / progress.rate for progress, _ in known if progress and progress.rate]
        past = [job.seconds for job in self.jobs if job.outcome is not None and job.outcome.kind == "finished"]
        each = whole or [seconds for seconds in past if seconds]
        waiting = sum(job.outcome is None and job.number not in self.at_work for job in self.jobs)
        if not each or (running and not known):
            return None
        total = sum(left for _, left in known) + waiting * sum(each) / len(each)
        return max([total / self.slots, *(left for _, left in known)])

    def summary(self) -> str:
        """How the sweep stands, in one line."""
        finished = sum(job.outcome is not None and job.outcome.kind == "finished" for job in self.jobs)
        over = [job.outcome.kind for job in self.jobs if job.outcome is not None and job.outcome.kind != "finished"]
        interrupted, failed = over.count("interrupted"), len(over) - over.count("interrupted")
        left = self.left()
        parts = [f"{finished} of {len(self.jobs)} finished"]
        parts += [f"{failed} failed"] if failed else []
        parts += [f"{interrupted} interrupted"] if interrupted else []
        parts += [f"{len(self.at_work)} at work"] if self.at_work else []
        return ", ".join(parts) + (f", about {duration(left)} left" if left is not None and self.at_work else "")


class Lines(View):
    """A line when a job begins or ends, and one a minute."""

    def __init__(self, jobs: Sequence[Job], slots: int) -> None:
        super().__init__(jobs, slots)
        self.said = time.monotonic()

    def started(self, job: Job) -> None:
        """Say it."""
        super().started(job)
        log.info("%s: begins on %s%s", job.name, job.slot, ", once more" if job.attempts else "")

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Say it."""
        super().ended(job, outcome)
        errors = errors_of(job.progress) if outcome.kind == "finished" else ""
        log.info(
            "%s: %s after %s%s%s; %s", job.name, outcome, duration(job.seconds), f", {errors}" if errors else "",
            ", tries again" if job.outcome is None else "", self.summary(),
        )  # fmt: skip

    def tick(self) -> None:
        """Say how it stands, once a minute."""
        if time.monotonic() - self.said >= MINUTE_S:
            self.said = time.monotonic()
            steps = [f"{job.name} {step_of(job.progress)}" for job in self.jobs if job.number in self.at_work]
            log.info("%s (%s)", self.summary(), "; ".join(steps))


def duration(seconds: float) -> str:
    """For a person: 12 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    parts = (whole // 60, "min", whole % 60, "s") if whole < 3600 else (whole // 3600, "h", whole % 3600 // 60, "min")
    return " ".join(map(str, parts if parts[2] else parts[:2]))


def seconds_left(progress: Progress | None) -> float | None:
    """Of training; None before there is a rate."""
    return None if progress is None else progress.seconds_left


def step_of(progress: Progress | None) -> str:
    """The step, of all."""
    return f"{progress.step}/{progress.steps}" if progress else "–"


def errors_of(progress: Progress | None) -> str:
    """The last errors on validation people, by task."""
    found = progress.losses if progress else {}
    return ", ".join(f"{key.split('/')[1].removesuffix('_error')} {found[key]:.4g}" for key in found if "_error" in key)
