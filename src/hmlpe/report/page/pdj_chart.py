"""Accuracy over the threshold, by MODEC's rule, beside the numbers that others published on the same set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import altair as alt

from hmlpe.report.columns import AVERAGE, MEAN_POSE
from hmlpe.report.page.chart import IS_SHOWN, Chart, data, finished, rounded
from hmlpe.report.page.colours import GREY
from hmlpe.report.published import Published, Row, beside
from hmlpe.report.result import Run
from hmlpe.report.runs import by_row
from hmlpe.report.summary import stat

_KEY = re.compile(r"(?P<split>test\w*)/pdj_modec_(?P<group>\w+)@(?P<threshold>\d\.\d\d)$")
_SIDES = re.compile(r"sides=(\w+)")  # as `training.run.protocol` says it
_SHAPES = ["square", "triangle-up", "diamond", "cross", "triangle-down"]


def pdj_charts(
    runs: Sequence[Run], published: Published, colours: Mapping[str, str]
) -> tuple[list[Chart], Sequence[Row]]:
    """One chart for each tested set and group of joints, and the published methods of the same sides in them."""
    done = [run for run in runs if run.finished]
    found = sorted({(m["split"], m["group"]) for run in done for key in run.metrics if (m := _KEY.match(key))})
    apart = {split for split, _ in found if split not in ("test", AVERAGE)}
    protocol = str(done[0].facts["protocol"]) if done else ""
    sets, sides = protocol.partition(":")[0].split("+"), (_SIDES.findall(protocol) or [""])[0]
    charts, others = [], list[Row]()
    for index, (split, group) in enumerate(pair for pair in found if not apart or pair[0] in apart):
        of_set = split.removeprefix("test_") if apart else sets[0] if len(sets) == 1 else ""
        prefix = f"{split}/pdj_modec_{group}@"
        rows = beside(published.get(of_set) or (), sides)[0]
        shown = [row for row in rows if any(key.startswith(prefix.partition("/")[2]) for key in row["scores"])]
        others += [method for method in shown if method not in others]
        title = f"{group}{f', {of_set}' if apart else ''}: share within the threshold"
        charts.append(_chart(f"pdj-{index}", title, prefix, done, shown, colours))
    return charts, others


def _chart(
    name: str,
    title: str,
    prefix: str,
    runs: Sequence[Run],
    methods: Sequence[Row],
    colours: Mapping[str, str],
) -> Chart:
    lines = [
        {"row": row, "threshold": threshold, "value": rounded(100 * found.mean), "seeds": found.n}
        for row, group in by_row(runs)
        for key, threshold in _thresholds(runs, prefix)
        if (found := stat([run.metrics.get(key) for run in group])) is not None
    ]
    pose = [
        {"row": MEAN_POSE, "threshold": threshold, "value": rounded(100 * value)}
        for key, threshold in _thresholds(runs, prefix)
        if (value := next((v for run in runs if (v := run.mean_pose.get(key)) is not None), None)) is not None
    ]
    metric = prefix.partition("/")[2]
    points = [
        {"method": str(method["method"]), "threshold": float(key.removeprefix(metric)), "value": 100 * float(score)}
        for method in methods
        for key, score in method["scores"].items()
        if key.startswith(metric)
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


def _thresholds(runs: Sequence[Run], prefix: str) -> list[tuple[str, float]]:
    keys = {key for run in runs for key in run.metrics if key.startswith(prefix)}
    return [(key, float(key.removeprefix(prefix))) for key in sorted(keys)]
