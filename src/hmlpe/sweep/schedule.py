"""Which job runs when: slots, tries, time, the first failure, and an orderly end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait

from hmlpe.errors import UserError
from hmlpe.sweep.devices import Slot
from hmlpe.sweep.jobs import Job, note_end
from hmlpe.sweep.outcome import RETRIED, Outcome
from hmlpe.sweep.tries import Try
from hmlpe.sweep.view import View

TICK_S = 0.25


@dataclass(frozen=True)
class Policy:
    """What to do when jobs fail.

    Args:
        retries: further tries, by why a job ended.
        stop_at_failure: the first job that fails for good ends the sweep.

    Raises:
        UserError: no such reason, or not a number of tries.
    """

    retries: Mapping[str, int]
    stop_at_failure: bool

    def __post_init__(self) -> None:
        if not isinstance(self.retries, Mapping):
            raise UserError(f"hydra.launcher.retries: must be tries by reason, {{killed: 1}}, got {self.retries!r}")
        for reason, count in self.retries.items():
            if reason not in RETRIED:
                raise UserError(f"hydra.launcher.retries: no reason {reason!r}; there are {', '.join(RETRIED)}")
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise UserError(f"hydra.launcher.retries.{reason}: must be a whole number of at least 0, got {count!r}")


class Schedule:
    """Runs jobs on slots.

    Args:
        start: begins a try of a job on a slot.
        slots: each runs one job at a time.
        policy: of failures.
        view: is shown every change.
        changed: is called after a job has ended.
    """

    def __init__(
        self,
        start: Callable[[Job, Slot], Try],
        slots: Sequence[Slot],
        policy: Policy,
        view: View,
        changed: Callable[[], None],
    ) -> None:
        self.start, self.free, self.policy, self.view, self.changed = start, list(slots), policy, view, changed
        self.waiting: deque[Job] = deque()
        self.running: list[Try] = []
        self.stopping = False

    def run(self, jobs: Sequence[Job]) -> None:
        """Run them all; every job has an outcome afterwards. What interrupts this ends the jobs, in order, first."""
        self.waiting.extend(jobs)
        try:
            while self.waiting or self.running:
                self._fill()
                self._wait()
        except BaseException:
            self.stop(Outcome("interrupted"))
            raise
        finally:
            for one in self.running:  # a second interruption
                one.pipe.close()
                one.job.outcome = Outcome("interrupted", "killed")

    def stop(self, why: Outcome) -> None:
        """End what runs, begin nothing more."""
        self.stopping = True
        for job in self.waiting:
            job.outcome = Outcome("interrupted", "not begun")
        self.waiting.clear()
        for one in self.running:
            if one.ending is None:
                one.end(why)
        while self.running:
            self._wait()

    def _fill(self) -> None:
        while self.waiting and self.free:
            job, slot = self.waiting.popleft(), self.free.pop(0)
            job.slot, job.progress = slot.name, None
            self.running.append(self.start(job, slot))
            self.view.started(job)

    def _wait(self) -> None:
        wait([event for one in self.running for event in one.events], TICK_S)
        for one in list(self.running):
            if one in self.running and one.step():  # the end of another may have stopped it meanwhile
                self.running.remove(one)
                self.free.append(one.slot)
                self._ended(one)
        self.view.tick()

    def _ended(self, one: Try) -> None:
        job, outcome = one.job, one.outcome()
        job.attempts[outcome.kind] = job.attempts.get(outcome.kind, 0) + 1
        job.outcome = outcome
        if outcome.kind == "finished":
            job.value = one.ended.value if one.ended is not None else None
        elif one.ended is None:  # it could not write so itself
            note_end(job)
        again = not self.stopping and job.attempts[outcome.kind] <= self.policy.retries.get(outcome.kind, 0)
        if again:
            # For memory there may be more when the others are through.
            (self.waiting.append if outcome.kind == "out_of_memory" else self.waiting.appendleft)(job)
            job.outcome = None
        self.view.ended(job, outcome)
        self.changed()
        if not again and self.policy.stop_at_failure and outcome.kind not in ("finished", "interrupted"):
            self.stop(Outcome("interrupted", f"as {job.name} failed"))
