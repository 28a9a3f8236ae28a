"""The figure's x axis: log10 of the relative detection weight, with 0 and "detection only" set apart at its ends.

Where the rows differ in something else than their weights, their names instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from matplotlib.axes import Axes

from hmlpe.report.columns import BASE_TASK, SWEPT_TASK
from hmlpe.report.result import Run
from hmlpe.report.runs import by_row


def ratio(run: Run) -> float:
    """The weight of the swept task relative to that of the base task; infinite without the latter."""
    base, swept = run.weights.get(BASE_TASK, 0.0), run.weights.get(SWEPT_TASK, 0.0)
    return swept / base if base else math.inf


def axis_of(runs: Sequence[Run]) -> WeightAxis | RowAxis:
    """By weight, unless all rows have the same one."""
    names = {run.row for run in runs}
    return RowAxis(runs) if len(names) > 1 and len({ratio(run) for run in runs}) == 1 else WeightAxis(runs)


class RowAxis:
    """Places the rows side by side, by name. Coordinates are rows."""

    ends: ClassVar[dict[float, float]] = {}  # no row is set apart

    def __init__(self, runs: Sequence[Run]) -> None:
        self.names = [row for row, _ in by_row(runs)]
        self.width = float(len(self.names))

    def place(self, run: Run) -> float:
        """The x coordinate of a run's row."""
        return float(self.names.index(run.row))

    def dress(self, ax: Axes) -> None:
        """Draw the rows' names."""
        ax.set_xticks(range(len(self.names)), [name.replace("_", "\n") for name in self.names])
        ax.set_xlim(-0.6, len(self.names) - 0.4)


class WeightAxis:
    """Places the rows of `runs`, the same in every panel. Coordinates are decades."""

    def __init__(self, runs: Sequence[Run]) -> None:
        ratios = {ratio(run) for run in runs}
        self.inner = sorted(math.log10(found) for found in ratios if 0 < found < math.inf)
        self.low, self.high = (self.inner[0], self.inner[-1]) if self.inner else (0.0, 0.0)
        gap = max(0.5, 0.16 * (self.high - self.low))
        self.ends = {0.0: self.low - gap, math.inf: self.high + gap}
        present = {found: end for found, end in self.ends.items() if found in ratios}
        # Without a row between them there is no axis to stand apart from.
        self.breaks = [end + (-gap / 2 if found else gap / 2) for found, end in present.items() if self.inner]
        self.labels = [(end, "only" if found else "0") for found, end in present.items()]
        # An end that no row stands on keeps a margin, but not its place.
        self.limits = tuple(
            end + (0.4 if found in ratios else -0.6) * (gap if found else -gap) for found, end in self.ends.items()
        )
        self.width = self.limits[1] - self.limits[0]
        self.unit = all(run.weights.get(BASE_TASK, 0) in (0, 1) for run in runs)

    def place(self, run: Run) -> float:
        """The x coordinate of a run's row."""
        found = ratio(run)
        return self.ends[found] if found in self.ends else math.log10(found)

    def ticks(self, of_power: Callable[[int], str]) -> list[tuple[float, str]]:
        """Places and labels: powers of ten, then the ends that a row stands on."""
        decades = range(math.ceil(self.low - 0.01), math.floor(self.high + 0.01) + 1)
        ticks = [(float(power), of_power(power)) for power in decades]
        if len(ticks) < 2:  # too narrow for powers of ten: the weights themselves
            ticks = [(x, f"{10**x:g}") for x in self.inner]
        return [*ticks, *self.labels]

    def dress(self, ax: Axes) -> None:
        """Draw ticks, label and the breaks before the ends."""
        powers = range(math.floor(self.low), math.ceil(self.high))
        minor = [power + math.log10(digit) for power in powers for digit in range(2, 10)]
        ax.set_xticks(*zip(*self.ticks(lambda power: f"$10^{{{power}}}$"), strict=True))
        ax.set_xticks([x for x in minor if self.low <= x <= self.high], minor=True)
        ax.set_xlim(*self.limits)
        below: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "clip_on": False, "ls": ""}
        for x in self.breaks:
            ax.plot([x], [0], marker="s", color="white", ms=7, zorder=5, **below)
            strokes = [x - 0.009 * self.width, x + 0.009 * self.width]
            ax.plot(strokes, [0, 0], marker=[(-0.4, -1.0), (0.4, 1.0)], color="black", ms=10, zorder=6, **below)
        ax.set_xlabel("detection weight $\\lambda_d$" + (" ($\\lambda_r = 1$)" if self.unit else " / $\\lambda_r$"))
