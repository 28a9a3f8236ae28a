"""Choose what tables and figure show, from the descriptions of the metrics that each result carries.

No metric is known by name here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hmlpe.runs.metric import Better, MetricInfo, merge_infos, metric_split
from hmlpe.runs.result import MEAN_POSE, Run

__all__ = [
    "AVERAGE",
    "MEAN_POSE",
    "PERCENT",
    "Column",
    "Panel",
    "columns_of",
    "is_collapsed",
    "panels_of",
    "single_test_set_splits",
]
PERCENT = 100.0
AVERAGE = "test_average"  # the split whose values are the mean over all tested sets


@dataclass(frozen=True)
class Column:
    """One metric's column in the tables; `key` is `<split>/<metric>`.

    Values are shown as `scale * value`, with `digits` decimals.
    """

    key: str
    heading: str
    info: MetricInfo

    @property
    def scale(self) -> float:
        """Return the factor by which values are multiplied to be shown, e.g. 100 for per cent."""
        return self.info.scale

    @property
    def digits(self) -> int:
        """Return the number of decimals with which values are shown."""
        return self.info.digits

    @property
    def better(self) -> Better:
        """Return whether high or low values are better; None if neither is, so that no value is set in bold."""
        return self.info.better


@dataclass(frozen=True)
class Panel:
    """One panel of the study's figure; its lines are pairs (metric's key, label).

    Values are shown as `scale * value`.
    """

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
    """Return the tables' columns: published protocols, other scores, the tasks' errors, and checks (`MetricInfo.kind`).

    If several sets were tested separately, each set's scores by published protocols replace the pooled scores.
    """
    shown = {name: info for name, info in _merged_infos(runs).items() if info.shown}
    protocols, scores, errors, checks = (
        {name: info for name, info in shown.items() if info.kind == kind}
        for kind in ("protocol", "score", "error", "check")
    )
    last = [Column(f"test/{name}", info.column_heading, info) for name, info in checks.items()]
    apart = single_test_set_splits(metric_split(key) for run in runs for key in run.metrics)
    if not apart:
        own = [Column(f"test/{name}", info.column_heading, info) for name, info in (protocols | scores).items()]
        both = [
            Column(f"{split}/{name}", f"{info.column_heading} {split}", info)
            for name, info in errors.items()
            for split in ("train", "test")
        ]
        return (*own, *both, *last)
    train = [Column(f"train/{name}", f"{info.column_heading} train", info) for name, info in errors.items()]
    own = [
        Column(f"{split}/{name}", f"{split.removeprefix('test_')} {info.column_heading}", info)
        for split in apart
        for name, info in (protocols | errors).items()
    ]
    return (*train, *own, *last)


def _merged_infos(runs: Iterable[Run]) -> Mapping[str, MetricInfo]:
    """Return the descriptions of all metrics of the runs, by name."""
    return merge_infos(run.infos for run in runs)


def panels_of(runs: Sequence[Run]) -> tuple[Panel, ...]:
    """Return the panels of the study's figure: each task's error, and its first group of scores with values."""
    known = {key for run in runs for key, value in run.metrics.items() if value is not None}
    infos = _merged_infos(runs)
    apart = single_test_set_splits(metric_split(key) for key in known)
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
        found += _panel_of_sets(own, tests, known) if apart else _pooled_panel(own, known)
    return (*errors, *found)


def _pooled_panel(scores: Mapping[str, MetricInfo], keys_with_value: set[str]) -> list[Panel]:
    """Return, as a list, the panel of the first group of scores that has a value on all test people; empty if none."""
    for panel in dict.fromkeys(info.panel for info in scores.values()):
        own = {name: info for name, info in scores.items() if info.panel == panel}
        if any(f"test/{name}" in keys_with_value for name in own):
            info = next(iter(own.values()))
            lines = tuple((f"test/{name}", one.label or one.title) for name, one in own.items())
            return [Panel(f"test {panel}{_unit_suffix(info)}", info.scale, lines)]
    return []


def _panel_of_sets(
    scores: Mapping[str, MetricInfo], tests: Sequence[tuple[str, str]], keys_with_value: set[str]
) -> list[Panel]:
    """Return, as a list, a panel that shows one score with a line per test set; empty if no score suits.

    It is the last score that all sets have, as a set without torso lengths lacks some.
    """
    everywhere = [name for name in scores if all(f"{split}/{name}" in keys_with_value for split, _ in tests)]
    if not everywhere:
        return []
    info = scores[everywhere[-1]]
    lines = tuple((f"{split}/{everywhere[-1]}", label) for split, label in tests)
    return [Panel(f"test {info.panel}, {info.label or info.title}{_unit_suffix(info)}", info.scale, lines)]


def _unit_suffix(info: MetricInfo) -> str:
    """Return the metric's unit in brackets, to be added to an axis label; empty if it has none."""
    return f" [{info.unit}]" if info.unit else ""


def single_test_set_splits(splits: Iterable[str]) -> list[str]:
    """Select the splits that hold a single test set, sorted by name, and put the split of the sets' average last."""
    found = {split for split in splits if split.startswith("test_")}
    return [*sorted(found - {AVERAGE}), *sorted(found & {AVERAGE})]


def is_collapsed(run: Run) -> bool:
    """Return whether the run predicts about the same pose for every image, according to one of its checks."""
    values = ((run.metrics.get(f"test/{name}"), info.below) for name, info in run.infos.items())
    return any(value is not None and below is not None and value < below for value, below in values)


def weight_symbol(runs: Iterable[Run], task: str) -> str:
    """Return the symbol of a task's weight: λ_<symbol>, with the symbol that a run states, or else λ_<task>."""
    found = next((run.result.tasks[task].symbol for run in runs if task in run.result.tasks), task)
    return f"λ_{found}"
