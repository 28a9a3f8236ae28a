"""What one crop costs, in torch and in onnxruntime."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hmlpe.predict.estimator import Estimator

WARM_UP = 5


class Latency(NamedTuple):
    """Medians for a batch of one crop, over runs in turn.

    Attributes:
        torch_ms, onnx_ms: milliseconds.
        ratio: torch over ONNX, the median of the turns' ratios: how many times faster the file is.
    """

    torch_ms: float
    onnx_ms: float
    ratio: float


def latency(by_torch: Estimator, by_onnx: Estimator, rounds: int = 100) -> Latency:
    """Time both on the same crop, in turn, so that what else the machine does hits both alike."""
    size = by_torch.card.size_px
    crop = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    times = [(_seconds(by_torch, crop), _seconds(by_onnx, crop)) for _ in range(rounds + WARM_UP)][WARM_UP:]
    ratio = statistics.median(one / other for one, other in times)
    torch_ms, onnx_ms = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
    return Latency(torch_ms, onnx_ms, ratio)


def _seconds(run: Callable[[np.ndarray], object], crop: np.ndarray) -> float:
    started = time.perf_counter()
    run(crop)
    return time.perf_counter() - started
