"""Decides which job runs when: fills slots, retries jobs, stops at the first failure, and shuts down cleanly."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait

from hmlpe.errors import UserError
from hmlpe.sweep.devices import Slot
from hmlpe.sweep.jobs import Job, mark_job_failed
from hmlpe.sweep.outcome import RETRIED, Outcome
from hmlpe.sweep.tries import Attempt
from hmlpe.sweep.view import ProgressView

TICK_S = 0.25


@dataclass(frozen=True)
class FailurePolicy:
    """The rules for failed jobs: how often they are retried, and whether one ends the sweep.

    Args:
        retries: number of retries by reason, i.e. by how an attempt ended.
        stop_at_failure: whether the first job that has failed and is not retried ends the sweep.

    Raises:
        UserError: a reason is unknown, or a number of retries is not a whole number of at least 0.
    """

    retries: Mapping[str, int]
    stop_at_failure: bool

    def __post_init__(self) -> None:
        if not isinstance(self.retries, Mapping):
            raise UserError(
                f"hydra.launcher.retries: must give retries by reason, e.g. {{killed: 1}}, got {self.retries!r}"
            )
        for reason, count in self.retries.items():
            if reason not in RETRIED:
                raise UserError(f"hydra.launcher.retries: no reason {reason!r}; there are {', '.join(RETRIED)}")
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise UserError(f"hydra.launcher.retries.{reason}: must be a whole number of at least 0, got {count!r}")


class Scheduler:
    """Runs jobs on slots: starts them as slots become free, and retries failed ones as the policy says.

    Args:
        start: starts an attempt at a job on a slot.
        slots: the slots; each runs one job at a time.
        policy: what to do when jobs fail.
        view: the progress display, which is told when attempts start and end.
        on_change: called after an attempt has ended.
    """

    def __init__(
        self,
        start: Callable[[Job, Slot], Attempt],
        slots: Sequence[Slot],
        policy: FailurePolicy,
        view: ProgressView,
        on_change: Callable[[], None],
    ) -> None:
        self.start, self.free, self.policy, self.view, self.on_change = start, list(slots), policy, view, on_change
        self.waiting: deque[Job] = deque()
        self.running: list[Attempt] = []
        self.stopping = False

    def run(self, jobs: Sequence[Job]) -> None:
        """Run all jobs; each has an outcome afterwards. An interruption first ends the running jobs cleanly."""
        self.waiting.extend(jobs)
        try:
            while self.waiting or self.running:
                self._fill_slots()
                self._wait_for_events()
        except BaseException:
            self.stop(Outcome("interrupted"))
            raise
        finally:
            for attempt in self.running:  # left only after a second interruption
                attempt.pipe.close()
                attempt.job.outcome = Outcome("interrupted", "killed")

    def stop(self, reason: Outcome) -> None:
        """End the running jobs, for the reason `reason`, and start no more."""
        self.stopping = True
        for job in self.waiting:
            job.outcome = Outcome("interrupted", "not started")
        self.waiting.clear()
        for attempt in self.running:
            if attempt.end_reason is None:
                attempt.end(reason)
        while self.running:
            self._wait_for_events()

    def _fill_slots(self) -> None:
        while self.waiting and self.free:
            job, slot = self.waiting.popleft(), self.free.pop(0)
            job.slot, job.progress = slot.name, None
            self.running.append(self.start(job, slot))
            self.view.on_started(job)

    def _wait_for_events(self) -> None:
        """Wait up to `TICK_S` seconds for messages or ends of processes, and handle the attempts that have ended."""
        wait([event for attempt in self.running for event in attempt.events], TICK_S)
        for attempt in list(self.running):
            # The end of another attempt may have ended this one meanwhile.
            if attempt in self.running and attempt.poll():
                self.running.remove(attempt)
                self.free.append(attempt.slot)
                self._handle_end(attempt)
        self.view.tick()

    def _handle_end(self, attempt: Attempt) -> None:
        """Record an attempt's outcome in its job, and queue the job for another if the policy allows it."""
        job, outcome = attempt.job, attempt.outcome()
        job.attempts[outcome.kind] = job.attempts.get(outcome.kind, 0) + 1
        job.outcome = outcome
        if outcome.kind == "finished":
            job.value = attempt.ended.value if attempt.ended is not None else None
        elif attempt.ended is None:  # the process could not record its end itself
            mark_job_failed(job)
        again = not self.stopping and job.attempts[outcome.kind] <= self.policy.retries.get(outcome.kind, 0)
        if again:
            # Out of memory: retried last, as there may be more memory when the other jobs are done.
            (self.waiting.append if outcome.kind == "out_of_memory" else self.waiting.appendleft)(job)
            job.outcome = None
        self.view.on_ended(job, outcome)
        self.on_change()
        if not again and self.policy.stop_at_failure and outcome.kind not in ("finished", "interrupted"):
            self.stop(Outcome("interrupted", f"as {job.name} failed"))
