"""Draw the figure of a study: train and test error of each task, and a test score, over the weight of one task.

The x axis is log10 of the weight relative to the base task's, with 0 and "only" (no base task) set apart at its ends.
If one weight does not tell the rows apart, the axis shows their names instead.
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
from hmlpe.report.columns import MEAN_POSE, Panel, clip_to_range, is_collapsed, panels_of, weight_symbol
from hmlpe.report.runs import base_task_of, group_by_row, relative_weight, sorted_runs, swept_tasks
from hmlpe.report.summary import mean_and_std, mean_pose_stat, summarise_runs
from hmlpe.runs.result import Run

# Okabe and Ito's colours, which colour-blind readers can tell apart, each with its own marker.
_STYLES = (
    ("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#A3478B", "D"), ("#B8860B", "v"), ("#56B4E9", "P"),
    ("#000000", "X"), ("#7F7F7F", "*"),
)  # fmt: skip
_GREY = "#555555"
_DASHED = (0, (5, 3))


def choose_axis(runs: Sequence[Run]) -> WeightAxis | RowAxis:
    """Return a weight axis if the weight of one task distinguishes all rows (or there is one row), else a row axis."""
    weights = {run.row: tuple(sorted(run.weights.items())) for run in runs}
    swept = swept_tasks(runs)
    others = sorted({task for run in runs for task in run.weights} - {base_task_of(runs)})
    apart = len(set(weights.values())) == len(weights) and len(swept) <= 1
    if not apart or not others:
        return RowAxis(runs)
    return WeightAxis(runs, swept[0] if swept else others[0])


class RowAxis:
    """An x axis with the rows side by side, by name; the unit is one row."""

    ends: ClassVar[dict[float, float]] = {}  # no row is set apart at an end

    def __init__(self, runs: Sequence[Run]) -> None:
        self.names = [row for row, _ in group_by_row(runs)]
        self.width = float(len(self.names))

    def x_of(self, run: Run) -> float:
        """Return the x coordinate of a run's row."""
        return float(self.names.index(run.row))

    def draw(self, ax: Axes) -> None:
        """Label the x axis with the rows' names, one tick for each row, and set its limits."""
        ax.set_xticks(range(len(self.names)), [name.replace("_", "\n") for name in self.names])
        ax.set_xlim(-0.6, len(self.names) - 0.4)


class WeightAxis:
    """An x axis of relative weights, logarithmic, the same in every panel; the unit is one decade.

    Args:
        runs: the runs whose rows are placed.
        swept: the task whose relative weight is on the axis.

    Attributes:
        inner: log10 of the weights that are neither 0 nor infinite, sorted.
        ends: coordinates of the weights 0 and infinity.
        breaks: coordinates of the breaks between the logarithmic axis and the ends.
        limits: the lowest and highest coordinate of the axis.
        base_weight_is_one: whether the base task's weight is 1 wherever it is not 0.
    """

    def __init__(self, runs: Sequence[Run], swept: str) -> None:
        ratios = {relative_weight(run, swept) for run in runs}
        self.inner = sorted(math.log10(found) for found in ratios if 0 < found < math.inf)
        self.low, self.high = (self.inner[0], self.inner[-1]) if self.inner else (0.0, 0.0)
        gap = max(0.5, 0.16 * (self.high - self.low))
        self.ends = {0.0: self.low - gap, math.inf: self.high + gap}
        present = {found: end for found, end in self.ends.items() if found in ratios}
        # Without a row between the ends there is no axis to set them apart from.
        self.breaks = [end + (-gap / 2 if found else gap / 2) for found, end in present.items() if self.inner]
        self.labels = [(end, "only" if found else "0") for found, end in present.items()]
        # An end without a row keeps only a margin.
        self.limits = tuple(
            end + (0.4 if found in ratios else -0.6) * (gap if found else -gap) for found, end in self.ends.items()
        )
        self.width = self.limits[1] - self.limits[0]
        base = base_task_of(runs)
        self.swept, self.symbol = swept, weight_symbol(runs, swept)
        self.base_symbol = weight_symbol(runs, base)
        self.base_weight_is_one = all(run.weights.get(base, 0) in (0, 1) for run in runs)

    def title(self, format_symbol: Callable[[str], str] = str) -> str:
        """Return the title of the axis.

        Args:
            format_symbol: formats a weight's symbol, such as λ_d, for the output.
        """
        base = format_symbol(self.base_symbol)
        over = f" ({base} = 1)" if self.base_weight_is_one else f" / {base}"
        return f"{self.swept.replace('_', ' ')} weight {format_symbol(self.symbol)}{over}"

    def x_of(self, run: Run) -> float:
        """Return the x coordinate of a run's row."""
        found = relative_weight(run, self.swept)
        return self.ends[found] if found in self.ends else math.log10(found)

    def ticks(self, format_power: Callable[[int], str]) -> list[tuple[float, str]]:
        """Return coordinate and label of each tick: powers of ten, then the ends (0, only) that have rows.

        Args:
            format_power: returns the label of 10 to this power.
        """
        decades = range(math.ceil(self.low - 0.01), math.floor(self.high + 0.01) + 1)
        ticks = [(float(power), format_power(power)) for power in decades]
        if len(ticks) < 2:  # too narrow for powers of ten: label the weights themselves
            ticks = [(x, f"{10**x:g}") for x in self.inner]
        return [*ticks, *self.labels]

    def draw(self, ax: Axes) -> None:
        """Draw the ticks, the title, and the breaks before the ends."""
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


