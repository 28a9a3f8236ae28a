"""What a study's runs have logged, read from its folder: a dashboard shows that, and only that."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from hmlpe.report.runs import collect
from hmlpe.report.summary import tasks_of
from hmlpe.runs.curves import logged_names
from hmlpe.runs.metric import MetricInfo, info_of, merge_infos, split_of
from hmlpe.runs.result import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Named:
    """A metric that a run has logged, and what it is."""

    name: str
    info: MetricInfo

    @property
    def split(self) -> str:
        """Of the people it was measured on, or train."""
        return split_of(self.name)

    @property
    def title(self) -> str:
        """For a reader."""
        measured = self.info.kind in ("protocol", "score", "error", "check")
        return f"{self.info.title}, {self.split.replace('_', ' ')}" if measured else self.info.title


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        name: W&B's group of its runs.
        folder: of the study.
        runs: in the tables' order, whatever their state.
        tasks: that any run names, the base task first.
        metrics: that any run has logged, in the order in which the results say what they are.
        pictures: names of those that any run has.
    """

    name: str
    folder: Path
    runs: tuple[Run, ...]
    tasks: tuple[str, ...]
    metrics: tuple[Named, ...]
    pictures: tuple[str, ...]

    @property
    def curves(self) -> dict[str, Named]:
        """A point of each curve over thresholds, on test people, by the curve's name in W&B."""
        tested = (named for named in self.metrics if named.split.startswith("test"))
        return {f"curve/{named.split}/{named.info.curve[0]}": named for named in tested if named.info.curve}


def read_study(folder: Path, name: str) -> Study:
    """The study `name` in `folder`. Raises UserError: none there, or a broken result (see `report.runs.collect`)."""
    runs = collect(folder)
    infos = merge_infos(run.infos for run in runs)
    order = {info: place for place, info in enumerate(infos.values())}
    found = {key: info_of(infos, key) for key in {key for run in runs for key in logged_names(run.file.parent)}}
    metrics = [Named(key, info) for key, info in found.items() if info is not None]
    unknown = sorted(key for key, info in found.items() if info is None)
    if unknown:
        log.warning("not on the dashboard, as no result says what they are: %s", ", ".join(unknown))
    metrics.sort(key=lambda named: (order[named.info], named.name))
    pictures = dict.fromkeys(name for run in runs for name in run.result.pictures)
    return Study(name, folder, tuple(runs), tasks_of(runs), tuple(metrics), tuple(pictures))
