"""Choose what tables and figure show, from the descriptions of the metrics that each result carries.

No metric is known by name here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hmlpe.runs.metric import Better, MetricInfo, merge_infos, split_of
from hmlpe.runs.result import MEAN_POSE, Run

__all__ = ["AVERAGE", "MEAN_POSE", "PERCENT", "Column", "Panel", "collapsed", "columns_of", "panels_of", "test_sets"]
PERCENT = 100.0
AVERAGE = "test_average"  # the split whose values are the mean over all tested sets


@dataclass(frozen=True)
class Column:
    """One column of the tables; `key` is `<split>/<metric>`. Values are shown as `scale * value`, `digits` decimals."""

    key: str
    heading: str
    info: MetricInfo

    @property
    def scale(self) -> float:
        """The factor with which a value is shown."""
        return self.info.scale

    @property
    def digits(self) -> int:
        """The number of decimals with which a value is shown."""
        return self.info.digits

    @property
    def better(self) -> Better:
        """Whether high or low values are better; None: neither as such, so no value is set in bold."""
        return self.info.better


@dataclass(frozen=True)
class Panel:
    """One panel of the figure; its lines are pairs (key, label). Values are shown as `scale * value`."""

    ylabel: str
    scale: float
    lines: tuple[tuple[str, str], ...]

    def needs_log_axis(self, values: Sequence[float]) -> bool:
        """Return whether these (scaled) values need a logarithmic axis; percentages never do."""
        return self.scale != PERCENT and min(values) > 0 and max(values) > 15 * min(values)


def clip_to_range(value: float, scale: float) -> float:
    """Clip a scaled value (the end of an interval) to the range of its metric: errors to >= 0, shares to 0 to 100 %.

    >>> clip_to_range(-0.2, 1.0), clip_to_range(104.0, PERCENT)
    (0.0, 100.0)
    """
    return min(max(value, 0.0), PERCENT if scale == PERCENT else math.inf)


def columns_of(runs: Sequence[Run]) -> tuple[Column, ...]:
    """Return the columns for these runs: published protocols, other scores, the tasks' own errors, then checks.

    If several sets were tested separately, each set's scores by published protocols replace the pooled scores.
    """
    shown = {name: info for name, info in _infos(runs).items() if info.shown}
    protocols, scores, errors, checks = (
        {name: info for name, info in shown.items() if info.kind == kind}
        for kind in ("protocol", "score", "error", "check")
    )
    last = [Column(f"test/{name}", info.column, info) for name, info in checks.items()]
    apart = test_sets(split_of(key) for run in runs for key in run.metrics)
    if not apart:
        own = [Column(f"test/{name}", info.column, info) for name, info in (protocols | scores).items()]
        both = [
            Column(f"{split}/{name}", f"{info.column} {split}", info)
            for name, info in errors.items()
            for split in ("train", "test")
        ]
        return (*own, *both, *last)
    train = [Column(f"train/{name}", f"{info.column} train", info) for name, info in errors.items()]
    own = [
        Column(f"{split}/{name}", f"{split.removeprefix('test_')} {info.column}", info)
        for split in apart
        for name, info in (protocols | errors).items()
    ]
    return (*train, *own, *last)


def _infos(runs: Iterable[Run]) -> Mapping[str, MetricInfo]:
    return merge_infos(run.infos for run in runs)


def panels_of(runs: Sequence[Run]) -> tuple[Panel, ...]:
    """Return the figure's panels: for each task its error, and the first group of its scores that has values."""
    known = {key for run in runs for key, value in run.metrics.items() if value is not None}
    infos = _infos(runs)
    apart = test_sets(split_of(key) for key in known)
    tests = [(split, split.removeprefix("test_")) for split in apart] or [("test", "test")]
    errors = [
        Panel(
            f"${info.heading}$, {info.title}",
            info.scale,
            tuple((f"{split}/{name}", label) for split, label in [("train", "train"), *tests]),
        )
        for name, info in infos.items()
        if info.kind == "error"
    ]
    scores = {name: info for name, info in infos.items() if info.shown and info.panel}
    found = []
    for task in dict.fromkeys(info.task for info in scores.values()):
        own = {name: info for name, info in scores.items() if info.task == task}
        found += _of_sets(own, tests, known) if apart else _pooled(own, known)
    return (*errors, *found)


def _pooled(scores: Mapping[str, MetricInfo], known: set[str]) -> list[Panel]:
    """Return the panel of the first group of metrics that has a value on the pooled test people; empty if none has."""
    for panel in dict.fromkeys(info.panel for info in scores.values()):
        own = {name: info for name, info in scores.items() if info.panel == panel}
        if any(f"test/{name}" in known for name in own):
            info = next(iter(own.values()))
            lines = tuple((f"test/{name}", one.label or one.title) for name, one in own.items())
            return [Panel(f"test {panel}{_unit(info)}", info.scale, lines)]
    return []


def _of_sets(scores: Mapping[str, MetricInfo], tests: Sequence[tuple[str, str]], known: set[str]) -> list[Panel]:
    """Return a panel of one metric with a line per set: the last metric that all sets have, as some lack torsos."""
    everywhere = [name for name in scores if all(f"{split}/{name}" in known for split, _ in tests)]
    if not everywhere:
        return []
    info = scores[everywhere[-1]]
    lines = tuple((f"{split}/{everywhere[-1]}", label) for split, label in tests)
    return [Panel(f"test {info.panel}, {info.label or info.title}{_unit(info)}", info.scale, lines)]


def _unit(info: MetricInfo) -> str:
    return f" [{info.unit}]" if info.unit else ""


def test_sets(splits: Iterable[str]) -> list[str]:
    """Return the test splits of single sets, sorted by name, then that of their average."""
    found = {split for split in splits if split.startswith("test_")}
    return [*sorted(found - {AVERAGE}), *sorted(found & {AVERAGE})]


def collapsed(run: Run) -> bool:
    """Return whether the run predicts about the same for every image, according to one of its checks."""
    values = ((run.metrics.get(f"test/{name}"), info.below) for name, info in run.infos.items())
    return any(value is not None and below is not None and value < below for value, below in values)


def symbol_of(runs: Iterable[Run], task: str) -> str:
    """Return λ_<symbol> of a task, with the symbol that a run states, or else the task's name."""
    found = next((run.result.tasks[task].symbol for run in runs if task in run.result.tasks), task)
    return f"λ_{found}"
