"""One try of a job: its process, from the start to the end that it takes."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection

from hydra.types import HydraContext, TaskFunction

from hmlpe.control_group import memory_kills
from hmlpe.sweep.child import Begun, Ended, Errand, take_hydra_state, work
from hmlpe.sweep.devices import Slot
from hmlpe.sweep.jobs import Job
from hmlpe.sweep.outcome import Outcome, of_exit
from hmlpe.sweep.warm import start
from hmlpe.training.watch import Progress


class Try:
    """A running process of a job.

    Args:
        job: whose `progress` it keeps up to date.
        slot: that it occupies.
        context, task: of the sweep.
        timeout_s: after which it is ended; None: never.
        grace_s: between the word to end and the end.
    """

    def __init__(
        self, job: Job, slot: Slot, context: HydraContext, task: TaskFunction, timeout_s: float | None, grace_s: float
    ) -> None:
        self.job, self.slot, self.grace_s = job, slot, grace_s
        self.kills_before = memory_kills()
        self.ended: Ended | None = None
        self.ending: Outcome | None = None
        attempt = sum(job.attempts.values()) + 1
        errand = Errand(
            job.config, job.overrides, job.folder, job.log, slot.name, slot.environment, attempt, context, task,
            take_hydra_state(),
        )  # fmt: skip
        self.started = time.monotonic()
        self.process, self.pipe = start(work, errand)
        assert self.process.pid is not None
        self.pid = self.process.pid
        self.deadline = None if timeout_s is None else self.started + timeout_s
        self.killed_at: float | None = None

    @property
    def events(self) -> list[Connection | int]:
        """What to wait on: a word from it, or its end."""
        return [self.pipe, self.process.sentinel] if not self.pipe.closed else [self.process.sentinel]

    def step(self) -> bool:
        """Hear what it says, see to its time, and whether it is over."""
        over = not self.process.is_alive()  # asked first: what it said before its end is heard below
        self._hear()
        now = time.monotonic()
        if over:
            self._bury()
        elif self.ending is None and self.deadline is not None and now > self.deadline:
            self.end(Outcome("timed_out", f"after {self.deadline - self.started:.0f} s"))
        elif self.killed_at is not None and now > self.killed_at:
            self.kill()
        return over

    def end(self, why: Outcome) -> None:
        """Tell it to end itself; `step` kills it if it takes longer than its grace."""
        self.ending, self.killed_at = why, time.monotonic() + self.grace_s
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End it, and all that it started, now."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not come to make its group
            self._signal(signal.SIGKILL)

    def outcome(self) -> Outcome:
        """How it ended; what it was ended for, unless it had finished by then."""
        if self.ended is not None and self.ended.outcome.kind == "finished":
            return self.ended.outcome
        if self.ending is not None:
            return self.ending
        return self.ended.outcome if self.ended is not None else of_exit(self.process.exitcode, self.kills_before)

    def _hear(self) -> None:
        with suppress(EOFError, OSError):
            while self.pipe.poll():
                word = self.pipe.recv()
                if isinstance(word, Progress):
                    self.job.progress = word
                elif isinstance(word, Begun):
                    self.job.start_seconds = time.monotonic() - self.started
                else:
                    self.ended, self.killed_at = word, time.monotonic() + self.grace_s  # threads may keep it from going

    def _bury(self) -> None:
        self.pipe.close()
        self.kill()  # what it may have left running
        self.job.seconds += time.monotonic() - self.started
        self.process.join()

    def _signal(self, number: int) -> None:
        if self.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
