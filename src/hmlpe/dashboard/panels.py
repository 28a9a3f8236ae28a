"""Convert a study's metrics to sections of W&B panels, which the workspace and the report share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from wandb_workspaces.reports import v2 as wr

from hmlpe.dashboard.study import LoggedMetric, Study
from hmlpe.report.runs import base_task_of
from hmlpe.tracking.mirror import STEP_AXIS, THRESHOLD_AXIS

ROW = "row.name"  # key of the row's name in a run's configuration; a row's seeds are drawn as a band around their mean
BAND = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
PANELS_PER_LINE, WIDTH, HEIGHT = 3, 8, 6  # panels per line, and their size in W&B's grid of 24 columns


class Section(NamedTuple):
    """The panels under one heading."""

    title: str
    panels: list[Any]


def sections_of(study: Study) -> list[Section]:
    """Return the sections of panels that show all metrics of the study; sections without a panel are left out."""

    def metrics_of_kinds(*kinds: str) -> list[LoggedMetric]:
        return [metric for metric in study.metrics if metric.info.kind in kinds]

    errors, gradients, scores = (
        metrics_of_kinds("error"),
        metrics_of_kinds("gradient"),
        metrics_of_kinds("protocol", "score", "check"),
    )
    of_trunk = [metric for metric in gradients if metric.info.shown]  # the others are of single layers
    norms, cosines = ([n for n in of_trunk if bool(n.info.task) == wanted] for wanted in (True, False))
    titles = dict.fromkeys(metric.info.section for metric in scores)
    by_section = {title: [metric for metric in scores if metric.info.section == title] for title in titles}
    found = [
        Section("Weight against both errors", [*_scatter_plots(study, errors), *_bar_plots(errors, by=_task_title)]),
        Section("Curves by row", _validation_plots(errors)),
        *(Section(title or "Other scores", _section_plots(study, own)) for title, own in by_section.items()),
        Section(
            "Pictures",
            [wr.MediaBrowser(title=_picture_title(key), media_keys=[key], num_columns=2) for key in study.pictures],
        ),
        Section("Gradients at the trunk", [*_step_plots(norms, log_y=True), *_step_plots(cosines, range_y=(-1, 1))]),
        Section("Gradients at each layer", _layer_plots([metric for metric in gradients if not metric.info.shown])),
        Section("Weights of the tasks", _step_plots(metrics_of_kinds("weight"), log_y=True)),
        Section(
            "Losses and rates",
            [*_step_plots(metrics_of_kinds("loss"), log_y=True), *_step_plots(metrics_of_kinds("rate"), together=True)],
        ),
    ]
    return [Section(title, _with_layout(panels)) for title, panels in found if panels]


def _section_plots(study: Study, metrics: Sequence[LoggedMetric]) -> list[Any]:
    """Return the panels of one section's metrics.

    They are curves over thresholds if there are any, validation metrics over the steps, and final numbers as bars.
    """
    if any(metric.info.curve for metric in metrics):  # the points of a curve share a panel
        return [
            *_threshold_plots(study, metrics),
            *_validation_plots(metrics, by=_group_title),
            *_bar_plots(metrics, by=_group_title),
        ]
    return [*_bar_plots(metrics), *_validation_plots(metrics)]


def _scatter_plots(study: Study, errors: Sequence[LoggedMetric]) -> list[Any]:
    """Return scatter plots of each error over each task's weight, with a point per run.

    The axis of the weight is logarithmic, so runs with a weight of 0 are not shown.
    """
    tested = [metric for metric in errors if metric.split == "test"]
    return [
        wr.ScatterPlot(
            title=f"{metric.title}, over the weight of {weight}",
            x=wr.Config(f"row.weights.{weight}"),
            y=wr.SummaryMetric(metric.name),
            log_x=True,
        )
        for weight in study.tasks
        if weight != base_task_of(study.runs)
        for metric in tested
    ]


def _threshold_plots(study: Study, metrics: Sequence[LoggedMetric]) -> list[Any]:
    """Return a line plot for each curve over thresholds that the metrics belong to."""
    return [
        wr.LinePlot(
            title=f"{metric.info.section} {metric.info.label} over the threshold, {metric.split}".replace("_", " "),
            x=THRESHOLD_AXIS,
            y=[name],
            groupby=wr.Config(ROW),
            **BAND,
        )
        for name, metric in study.curves.items()
        if metric in metrics
    ]


def _validation_plots(
    metrics: Sequence[LoggedMetric], by: Callable[[LoggedMetric], str] = lambda metric: metric.title
) -> list[Any]:
    """Return line plots of the validation metrics over the steps; metrics for which `by` is equal share one."""
    curves = [metric for metric in metrics if metric.split == "val"]
    return [
        wr.LinePlot(title=title, x=STEP_AXIS, y=[metric.name for metric in group], groupby=wr.Config(ROW), **BAND)
        for title, group in _group_metrics(curves, by)
    ]


def _bar_plots(metrics: Sequence[LoggedMetric], by: Callable[[LoggedMetric], str] | None = None) -> list[Any]:
    """Return bar plots of the metrics that a run has once, at its end.

    Metrics with the same `by` share a plot; by default, those of one section and split.
    """
    once = [metric for metric in metrics if metric.split != "val"]
    titles = by or (lambda metric: f"{metric.info.section or metric.info.title}, {metric.split}")
    return [
        wr.BarPlot(
            title=title, metrics=[metric.name for metric in group], groupby=wr.Config(ROW), orientation="v", **BAND
        )
        for title, group in _group_metrics(once, titles)
    ]


def _step_plots(metrics: Sequence[LoggedMetric], together: bool = False, **options: Any) -> list[Any]:
    """Return line plots of metrics that are logged at training steps: one plot for all if `together`, else one each.

    Args:
        metrics: the metrics.
        together: whether all metrics share a plot.
        options: further arguments of `wr.LinePlot`.
    """
    groups = [("all", list(metrics))] if together and metrics else [(metric.title, [metric]) for metric in metrics]
    return [
        wr.LinePlot(
            title=title if not together else "learning rates",
            x=STEP_AXIS,
            y=[metric.name for metric in group],
            groupby=wr.Config(ROW),
            **BAND,
            **options,
        )
        for title, group in groups
    ]


def _layer_plots(metrics: Sequence[LoggedMetric]) -> list[Any]:
    """Return a line plot for each gradient norm and each cosine similarity of gradients, with a line per layer."""
    groups: dict[str, list[str]] = {}
    for metric in metrics:
        groups.setdefault(metric.name.rpartition("/")[2], []).append(metric.name)
    return [
        wr.LinePlot(
            title=f"{key.replace('_', ' ')} at each layer",
            x=STEP_AXIS,
            y=names,
            groupby=wr.Config(ROW),
            **BAND,
            **({"log_y": True} if key.startswith("norm") else {"range_y": (-1, 1)}),
        )
        for key, names in groups.items()
    ]


def _task_title(metric: LoggedMetric) -> str:
    """Return the title of the panel of a task's errors; each task has its own, as errors differ in scale."""
    return f"{metric.info.title} by row"


