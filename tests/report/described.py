"""What the made-up results say of their numbers: by the program's own metrics, of a skeleton of arms."""

from __future__ import annotations

from typing import Any

from hmlpe.metrics import ModecPDJ, PixelError, Spread, StrictPCPOfJoints, TaskError, WindowAP
from hmlpe.runs.metric import MetricInfo, gradient_infos
from hmlpe.skeleton import Skeleton
from hmlpe.training.described import loss_infos

SKELETON = Skeleton(
    ["head", "left_shoulder", "neck", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"],
    {
        "head_neck": ["head", "neck"],
        "left_upper_arm": ["left_shoulder", "left_elbow"],
        "left_lower_arm": ["left_elbow", "left_wrist"],
        "right_upper_arm": ["right_shoulder", "right_elbow"],
        "right_lower_arm": ["right_elbow", "right_wrist"],
    },
    [["left_shoulder", "right_shoulder"], ["left_elbow", "right_elbow"], ["left_wrist", "right_wrist"]],
)
PDJ = {name: [f"left_{name}", f"right_{name}"] for name in ("elbow", "wrist")}
PCP = {name: [f"left_{name}", f"right_{name}"] for name in ("upper_arm", "lower_arm")}
TASKS = {"regression": ("r", 4), "detection": ("d", 2)}


def infos() -> dict[str, MetricInfo]:
    """Of all metrics and losses."""
    of_task = {
        "regression": [ModecPDJ(SKELETON, PDJ), StrictPCPOfJoints(SKELETON, PCP), PixelError(), Spread(SKELETON)],
        "detection": [WindowAP(SKELETON)],
    }
    found: dict[str, MetricInfo] = {}
    for task, metrics in of_task.items():
        for metric in metrics:
            found |= {name: info.model_copy(update={"task": task}) for name, info in metric.infos().items()}
        found |= TaskError(task, *TASKS[task]).infos()
    rates = {"lr-*": MetricInfo(title="learning rate", kind="rate")}
    return found | loss_infos(list(TASKS)) | gradient_infos(list(TASKS)) | rates


DESCRIBED: dict[str, Any] = {
    name: info.model_dump(mode="json", exclude_defaults=True) for name, info in infos().items()
}
