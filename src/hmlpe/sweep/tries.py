"""One attempt at a job: its process, from its start to its end."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection

from hydra.types import HydraContext, TaskFunction

from hmlpe.control_group import oom_kill_count
from hmlpe.sweep.child import JobEnded, JobRequest, JobStarted, export_hydra_state, run_request
from hmlpe.sweep.devices import Slot
from hmlpe.sweep.jobs import Job
from hmlpe.sweep.outcome import Outcome, outcome_of_exit
from hmlpe.sweep.warm import start_process
from hmlpe.training.watch import Progress


class Attempt:
    """One attempt at a job: starts the job's process, follows it and ends it if need be.

    Args:
        job: the job; its `progress` is kept up to date.
        slot: the slot that the process occupies.
        context, task: Hydra's context and task function of the sweep.
        timeout_s: seconds after which the process is ended; None: no timeout.
        grace_s: seconds between asking the process to end and killing it.
    """

    def __init__(
        self, job: Job, slot: Slot, context: HydraContext, task: TaskFunction, timeout_s: float | None, grace_s: float
    ) -> None:
        self.job, self.slot, self.grace_s = job, slot, grace_s
        self.kills_before = oom_kill_count()
        self.ended: JobEnded | None = None
        self.end_reason: Outcome | None = None
        attempt = sum(job.attempts.values()) + 1
        request = JobRequest(
            job.config, job.overrides, job.folder, job.log_file, slot.name, slot.environment, attempt, context, task,
            export_hydra_state(),
        )  # fmt: skip
        self.started = time.monotonic()
        self.process, self.pipe = start_process(run_request, request)
        assert self.process.pid is not None
        self.pid = self.process.pid
        self.deadline = None if timeout_s is None else self.started + timeout_s
        self.kill_at: float | None = None

    @property
    def events(self) -> list[Connection | int]:
        """Return the objects to wait on: the process's pipe, for its messages, and its sentinel, for its end."""
        return [self.pipe, self.process.sentinel] if not self.pipe.closed else [self.process.sentinel]

    def poll(self) -> bool:
        """Handle the process's messages, its timeout and its grace period; return whether it has ended. Never waits."""
        over = not self.process.is_alive()  # checked before reading the pipe, so that no message is missed
        self._receive_messages()
        now = time.monotonic()
        if over:
            self._clean_up()
        elif self.end_reason is None and self.deadline is not None and now > self.deadline:
            self.end(Outcome("timed_out", f"after {self.deadline - self.started:.0f} s"))
        elif self.kill_at is not None and now > self.kill_at:
            self.kill()
        return over

    def end(self, reason: Outcome) -> None:
        """Ask the process to end itself, for the reason `reason`; `poll` kills it after the grace period."""
        self.end_reason, self.kill_at = reason, time.monotonic() + self.grace_s
        self._send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the process and all processes that it started, at once."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not made its process group yet
            self._send_signal(signal.SIGKILL)

    def outcome(self) -> Outcome:
        """Return how the attempt, which is over, ended: the reason given to `end`, unless the job finished anyway."""
        if self.ended is not None and self.ended.outcome.kind == "finished":
            return self.ended.outcome
        if self.end_reason is not None:
            return self.end_reason
        return (
            self.ended.outcome if self.ended is not None else outcome_of_exit(self.process.exitcode, self.kills_before)
        )

    def _receive_messages(self) -> None:
        with suppress(EOFError, OSError):
            while self.pipe.poll():
                message = self.pipe.recv()
                if isinstance(message, Progress):
                    self.job.progress = message
                elif isinstance(message, JobStarted):
                    self.job.start_seconds = time.monotonic() - self.started
                else:
                    self.ended, self.kill_at = message, time.monotonic() + self.grace_s  # its threads may keep it alive

    def _clean_up(self) -> None:
        self.pipe.close()
        self.kill()  # processes that it may have left running
        self.job.seconds += time.monotonic() - self.started
        self.process.join()

    def _send_signal(self, signal_number: int) -> None:
        if self.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)