def _group_title(metric: LoggedMetric) -> str:
    """Return the title of the panel of a group of joints, whose curve over thresholds and its mean are shown there."""
    return f"{metric.info.section} {metric.info.label}, {metric.split}"


def _group_metrics(
    metrics: Sequence[LoggedMetric], by: Callable[[LoggedMetric], str]
) -> list[tuple[str, list[LoggedMetric]]]:
    """Group the metrics by the title that `by` gives them, and return titles and metrics in order of appearance."""
    titles = list(dict.fromkeys(map(by, metrics)))  # in order of appearance
    ordered = sorted(metrics, key=lambda metric: titles.index(by(metric)))
    return [(title, list(group)) for title, group in groupby(ordered, by)]


def _picture_title(name: str) -> str:
    """Return the title of the pictures logged under this name: `media/part_maps` gives `part maps`."""
    return name.partition("/")[2].replace("_", " ").replace("/", ", ") if "/" in name else name.replace("_", " ")


def _with_layout(panels: list[Any]) -> list[Any]:
    """Set each panel's place and size in W&B's grid, in rows of `PANELS_PER_LINE`, and return the panels."""
    for number, panel in enumerate(panels):
        row, column = divmod(number, PANELS_PER_LINE)
        panel.layout = wr.Layout(x=column * WIDTH, y=row * HEIGHT, w=WIDTH, h=HEIGHT)
    return panels
