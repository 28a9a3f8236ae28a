"""The ratio is that of the two that were timed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from hmlpe.predict.estimator import ModelCard, Poses
from hmlpe.predict.timing import WARM_UP, measure_latency
from hmlpe.skeleton import Skeleton

CARD = ModelCard("name", Skeleton(("a",), {}), 16, {}, (1.0, 0.0, 0.0), ("regression",), {})


@dataclass
class Clock:
    now: float = 0.0


@dataclass
class Slow:
    """Takes its time on a clock that nothing else moves."""

    seconds: float
    clock: Clock
    card: ModelCard = CARD
    calls: int = 0

    def __call__(self, crops: np.ndarray) -> Poses:
        assert crops.shape == (1, 16, 16, 3)
        self.calls += 1
        self.clock.now += self.seconds
        return Poses(np.zeros((1, 1, 2), np.float32), np.zeros((1, 1), np.float32), None)


def test_latency_is_of_one_crop_and_the_ratio_of_torch_over_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("hmlpe.predict.timing.time.perf_counter", lambda: clock.now)
    slow, fast = Slow(0.02, clock), Slow(0.002, clock)
    found = measure_latency(slow, fast, rounds=5)
    assert slow.calls == fast.calls == 5 + WARM_UP
    assert found == pytest.approx((20, 2, 10))
