"""Measure the latency of one crop in torch and in onnxruntime."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hmlpe.predict.estimator import Estimator

WARM_UP = 5


class Latency(NamedTuple):
    """The median latencies of one crop in torch and in onnxruntime, which take turns.

    Attributes:
        torch_ms, onnx_ms: milliseconds.
        ratio: the median, over the rounds, of torch's time divided by onnxruntime's: above 1 if onnxruntime is faster.
    """

    torch_ms: float
    onnx_ms: float
    ratio: float


def measure_latency(torch_estimator: Estimator, onnx_estimator: Estimator, rounds: int = 100) -> Latency:
    """Measure the latencies of both estimators on the same crop, and return their medians.

    The estimators run in turn, so that other load on the machine affects both alike.

    Args:
        torch_estimator: the network in torch.
        onnx_estimator: the network in onnxruntime.
        rounds: the number of measured rounds, which follow `WARM_UP` rounds that are not measured.
    """
    size = torch_estimator.card.size_px
    crop = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    times = [
        (_seconds_of_call(torch_estimator, crop), _seconds_of_call(onnx_estimator, crop))
        for _ in range(rounds + WARM_UP)
    ][WARM_UP:]
    ratio = statistics.median(one / other for one, other in times)
    torch_ms, onnx_ms = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
    return Latency(torch_ms, onnx_ms, ratio)


def _seconds_of_call(run: Callable[[np.ndarray], object], crop: np.ndarray) -> float:
    started = time.perf_counter()
    run(crop)
    return time.perf_counter() - started
