"""Upgrade of runs made by the tag faults-1, whose results do not describe their own numbers, to today's form.

Only this package's own metrics are built, whatever classes a file names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torchmetrics import Metric

from hmlpe.errors import UserError
from hmlpe.metrics.pcp import StrictPCPOfJoints
from hmlpe.metrics.pdj import ModecPDJ
from hmlpe.metrics.person import PersonMetric, TaskError
from hmlpe.metrics.pose import PixelError, Spread
from hmlpe.metrics.windows import WindowAP
from hmlpe.runs.folder import CONFIG, not_a_run_error, read_config
from hmlpe.runs.metric import MetricInfo, TaskInfo, gradient_infos
from hmlpe.runs.people import ERRORS, People
from hmlpe.runs.result import OLDEST_SCHEMA, Run
from hmlpe.skeleton import Skeleton

TASKS = {"regression": ("r", 4), "detection": ("d", 2)}  # symbol and digits
_KINDS = {
    f"hmlpe.metrics.{kind.__name__}": kind for kind in (ModecPDJ, StrictPCPOfJoints, PixelError, Spread, WindowAP)
}


def upgrade_run(run: Run) -> Run:
    """Bring a run that was written at the git tag faults-1 into the present form: add descriptions of its metrics.

    Other runs, and unfinished ones without a configuration file, are returned unchanged.
    """
    begun = run.finished or (run.file.parent / CONFIG).is_file()
    if run.result.schema_ != OLDEST_SCHEMA or not begun:
        return run
    infos: dict[str, MetricInfo] = {}
    for task, metrics in metrics_of(run).items():
        for metric in metrics:
            infos |= {name: info.model_copy(update={"task": task}) for name, info in metric.infos().items()}
    for task, (symbol, digits) in TASKS.items():
        infos |= TaskError(task, symbol, digits).infos()
        infos[f"train/{task}"] = MetricInfo(title=f"{task} loss", task=task, better="low", kind="loss")
    infos |= gradient_infos(tuple(TASKS))
    tasks = {task: TaskInfo(symbol=symbol) for task, (symbol, _) in TASKS.items()}
    told = {
        "described": infos,
        "tasks": tasks,
        "sides": read_config(run.file.parent)["data"].get("sides"),
        "sets": (run.result.protocol or "").partition(":")[0].split("+"),
        "pictures": ["media/poses", "media/part_maps", "media/filters"],
    }
    return replace(run, result=run.result.model_copy(update=told))


def with_recomputed_errors(run: Run, people: People) -> People:
    """Return the arrays of a run of the tag faults-1, with the errors of each metric, recomputed from them, added."""
    arrays = {name: torch.from_numpy(one) for name, one in people.arrays.items() if one.dtype.kind == "f"}
    errors = {f"{ERRORS}{name}": one[:, None].numpy() for name, one in arrays.items() if name.endswith("_error")}
    for metric in (one for metrics in metrics_of(run).values() for one in metrics if isinstance(one, PersonMetric)):
        wanted = {key: value for key, value in arrays.items() if key in metric._update_signature.parameters}
        if set(wanted) == set(metric._update_signature.parameters):
            metric.update(**wanted)
            errors[f"{ERRORS}{metric.array}"] = metric.all_errors().numpy()
    return replace(people, arrays={**people.arrays, **errors})


def metrics_of(run: Run) -> dict[str, list[Any]]:
    """Build the metrics of the run's configuration; return lists of them, by task.

    Raises:
        UserError: the configuration is missing or is not that of a run.
    """
    config = read_config(run.file.parent)
    try:
        skeleton = Skeleton(**_constructor_arguments(config["skeleton"]))
        return {
            task: [_build_metric(node, skeleton) for node in named.values()]
            for task, named in config["metrics"].items()
        }
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise not_a_run_error(run.file.parent / CONFIG, error) from error


def _build_metric(node: Mapping[str, Any], skeleton: Skeleton) -> Metric:
    """Build the metric that a node of an old run's config describes. Raises UserError if this version has no such."""
    kind = _KINDS.get(node["_target_"])
    if kind is None:
        raise UserError(f"metrics: {node['_target_']}: not a metric of this version; train it again")
    given = {**_constructor_arguments(node), **({"skeleton": skeleton} if kind not in (PixelError,) else {})}
    return kind(**given)


def _constructor_arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a config node without Hydra's own, such as _target_, which begin with an underscore."""
    return {key: value for key, value in node.items() if not key.startswith("_")}
