"""What a trained model scores on every split, by both checkpoint rules."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import lightning as L
from torch import Tensor

from hmlpe.data.datamodule import PoseDataModule
from hmlpe.runs.rules import other_than
from hmlpe.settings import make
from hmlpe.training.checkpoint import Keeper
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.people import EachPerson
from hmlpe.training.settings import TrainSettings
from hmlpe.training.weights import load_weights

Metrics = dict[str, dict[str, float | None]]
"""By split and name; None where there was nothing to measure."""


class Evaluation(NamedTuple):
    """What one checkpoint scores, and what it says of each test person (`EachPerson.found`)."""

    metrics: Metrics
    people: dict[str, Tensor]


def both_rules(
    settings: TrainSettings,
    trainer: L.Trainer,
    model: MultiTaskPose,
    data: PoseDataModule,
    kept: Mapping[str, Keeper],
    each: EachPerson,
) -> dict[str, Evaluation]:
    """What the checkpoints of both rules score; that of the other rule first and unlogged, so that nobody mixes them.

    Args:
        model: as the last epoch left it.
        kept: see `keepers`.
    """
    found, loggers, skeleton = {}, trainer.loggers, make("skeleton", settings.skeleton)
    for rule in (other_than(settings.select), settings.select):
        if rule in kept:
            load_weights(model, kept[rule].path, skeleton)
        trainer.loggers = loggers if rule == settings.select else []
        # The logs have the curve of the validation numbers, in which this checkpoint's would be one more epoch.
        found[rule] = Evaluation(evaluate_all(trainer, model, data, unlogged=("val",)), each.found)
    return found


def evaluate_all(
    trainer: L.Trainer, model: MultiTaskPose, data: PoseDataModule, unlogged: Collection[str] = ()
) -> Metrics:
    """`evaluate` of every split, and the average of the tested sets, where there are several.

    Args:
        unlogged: splits whose numbers go into no log.
    """
    loggers, found = trainer.loggers, {}
    for split in data.plain:
        trainer.loggers = [] if split in unlogged else loggers
        found[split] = evaluate(trainer, model, data, split)
    trainer.loggers = loggers
    return with_average(found, data)


def with_average(splits: Metrics, data: PoseDataModule) -> Metrics:
    """And `test_average`, see `average`, where several sets are tested."""
    sets = [splits[name] for name in data.test_splits]
    return splits | ({"test_average": average(sets)} if sets else {})


def average(splits: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The mean over sets, each counting once, of every metric that all of them have."""
    shared = {key for key in splits[0] if all(split.get(key) is not None for split in splits)}
    return {key: sum(split[key] or 0.0 for split in splits) / len(splits) for key in sorted(shared)}


def evaluate(trainer: L.Trainer, model: MultiTaskPose, data: PoseDataModule, split: str) -> dict[str, float | None]:
    """Errors and metrics of a split, in evaluation mode, by the test-crop rule."""
    model.split = split
    found = trainer.test(model, data.evaluation_loader(split), verbose=False)[0]
    return clean({key.removeprefix(f"{split}/"): value for key, value in found.items()})


def clean(values: Any) -> dict[str, float | None]:
    """Plain floats; None where nothing was to be measured, as JSON has no NaN."""
    return {key: float(value) if math.isfinite(value) else None for key, value in sorted(values.items())}
