"""Who is told how a run goes while it trains, e.g. a sweep's live table. One listener a process; nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step, steps: of the optimiser, done and in all.
        losses: what was logged last: train/total, and the validation errors.
        rate: steps a second since this start; None before the first.
    """

    step: int
    steps: int
    losses: Mapping[str, float]
    rate: float | None

    @property
    def seconds_left(self) -> float | None:
        """Of training, at this rate."""
        return (self.steps - self.step) / self.rate if self.rate else None


Listener = Callable[[Progress], None]
_listeners: list[Listener] = []


def set_listener(to: Listener) -> None:
    """From now on `to` is told of every run of this process."""
    _listeners[:] = [to]


def listener() -> Listener | None:
    """Who is told, if anybody."""
    return _listeners[0] if _listeners else None
