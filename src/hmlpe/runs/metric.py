"""What a number is, said by itself: its names, unit, direction and task, and how people's errors become it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict

Better = Literal["high", "low"] | None
Kind = Literal["protocol", "score", "error", "check", "loss", "weight", "gradient", "rate"]


class _Said(BaseModel):
    """Written into result.json, and read from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reduction(_Said):
    """How people's item errors become one number, whether everyone counts once or as often as a bootstrap draws them.

    Attributes:
        errors: name of the array of errors, (person, item): NaN where the truth is unknown, infinite without an answer.
        items: those that count, by their place; None: all.
        within: thresholds: the number is the share of errors within one, the mean over several; none: it is the mean
            error.
        inclusive: an error of just the threshold is within it.
        pooled: over all items together; else the mean over the items of each one's number.
    """

    errors: str
    items: tuple[int, ...] | None = None
    within: tuple[float, ...] = ()
    inclusive: bool = True
    pooled: bool = True

    def __call__(
        self, errors: Float[np.ndarray, "person item"], counts: Float[np.ndarray, "draw person"] | None = None
    ) -> Float[np.ndarray, " draw"]:
        """The number of each draw; NaN where nothing is known.

        Args:
            counts: how often each person counts in each draw; None: once, in one draw.
        """
        own = self._own(errors)
        weights = np.ones((1, len(own))) if counts is None else counts
        known = weights @ (~np.isnan(own)).astype(float)
        values = [self._hits(own, threshold) for threshold in self.within] or [
            np.where(np.isnan(own), 0.0, own).astype(float)
        ]
        return np.asarray(np.mean([self._mean(weights @ value, known) for value in values], axis=0))

    def known(self, errors: Float[np.ndarray, "person item"]) -> Bool[np.ndarray, " person"]:
        """Who counts."""
        return np.asarray(~np.isnan(self._own(errors)).all(1))

    def _own(self, errors: Float[np.ndarray, "person item"]) -> Float[np.ndarray, "person some"]:
        return errors if self.items is None else errors[:, list(self.items)]

    def _hits(self, own: Float[np.ndarray, "person item"], threshold: float) -> Float[np.ndarray, "person item"]:
        limit = np.asarray(threshold, own.dtype)
        return (own <= limit if self.inclusive else own < limit).astype(float)

    def _mean(
        self, total: Float[np.ndarray, "draw item"], known: Float[np.ndarray, "draw item"]
    ) -> Float[np.ndarray, " draw"]:
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.pooled:
                return np.asarray(total.sum(1) / known.sum(1))
            shares, there = total / known, known > 0  # an item that nobody of a draw has does not count in it
            return np.asarray(np.where(there, shares, 0).sum(1) / there.sum(1))


def _filled(errors: Float[np.ndarray, "person item"]) -> Float[np.ndarray, "person item"]:
    return np.where(np.isnan(errors), 0.0, errors).astype(float)


class MetricInfo(_Said):
    """What a metric is, so that tables, figures, pages and dashboards need not know it.

    Attributes:
        title: in words, e.g. "PDJ elbow @0.20"; the split is said beside it.
        heading: of its column, e.g. "PDJ@0.2 elbow"; empty: the title.
        unit: "%", "px" or nothing.
        scale: it is shown as `scale * value`,
        digits: with so many decimals.
        better: which way; None: neither as such.
        task: whose output it reads; empty: of the whole network.
        kind: protocol (a published one), score (another), error (a task's own), check (whether a network learns at
            all), or what is logged while training: loss, weight, gradient, rate.
        shown: it has a column in tables; others (single parts, points of a curve) are in the files alone.
        panel, label: the figure's panel that it shares with others, and its line's name in there.
        section: of a dashboard.
        people: who counts, all or the detected alone.
        curve: name of the curve over thresholds that it is a point of, and the threshold.
        below: a run whose value lies below gives about one answer for every image.
        reduction: None: no function of single people's errors, so it has no interval.
    """

    title: str
    heading: str = ""
    unit: str = ""
    scale: float = 1.0
    digits: int = 2
    better: Better = None
    task: str = ""
    kind: Kind = "score"
    shown: bool = True
    panel: str = ""
    label: str = ""
    section: str = ""
    people: Literal["all", "detected"] = "all"
    curve: tuple[str, float] | None = None
    below: float | None = None
    reduction: Reduction | None = None

    @property
    def column(self) -> str:
        """The heading with its unit."""
        return f"{self.heading or self.title}{f' [{self.unit}]' if self.unit else ''}"


class TaskInfo(_Said):
    """What a task is called.

    Attributes:
        symbol: index of its error and weight, E_<symbol> and λ_<symbol>.
    """

    symbol: str


SHARE: dict[str, Any] = {"unit": "%", "scale": 100.0, "digits": 1, "better": "high"}  # how a share is said
GRADIENT, LAYERS = "train/gradient/", "train/gradient_of/"  # how names begin: of the trunk's gradients, of a layer's
SPLITS = ("train", "val", "test")


def info_of(infos: Mapping[str, MetricInfo], name: str) -> MetricInfo | None:
    """The metric that a run calls `<split>/<metric>` or, of what it logs while training, by its whole name.

    A description whose name ends in * is that of all names that begin so.
    """
    split, _, metric = name.partition("/")
    known = infos.get(name)
    if known is None and (split in SPLITS or split.startswith("test_")):
        known = infos.get(metric)
    if known is None:
        known = next((info for key, info in infos.items() if key[-1:] == "*" and name.startswith(key[:-1])), None)
    return known


def split_of(name: str) -> str:
    """The split of `<split>/<metric>`."""
    return name.partition("/")[0]


def merged(infos: Iterable[Mapping[str, MetricInfo]]) -> dict[str, MetricInfo]:
    """The metrics that any run has, in their order."""
    found: dict[str, MetricInfo] = {}
    for one in infos:
        found |= {name: info for name, info in one.items() if name not in found}
    return found


def gradient_infos(tasks: Sequence[str]) -> dict[str, MetricInfo]:
    """What the numbers that `tracking.gradients.diagnose` gives are, under the names that they are logged by."""
    found = {}
    for task in tasks:
        title = f"norm of the {task.replace('_', ' ')} gradient at the trunk"
        found[f"{GRADIENT}norm_{task}"] = MetricInfo(title=title, kind="gradient", task=task)
    found[f"{GRADIENT}cosine"] = MetricInfo(title="cosine between the tasks' gradients", kind="gradient")
    for a, b in combinations(tasks, 2):
        found[f"{GRADIENT}cosine_{a}_{b}"] = MetricInfo(title=f"cosine between gradients, {a}_{b}", kind="gradient")
    found[f"{LAYERS}*"] = MetricInfo(title="gradients of the tasks at a layer", kind="gradient", shown=False)
    return found
