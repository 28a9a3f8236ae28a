"""The figure's x axis: log10 of the relative detection weight, with 0 and "detection only" set apart at its ends.

Where the rows differ in something else than their weights, their names instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from matplotlib.axes import Axes

from hmlpe.report.columns import symbol_of
from hmlpe.report.runs import base_of, by_row, ratio, swept_of
from hmlpe.runs.result import Run


def axis_of(runs: Sequence[Run]) -> WeightAxis | RowAxis:
    """By weight, if that of one task alone tells all rows apart; one row has its own."""
    weights = {run.row: tuple(sorted(run.weights.items())) for run in runs}
    swept = swept_of(runs)
    others = sorted({task for run in runs for task in run.weights} - {base_of(runs)})
    apart = len(set(weights.values())) == len(weights) and len(swept) <= 1
    if not apart or not others:
        return RowAxis(runs)
    return WeightAxis(runs, swept[0] if swept else others[0])


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

    def __init__(self, runs: Sequence[Run], swept: str) -> None:
        ratios = {ratio(run, swept) for run in runs}
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
        base = base_of(runs)
        self.swept, self.symbol = swept, symbol_of(runs, swept)
        self.base_symbol = symbol_of(runs, base)
        self.unit = all(run.weights.get(base, 0) in (0, 1) for run in runs)

    def title(self, symbol: Callable[[str], str] = str) -> str:
        """What the axis says of itself.

        Args:
            symbol: dresses λ_x.
        """
        base = symbol(self.base_symbol)
        over = f" ({base} = 1)" if self.unit else f" / {base}"
        return f"{self.swept.replace('_', ' ')} weight {symbol(self.symbol)}{over}"

    def place(self, run: Run) -> float:
        """The x coordinate of a run's row."""
        found = ratio(run, self.swept)
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
        ax.set_xlabel(self.title(lambda symbol: f"$\\lambda_{{{symbol.removeprefix('λ_')}}}$"))
