"""The ratio is that of the two that were timed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from hmlpe.deploy.bench import WARM_UP, latency
from hmlpe.predict.estimator import Card, Poses
from hmlpe.skeleton import Skeleton

CARD = Card("name", Skeleton(("a",), {}), 16, {}, (1.0, 0.0, 0.0), ("regression",), {})


@dataclass
class Slow:
    seconds: float
    card: Card = CARD
    calls: int = 0

    def __call__(self, crops: np.ndarray) -> Poses:
        assert crops.shape == (1, 16, 16, 3)
        self.calls += 1
        time.sleep(self.seconds)
        return Poses(np.zeros((1, 1, 2), np.float32), np.zeros((1, 1), np.float32), None)


def test_latency_is_of_one_crop_and_the_ratio_of_torch_over_onnx() -> None:
    slow, fast = Slow(0.02), Slow(0.002)
    found = latency(slow, fast, rounds=5)
    assert slow.calls == fast.calls == 5 + WARM_UP
    assert found.torch_ms >= 20 and found.onnx_ms >= 2 and 2 < found.ratio <= 10.1
