"""A study's metrics → sections of W&B panels, which the workspace and the report share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from wandb_workspaces.reports import v2 as wr

from hmlpe.dashboard.study import Study
from hmlpe.report.columns import BASE_TASK
from hmlpe.tracking.names import MEDIA, STEP, THRESHOLD, Kind, Named

ROW = "row.name"  # where a run's configuration names its row; its seeds are drawn as a band about their mean
BAND = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
ACROSS, WIDTH, HEIGHT = 3, 8, 6  # panels beside each other, in W&B's grid of 24 columns


class Section(NamedTuple):
    """Panels under one heading."""

    title: str
    panels: list[Any]


def sections_of(study: Study) -> list[Section]:
    """All of the study's metrics, by what they are about; parts without a panel are left out."""

    def of(*kinds: Kind) -> list[Named]:
        return [named for named in study.metrics if named.metric.kind in kinds]

    errors, pdj, gradients = of("error"), of("pdj"), of("gradient")
    norms, cosines = ([n for n in gradients if ("norm" in n.name) == wanted] for wanted in (True, False))
    losses = of("loss")
    found = [
        Section("Weight against both errors", [*_against_weights(study, errors), *_bars(errors, by=_task)]),
        Section("Curves by row", [*_lines(errors), *_lines(of("pose"))]),
        Section("PDJ", [*_over_thresholds(study), *_lines(pdj, by=_group), *_bars(pdj, by=_group)]),
        Section("PCP", [*_bars(of("pcp")), *_lines(of("pcp"))]),
        Section("Pictures", [wr.MediaBrowser(title=_words(key), media_keys=[key], num_columns=2) for key in MEDIA]),
        Section("Gradients at the trunk", [*_steps(norms, log_y=True), *_steps(cosines, range_y=(-1, 1))]),
        Section("Part detectors", [*_bars(of("window")), *_lines(of("window"))]),
        Section("Losses and rates", [*_steps(losses, log_y=True), *_steps(of("rate"), together=True)]),
        Section("Pose, in numbers", _bars(of("pose"), by=lambda named: named.title)),
    ]
    return [Section(title, _placed(panels)) for title, panels in found if panels]


def _against_weights(study: Study, errors: Sequence[Named]) -> list[Any]:
    """A point a run; a weight of zero is not on a log axis, and so only among the bars."""
    tested = [named for named in errors if named.words["split"] == "test"]
    return [
        wr.ScatterPlot(
            title=f"{named.title}, over the weight of {weight}",
            x=wr.Config(f"row.weights.{weight}"),
            y=wr.SummaryMetric(named.name),
            log_x=True,
        )
        for weight in study.tasks
        if weight != BASE_TASK
        for named in tested
    ]


def _over_thresholds(study: Study) -> list[Any]:
    return [
        wr.LinePlot(title=title, x=THRESHOLD, y=[name], groupby=wr.Config(ROW), **BAND)
        for name, title in study.curves.items()
    ]


def _lines(metrics: Sequence[Named], by: Callable[[Named], str] = lambda named: named.title) -> list[Any]:
    """Validation numbers over the steps."""
    curves = [named for named in metrics if named.words["split"] == "val"]
    return [
        wr.LinePlot(title=title, x=STEP, y=[named.name for named in group], groupby=wr.Config(ROW), **BAND)
        for title, group in _grouped(curves, by)
    ]


def _bars(metrics: Sequence[Named], by: Callable[[Named], str] | None = None) -> list[Any]:
    """Numbers that a run has once, at its end: those of each split, in a panel each or as `by` says."""
    once = [named for named in metrics if named.words["split"] != "val"]
    titles = by or (lambda named: f"{_KINDS[named.metric.kind]}, {named.words['split']}")
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
            x=STEP,
            y=[named.name for named in group],
            groupby=wr.Config(ROW),
            **BAND,
            **options,
        )
        for title, group in groups
    ]


_KINDS: dict[str, str] = {
    "error": "errors",
    "pcp": "PCP",
    "window": "window AP",
    "pose": "pose",
    "pdj": "PDJ",
}


def _task(named: Named) -> str:
    """Errors of one task share a panel; those of another have another scale."""
    return f"{_words(named.words['task'])} error by row"


def _group(named: Named) -> str:
    """The thresholds of one group of joints share a panel, and so does the mean of its curve."""
    return f"PDJ {_words(named.words['name'])}, {named.words['split']}"


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
