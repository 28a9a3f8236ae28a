"""A study's metrics → sections of W&B panels, which the workspace and the report share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from wandb_workspaces.reports import v2 as wr

from hmlpe.dashboard.study import Named, Study
from hmlpe.report.runs import base_of
from hmlpe.tracking.mirror import STEP_AXIS, THRESHOLD_AXIS

ROW = "row.name"  # where a run's configuration names its row; its seeds are drawn as a band about their mean
BAND = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
ACROSS, WIDTH, HEIGHT = 3, 8, 6  # panels beside each other, in W&B's grid of 24 columns


class Section(NamedTuple):
    """Panels under one heading."""

    title: str
    panels: list[Any]


def sections_of(study: Study) -> list[Section]:
    """All of the study's metrics, by what they are about; parts without a panel are left out."""

    def of(*kinds: str) -> list[Named]:
        return [named for named in study.metrics if named.info.kind in kinds]

    errors, gradients, scores = of("error"), of("gradient"), of("protocol", "score", "check")
    of_trunk = [named for named in gradients if named.info.shown]  # the others are of a layer each
    norms, cosines = ([n for n in of_trunk if bool(n.info.task) == wanted] for wanted in (True, False))
    titles = dict.fromkeys(named.info.section for named in scores)
    by_section = {title: [named for named in scores if named.info.section == title] for title in titles}
    found = [
        Section("Weight against both errors", [*_against_weights(study, errors), *_bars(errors, by=_task)]),
        Section("Curves by row", _lines(errors)),
        *(Section(title or "Other scores", _of_section(study, own)) for title, own in by_section.items()),
        Section(
            "Pictures", [wr.MediaBrowser(title=_words(key), media_keys=[key], num_columns=2) for key in study.pictures]
        ),
        Section("Gradients at the trunk", [*_steps(norms, log_y=True), *_steps(cosines, range_y=(-1, 1))]),
        Section("Gradients at each layer", _by_layer([named for named in gradients if not named.info.shown])),
        Section("Weights of the tasks", _steps(of("weight"), log_y=True)),
        Section("Losses and rates", [*_steps(of("loss"), log_y=True), *_steps(of("rate"), together=True)]),
    ]
    return [Section(title, _placed(panels)) for title, panels in found if panels]


def _of_section(study: Study, metrics: Sequence[Named]) -> list[Any]:
    """Curves over thresholds, if there are any; validation numbers over the steps; and what a run has once."""
    if any(named.info.curve for named in metrics):  # the points of a curve share a panel
        return [*_over_thresholds(study, metrics), *_lines(metrics, by=_group), *_bars(metrics, by=_group)]
    return [*_bars(metrics), *_lines(metrics)]


def _against_weights(study: Study, errors: Sequence[Named]) -> list[Any]:
    """A point a run; a weight of zero is not on a log axis, and so only among the bars."""
    tested = [named for named in errors if named.split == "test"]
    return [
        wr.ScatterPlot(
            title=f"{named.title}, over the weight of {weight}",
            x=wr.Config(f"row.weights.{weight}"),
            y=wr.SummaryMetric(named.name),
            log_x=True,
        )
        for weight in study.tasks
        if weight != base_of(study.runs)
        for named in tested
    ]


def _over_thresholds(study: Study, metrics: Sequence[Named]) -> list[Any]:
    return [
        wr.LinePlot(
            title=f"{named.info.section} {named.info.label} over the threshold, {named.split}".replace("_", " "),
            x=THRESHOLD_AXIS,
            y=[name],
            groupby=wr.Config(ROW),
            **BAND,
        )
        for name, named in study.curves.items()
        if named in metrics
    ]


def _lines(metrics: Sequence[Named], by: Callable[[Named], str] = lambda named: named.title) -> list[Any]:
    """Validation numbers over the steps."""
    curves = [named for named in metrics if named.split == "val"]
    return [
        wr.LinePlot(title=title, x=STEP_AXIS, y=[named.name for named in group], groupby=wr.Config(ROW), **BAND)
        for title, group in _grouped(curves, by)
    ]


def _bars(metrics: Sequence[Named], by: Callable[[Named], str] | None = None) -> list[Any]:
    """Numbers that a run has once, at its end: those of each split, in a panel each or as `by` says."""
    once = [named for named in metrics if named.split != "val"]
    titles = by or (lambda named: f"{named.info.section or named.info.title}, {named.split}")
    return [
        wr.BarPlot(
            title=title, metrics=[named.name for named in group], groupby=wr.Config(ROW), orientation="v", **BAND
        )
        for title, group in _grouped(once, titles)
    ]


def _steps(metrics: Sequence[Named], together: bool = False, **options: Any) -> list[Any]:
    """Numbers of single steps, in one panel or in one each."""
    groups = [("all", list(metrics))] if together and metrics else [(named.title, [named]) for named in metrics]
    return [
        wr.LinePlot(
            title=title if not together else "learning rates",
            x=STEP_AXIS,
            y=[named.name for named in group],
            groupby=wr.Config(ROW),
            **BAND,
            **options,
        )
        for title, group in groups
    ]


def _by_layer(metrics: Sequence[Named]) -> list[Any]:
    """A panel for each norm and cosine, with a line a layer."""
    groups: dict[str, list[str]] = {}
    for named in metrics:
        groups.setdefault(named.name.rpartition("/")[2], []).append(named.name)
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


def _task(named: Named) -> str:
    """Errors of one task share a panel; those of another have another scale."""
    return f"{named.info.title} by row"


def _group(named: Named) -> str:
    """The thresholds of one group of joints share a panel, and so does the mean of its curve."""
    return f"{named.info.section} {named.info.label}, {named.split}"


def _grouped(metrics: Sequence[Named], by: Callable[[Named], str]) -> list[tuple[str, list[Named]]]:
    titles = list(dict.fromkeys(map(by, metrics)))  # in the order in which they come
    ordered = sorted(metrics, key=lambda named: titles.index(by(named)))
    return [(title, list(group)) for title, group in groupby(ordered, by)]


def _words(name: str) -> str:
    return name.partition("/")[2].replace("_", " ").replace("/", ", ") if "/" in name else name.replace("_", " ")


def _placed(panels: list[Any]) -> list[Any]:
    for number, panel in enumerate(panels):
        row, column = divmod(number, ACROSS)
        panel.layout = wr.Layout(x=column * WIDTH, y=row * HEIGHT, w=WIDTH, h=HEIGHT)
    return panels
