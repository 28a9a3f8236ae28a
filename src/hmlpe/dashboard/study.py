"""What a study's runs have logged, read from its folder: a dashboard shows that, and only that."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from hmlpe.report.curves import logged
from hmlpe.report.result import Run
from hmlpe.report.runs import collect
from hmlpe.tracking.names import Named, curve_of, known_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        name: W&B's group of its runs.
        folder: of the study.
        runs: in the tables' order, whatever their state.
        tasks: that any run names.
        metrics: that any run has logged, in the order of `tracking.names`.
    """

    name: str
    folder: Path
    runs: tuple[Run, ...]
    tasks: tuple[str, ...]
    metrics: tuple[Named, ...]

    @property
    def curves(self) -> dict[str, str]:
        """Titles of the curves over thresholds, on test people, by their names."""
        tested = (named for named in self.metrics if named.words.get("split", "").startswith("test"))
        points = ((curve_of(named), named.words) for named in tested)
        return {
            curve[0]: f"PDJ {words['name']} over the threshold, {words['split']}".replace("_", " ")
            for curve, words in points
            if curve
        }


def read_study(folder: Path, name: str) -> Study:
    """The study `name` in `folder`. Raises UserError: none there, or a broken result (see `report.runs.collect`)."""
    runs = collect(folder)
    tasks = tuple(sorted({task for run in runs for task in run.weights}, reverse=True))
    names = {name for run in runs for name in logged(run.file.parent)}
    metrics = known_of(names, tasks)
    unknown = sorted(names - {named.name for named in metrics})
    if unknown:
        log.warning("not on the dashboard, as tracking/names.py has no such metrics: %s", ", ".join(unknown))
    return Study(name, folder, tuple(runs), tasks, tuple(metrics))
