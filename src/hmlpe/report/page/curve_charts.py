"""Curves over the epochs: a thin line a run, a thick one for the mean over a row's seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from hmlpe.report.page.chart import IS_SHOWN, Chart, data, finished, rounded
from hmlpe.runs.curves import Curves
from hmlpe.runs.metric import merged
from hmlpe.runs.result import Run

POINTS = 24_000  # at most on the page: above, epochs are left out evenly


def curve_charts(curves: Mapping[str, Curves], runs: Sequence[Run], colours: Mapping[str, str]) -> list[Chart]:
    """One chart for each metric that a run logs while it trains.

    Args:
        curves: by the run's name.
    """
    drawn = _drawn(curves, runs)
    room = max(2, POINTS // max(1, len(drawn) * len(runs)))
    charts = []
    for index, (metric, title) in enumerate(drawn.items()):
        of_metric = [(run, _thinned(curves[run.name][metric], room)) for run in runs if metric in curves[run.name]]
        charts.append(_chart(f"curve-{index}", metric, title, of_metric, colours))
    return charts


def _drawn(curves: Mapping[str, Curves], runs: Sequence[Run]) -> dict[str, str]:
    """Titles of validation errors, losses while training, weights and gradients, in this order and the runs' own."""
    infos = merged(run.infos for run in runs)
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


def _thinned(curve: Mapping[int, float], room: int) -> Mapping[int, float]:
    epochs = list(curve)
    step = -(-len(epochs) // room)
    return {epoch: curve[epoch] for epoch in sorted({*epochs[::step], epochs[-1]})}


def _chart(
    name: str, metric: str, title: str, curves: Sequence[tuple[Run, Mapping[int, float]]], colours: Mapping[str, str]
) -> Chart:
    lines = [
        {"row": run.row, "run": run.name, "epoch": epoch, "value": rounded(value)} | _alone(curve)
        for run, curve in curves
        for epoch, value in curve.items()
    ]
    means = _means(curves)
    axis = alt.Axis(values=_ticks([one["epoch"] for one in means]), format="d")
    x = alt.X("epoch:Q", title="epoch", axis=axis, scale=alt.Scale(nice=False))
    y = alt.Y("value:Q", title=metric, scale=alt.Scale(zero=False))
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    colour = alt.Color("row:N", scale=scale, legend=None)
    tips = [alt.Tooltip("row:N"), alt.Tooltip("epoch:Q"), alt.Tooltip("value:Q", title=metric, format=".4g")]
    own, mean = (alt.Chart(data(values)).transform_filter(IS_SHOWN) for values in (lines, means))
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
    return Chart(name, title, f"{title} over the epochs. {ends}.", finished(layers, list(colours)))


def _alone(curve: Mapping[int, object]) -> dict[str, bool]:
    """The mark of a curve of one point, which is drawn as a point, as no line of it would be seen."""
    return {"alone": True} if len(curve) == 1 else {}


def _ticks(epochs: Sequence[int]) -> list[int]:
    """Whole epochs, ten at most."""
    first, last = min(epochs), max(epochs)
    steps = (digit * 10**power for power in range(9) for digit in (1, 2, 5))
    step = next(step for step in steps if (last - first) / step < 10)
    return sorted({first, *range(-(-first // step) * step, last + 1, step)})


def _means(curves: Sequence[tuple[Run, Mapping[int, float]]]) -> list[dict[str, Any]]:
    """The mean over the seeds of a row that have got to an epoch."""
    values: dict[str, dict[int, list[float]]] = {}
    for run, curve in curves:
        for epoch, value in curve.items():
            values.setdefault(run.row, {}).setdefault(epoch, []).append(value)
    return [
        {"row": row, "epoch": epoch, "value": rounded(sum(found) / len(found)), "seeds": len(found)} | _alone(by_epoch)
        for row, by_epoch in values.items()
        for epoch, found in sorted(by_epoch.items())
    ]
