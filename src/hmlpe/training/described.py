"""Descriptions of a run's own numbers, which its result carries: metrics, losses, learning rates, counts of people."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torchmetrics import Metric

from hmlpe.data.datamodule import PoseDataModule
from hmlpe.errors import UserError
from hmlpe.metrics import PersonMetric
from hmlpe.runs.metric import MetricInfo, gradient_infos
from hmlpe.tasks import Task
from hmlpe.training.checkpoint import monitored_metric
from hmlpe.training.module import MultiTaskPose, task_error_metric

log = logging.getLogger(__name__)

KnownCounts = dict[str, dict[str, int]]
"""Split -> task -> number of people whose ground truth is at least partly known to the task."""


def count_known(tasks: Mapping[str, Task], data: PoseDataModule) -> KnownCounts:
    """Return, for each split and task, the number of people whose ground truth is at least partly known."""
    everyone = {split: people.all_labels() for split, people in data.plain.items()}
    return {
        split: {name: int(task.target(sample).has_known.sum()) for name, task in tasks.items()}
        for split, sample in everyone.items()
    }


def check_known_counts(
    counts_of_splits: KnownCounts, data: PoseDataModule, active: list[str], fit: bool, name: str
) -> None:
    """Warn where the ground truth of some people is unknown to a task, so that they count in none of its errors.

    Args:
        counts_of_splits: see `count_known`.
        data: the datamodule.
        active: the tasks that are trained and evaluated.
        fit: whether the run trains.
        name: name of the run, for the log.

    Raises:
        UserError: a task has no training person to learn from, or no validation person to select the checkpoint by.
    """
    chooses = monitored_metric(active).partition("/")[2].removesuffix("_error")
    needed = {"train": active, "val": [chooses]} if fit else {}
    for split, counts in counts_of_splits.items():
        people = len(data.plain[split])
        for task in active:
            few = f"only {counts[task]}" if counts[task] else "none"
            said = f"of {few} of {people} {split} people anything is known that {task} learns"
            remedy = "a joint without coordinates is unknown, and so is an occluded one under data.use_occluded=false"
            if not counts[task] and task in needed.get(split, ()):
                what = "there is nothing to learn" if split == "train" else "no checkpoint can be chosen"
                raise UserError(f"data: {said}, so {what} ({remedy})")
            if counts[task] < people:
                log.warning("%s: %s; the others count in no error (%s)", name, said, remedy)


def logged_infos(model: MultiTaskPose) -> dict[str, MetricInfo]:
    """Return a description of every number that may be logged, by name; each task's metrics come before its own error.

    Raises:
        UserError: a metric does not describe its numbers.
    """
    found: dict[str, MetricInfo] = {}
    for name, task in model.tasks.items():
        for key, metric in model.metrics_by_task.get(name, {}).items():
            found |= {
                k: info.model_copy(update={"task": name}) for k, info in infos_of(metric, f"{name}.{key}").items()
            }
        found |= task_error_metric(name, task).infos()
    found |= loss_infos(list(model.tasks)) | gradient_infos(list(model.tasks))
    found["lr-*"] = MetricInfo(title="learning rate", kind="rate")
    return found


def infos_of(metric: Metric, where: str) -> dict[str, MetricInfo]:
    """Return a metric's descriptions of its numbers, checked.

    Args:
        metric: the metric.
        where: the path of its configuration below `metrics`, for error messages.

    Raises:
        UserError: the metric has no valid descriptions, or a number of a `PersonMetric` has no reduction of the errors.
    """
    infos = getattr(metric, "infos", None)
    found = infos() if callable(infos) else None
    if not isinstance(found, dict) or not found or not all(isinstance(info, MetricInfo) for info in found.values()):
        raise UserError(f"metrics.{where}: {type(metric).__name__}.infos() must give a MetricInfo for each number")
    lacking = [name for name, info in found.items() if isinstance(metric, PersonMetric) and info.reduction is None]
    if lacking:
        raise UserError(f"metrics.{where}: {type(metric).__name__}: its {lacking[0]} has no reduction of the errors")
    return found


def loss_infos(tasks: list[str]) -> dict[str, MetricInfo]:
    """Return descriptions of the numbers that `MultiTaskPose.training_step` logs."""
    found = {"train/total": MetricInfo(title="weighted sum of the losses", better="low", kind="loss")}
    for task in tasks:
        words = task.replace("_", " ")
        own: dict[str, Any] = {"task": task, "better": "low", "kind": "loss"}
        found[f"train/{task}"] = MetricInfo(title=f"{words} loss", **own)
        found[f"train/{task}_weighted"] = MetricInfo(title=f"{words} loss times its weight", **own, shown=False)
        found[f"train/weight/{task}"] = MetricInfo(title=f"weight of {words}", task=task, kind="weight")
    return found
