"""What the tables and the figure show: the only place in the report that knows a metric's or a task's name."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Column:
    """One column of the tables: `key` is `<split>/<metric>`; values are shown as `scale * value`, `digits` decimals."""

    key: str
    heading: str
    scale: float
    digits: int
    better: Literal["high", "low", None]  # None: neither direction is better as such, so nothing is set in bold


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


def possible(shown: float, scale: float) -> float:
    """The end of an interval, scaled, cut at what a metric can be: no error is below 0, no share outside 0 to 100 %."""
    return min(max(shown, 0.0), PERCENT if scale == PERCENT else math.inf)


_SCORES = (  # of one split of test people, which their keys lack
    Column("pdj_modec_elbow@0.20", "PDJ@0.2 elbow [%]", PERCENT, 1, "high"),
    Column("pdj_modec_wrist@0.20", "PDJ@0.2 wrist [%]", PERCENT, 1, "high"),
    Column("pcp_strict_upper_arm", "PCP strict u.arm [%]", PERCENT, 1, "high"),
    Column("pcp_strict_lower_arm", "PCP strict l.arm [%]", PERCENT, 1, "high"),
)
_POOLED = (
    Column("error_px", "joint error [px]", 1.0, 2, "low"),
    Column("window_ap", "window AP [%]", PERCENT, 1, "high"),
)
_ERRORS = (
    Column("regression_error", "E_r", 1.0, 4, "low"),
    Column("detection_error", "E_d", 1.0, 2, "low"),
)
SPREAD_KEY = "test/spread"
_SPREAD = Column(SPREAD_KEY, "spread of predictions", 1.0, 2, None)
AVERAGE = "test_average"  # the split that is the mean over the sets that were tested


def columns_of(splits: Iterable[str]) -> tuple[Column, ...]:
    """The columns for runs with these splits; where sets were tested apart, their scores instead of the pooled ones."""
    apart = test_sets(splits)
    if not apart:
        scores = [_of("test", column, "{1}") for column in (*_SCORES, *_POOLED)]
        return (*scores, *(_of(split, error, "{1} {0}") for error in _ERRORS for split in ("train", "test")), _SPREAD)
    train = [_of("train", error, "{1} {0}") for error in _ERRORS]
    return (*train, *(_of(split, column, "{0} {1}") for split in apart for column in (*_SCORES, *_ERRORS)), _SPREAD)


def _of(split: str, column: Column, heading: str) -> Column:
    """The column of one split; `heading` is made of the split's name and the column's heading."""
    text = heading.format(split.removeprefix("test_"), column.heading)
    return replace(column, key=f"{split}/{column.key}", heading=text)


def panels_of(keys: Collection[str]) -> tuple[Panel, ...]:
    """The figure's panels for runs with these metrics, `<split>/<metric>`."""
    apart = test_sets(key.partition("/")[0] for key in keys)
    tests = [(split, split.removeprefix("test_")) for split in apart] or [("test", "test")]
    errors = [
        Panel(f"${name}$, {task} error", 1.0, tuple((f"{split}/{task}_error", label) for split, label in lines))
        for task, name in (("regression", "E_r"), ("detection", "E_d"))
        for lines in [[("train", "train"), *tests]]
    ]
    if apart:
        lines = tuple((f"{split}/pcp_strict_lower_arm", label) for split, label in tests)
        return (*errors, Panel("test PCP strict, lower arm [%]", PERCENT, lines))
    pdj = tuple((f"test/pdj_modec_{name}@0.20", name) for name in ("elbow", "wrist"))
    pcp = tuple((f"test/pcp_strict_{name}_arm", f"{name} arm") for name in ("upper", "lower"))
    with_torso = any(key in keys for key, _ in pdj)
    title, lines = ("test PDJ@0.2 [%]", pdj) if with_torso else ("test PCP strict [%]", pcp)
    return (*errors, Panel(title, PERCENT, lines))


def test_sets(splits: Iterable[str]) -> list[str]:
    """The splits of test people that are one set's, in order, then their average."""
    found = {split for split in splits if split.startswith("test_")}
    return [*sorted(found - {AVERAGE}), *sorted(found & {AVERAGE})]


# Rows are ordered, and drawn, by the weight of the swept task relative to that of the base task.
BASE_TASK = "regression"
SWEPT_TASK = "detection"
WEIGHT_SYMBOLS = {"regression": "λ_r", "detection": "λ_d"}  # another task is shown as λ_<its name>

# A run whose predictions vary less than this (relative to the truth's spread) gives about one pose for every image.
COLLAPSED_BELOW = 0.1
MEAN_POSE = "mean_pose"  # the name of that line in the tables, so no row may have it
