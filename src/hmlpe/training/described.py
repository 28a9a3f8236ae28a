"""What a run logs and measures, said in its result by what makes it: metrics, losses, gradients, rates."""

from __future__ import annotations

from typing import Any

from torchmetrics import Metric

from hmlpe.errors import UserError
from hmlpe.metrics import PersonMetric
from hmlpe.runs.metric import MetricInfo, gradient_infos
from hmlpe.training.module import MultiTaskPose, error_of


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