def draw_figure(runs: Sequence[Run], path: Path) -> None:
    """Draw the study's figure into the PNG file `path`; equal runs give equal bytes.

    Raises:
        UserError: see `check_comparable`.
    """
    table = summarise_runs(runs)
    finished = [run for run in sorted_runs(runs) if run.finished]
    known = {key for run in finished for key, value in run.metrics.items() if value is not None}
    panels = [panel for panel in panels_of(finished) if known & {key for key, _ in panel.lines}]
    labels = dict.fromkeys(label for panel in panels for _, label in panel.lines)
    styles = {label: _STYLES[index % len(_STYLES)] for index, label in enumerate(labels)}
    counts = sorted({line.n for line in table.lines if line.row != MEAN_POSE and line.n})
    seeds = "–".join(str(n) for n in sorted({counts[0], counts[-1]}))
    words = "Mean ± std over seeds" if counts[-1] > 1 else "One seed per row"
    about = f"{table.about} Errors per sample, unweighted. {words}, n\u00a0=\u00a0{seeds}."
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the user's own style must not change the bytes
        matplotlib.rcParams.update({"font.size": 10.5, "axes.spines.top": False, "axes.spines.right": False})
        width = 4.5 * max(len(panels), 2)
        figure = Figure(figsize=(width, 5.0), dpi=140, layout=ConstrainedLayoutEngine(w_pad=0.12))
        FigureCanvasAgg(figure)
        figure.suptitle(table.title, fontsize=13, fontweight="bold", parse_math=False)
        axis = choose_axis(finished)
        for index, panel in enumerate(panels):
            _draw_panel(figure.add_subplot(1, len(panels), index + 1), panel, finished, axis, styles)
        # The description is drawn as a legend's title, so that the layout keeps room for it.
        marks = _legend_marks(finished, counts[-1] > 1)
        legend = figure.legend(handles=marks, loc="outside lower center", ncols=4, frameon=False, fontsize=9.5)
        legend.set_title(textwrap.fill(about, int(width * 12.5)), prop=FontProperties(size=9.5))
        legend.get_title().set(parse_math=False, multialignment="center")
        image = io.BytesIO()
        figure.savefig(image, format="png", metadata={"Software": None})
    write_bytes_atomic(path, image.getvalue())


def _draw_panel(
    ax: Axes, panel: Panel, runs: Sequence[Run], axis: WeightAxis | RowAxis, styles: Mapping[str, tuple[str, str]]
) -> None:
    """Draw one panel: means and single seeds of each line, the mean pose, and the x axis.

    Args:
        ax: where to draw.
        panel: what to draw.
        runs: the finished runs.
        axis: places the rows along x.
        styles: colour and marker of each line, by its label.
    """
    series: list[Line2D] = []
    poses: list[Line2D] = []
    shown: list[float] = []
    count = len(panel.lines)
    for index, (key, label) in enumerate(panel.lines):
        side = 2 * index / (count - 1) - 1 if count > 1 else 0.0  # -1 ... 1
        colour, marker = styles[label]
        trend: list[tuple[float, float]] = []
        for _, group in group_by_row(runs):
            seeds = _scaled_values(group, panel, key)
            found = mean_and_std([value for _, value in seeds])
            if found is None:
                continue
            place = axis.x_of(group[0])
            x = place + side * 0.005 * axis.width  # shifted a little, so that the bars do not hide each other
            fill = "white" if any(is_collapsed(run) for run, _ in seeds) else colour
            ends = [clip_to_range(found.mean + side * (found.std or 0.0), panel.scale) for side in (-1, 1)]
            bar = None if found.std is None else [[abs(end - found.mean)] for end in ends]
            ax.errorbar(x, found.mean, bar, fmt=marker, color=colour, ms=6, mfc=fill, capsize=3, zorder=4)
            for run, value in seeds if len(seeds) > 1 else []:
                beside = x + side * 0.013 * axis.width  # next to the bar of the mean, where it can be seen
                mark = "x" if is_collapsed(run) else "."
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
    if panel.needs_log_axis(shown):
        ax.set_yscale("log")
    ax.set_ylabel(panel.ylabel)
    ax.grid(axis="y", color="#dddddd", lw=0.6)
    axis.draw(ax)
    for _, group in group_by_row(runs):
        x = axis.x_of(group[0])
        if x in axis.ends.values() and not any(_scaled_values(group, panel, key) for key, _ in panel.lines):
            text = ax.text(x, 0.06, "not trained", transform=ax.get_xaxis_transform(), rotation=90, fontsize=9)
            text.set(color=_GREY, backgroundcolor="white", ha="center", va="bottom")
    ax.legend(handles=series + poses, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False, fontsize=9.5)


def _legend_marks(runs: Sequence[Run], several: bool) -> list[Line2D]:
    """Return legend entries, in grey, for the marks that mean the same in every panel.

    Args:
        runs: the finished runs.
        several: whether a row has several seeds, so that means are drawn.
    """
    marks = [("o", _GREY, "mean ± std"), (".", _GREY, "one seed")] if several else [("o", _GREY, "the one seed")]
    if any(is_collapsed(run) for run in runs):
        marks.append(("o", "white", "mean with collapsed seeds" if several else "collapsed to the mean pose"))
        marks += [("x", _GREY, "a seed collapsed to the mean pose")] if several else []
    return [Line2D([], [], color=_GREY, ls="", marker=mark, mfc=fill, ms=6, label=label) for mark, fill, label in marks]


def _scaled_values(runs: Sequence[Run], panel: Panel, key: str) -> list[tuple[Run, float]]:
    """Return the runs that have a value of the metric, each with that value as it is shown."""
    return [(run, panel.scale * value) for run in runs if (value := run.metrics.get(key)) is not None]
