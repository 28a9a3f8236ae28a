"""The description of each metric (names, unit, direction, task), and how people's errors are reduced to its value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict

Better = Literal["high", "low"] | None
Kind = Literal["protocol", "score", "error", "check", "loss", "weight", "gradient", "rate"]
SHARE: dict[str, Any] = {"unit": "%", "scale": 100.0, "digits": 1, "better": "high"}  # fields of a share's MetricInfo
GRADIENT, LAYER_GRADIENT = "train/gradient/", "train/gradient_of/"  # prefixes of names: at the trunk, at a layer
SPLITS = ("train", "val", "test")


class _StoredModel(BaseModel):
    """Base of the models that are stored in result.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reduction(_StoredModel):
    """Reduces people's errors, by item (e.g. joint), to one number; people may be weighted by a bootstrap draw.

    Attributes:
        errors: name of the array of errors, (person, item): NaN where the truth is unknown, infinite where there is no
            prediction.
        items: indices of the items that count; None: all.
        within: thresholds. With one, the number is the share of errors within it, with several the mean of the shares;
            empty: the mean error.
        inclusive: whether an error that equals the threshold counts as within it.
        pooled: whether to average over all items together; otherwise, each item is averaged first, then the items.
    """

    errors: str
    items: tuple[int, ...] | None = None
    within: tuple[float, ...] = ()
    inclusive: bool = True
    pooled: bool = True

    def __call__(
        self, errors: Float[np.ndarray, "person item"], counts: Float[np.ndarray, "draw person"] | None = None
    ) -> Float[np.ndarray, " draw"]:
        """Return the reduced number for each draw, (draw,); NaN where no error is known.

        Args:
            errors: (person, item), as in the array that the field `errors` names.
            counts: (draw, person), how often each person is in each draw; None: one draw with everyone once.

        >>> errors = np.array([[0.1, 0.3], [0.2, np.nan]])
        >>> Reduction(errors="errors/pdj", within=(0.2,))(errors).round(3)
        array([0.667])
        """
        own = self._select_items(errors)
        weights = np.ones((1, len(own))) if counts is None else counts
        known = weights @ (~np.isnan(own)).astype(float)
        values = [self._is_within(own, threshold) for threshold in self.within] or [
            np.where(np.isnan(own), 0.0, own).astype(float)
        ]
        return np.asarray(np.mean([self._average(weights @ value, known) for value in values], axis=0))

    def has_known_error(self, errors: Float[np.ndarray, "person item"]) -> Bool[np.ndarray, " person"]:
        """Return a mask of the people for whom the error of at least one item that counts is known."""
        return np.asarray(~np.isnan(self._select_items(errors)).all(1))

    def _select_items(self, errors: Float[np.ndarray, "person item"]) -> Float[np.ndarray, "person some"]:
        return errors if self.items is None else errors[:, list(self.items)]

    def _is_within(
        self, errors: Float[np.ndarray, "person item"], threshold: float
    ) -> Float[np.ndarray, "person item"]:
        limit = np.asarray(threshold, errors.dtype)
        return (errors <= limit if self.inclusive else errors < limit).astype(float)

    def _average(
        self, totals: Float[np.ndarray, "draw item"], known_counts: Float[np.ndarray, "draw item"]
    ) -> Float[np.ndarray, " draw"]:
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.pooled:
                return np.asarray(totals.sum(1) / known_counts.sum(1))
            shares, has_known = (
                totals / known_counts,
                known_counts > 0,
            )  # an item that is unknown for everyone in a draw is left out
            return np.asarray(np.where(has_known, shares, 0).sum(1) / has_known.sum(1))


class MetricInfo(_StoredModel):
    """The description of a metric, so that tables, figures, pages and dashboards work without knowing it.

    Attributes:
        title: in words, without the split, e.g. "PDJ elbow @0.20".
        heading: heading of the column, e.g. "PDJ@0.2 elbow"; empty: the title.
        unit: "%", "px" or empty.
        scale: factor by which the value is multiplied when it is shown.
        digits: number of decimals when it is shown.
        better: whether high or low values are better; None: neither.
        task: name of the task whose output it measures; empty: the whole network.
        kind: protocol (a published one), score (any other), error (a task's own), check (whether a network learns at
            all), or, for values logged during training: loss, weight, gradient, rate.
        shown: whether it has a column in tables; other metrics (single parts, points of a curve) are only in the files.
        panel: title of the panel of the figure in which it is drawn.
        label: name of its line in that panel.
        section: section of the dashboard.
        people: the people who count: all, or only those who were detected.
        curve: (name of the curve over thresholds, threshold), if it is a point of a curve.
        below: a run whose value is lower counts as collapsed: it gives about one answer for every image.
        reduction: how it is computed from people's errors; None: it is not, so it has no confidence interval.
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
    def column_heading(self) -> str:
        """Return the heading of the metric's column in tables: heading, or else title, with the unit in brackets."""
        return f"{self.heading or self.title}{f' [{self.unit}]' if self.unit else ''}"


class TaskInfo(_StoredModel):
    """The symbol of a task in formulas.

    Attributes:
        symbol: subscript of its error and weight, E_<symbol> and λ_<symbol>.
    """

    symbol: str


def find_metric_info(infos: Mapping[str, MetricInfo], name: str) -> MetricInfo | None:
    """Return the description of the metric `<split>/<metric>`, or None if there is none.

    A metric that is logged during training is looked up by its whole name first. A key that ends in * describes all
    names that begin with the text before the *.
    """
    split, _, metric = name.partition("/")
    known = infos.get(name)
    if known is None and (split in SPLITS or split.startswith("test_")):
        known = infos.get(metric)
    if known is None:
        known = next((info for key, info in infos.items() if key[-1:] == "*" and name.startswith(key[:-1])), None)
    return known


def metric_split(name: str) -> str:
    """Return the split in a metric's full name `<split>/<metric>`."""
    return name.partition("/")[0]


def merge_infos(infos: Iterable[Mapping[str, MetricInfo]]) -> dict[str, MetricInfo]:
    """Return the union of several runs' descriptions of metrics; if a name has several, the first one."""
    found: dict[str, MetricInfo] = {}
    for one in infos:
        found |= {name: info for name, info in one.items() if name not in found}
    return found


def gradient_infos(tasks: Sequence[str]) -> dict[str, MetricInfo]:
    """Describe the values of `tracking.gradients.norms_and_cosines`, by the names under which they are logged."""
    found = {}
    for task in tasks:
        title = f"norm of the {task.replace('_', ' ')} gradient at the trunk"
        found[f"{GRADIENT}norm_{task}"] = MetricInfo(title=title, kind="gradient", task=task)
    found[f"{GRADIENT}cosine"] = MetricInfo(title="cosine between the tasks' gradients", kind="gradient")
    for a, b in combinations(tasks, 2):
        found[f"{GRADIENT}cosine_{a}_{b}"] = MetricInfo(title=f"cosine between gradients, {a}_{b}", kind="gradient")
    found[f"{LAYER_GRADIENT}*"] = MetricInfo(title="gradients of the tasks at a layer", kind="gradient", shown=False)
    return found
