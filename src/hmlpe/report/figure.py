"""The figure: train and test error of both tasks, and the test score, over the detection weight.

The axis is log10 of the relative weight, with 0 and "detection only" set apart at its ends; where the rows differ in
something else than their weights, their names stand there instead.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from hmlpe.files import write_bytes_atomic
from hmlpe.report.columns import MEAN_POSE, Panel, collapsed, panels_of, possible, symbol_of
from hmlpe.report.runs import base_of, by_row, in_order, ratio, swept_of
from hmlpe.report.summary import mean_pose_stat, stat, summarise
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


# Okabe and Ito's colours, which colour-blind readers can tell apart, each with a marker of its own.
_STYLES = (
    ("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#A3478B", "D"), ("#B8860B", "v"), ("#56B4E9", "P"),
    ("#000000", "X"), ("#7F7F7F", "*"),
)  # fmt: skip
_GREY = "#555555"
_DASHED = (0, (5, 3))


def draw_figure(runs: Sequence[Run], path: Path) -> None:
    """Draw `runs` to the PNG `path`, the same bytes for the same runs. Raises UserError if they cannot be compared."""
    table = summarise(runs)
    finished = [run for run in in_order(runs) if run.finished]
    known = {key for run in finished for key, value in run.metrics.items() if value is not None}
    panels = [panel for panel in panels_of(finished) if known & {key for key, _ in panel.lines}]
    labels = dict.fromkeys(label for panel in panels for _, label in panel.lines)
    styles = {label: _STYLES[index % len(_STYLES)] for index, label in enumerate(labels)}
    counts = sorted({line.n for line in table.lines if line.row != MEAN_POSE and line.n})
    seeds = "–".join(str(n) for n in sorted({counts[0], counts[-1]}))
    words = "Mean ± std over seeds" if counts[-1] > 1 else "One seed a row"
    about = f"{table.about} Errors per sample, unweighted. {words}, n\u00a0=\u00a0{seeds}."
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the user's own style must not change the bytes
        matplotlib.rcParams.update({"font.size": 10.5, "axes.spines.top": False, "axes.spines.right": False})
        width = 4.5 * max(len(panels), 2)
        figure = Figure(figsize=(width, 5.0), dpi=140, layout=ConstrainedLayoutEngine(w_pad=0.12))
        FigureCanvasAgg(figure)
        figure.suptitle(table.title, fontsize=13, fontweight="bold", parse_math=False)
        axis = axis_of(finished)
        for index, panel in enumerate(panels):
            _draw_panel(figure.add_subplot(1, len(panels), index + 1), panel, finished, axis, styles)
        # The description is a legend's title: the layout then keeps room for it.
        marks = _meanings(finished, counts[-1] > 1)
        legend = figure.legend(handles=marks, loc="outside lower center", ncols=4, frameon=False, fontsize=9.5)
        legend.set_title(textwrap.fill(about, int(width * 12.5)), prop=FontProperties(size=9.5))
        legend.get_title().set(parse_math=False, multialignment="center")
        image = io.BytesIO()
        figure.savefig(image, format="png", metadata={"Software": None})
    write_bytes_atomic(path, image.getvalue())


def _draw_panel(
    ax: Axes, panel: Panel, runs: Sequence[Run], axis: WeightAxis | RowAxis, styles: Mapping[str, tuple[str, str]]
) -> None:
    series: list[Line2D] = []
    poses: list[Line2D] = []
    shown: list[float] = []
    count = len(panel.lines)
    for index, (key, label) in enumerate(panel.lines):
        side = 2 * index / (count - 1) - 1 if count > 1 else 0.0  # -1 ... 1
        colour, marker = styles[label]
        trend: list[tuple[float, float]] = []
        for _, group in by_row(runs):
            seeds = _values(group, panel, key)
            found = stat([value for _, value in seeds])
            if found is None:
                continue
            place = axis.place(group[0])
            x = place + side * 0.005 * axis.width  # a little apart, so that the two bars do not hide each other
            fill = "white" if any(collapsed(run) for run, _ in seeds) else colour
            ends = [possible(found.mean + side * (found.std or 0.0), panel.scale) for side in (-1, 1)]
            bar = None if found.std is None else [[abs(end - found.mean)] for end in ends]
            ax.errorbar(x, found.mean, bar, fmt=marker, color=colour, ms=6, mfc=fill, capsize=3, zorder=4)
            for run, value in seeds if len(seeds) > 1 else []:
                beside = x + side * 0.013 * axis.width  # next to the mean's bar, where it can be seen
                mark = "x" if collapsed(run) else "."
                ax.plot(beside, value, mark, color=colour, ms=6, mew=1.2, alpha=0.75, zorder=2)
            shown += [*(value for _, value in seeds), *ends]
            if place not in axis.ends.values():
                trend.append((x, found.mean))
        if isinstance(axis, WeightAxis):
            ax.plot([x for x, _ in trend], [mean for _, mean in trend], color=colour, lw=1.5, zorder=3)
        series.append(Line2D([], [], color=colour, marker=marker, label=label))
        pose = mean_pose_stat(runs, key)
        if pose is not None:
            shown.append(panel.scale * pose.mean)
            ax.axhline(panel.scale * pose.mean, color=colour, ls=_DASHED, lw=1.2, zorder=1)
            poses.append(Line2D([], [], color=colour, ls=_DASHED, lw=1.2, label=f"mean pose, {label}"))
    if panel.log(shown):
        ax.set_yscale("log")
    ax.set_ylabel(panel.ylabel)
    ax.grid(axis="y", color="#dddddd", lw=0.6)
    axis.dress(ax)
    for _, group in by_row(runs):
        x = axis.place(group[0])
        if x in axis.ends.values() and not any(_values(group, panel, key) for key, _ in panel.lines):
            text = ax.text(x, 0.06, "not trained", transform=ax.get_xaxis_transform(), rotation=90, fontsize=9)
            text.set(color=_GREY, backgroundcolor="white", ha="center", va="bottom")
    ax.legend(handles=series + poses, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False, fontsize=9.5)


def _meanings(runs: Sequence[Run], several: bool) -> list[Line2D]:
    """What the marks mean in every panel, in grey."""
    marks = [("o", _GREY, "mean ± std"), (".", _GREY, "one seed")] if several else [("o", _GREY, "the one seed")]
    if any(collapsed(run) for run in runs):
        marks.append(("o", "white", "mean with collapsed seeds" if several else "collapsed to the mean pose"))
        marks += [("x", _GREY, "a seed collapsed to the mean pose")] if several else []
    return [Line2D([], [], color=_GREY, ls="", marker=mark, mfc=fill, ms=6, label=label) for mark, fill, label in marks]


def _values(runs: Sequence[Run], panel: Panel, key: str) -> list[tuple[Run, float]]:
    return [(run, panel.scale * value) for run in runs if (value := run.metrics.get(key)) is not None]
