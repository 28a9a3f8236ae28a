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

LabelledCounts = dict[str, dict[str, int]]
"""Split -> task -> number of people whose ground truth is at least partly known to the task."""


def count_labelled_people(tasks: Mapping[str, Task], data: PoseDataModule) -> LabelledCounts:
    """Return, for each split and task, the number of people whose ground truth is at least partly known."""
    everyone = {split: people.all_labels() for split, people in data.plain.items()}
    return {
        split: {name: int(task.target(sample).has_known.sum()) for name, task in tasks.items()}
        for split, sample in everyone.items()
    }


def check_labelled_counts(
    counts_by_split: LabelledCounts, data: PoseDataModule, active: list[str], fit: bool, run_name: str
) -> None:
    """Warn where the ground truth of some people is unknown to a task, so that they count in none of its errors.

    Args:
        counts_by_split: see `count_labelled_people`.
        data: the datamodule.
        active: the tasks that are trained and evaluated.
        fit: whether the run trains.
        run_name: name of the run, for the log.

    Raises:
        UserError: a task has no training person to learn from, or no validation person to select the checkpoint by.
    """
    selecting_task = monitored_metric(active).partition("/")[2].removesuffix("_error")
    needed = {"train": active, "val": [selecting_task]} if fit else {}
    for split, counts in counts_by_split.items():
        people = len(data.plain[split])
        for task in active:
            few = f"only {counts[task]}" if counts[task] else "none"
            said = f"{few} of {people} {split} people have labels for {task}"
            remedy = "a joint without coordinates has no label, nor does an occluded one under data.use_occluded=false"
            if not counts[task] and task in needed.get(split, ()):
                what = "there is nothing to learn" if split == "train" else "no checkpoint can be chosen"
                raise UserError(f"data: {said}, so {what} ({remedy})")
            if counts[task] < people:
                log.warning("%s: %s; the others are left out of all errors (%s)", run_name, said, remedy)


def logged_metric_infos(model: MultiTaskPose) -> dict[str, MetricInfo]:
    """Return a description of every number that may be logged, by name; each task's metrics come before its own error.

    Raises:
        UserError: a metric does not describe its numbers.
    """
    found: dict[str, MetricInfo] = {}
    for name, task in model.tasks.items():
        for key, metric in model.metrics_by_task.get(name, {}).items():
            found |= {
                k: info.model_copy(update={"task": name}) for k, info in checked_infos(metric, f"{name}.{key}").items()
            }
        found |= task_error_metric(name, task).infos()
    found |= loss_infos(list(model.tasks)) | gradient_infos(list(model.tasks))
    found["lr-*"] = MetricInfo(title="learning rate", kind="rate")
    return found


def checked_infos(metric: Metric, config_path: str) -> dict[str, MetricInfo]:
    """Return the descriptions that a metric gives of its numbers, by their names, after checking them.

    Args:
        metric: the metric.
        config_path: the path of its configuration below `metrics`, for error messages.

    Raises:
        UserError: the metric has no valid descriptions, or a `PersonMetric` does not say how one of its numbers is
            reduced from the people's errors (`MetricInfo.reduction`).
    """
    infos = getattr(metric, "infos", None)
    found = infos() if callable(infos) else None
    if not isinstance(found, dict) or not found or not all(isinstance(info, MetricInfo) for info in found.values()):
        raise UserError(
            f"metrics.{config_path}: {type(metric).__name__}.infos() must give a MetricInfo for each number"
        )
    lacking = [name for name, info in found.items() if isinstance(metric, PersonMetric) and info.reduction is None]
    if lacking:
        raise UserError(
            f"metrics.{config_path}: {type(metric).__name__}: its {lacking[0]} has no reduction of the errors"
        )
    return found


def loss_infos(tasks: list[str]) -> dict[str, MetricInfo]:
    """Return a description of each number that `MultiTaskPose.training_step` logs, by its logged name."""
    found = {"train/total": MetricInfo(title="weighted sum of the losses", better="low", kind="loss")}
    for task in tasks:
        words = task.replace("_", " ")
        own: dict[str, Any] = {"task": task, "better": "low", "kind": "loss"}
        found[f"train/{task}"] = MetricInfo(title=f"{words} loss", **own)
        found[f"train/{task}_weighted"] = MetricInfo(title=f"{words} loss times its weight", **own, shown=False)
        found[f"train/weight/{task}"] = MetricInfo(title=f"weight of {words}", task=task, kind="weight")
    return found
