"""Read what a study's runs have logged from its folder; a dashboard shows exactly that."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from hmlpe.report.runs import collect_runs
from hmlpe.report.summary import tasks_of
from hmlpe.runs.curves import logged_names
from hmlpe.runs.metric import MetricInfo, find_metric_info, merge_infos, metric_split
from hmlpe.runs.result import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoggedMetric:
    """A metric that a run has logged, by its name in the logs, with its description."""

    name: str
    info: MetricInfo

    @property
    def split(self) -> str:
        """Return the split that the metric was measured on; `train` for what is logged while training."""
        return metric_split(self.name)

    @property
    def title(self) -> str:
        """Return the metric's title for a panel.

        For results of an evaluation (protocol, score, error, check) it includes the split, e.g. `…, test`; for values
        logged during training it does not.
        """
        measured = self.info.kind in ("protocol", "score", "error", "check")
        return f"{self.info.title}, {self.split.replace('_', ' ')}" if measured else self.info.title


@dataclass(frozen=True)
class Study:
    """The runs of a study and what they have logged.

    Attributes:
        name: the study's name, which is W&B's group of its runs.
        folder: the study's folder.
        runs: all runs, of any status, in the tables' order.
        tasks: the tasks that any run names, the base task first.
        metrics: the metrics that any run has logged, in the order in which the results describe them.
        pictures: names of the pictures that any run has.
    """

    name: str
    folder: Path
    runs: tuple[Run, ...]
    tasks: tuple[str, ...]
    metrics: tuple[LoggedMetric, ...]
    pictures: tuple[str, ...]

    @property
    def curves(self) -> dict[str, LoggedMetric]:
        """Return a dict from the W&B name of each curve over thresholds on test people to one metric of the curve."""
        tested = (metric for metric in self.metrics if metric.split.startswith("test"))
        return {f"curve/{metric.split}/{metric.info.curve[0]}": metric for metric in tested if metric.info.curve}


def read_study(folder: Path, name: str) -> Study:
    """Read the study `name` from its folder.

    Raises:
        UserError: there is no such study, or the result of a run is broken.
    """
    runs = collect_runs(folder)
    infos = merge_infos(run.infos for run in runs)
    order = {info: place for place, info in enumerate(infos.values())}
    found = {
        key: find_metric_info(infos, key) for key in {key for run in runs for key in logged_names(run.file.parent)}
    }
    metrics = [LoggedMetric(key, info) for key, info in found.items() if info is not None]
    unknown = sorted(key for key, info in found.items() if info is None)
    if unknown:
        log.warning("not on the dashboard, as no result says what they are: %s", ", ".join(unknown))
    metrics.sort(key=lambda metric: (order[metric.info], metric.name))
    pictures = dict.fromkeys(name for run in runs for name in run.result.pictures)
    return Study(name, folder, tuple(runs), tasks_of(runs), tuple(metrics), tuple(pictures))
