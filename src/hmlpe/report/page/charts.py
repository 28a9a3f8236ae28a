"""The charts of the page: curves over the epochs, accuracy over the threshold, and errors over the weight.

In the first two, each row has its own colour.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import altair as alt

from hmlpe.palette import hex_to_rgb
from hmlpe.report.columns import (
    AVERAGE,
    MEAN_POSE,
    Panel,
    clip_to_range,
    is_collapsed,
    panels_of,
    single_test_set_splits,
)
from hmlpe.report.figure import RowAxis, WeightAxis, choose_axis
from hmlpe.report.published import Published, Row, split_by_sides
from hmlpe.report.runs import base_task_of, group_by_row
from hmlpe.report.study import Findings
from hmlpe.report.summary import mean_and_std, mean_pose_stat
from hmlpe.report.tables import CLIPPING_NOTE
from hmlpe.runs.curves import Curves
from hmlpe.runs.metric import MetricInfo, merge_infos, metric_split
from hmlpe.runs.result import Run, row_weights

INK = "currentColor"  # the page's text colour, for the base row, which the others are compared with
GREY = "#868686"
# Colours of lines that are not rows.
LINE_COLOURS = ("#3b82f6", "#d96a2b", "#3f9b3f", "#a855c7", "#a8861d", "#0e9aa7", "#e0475b", GREY)
# Colours of rows, from low to high weight.
_RAMP = ("#3b82f6", "#0e9aa7", "#3f9b3f", "#a8861d", "#d96a2b", "#e0475b", "#a855c7")
SHOWN = "shown"  # Vega signal with the names of the rows that are ticked in the page's list
IS_SHOWN = f"indexof({SHOWN}, datum.row) >= 0"
HEIGHT_PX = 260
# Charts use the page's own colours, so that they follow dark mode and print without being drawn anew.
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        **dict.fromkeys(("labelColor", "titleColor", "domainColor", "tickColor", "gridColor"), "currentColor"),
        **{"gridOpacity": 0.13, "domainOpacity": 0.4, "tickOpacity": 0.4, "labelFontSize": 12, "titleFontSize": 12},
        **{"titleFontWeight": "normal", "titlePadding": 8},
    },
    "legend": {
        **{"labelColor": "currentColor", "titleColor": "currentColor", "orient": "top", "title": None},
        **{"labelFontSize": 12, "symbolSize": 80, "labelLimit": 240, "symbolOpacity": 1},
    },
}
MAX_POINTS = 24_000  # of all curves of the page; if there are more, epochs are left out evenly
_SHAPES = ["square", "triangle-up", "diamond", "cross", "triangle-down"]
_PLAIN = str.maketrans("", "", "$")
_TIPS = (("row", "row"), ("line", "line"), ("shown_value", "value"), ("interval", "interval"), ("n", "seeds"))


def row_colours(runs: Sequence[Run]) -> Mapping[str, str]:
    """Return each row's colour, in the tables' order.

    The base task alone has the text's colour, rows without the base task are grey, and others are on a colour ramp.
    """
    weights = {row: row_weights(group) for row, group in group_by_row(runs)}
    base = base_task_of(runs) if runs else ""
    fixed = {row: _fixed_colour(own, base) for row, own in weights.items()}
    free = [row for row, colour in fixed.items() if not colour]
    ramp = {row: _ramp_colour(index / max(1, len(free) - 1)) for index, row in enumerate(free)}
    return {row: colour or ramp[row] for row, colour in fixed.items()}


def _fixed_colour(weights: Mapping[str, float], base: str) -> str:
    """Return the colour reserved for a row with these weights; an empty text if it is chosen by the row's place."""
    if not weights.get(base):
        return GREY
    return "" if any(value for task, value in weights.items() if task != base) else INK


def _ramp_colour(place: float) -> str:
    """Return the colour, as #rrggbb, at a place from 0 (start) to 1 (end) of the colour ramp."""
    spot = place * (len(_RAMP) - 1)
    index = min(int(spot), len(_RAMP) - 2)
    pairs = zip(hex_to_rgb(_RAMP[index]), hex_to_rgb(_RAMP[index + 1]), strict=True)
    return "#" + "".join(f"{round(low + (spot - index) * (high - low)):02x}" for low, high in pairs)


