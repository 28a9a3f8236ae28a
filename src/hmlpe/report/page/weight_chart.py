"""Errors and scores over the weight, zero and "detection only" set apart: the figure, to be asked for its numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import altair as alt

from hmlpe.report.axis import RowAxis, WeightAxis, axis_of
from hmlpe.report.cells import CUT
from hmlpe.report.columns import Panel, collapsed, panels_of, possible
from hmlpe.report.page.chart import IS_SHOWN, Chart, data, finished, rounded
from hmlpe.report.page.colours import LINES
from hmlpe.report.runs import by_row
from hmlpe.report.study import Findings
from hmlpe.report.summary import mean_pose_stat, stat

_PLAIN = str.maketrans("", "", "$")


def weight_charts(findings: Findings, rows: Sequence[str]) -> list[Chart]:
    """One chart a panel of the figure."""
    axis = axis_of([run for run in findings.runs if run.finished])
    return [_chart(f"weight-{index}", panel, findings, axis, rows) for index, panel in enumerate(_panels(findings))]


def by_name(findings: Findings) -> bool:
    """Whether the rows stand side by side, as they differ in something else than their weights."""
    return isinstance(axis_of([run for run in findings.runs if run.finished]), RowAxis)


def meaning(findings: Findings) -> str:
    """What the points and bars are that are drawn."""
    keys = {key for panel in _panels(findings) for key, _ in panel.lines}
    groups = by_row([run for run in findings.runs if run.finished])
    seeds = {
        (row, key): sum(run.metrics.get(key) is not None for run in group) for row, group in groups for key in keys
    }
    sure = [count for where, count in seeds.items() if count and where in findings.statistics.intervals]
    several = max(seeds.values(), default=0) > 1
    words = ["Points: means over seeds" if several else "Points: the one seed of each row"]
    if sure:
        words.append(f"bars: 95 % intervals over {'seeds and people' if max(sure) > 1 else 'people'}")
    if any(count > 1 and where not in findings.statistics.intervals for where, count in seeds.items()):
        words.append(f"{'where there is none' if sure else 'bars'}: ± std over seeds")
    words += [*(["small points: single seeds"] if several else []), "dashed: the mean pose"]
    text = "; ".join(words) + "." + (f" {CUT}" if sure or several else "")
    axis = axis_of([run for run in findings.runs if run.finished])
    apart = [f"“{label}”" for _, label in axis.labels] if isinstance(axis, WeightAxis) and axis.breaks else []
    verb = "stands" if len(apart) == 1 else "stand"
    return text + (f" {' and '.join(apart)} {verb} apart from the logarithmic axis." if apart else "")


def _panels(findings: Findings) -> list[Panel]:
    done = [run for run in findings.runs if run.finished]
    known = {key for run in done for key, value in run.metrics.items() if value is not None}
    return [panel for panel in panels_of(done) if known & {key for key, _ in panel.lines}]


def _chart(name: str, panel: Panel, findings: Findings, axis: WeightAxis | RowAxis, rows: Sequence[str]) -> Chart:
    title = panel.ylabel.translate(_PLAIN)
    means, seeds, poses = _values(panel, findings, axis)
    labels = [label for _, label in panel.lines]
    ends = [one[end] for one in means for end in ("low", "high") if one[end] is not None]
    log = panel.log([*(one["value"] for one in (*means, *seeds, *poses)), *ends])
    scale = alt.Scale(type="log" if log else "linear", zero=False, nice=True)
    x = alt.X("x:Q", scale=alt.Scale(domain=_limits(axis), nice=False, zero=False), axis=_x_axis(axis))
    y = alt.Y("value:Q", scale=scale, title=title)
    colour = alt.Color("line:N", scale=alt.Scale(domain=labels, range=list(LINES[: len(labels)])))
    tips = [alt.Tooltip(f"{field}:N", title=words) for field, words in _TIPS]
    layers = []
    breaks = [{"x": rounded(x)} for x in axis.breaks] if isinstance(axis, WeightAxis) else []
    if breaks:  # between the logarithmic axis and what stands apart from it
        rule = alt.Chart(data(breaks)).mark_rule(strokeDash=[2, 3], color="currentColor", opacity=0.35)
        layers.append(rule.encode(x=x))
    if poses:
        pose = alt.Chart(data(poses)).mark_rule(strokeDash=[6, 4], strokeWidth=1.3)
        layers.append(pose.encode(y=y, color=colour, tooltip=tips[:3]))
    if seeds:
        seed = alt.Chart(data(seeds)).transform_filter(IS_SHOWN).mark_point(size=14, filled=True, opacity=0.55)
        layers.append(seed.encode(x=x, y=y, color=colour, tooltip=[*tips[:3], alt.Tooltip("seed:N")]))
    shown = alt.Chart(data(means)).transform_filter(IS_SHOWN)
    bar = shown.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2)
    low = alt.Y("low:Q", scale=scale, title=title)
    line = shown.transform_filter("datum.inner").mark_line(strokeWidth=1.6)
    point = shown.mark_point(size=70, filled=True, opacity=1)
    layers += [
        bar.encode(x=x, y=low, y2="high:Q", color=colour, tooltip=tips),
        line.encode(x=x, y=y, color=colour),
        point.encode(x=x, y=y, color=colour, tooltip=tips),
    ]
    return Chart(name, title, _words(title, means, poses), finished(layers, rows))


_TIPS = (("row", "row"), ("line", "line"), ("shown_value", "value"), ("interval", "interval"), ("n", "seeds"))


def _values(panel: Panel, findings: Findings, axis: WeightAxis | RowAxis) -> tuple[list[dict[str, Any]], ...]:
    """Means with their intervals, seeds, and the mean pose, as the chart's data."""
    means, seeds, poses = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    done = [run for run in findings.runs if run.finished]
    for index, (key, label) in enumerate(panel.lines):
        pose = mean_pose_stat(done, key)
        if pose is not None:
            poses.append(_point("mean pose", label, panel.scale * pose.mean))
        shift = (index - (len(panel.lines) - 1) / 2) * 0.012 * axis.width
        for row, group in by_row(done):
            values = [(run, panel.scale * value) for run in group if (value := run.metrics.get(key)) is not None]
            found = stat([value for _, value in values])
            if found is None:
                continue
            x = {"x": rounded(axis.place(group[0]) + shift)}
            low, high, words = _spread(findings, row, key, panel.scale, found.mean, found.std)
            inner = axis.place(group[0]) not in axis.ends.values() and isinstance(axis, WeightAxis)
            means.append(
                _point(row, label, found.mean)
                | x
                | {"low": low, "high": high, "interval": words, "n": found.n, "inner": inner}
            )
            for run, value in values if len(values) > 1 else []:
                note = ", collapsed to the mean pose" if collapsed(run) else ""
                seeds.append(_point(row, label, value) | x | {"seed": f"{run.seed}{note}"})
    return means, seeds, poses


