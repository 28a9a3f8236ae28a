"""What a run says of its own numbers in its result: metrics, losses, rates, and of how many people a task knows."""

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
from hmlpe.training.checkpoint import monitored
from hmlpe.training.module import MultiTaskPose, error_of

log = logging.getLogger(__name__)

Counted = dict[str, dict[str, int]]
"""Split -> task -> people who count."""


def counted(tasks: Mapping[str, Task], data: PoseDataModule) -> Counted:
    """Who counts, of every split and task."""
    everyone = {split: people.all_labels() for split, people in data.plain.items()}
    return {
        split: {name: int(task.target(sample).counts.sum()) for name, task in tasks.items()}
        for split, sample in everyone.items()
    }


def check_counted(found: Counted, data: PoseDataModule, active: list[str], fit: bool, name: str) -> None:
    """Say where not everyone counts, in the words of the run of this name.

    Args:
        active: the tasks that are trained, and judged.
        fit: the run trains.

    Raises:
        UserError: a task has nobody to learn from, or there is nobody to choose the checkpoint by.
    """
    chooses = monitored(active).partition("/")[2].removesuffix("_error")
    needed = {"train": active, "val": [chooses]} if fit else {}
    for split, counts in found.items():
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


def described(model: MultiTaskPose) -> dict[str, MetricInfo]:
    """Every name that may be logged -> what it is; the metrics of each task before its own error.

    Raises:
        UserError: a metric says not what its numbers are.
    """
    found: dict[str, MetricInfo] = {}
    for name, task in model.tasks.items():
        for key, metric in model.metrics_of.get(name, {}).items():
            found |= {
                k: info.model_copy(update={"task": name}) for k, info in infos_of(metric, f"{name}.{key}").items()
            }
        found |= error_of(name, task).infos()
    found |= losses(list(model.tasks)) | gradient_infos(list(model.tasks))
    found["lr-*"] = MetricInfo(title="learning rate", kind="rate")
    return found


def infos_of(metric: Metric, where: str) -> dict[str, MetricInfo]:
    """What a metric says its numbers are.

    Args:
        where: its configuration, below `metrics`.

    Raises:
        UserError: it says nothing, or has one that cannot be counted.
    """
    infos = getattr(metric, "infos", None)
    found = infos() if callable(infos) else None
    if not isinstance(found, dict) or not found or not all(isinstance(info, MetricInfo) for info in found.values()):
        raise UserError(f"metrics.{where}: {type(metric).__name__}.infos() must give a MetricInfo for each number")
    lacking = [name for name, info in found.items() if isinstance(metric, PersonMetric) and info.reduction is None]
    if lacking:
        raise UserError(f"metrics.{where}: {type(metric).__name__}: its {lacking[0]} has no reduction of the errors")
    return found


def losses(tasks: list[str]) -> dict[str, MetricInfo]:
    """What `MultiTaskPose.training_step` logs."""
    found = {"train/total": MetricInfo(title="weighted sum of the losses", better="low", kind="loss")}
    for task in tasks:
        words = task.replace("_", " ")
        own: dict[str, Any] = {"task": task, "better": "low", "kind": "loss"}
        found[f"train/{task}"] = MetricInfo(title=f"{words} loss", **own)
        found[f"train/{task}_weighted"] = MetricInfo(title=f"{words} loss times its weight", **own, shown=False)
        found[f"train/weight/{task}"] = MetricInfo(title=f"weight of {words}", task=task, kind="weight")
    return found
