"""What the tables and the figure show, by what the results say of their own numbers; no metric is known by name."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hmlpe.runs.metric import Better, MetricInfo, merge_infos, split_of
from hmlpe.runs.result import MEAN_POSE, Run

__all__ = ["AVERAGE", "MEAN_POSE", "PERCENT", "Column", "Panel", "collapsed", "columns_of", "panels_of", "test_sets"]


@dataclass(frozen=True)
class Column:
    """One column of the tables: `key` is `<split>/<metric>`; values are shown as `scale * value`, `digits` decimals."""

    key: str
    heading: str
    info: MetricInfo

    @property
    def scale(self) -> float:
        """The factor with which a value is shown."""
        return self.info.scale

    @property
    def digits(self) -> int:
        """Decimals."""
        return self.info.digits

    @property
    def better(self) -> Better:
        """Which way; None: neither is better as such, so nothing is set in bold."""
        return self.info.better


@dataclass(frozen=True)
class Panel:
    """One panel of the figure: its lines are `(key, label)`; values are shown as `scale * value`."""

    ylabel: str
    scale: float
    lines: tuple[tuple[str, str], ...]

    def log(self, shown: Sequence[float]) -> bool:
        """Whether these values, scaled, are best seen on a logarithmic axis; percentages never are."""
        return self.scale != PERCENT and min(shown) > 0 and max(shown) > 15 * min(shown)


PERCENT = 100.0
AVERAGE = "test_average"  # the split that is the mean over the sets that were tested


def possible(shown: float, scale: float) -> float:
    """The end of an interval, scaled, cut at what a metric can be: no error is below 0, no share outside 0 to 100 %."""
    return min(max(shown, 0.0), PERCENT if scale == PERCENT else math.inf)


def columns_of(runs: Sequence[Run]) -> tuple[Column, ...]:
    """The columns of these runs: published protocols, other scores, the tasks' own errors, and what is only a check.

    Where sets were tested apart, it is their scores by published protocols instead of the pooled ones.
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
    """The figure's panels: an error panel for each task, and the first group of its scores that has values."""
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
    """The first group of metrics of which one has values."""
    for panel in dict.fromkeys(info.panel for info in scores.values()):
        own = {name: info for name, info in scores.items() if info.panel == panel}
        if any(f"test/{name}" in known for name in own):
            info = next(iter(own.values()))
            lines = tuple((f"test/{name}", one.label or one.title) for name, one in own.items())
            return [Panel(f"test {panel}{_unit(info)}", info.scale, lines)]
    return []


def _of_sets(scores: Mapping[str, MetricInfo], tests: Sequence[tuple[str, str]], known: set[str]) -> list[Panel]:
    """One metric, a line for each set: the last that all have, as sets without torsos have fewer."""
    everywhere = [name for name in scores if all(f"{split}/{name}" in known for split, _ in tests)]
    if not everywhere:
        return []
    info = scores[everywhere[-1]]
    lines = tuple((f"{split}/{everywhere[-1]}", label) for split, label in tests)
    return [Panel(f"test {info.panel}, {info.label or info.title}{_unit(info)}", info.scale, lines)]


def _unit(info: MetricInfo) -> str:
    return f" [{info.unit}]" if info.unit else ""


def test_sets(splits: Iterable[str]) -> list[str]:
    """The splits of test people that are one set's, in order, then their average."""
    found = {split for split in splits if split.startswith("test_")}
    return [*sorted(found - {AVERAGE}), *sorted(found & {AVERAGE})]


def collapsed(run: Run) -> bool:
    """Whether the run gives about the same answer for every image, as one of its checks says."""
    values = ((run.metrics.get(f"test/{name}"), info.below) for name, info in run.infos.items())
    return any(value is not None and below is not None and value < below for value, below in values)


def symbol_of(runs: Iterable[Run], task: str) -> str:
    """λ_<symbol> of a task, as any of the runs says it, else λ_<its name>."""
    found = next((run.result.tasks[task].symbol for run in runs if task in run.result.tasks), task)
    return f"λ_{found}"
