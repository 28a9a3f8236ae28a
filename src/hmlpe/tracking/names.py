"""Every metric that a run logs: how it is named, which way is better, and where a dashboard shows it. One table."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

STEP = "trainer/global_step"  # the axis of all that is logged while a run trains; Lightning's name
THRESHOLD = "curve/threshold"  # the axis of curves over thresholds
POSES, MAPS, FILTERS = "media/poses", "media/part_maps", "media/filters"
MEDIA = (POSES, MAPS, FILTERS)

Better = Literal["high", "low", None]
Kind = Literal["error", "pdj", "pcp", "window", "pose", "loss", "gradient", "rate"]


@dataclass(frozen=True)
class Metric:
    """A family of metrics.

    Attributes:
        pattern: of the whole name; <split>, <task> and <name> stand for those.
        title: with {split}, {task} and so on for what they stood for.
        better: neither way if None.
        kind: the part of a dashboard that shows it.
    """

    pattern: str
    title: str
    better: Better
    kind: Kind


@dataclass(frozen=True)
class Named:
    """A metric that a run has logged: its name, its family, and what the family's words stand for in it."""

    name: str
    metric: Metric
    words: Mapping[str, str]

    @property
    def title(self) -> str:
        """For a reader."""
        return self.metric.title.format(**{key: value.replace("_", " ") for key, value in self.words.items()})


# The first that fits counts.
METRICS = (
    Metric("<split>/<task>_error", "{task} error, {split}", "low", "error"),
    Metric("<split>/error_px", "joint error [px], {split}", "low", "pose"),
    Metric("<split>/spread", "spread of predictions, {split}", None, "pose"),
    Metric("<split>/pdj_modec_<name>@<threshold>", "PDJ {name} @{threshold}, {split}", "high", "pdj"),
    Metric("<split>/pdj_modec_<name>_auc", "PDJ {name}, mean of the curve, {split}", "high", "pdj"),
    Metric("<split>/pcp_<rule>_<name>", "PCP {rule} {name}, {split}", "high", "pcp"),
    Metric("<split>/window_ap", "window AP, {split}", "high", "window"),
    Metric("<split>/window_ap_<name>", "window AP {name}, {split}", "high", "window"),
    Metric("train/total", "weighted sum of the losses", "low", "loss"),
    Metric("train/<task>", "{task} loss", "low", "loss"),
    Metric("train/<task>_weighted", "{task} loss times its weight", "low", "loss"),
    Metric("train/weight/<task>", "weight of {task}, by the balance", None, "loss"),
    Metric("train/gradient/norm_<task>", "norm of the {task} gradient at the trunk", None, "gradient"),
    Metric("train/gradient/cosine", "cosine between the tasks' gradients", None, "gradient"),
    Metric("train/gradient/cosine_<pair>", "cosine between gradients, {pair}", None, "gradient"),
    Metric("lr-<name>", "learning rate, {name}", None, "rate"),
)
_WORDS = {
    "split": r"(?:train|val|test(?:_\w+)?)",
    "threshold": r"\d\.\d\d",
    "rule": r"(?:strict|official)",
    "name": r"[\w/-]+",
    "pair": r"\w+",
}


def recognise(name: str, tasks: Collection[str]) -> Named | None:
    """The metric of that name, in a run that has these tasks; None if no family has such names."""
    words = _WORDS | {"task": "(?:" + "|".join(map(re.escape, sorted(tasks))) + ")"}
    for metric in METRICS:
        fit = re.fullmatch(re.sub(r"<(\w+)>", lambda word: f"(?P<{word[1]}>{words[word[1]]})", metric.pattern), name)
        if fit:
            return Named(name, metric, fit.groupdict())
    return None


def known_of(names: Iterable[str], tasks: Collection[str]) -> list[Named]:
    """Those of the names that a family has, in the table's order."""
    found = [named for name in set(names) if (named := recognise(name, tasks))]
    return sorted(found, key=lambda named: (METRICS.index(named.metric), named.name))


def curve_of(named: Named) -> tuple[str, float] | None:
    """If it is a point of a curve over thresholds: the curve's name and the threshold."""
    if "threshold" not in named.words:
        return None
    return f"curve/{named.name.rpartition('@')[0]}", float(named.words["threshold"])