@dataclass(frozen=True)
class Chart:
    """A chart of the page.

    Attributes:
        name: id of the page's element that it is drawn into.
        title: its title.
        words: a description of what it shows, for readers who cannot see it.
        spec: its Vega-Lite specification.
    """

    name: str
    title: str
    words: str
    spec: Mapping[str, Any]


def inline_data(values: Sequence[Mapping[str, Any]]) -> alt.Data:
    """Wrap the values as Altair data that are stored in the chart itself."""
    return alt.Data(values=[dict(value) for value in values])  # type: ignore[no-untyped-call]


def chart_spec(layers: Sequence[alt.Chart], rows: Sequence[str]) -> dict[str, Any]:
    """Return the Vega-Lite specification of a chart of these layers.

    Their data have a field `row`, by which the page's list of rows filters them.
    """
    chart = alt.layer(*layers).properties(width="container", height=HEIGHT_PX)
    chart = chart.add_params(alt.param(name=SHOWN, value=list(rows)))
    spec = chart.to_dict(validate=False)  # validation takes seconds, and a test does it
    spec["autosize"] = {"type": "fit", "contains": "padding"}
    spec.pop("config", None)  # the page has one configuration for all charts
    return dict(spec)


def round_digits(value: float) -> float:
    """Round to five significant digits, which is more than can be seen, to keep the file small."""
    return float(f"{value:.5g}")


@cache
def vega_script() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one JavaScript text; cached, as bundling takes seconds."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script")


