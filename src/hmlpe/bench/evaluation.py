"""Measure the speed of evaluation as ratios: evaluation to the bare forward pass, and torch to ONNX for one crop."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch

from hmlpe.evaluate.network import estimate_in_given_boxes
from hmlpe.evaluate.people import truth_of
from hmlpe.predict.graph import export_program, onnx_bytes
from hmlpe.predict.onnx_file import OnnxEstimator
from hmlpe.predict.timing import Latency, measure_latency
from hmlpe.predict.trained import TorchEstimator, TrainedModel, model_card_of
from hmlpe.predict.trained import build_model as build_pose_model
from hmlpe.settings import build_component
from hmlpe.training.build import build_data, build_model, build_tasks, set_mean_image_and_biases
from hmlpe.training.settings import TrainSettings


class EvaluationSpeed(NamedTuple):
    """The speed of evaluation, as medians over rounds; in each round, the forward pass and the evaluation run once.

    Attributes:
        bare: images per second of the forward pass on batches that are in memory.
        evaluate: images per second from the pack on disk to joints in image pixels, with confidences.
        ratio: `evaluate` divided by `bare`.
        people: the number of people in the test set.
        seconds: the time in seconds for the evaluation of the whole test set.
        crop_latency: the latency of one crop, by torch and by ONNX.
    """

    bare: float
    evaluate: float
    ratio: float
    people: int
    seconds: float
    crop_latency: Latency


def bench_evaluation(settings: TrainSettings, rounds: int) -> EvaluationSpeed:
    """Time the evaluation of an untrained network on the test people of the prepared pack.

    The network is untrained, as the values of its weights do not change the time.

    Args:
        settings: name the network, the data and the batch size.
        rounds: the number of measured rounds; one more comes first, to warm up.

    Raises:
        UserError: there is no prepared pack, or a package that the export needs is not installed.
    """
    data = build_data(settings)
    model = build_model(settings, build_tasks(settings, [attribute.name for attribute in data.attributes]))
    set_mean_image_and_biases(model, data, settings.optim.start_at_mean)
    pose_model = build_pose_model(settings.tree, model.network.state_dict(), None)
    trained = TrainedModel(pose_model, model_card_of(settings.tree, {}), settings.tree)
    estimator, batch = TorchEstimator(trained), settings.optim.batch_size
    rows = data.plain["test"].rows
    truth = truth_of(
        data.pack.people.select_rows(rows), build_component("skeleton", settings.skeleton), settings.data.sides, True
    )
    crops = np.asarray(data.pack.test_crops[rows])
    images = torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2)))
    times: list[tuple[float, float]] = []
    for _ in range(1 + rounds):
        started = time.perf_counter()
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                pose_model.network(images[start : start + batch])
        between = time.perf_counter()
        estimate_in_given_boxes(estimator, data.pack, rows, truth, batch, progress=False)
        times.append((between - started, time.perf_counter() - between))
    bare, whole = np.array(times[1:]).T  # the first round warms up
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"  # its outputs are not checked, as an untrained network's logits may be huge
        path.write_bytes(onnx_bytes(export_program(trained), trained))
        by_onnx = OnnxEstimator(path, torch.get_num_threads())
        one = measure_latency(estimator, by_onnx)
    ratio = statistics.median(bare / whole)
    people = len(rows)
    return EvaluationSpeed(
        people / float(np.median(bare)), people / float(np.median(whole)), ratio, people, float(np.median(whole)), one
    )