def _point(row: str, label: str, value: float) -> dict[str, Any]:
    return {"row": row, "line": label, "value": rounded(value), "shown_value": f"{value:.4g}"}


def _spread(
    findings: Findings, row: str, key: str, scale: float, mean: float, std: float | None
) -> tuple[float | None, float | None, str]:
    """The bar of a mean, as far as it can be: its interval, or where there is none the deviation over seeds."""
    interval = findings.statistics.intervals.get((row, key))
    if interval is not None:
        low, high = (rounded(possible(scale * end, scale)) for end in interval)
        return low, high, f"95 %: {low:.4g} to {high:.4g}"
    if std is not None:
        low, high = (rounded(possible(mean + side * std, scale)) for side in (-1, 1))
        return low, high, f"± {std:.2g} (std over seeds)"
    return None, None, "–"


def _limits(axis: WeightAxis | RowAxis) -> list[float]:
    if isinstance(axis, RowAxis):
        return [-0.6, len(axis.names) - 0.4]
    return [rounded(limit) for limit in axis.limits]


def _x_axis(axis: WeightAxis | RowAxis) -> alt.Axis:
    """Labels of the rows' places; Vega's own log axis has no place for zero."""
    if isinstance(axis, RowAxis):
        labels = {float(index): name for index, name in enumerate(axis.names)}
        title = ""
    else:
        labels = dict(axis.ticks(lambda power: f"{10.0**power:g}"))
        title = axis.title()
    values = sorted(rounded(x) for x in labels)
    texts = {rounded(x): text for x, text in labels.items()}
    expression = "".join(f"abs(datum.value - {x}) < 1e-4 ? {json.dumps(texts[x])} : " for x in values) + "''"
    return alt.Axis(values=values, labelExpr=expression, title=title, grid=False, labelOverlap=False)


def _words(title: str, means: Sequence[dict[str, Any]], poses: Sequence[dict[str, Any]]) -> str:
    parts = [f"{one['row']} {one['line']} {one['shown_value']}" for one in means]
    parts += [f"mean pose {one['line']} {one['shown_value']}" for one in poses]
    return f"{title}, by row. {'; '.join(parts)}."
