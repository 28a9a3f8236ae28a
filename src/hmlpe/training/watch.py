"""The listener to a run's progress, e.g. a sweep's live table: one per process. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """The progress of a training run, as it is reported to a listener.

    Attributes:
        step, steps: the optimiser's steps done so far, and their total number.
        losses: the values logged last: train/total, and the validation errors.
        rate: steps per second since the present start of the run; None before the first step.
    """

    step: int
    steps: int
    losses: Mapping[str, float]
    rate: float | None

    @property
    def seconds_left(self) -> float | None:
        """Return the seconds of training that are left at this rate; None if the rate is unknown."""
        return (self.steps - self.step) / self.rate if self.rate else None


Listener = Callable[[Progress], None]
_listeners: list[Listener] = []


def set_listener(listener: Listener) -> None:
    """Register `listener` to be called with the progress of every run of this process; it replaces an earlier one."""
    _listeners[:] = [listener]


def get_listener() -> Listener | None:
    """Return the registered listener, or None if there is none."""
    return _listeners[0] if _listeners else None
