"""Jobs without processes."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

from omegaconf import OmegaConf

from hmlpe.sweep.child import JobEnded
from hmlpe.sweep.devices import Slot
from hmlpe.sweep.jobs import Job
from hmlpe.sweep.outcome import Outcome
from hmlpe.sweep.tries import Attempt


def job(number: int, folder: Path = Path("runs"), seed: int = 1) -> Job:
    config = OmegaConf.create(
        {"row": {"name": f"row{number}"}, "seed": seed, "hydra": {"job": {"name": "hmlpe-train"}}}
    )
    return Job(number, [f"row=row{number}"], config, folder / f"row{number}")


class FakeAttempt(Attempt):
    """Ends at the first step, or when it is told to, with the next of its job's outcomes."""

    def __init__(self, job: Job, slot: Slot, outcomes: list[Outcome], endless: bool) -> None:
        self.job, self.slot, self.outcomes, self.endless = job, slot, outcomes, endless
        self.end_reason: Outcome | None = None
        self.ended = JobEnded(Outcome("finished"), job.number * 10.0)
        self.pipe = SimpleNamespace(close=lambda: None)

    @property
    def events(self) -> list[Connection | int]:
        return []

    def poll(self) -> bool:
        return self.end_reason is not None or not self.endless

    def end(self, why: Outcome) -> None:
        self.end_reason = why

    def outcome(self) -> Outcome:
        return self.end_reason or (self.outcomes.pop(0) if self.outcomes else Outcome("finished"))


def starter(
    outcomes: dict[int, list[Outcome]], begun: list[int], endless: bool = False
) -> Callable[[Job, Slot], FakeAttempt]:
    """Starts fake tries and notes the jobs' numbers."""

    def start(job: Job, slot: Slot) -> FakeAttempt:
        begun.append(job.number)
        return FakeAttempt(job, slot, outcomes.get(job.number, []), endless)

    return start
