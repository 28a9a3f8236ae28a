"""Jobs without processes."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

from omegaconf import OmegaConf

from hmlpe.sweep.child import Ended
from hmlpe.sweep.devices import Slot
from hmlpe.sweep.jobs import Job
from hmlpe.sweep.outcome import Outcome
from hmlpe.sweep.tries import Try


def job(number: int, folder: Path = Path("runs"), seed: int = 1) -> Job:
    config = OmegaConf.create(
        {"row": {"name": f"row{number}"}, "seed": seed, "hydra": {"job": {"name": "hmlpe-train"}}}
    )
    return Job(number, [f"row=row{number}"], config, folder / f"row{number}")


class FakeTry(Try):
    """Ends at the first step, or when it is told to, with the next of its job's outcomes."""

    def __init__(self, job: Job, slot: Slot, outcomes: list[Outcome], endless: bool) -> None:
        self.job, self.slot, self.outcomes, self.endless = job, slot, outcomes, endless
        self.ending: Outcome | None = None
        self.ended = Ended(Outcome("finished"), job.number * 10.0)
        self.pipe = SimpleNamespace(close=lambda: None)

    @property
    def events(self) -> list[Connection | int]:
        return []

    def step(self) -> bool:
        return self.ending is not None or not self.endless

    def end(self, why: Outcome) -> None:
        self.ending = why

    def outcome(self) -> Outcome:
        return self.ending or (self.outcomes.pop(0) if self.outcomes else Outcome("finished"))


def starter(
    outcomes: dict[int, list[Outcome]], begun: list[int], endless: bool = False
) -> Callable[[Job, Slot], FakeTry]:
    """Starts fake tries and notes the jobs' numbers."""

    def start(job: Job, slot: Slot) -> FakeTry:
        begun.append(job.number)
        return FakeTry(job, slot, outcomes.get(job.number, []), endless)

    return start