def curve_charts(curves: Mapping[str, Curves], runs: Sequence[Run], colours: Mapping[str, str]) -> list[Chart]:
    """Return a chart over the epochs for each metric that runs log while they train.

    Args:
        curves: the logged curves, by the run's name.
        runs: the runs.
        colours: colour of each row.
    """
    drawn = _curve_titles(curves, runs)
    room = max(2, MAX_POINTS // max(1, len(drawn) * len(runs)))
    charts = []
    for index, (metric, title) in enumerate(drawn.items()):
        of_metric = [(run, _thin_curve(curves[run.name][metric], room)) for run in runs if metric in curves[run.name]]
        charts.append(_curve_chart(f"curve-{index}", metric, title, of_metric, colours))
    return charts


def _curve_titles(curves: Mapping[str, Curves], runs: Sequence[Run]) -> dict[str, str]:
    """Return the titles of the curves to draw, by name: validation errors, losses, weights, then gradients."""
    infos = merge_infos(run.infos for run in runs)
    there = {name for own in curves.values() for name in own}
    errors = {f"val/{name}": f"{info.title}, val" for name, info in infos.items() if info.kind == "error"}
    losses, weights, gradients = (
        {name: info.title for name, info in infos.items() if info.kind == kind and info.shown and info.task}
        for kind in ("loss", "weight", "gradient")
    )
    cosines = {
        name: info.title for name, info in infos.items() if info.kind == "gradient" and info.shown and not info.task
    }
    wanted = errors | losses | weights | gradients | cosines
    return {name: title for name, title in wanted.items() if name in there}


def _thin_curve(curve: Mapping[int, float], max_points: int) -> Mapping[int, float]:
    """Return about `max_points` points of a curve, evenly spaced, and its last one."""
    epochs = list(curve)
    step = -(-len(epochs) // max_points)
    return {epoch: curve[epoch] for epoch in sorted({*epochs[::step], epochs[-1]})}


def _curve_chart(
    name: str, metric: str, title: str, curves: Sequence[tuple[Run, Mapping[int, float]]], colours: Mapping[str, str]
) -> Chart:
    """Return the chart of one metric over the epochs, with a thin line per run and a thick one per row's mean.

    Args:
        name: id of the page's element that it is drawn into.
        metric: label of the y axis.
        title: title of the chart.
        curves: the runs with their values by epoch.
        colours: colour of each row.
    """
    lines = [
        {"row": run.row, "run": run.name, "epoch": epoch, "value": round_digits(value)} | _single_point_mark(curve)
        for run, curve in curves
        for epoch, value in curve.items()
    ]
    means = _seed_means(curves)
    axis = alt.Axis(values=_epoch_ticks([one["epoch"] for one in means]), format="d")
    x = alt.X("epoch:Q", title="epoch", axis=axis, scale=alt.Scale(nice=False))
    y = alt.Y("value:Q", title=metric, scale=alt.Scale(zero=False))
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    colour = alt.Color("row:N", scale=scale, legend=None)
    tips = [alt.Tooltip("row:N"), alt.Tooltip("epoch:Q"), alt.Tooltip("value:Q", title=metric, format=".4g")]
    own, mean = (alt.Chart(inline_data(values)).transform_filter(IS_SHOWN) for values in (lines, means))
    layers = [
        own.mark_line(strokeWidth=1, opacity=0.4).encode(x=x, y=y, color=colour, detail="run:N"),
        own.transform_filter("datum.alone").mark_point(size=20, opacity=0.4).encode(x=x, y=y, color=colour),
        mean.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour),
        mean.mark_point(size=90, filled=True).encode(
            x=x,
            y=y,
            color=colour,
            opacity=alt.condition("datum.alone", alt.value(1), alt.value(0)),
            tooltip=[*tips, alt.Tooltip("seeds:Q")],
        ),
    ]
    last = {one["row"]: one for one in means}
    ends = "; ".join(f"{row} ends at {one['value']:.4g} (epoch {one['epoch']})" for row, one in last.items())
    return Chart(name, title, f"{title} over the epochs. {ends}.", chart_spec(layers, list(colours)))


def _single_point_mark(curve: Mapping[int, object]) -> dict[str, bool]:
    """Return a data field that marks a curve of only one point, to be drawn as a point, not as a line; else empty."""
    return {"alone": True} if len(curve) == 1 else {}


def _epoch_ticks(epochs: Sequence[int]) -> list[int]:
    """Return the epochs at which the x axis has ticks: round steps, fewer than ten, and the first epoch."""
    first, last = min(epochs), max(epochs)
    steps = (digit * 10**power for power in range(9) for digit in (1, 2, 5))
    step = next(step for step in steps if (last - first) / step < 10)
    return sorted({first, *range(-(-first // step) * step, last + 1, step)})


def _seed_means(curves: Sequence[tuple[Run, Mapping[int, float]]]) -> list[dict[str, Any]]:
    """Return the data of the mean curves: for each row and epoch, the mean over the seeds that reached it."""
    values: dict[str, dict[int, list[float]]] = {}
    for run, curve in curves:
        for epoch, value in curve.items():
            values.setdefault(run.row, {}).setdefault(epoch, []).append(value)
    return [
        {"row": row, "epoch": epoch, "value": round_digits(sum(found) / len(found)), "seeds": len(found)}
        | _single_point_mark(by_epoch)
        for row, by_epoch in values.items()
        for epoch, found in sorted(by_epoch.items())
    ]


def pdj_charts(
    runs: Sequence[Run], published: Published, colours: Mapping[str, str]
) -> tuple[list[Chart], Sequence[Row]]:
    """Return a chart for each tested set and accuracy curve, and the published methods that the charts show.

    Only methods with the same convention for left and right are shown.
    """
    done = [run for run in runs if run.finished]
    curves: dict[str, dict[str, MetricInfo]] = {}  # the points of each curve, by its name
    for name, info in merge_infos(run.infos for run in done).items():
        if info.curve is not None:
            curves.setdefault(info.curve[0], {})[name] = info
    splits = single_test_set_splits(metric_split(key) for run in done for key in run.metrics)
    apart = [split for split in splits if split != AVERAGE]
    sets, sides = (done[0].result.sets, done[0].result.sides) if done else ([], None)
    charts, others = [], list[Row]()
    there = [
        (split, curve)
        for split in sorted(apart or ["test"])
        for curve in sorted(curves)
        if any(f"{split}/{name}" in run.metrics for run in done for name in curves[curve])
    ]
    for index, (split, curve) in enumerate(there):
        of_set = split.removeprefix("test_") if apart else sets[0] if len(sets) == 1 else ""
        rows = split_by_sides(published.get(of_set) or (), sides or "")[0]
        shown = [row for row in rows if curves[curve].keys() & row["scores"].keys()]
        others += [method for method in shown if method not in others]
        label = next(iter(curves[curve].values())).label or curve
        title = f"{label}{f', {of_set}' if apart else ''}: share within the threshold"
        charts.append(_pdj_chart(f"pdj-{index}", title, split, curves[curve], done, shown, colours))
    return charts, others


def _pdj_chart(
    name: str,
    title: str,
    split: str,
    curve: Mapping[str, MetricInfo],
    runs: Sequence[Run],
    methods: Sequence[Row],
    colours: Mapping[str, str],
) -> Chart:
    """Return the chart of one accuracy curve (share of joints over the threshold) on one split."""
    points_of = [(name, info.curve[1]) for name, info in curve.items() if info.curve is not None]
    lines = [
        {"row": row, "threshold": threshold, "value": round_digits(100 * found.mean), "seeds": found.n}
        for row, group in group_by_row(runs)
        for name, threshold in points_of
        if (found := mean_and_std([run.metrics.get(f"{split}/{name}") for run in group])) is not None
    ]
    pose = [
        {"row": MEAN_POSE, "threshold": threshold, "value": round_digits(100 * value)}
        for name, threshold in points_of
        if (value := next((v for run in runs if (v := run.mean_pose.get(f"{split}/{name}")) is not None), None))
        is not None
    ]
    points = [
        {"method": str(method["method"]), "threshold": threshold, "value": 100 * float(method["scores"][name])}
        for method in methods
        for name, threshold in points_of
        if name in method["scores"]
    ]
    x = alt.X("threshold:Q", title="threshold, in torso lengths", scale=alt.Scale(domain=[0, 0.2], nice=False))
    y = alt.Y(
        "value:Q", title="within threshold [%]", scale=alt.Scale(domain=[0, 100]) if points else alt.Scale(zero=True)
    )
    colour = alt.Color("row:N", scale=alt.Scale(domain=list(colours), range=list(colours.values())), legend=None)
    tips = [
        alt.Tooltip("threshold:Q", format=".2f"),
        alt.Tooltip("value:Q", title="within threshold [%]", format=".1f"),
    ]
    base = alt.Chart(inline_data(lines)).transform_filter(IS_SHOWN)
    layers = [
        alt.Chart(inline_data(pose)).mark_line(color=GREY, strokeDash=[6, 4], strokeWidth=1.4).encode(x=x, y=y),
        base.mark_line(strokeWidth=1.8).encode(x=x, y=y, color=colour),
        base.mark_point(size=90, filled=True, opacity=0).encode(x=x, y=y, tooltip=[alt.Tooltip("row:N"), *tips]),
    ]
    if points:
        names = list(dict.fromkeys(str(point["method"]) for point in points))
        shape = alt.Shape(
            "method:N",
            scale=alt.Scale(domain=names, range=_SHAPES[: len(names)]),
            legend=alt.Legend(columns=1, symbolStrokeColor="currentColor", symbolFillColor="transparent"),
        )
        others = alt.Chart(inline_data(points)).mark_point(size=70, strokeWidth=1.6, color="currentColor")
        layers.append(others.encode(x=x, y=y, shape=shape, tooltip=[alt.Tooltip("method:N"), *tips]))
    at = "; ".join(f"{one['row']} {one['value']:.1f} %" for one in lines if one["threshold"] == 0.2)
    published = "; ".join(f"{p['method']} {p['value']:.1f} %" for p in points if p["threshold"] == 0.2)
    words = f"{title}. At 0.20: {at}.{f' Published: {published}.' if published else ''}"
    return Chart(name, title, words, chart_spec(layers, list(colours)))


def weight_charts(findings: Findings, rows: Sequence[str]) -> list[Chart]:
    """Return a chart over the weight (or over the rows' names) for each panel of the study's figure."""
    axis = choose_axis([run for run in findings.runs if run.finished])
    return [
        _weight_chart(f"weight-{index}", panel, findings, axis, rows)
        for index, panel in enumerate(_panels_with_values(findings))
    ]


def shows_row_names(findings: Findings) -> bool:
    """Return whether the charts show the rows side by side by name, as no single weight distinguishes them."""
    return isinstance(choose_axis([run for run in findings.runs if run.finished]), RowAxis)


def weight_charts_caption(findings: Findings) -> str:
    """Return a caption that explains the points, bars and lines of the weight charts."""
    keys = {key for panel in _panels_with_values(findings) for key, _ in panel.lines}
    groups = group_by_row([run for run in findings.runs if run.finished])
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
    text = "; ".join(words) + "." + (f" {CLIPPING_NOTE}" if sure or several else "")
    axis = choose_axis([run for run in findings.runs if run.finished])
    apart = [f"“{label}”" for _, label in axis.labels] if isinstance(axis, WeightAxis) and axis.breaks else []
    verb = "stands" if len(apart) == 1 else "stand"
    return text + (f" {' and '.join(apart)} {verb} apart from the logarithmic axis." if apart else "")


def _panels_with_values(findings: Findings) -> list[Panel]:
    """Return those panels of the study's figure for which a finished run has a value."""
    done = [run for run in findings.runs if run.finished]
    known = {key for run in done for key, value in run.metrics.items() if value is not None}
    return [panel for panel in panels_of(done) if known & {key for key, _ in panel.lines}]


def _weight_chart(
    name: str, panel: Panel, findings: Findings, axis: WeightAxis | RowAxis, rows: Sequence[str]
) -> Chart:
    """Return the chart of one panel: each row's means with their intervals, single seeds, and the mean pose."""
    title = panel.ylabel.translate(_PLAIN)
    means, seeds, poses = _weight_chart_data(panel, findings, axis)
    labels = [label for _, label in panel.lines]
    ends = [one[end] for one in means for end in ("low", "high") if one[end] is not None]
    log = panel.needs_log_axis([*(one["value"] for one in (*means, *seeds, *poses)), *ends])
    scale = alt.Scale(type="log" if log else "linear", zero=False, nice=True)
    x = alt.X("x:Q", scale=alt.Scale(domain=_x_limits(axis), nice=False, zero=False), axis=_x_axis(axis))
    y = alt.Y("value:Q", scale=scale, title=title)
    colour = alt.Color("line:N", scale=alt.Scale(domain=labels, range=list(LINE_COLOURS[: len(labels)])))
    tips = [alt.Tooltip(f"{field}:N", title=words) for field, words in _TIPS]
    layers = []
    breaks = [{"x": round_digits(x)} for x in axis.breaks] if isinstance(axis, WeightAxis) else []
    if breaks:  # between the logarithmic axis and the ends that are set apart
        rule = alt.Chart(inline_data(breaks)).mark_rule(strokeDash=[2, 3], color="currentColor", opacity=0.35)
        layers.append(rule.encode(x=x))
    if poses:
        pose = alt.Chart(inline_data(poses)).mark_rule(strokeDash=[6, 4], strokeWidth=1.3)
        layers.append(pose.encode(y=y, color=colour, tooltip=tips[:3]))
    if seeds:
        seed = alt.Chart(inline_data(seeds)).transform_filter(IS_SHOWN).mark_point(size=14, filled=True, opacity=0.55)
        layers.append(seed.encode(x=x, y=y, color=colour, tooltip=[*tips[:3], alt.Tooltip("seed:N")]))
    shown = alt.Chart(inline_data(means)).transform_filter(IS_SHOWN)
    bar = shown.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2)
    low = alt.Y("low:Q", scale=scale, title=title)
    line = shown.transform_filter("datum.inner").mark_line(strokeWidth=1.6)
    point = shown.mark_point(size=70, filled=True, opacity=1)
    layers += [
        bar.encode(x=x, y=low, y2="high:Q", color=colour, tooltip=tips),
        line.encode(x=x, y=y, color=colour),
        point.encode(x=x, y=y, color=colour, tooltip=tips),
    ]
    return Chart(name, title, _describe_chart(title, means, poses), chart_spec(layers, rows))


def _weight_chart_data(
    panel: Panel, findings: Findings, axis: WeightAxis | RowAxis
) -> tuple[list[dict[str, Any]], ...]:
    """Return three lists of data points of the chart: means with intervals, single seeds, and the mean pose."""
    means, seeds, poses = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    done = [run for run in findings.runs if run.finished]
    for index, (key, label) in enumerate(panel.lines):
        pose = mean_pose_stat(done, key)
        if pose is not None:
            poses.append(_chart_point("mean pose", label, panel.scale * pose.mean))
        shift = (index - (len(panel.lines) - 1) / 2) * 0.012 * axis.width
        for row, group in group_by_row(done):
            values = [(run, panel.scale * value) for run in group if (value := run.metrics.get(key)) is not None]
            found = mean_and_std([value for _, value in values])
            if found is None:
                continue
            x = {"x": round_digits(axis.x_of(group[0]) + shift)}
            low, high, words = _error_bar(findings, row, key, panel.scale, found.mean, found.std)
            inner = axis.x_of(group[0]) not in axis.ends.values() and isinstance(axis, WeightAxis)
            means.append(
                _chart_point(row, label, found.mean)
                | x
                | {"low": low, "high": high, "interval": words, "n": found.n, "inner": inner}
            )
            for run, value in values if len(values) > 1 else []:
                note = ", collapsed to the mean pose" if is_collapsed(run) else ""
                seeds.append(_chart_point(row, label, value) | x | {"seed": f"{run.seed}{note}"})
    return means, seeds, poses


def _chart_point(row: str, label: str, value: float) -> dict[str, Any]:
    """Return one data point of the chart, with its value also as text for the tooltip."""
    return {"row": row, "line": label, "value": round_digits(value), "shown_value": f"{value:.4g}"}


def _error_bar(
    findings: Findings, row: str, key: str, scale: float, mean: float, std: float | None
) -> tuple[float | None, float | None, str]:
    """Return low end, high end and a text of a mean's error bar: its interval, or else ± std over seeds.

    The ends are clipped to the metric's range; they are None if neither is known.
    """
    interval = findings.statistics.intervals.get((row, key))
    if interval is not None:
        low, high = (round_digits(clip_to_range(scale * end, scale)) for end in interval)
        return low, high, f"95 %: {low:.4g} to {high:.4g}"
    if std is not None:
        low, high = (round_digits(clip_to_range(mean + side * std, scale)) for side in (-1, 1))
        return low, high, f"± {std:.2g} (std over seeds)"
    return None, None, "–"


def _x_limits(axis: WeightAxis | RowAxis) -> list[float]:
    """Return the lowest and highest x of the chart."""
    if isinstance(axis, RowAxis):
        return [-0.6, len(axis.names) - 0.4]
    return [round_digits(limit) for limit in axis.limits]


def _x_axis(axis: WeightAxis | RowAxis) -> alt.Axis:
    """Return the x axis with labels where the rows are; Vega's own logarithmic axis has no place for zero."""
    if isinstance(axis, RowAxis):
        labels = {float(index): name for index, name in enumerate(axis.names)}
        title = ""
    else:
        labels = dict(axis.ticks(lambda power: f"{10.0**power:g}"))
        title = axis.title()
    values = sorted(round_digits(x) for x in labels)
    texts = {round_digits(x): text for x, text in labels.items()}
    expression = "".join(f"abs(datum.value - {x}) < 1e-4 ? {json.dumps(texts[x])} : " for x in values) + "''"
    return alt.Axis(values=values, labelExpr=expression, title=title, grid=False, labelOverlap=False)


def _describe_chart(title: str, means: Sequence[dict[str, Any]], poses: Sequence[dict[str, Any]]) -> str:
    """Return a text that lists the chart's values, for readers who cannot see it."""
    parts = [f"{one['row']} {one['line']} {one['shown_value']}" for one in means]
    parts += [f"mean pose {one['line']} {one['shown_value']}" for one in poses]
    return f"{title}, by row. {'; '.join(parts)}."
