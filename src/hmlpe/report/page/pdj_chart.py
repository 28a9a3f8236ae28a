"""Accuracy over the threshold, by MODEC's rule, beside the numbers that others published on the same set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

from hmlpe.report.columns import AVERAGE, MEAN_POSE, test_sets
from hmlpe.report.page.chart import IS_SHOWN, Chart, data, finished, rounded
from hmlpe.report.page.colours import GREY
from hmlpe.report.published import Published, Row, beside
from hmlpe.report.runs import by_row
from hmlpe.report.summary import stat
from hmlpe.runs.metric import MetricInfo, merged, split_of
from hmlpe.runs.result import Run

_SHAPES = ["square", "triangle-up", "diamond", "cross", "triangle-down"]


def pdj_charts(
    runs: Sequence[Run], published: Published, colours: Mapping[str, str]
) -> tuple[list[Chart], Sequence[Row]]:
    """One chart for each tested set and curve over thresholds, and the published methods of the same sides in them."""
    done = [run for run in runs if run.finished]
    curves: dict[str, dict[str, MetricInfo]] = {}  # name of a curve -> its points
    for name, info in merged(run.infos for run in done).items():
        if info.curve is not None:
            curves.setdefault(info.curve[0], {})[name] = info
    splits = test_sets(split_of(key) for run in done for key in run.metrics)
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
        rows = beside(published.get(of_set) or (), sides or "")[0]
        shown = [row for row in rows if curves[curve].keys() & row["scores"].keys()]
        others += [method for method in shown if method not in others]
        label = next(iter(curves[curve].values())).label or curve
        title = f"{label}{f', {of_set}' if apart else ''}: share within the threshold"
        charts.append(_chart(f"pdj-{index}", title, split, curves[curve], done, shown, colours))
    return charts, others


def _chart(
    name: str,
    title: str,
    split: str,
    curve: Mapping[str, MetricInfo],
    runs: Sequence[Run],
    methods: Sequence[Row],
    colours: Mapping[str, str],
) -> Chart:
    points_of = [(name, info.curve[1]) for name, info in curve.items() if info.curve is not None]
    lines = [
        {"row": row, "threshold": threshold, "value": rounded(100 * found.mean), "seeds": found.n}
        for row, group in by_row(runs)
        for name, threshold in points_of
        if (found := stat([run.metrics.get(f"{split}/{name}") for run in group])) is not None
    ]
    pose = [
        {"row": MEAN_POSE, "threshold": threshold, "value": rounded(100 * value)}
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
    x = alt.X("threshold:Q", title="threshold, in lengths of the torso", scale=alt.Scale(domain=[0, 0.2], nice=False))
    y = alt.Y("value:Q", title="within it [%]", scale=alt.Scale(domain=[0, 100]) if points else alt.Scale(zero=True))
    colour = alt.Color("row:N", scale=alt.Scale(domain=list(colours), range=list(colours.values())), legend=None)
    tips = [alt.Tooltip("threshold:Q", format=".2f"), alt.Tooltip("value:Q", title="within it [%]", format=".1f")]
    base = alt.Chart(data(lines)).transform_filter(IS_SHOWN)
    layers = [
        alt.Chart(data(pose)).mark_line(color=GREY, strokeDash=[6, 4], strokeWidth=1.4).encode(x=x, y=y),
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
        others = alt.Chart(data(points)).mark_point(size=70, strokeWidth=1.6, color="currentColor")
        layers.append(others.encode(x=x, y=y, shape=shape, tooltip=[alt.Tooltip("method:N"), *tips]))
    at = "; ".join(f"{one['row']} {one['value']:.1f} %" for one in lines if one["threshold"] == 0.2)
    published = "; ".join(f"{p['method']} {p['value']:.1f} %" for p in points if p["threshold"] == 0.2)
    words = f"{title}. At 0.20: {at}.{f' Published: {published}.' if published else ''}"
    return Chart(name, title, words, finished(layers, list(colours)))
