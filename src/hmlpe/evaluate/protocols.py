"""The protocols: which people count, and which numbers are reported under which names (FACTS 6)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hmlpe.errors import UserError
from hmlpe.evaluate.bootstrap import Bootstrap, Score
from hmlpe.evaluate.people import STICKS, Estimates, Truth
from hmlpe.metrics import ModecPDJ, OfficialPCP, StrictPCP
from hmlpe.metrics.pdj import THRESHOLDS
from hmlpe.runs.metric import SHARE, MetricInfo, Reduction

Scores = dict[str, Score]
Curves = dict[str, dict[float, Score]]  # group -> threshold -> share
Groups = Mapping[str, Sequence[str]]


class Measured(NamedTuple):
    """What a protocol found.

    Attributes:
        scores: numbers by name.
        curves: their curves over the threshold, by group.
        infos: what each of the scores is; those that are `shown` have a column in the table.
    """

    scores: Scores
    curves: Curves
    infos: dict[str, MetricInfo]


def share(protocol: str, heading: str, shown: bool = True, **more: Any) -> MetricInfo:
    """What a share of people's items is, in a protocol's table."""
    told = SHARE | {"kind": "protocol", "section": protocol, "heading": heading, "shown": shown}
    return MetricInfo(title=f"{protocol} {heading}", **(told | more))


PCP_THRESHOLDS = tuple(t / 20 for t in range(1, 11))  # 0.05 ... 0.5 lengths of the stick
RATE = "rate"  # the label of a detection rate, which is no group's


class Protocol(ABC):
    """A named way to score estimates.

    Attributes:
        name: with which its numbers begin.
        axes: what the curves' axes say: the threshold, and the share.
        looks_at_all: it tells detected people from missed ones by itself.
    """

    name: ClassVar[str]
    axes: ClassVar[tuple[str, str]] = ("threshold", "within the threshold [%]")
    looks_at_all: ClassVar[bool] = False

    @abstractmethod
    def why_not(self, truth: Truth, estimates: Estimates) -> str:
        """Why it does not apply, in words; empty if it does."""

    def unknown(self, truth: Truth) -> dict[str, str]:
        """Groups that can have no number, as an item of theirs is none of the data's -> why."""
        return {}

    @abstractmethod
    def scores(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"], bootstrap: Bootstrap
    ) -> Measured:
        """Numbers by name, their curves over the threshold, and what they are.

        Args:
            counted: the people who count; one without an estimate is wrong.
        """


class PdjModec(Protocol):
    """MODEC's accuracy curves of joints, error over |left shoulder - right hip|.

    Args:
        groups: name -> joints, e.g. wrist -> left_wrist, right_wrist; those that are not in the skeleton are left out.
        at: thresholds that the table shows.
        each_at: the threshold at which every joint is reported by itself.
    """

    name = "pdj_modec"
    axes = ("threshold [share of the torso]", "joints within the threshold [%]")

    def __init__(self, groups: Groups, at: Sequence[float], each_at: float) -> None:
        self.groups, self.at, self.each_at = groups, list(at), each_at
        wrong = [t for t in (*self.at, each_at) if t not in THRESHOLDS]
        if wrong:
            raise UserError(f"protocol.pdj_modec: thresholds are 0.01, 0.02 ... 0.2, got {wrong[0]!r}")

    def why_not(self, truth: Truth, estimates: Estimates) -> str:
        """It needs joints, and a torso's length."""
        if estimates.joints_px is None:
            return "the predictions give sticks, no joints"
        return "" if np.isfinite(truth.torso_px).any() else no_torso(truth)

    def unknown(self, truth: Truth) -> dict[str, str]:
        """Groups with a joint that is not in the skeleton."""
        return unknown_items(self.groups, truth.skeleton.joints, "joint")

    def scores(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"], bootstrap: Bootstrap
    ) -> Measured:
        """`pdj_modec_<group>@<threshold>` and `..._auc`; of single joints the former at `each_at`."""
        assert estimates.joints_px is not None
        answered = _answered(estimates.joints_px)
        singles = {joint: [joint] for joint in truth.skeleton.joints}
        groups = _predicted({**self.groups, **singles}, truth.skeleton.joints, answered)
        metric = ModecPDJ(truth.skeleton, groups)
        metric.update(*(_rows(of, counted) for of in (estimates.joints_px, truth.joints_px, truth.torso_px)))
        draws, errors = bootstrap.of(truth.shots_of(counted)), metric.all_errors().numpy()
        scores: Scores = {}
        curves: Curves = {}
        infos: dict[str, MetricInfo] = {}

        def add(name: str, score: Score, heading: str, shown: bool) -> None:
            scores[name], infos[name] = score, share(self.name, heading, shown)

        for group, items in metric.groups.items():
            words, single = group.replace("_", " "), group in singles
            at = {t: Reduction(errors=self.name, items=items, within=(t,)) for t in THRESHOLDS}
            if single:
                score = draws.score(at[self.each_at](errors, draws.counts))
                add(f"{self.name}_{group}@{self.each_at:.2f}", score, f"{words} @{self.each_at:.2f}", False)
                continue
            curves[group] = {t: draws.score(reduction(errors, draws.counts)) for t, reduction in at.items()}
            for t in self.at:
                add(f"{self.name}_{group}@{t:.2f}", curves[group][t], f"{words} @{t:.2f}", True)
            area = Reduction(errors=self.name, items=items, within=THRESHOLDS)
            add(f"{self.name}_{group}_auc", draws.score(area(errors, draws.counts)), f"{words} auc", True)
        return Measured(scores, curves, infos)


class PcpStrict(Protocol):
    """Corrected PCP: both ends of a stick within half its length.

    Args:
        groups: name -> sticks; a group's value is the mean over its sticks. It is reported where all are predicted.
        threshold: share of the stick's length.
    """

    name = "pcp_strict"
    people: ClassVar[str] = "all"
    axes = ("threshold [share of the stick]", "sticks within the threshold [%]")

    def __init__(self, groups: Groups, threshold: float | int = 0.5) -> None:
        self.groups, self.threshold = groups, threshold
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not threshold > 0:
            raise UserError(f"protocol.{self.name}.threshold: must be a number above 0, got {threshold!r}")

    def metric(self, truth: Truth, groups: Groups) -> StrictPCP:
        """The torchmetrics class, for this truth."""
        return StrictPCP(truth.sticks, groups, self.threshold, truth.free_ends)

    def why_not(self, truth: Truth, estimates: Estimates) -> str:
        """It needs a stick that is known and predicted for somebody."""
        if not truth.sticks:
            return "the skeleton has no parts"
        known = np.isfinite(truth.sticks_px).all((-1, -2)) & np.isfinite(estimates.sticks_px).all((-1, -2))
        return "" if known.any() else "no stick is both annotated and predicted"

    def unknown(self, truth: Truth) -> dict[str, str]:
        """Groups with a stick that is neither the set's, nor the skeleton's, nor one of the six."""
        return unknown_items(self.groups, (*truth.sticks, *truth.skeleton.parts, *STICKS), "stick")

    def measured(self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"]) -> StrictPCP:
        """The metric with the people's errors; single sticks are among its groups."""
        answered = _answered(estimates.sticks_px.reshape(*estimates.sticks_px.shape[:2], 4))
        singles = {stick: [stick] for stick in truth.sticks}
        groups = _predicted({**self.groups, **singles}, truth.sticks, answered)
        metric = self.metric(truth, groups)
        metric.update(_rows(estimates.sticks_px, counted), _rows(truth.sticks_px, counted))
        return metric

    def scores(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"], bootstrap: Bootstrap
    ) -> Measured:
        """`pcp_strict_<group>`, and the groups' curves."""
        metric = self.measured(truth, estimates, counted)
        draws, errors = bootstrap.of(truth.shots_of(counted)), metric.all_errors().numpy()

        def score(group: str, threshold: float) -> Score:
            return draws.score(metric.reduction(group, threshold)(errors, draws.counts))

        curves = {g: {t: score(g, t) for t in PCP_THRESHOLDS} for g in metric.groups if g in self.groups}
        scores = {f"{self.name}_{group}": score(group, self.threshold) for group in metric.groups}
        return Measured(scores, curves, self.infos(metric))

    def infos(self, metric: StrictPCP, part: str = "") -> dict[str, MetricInfo]:
        """What the numbers of its groups are; of single sticks they are not shown.

        Args:
            part: of the names, before the group's.
        """
        return {
            f"{self.name}_{part}{group}": share(
                self.name, f"{part}{group}".replace("_", " "), group in self.groups, people=self.people
            )
            for group in metric.groups
        }


class PcpOfficial(PcpStrict):
    """The official Buffy tool: PCP over the detected people, their share, and the product of both."""

    name = "pcp_official"
    people = "detected"
    looks_at_all = True

    def metric(self, truth: Truth, groups: Groups) -> StrictPCP:
        """The torchmetrics class, for this truth."""
        return OfficialPCP(truth.sticks, groups, self.threshold)

    def scores(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"], bootstrap: Bootstrap
    ) -> Measured:
        """`pcp_official_detection_rate`, `pcp_official_<group>` over detected people, `pcp_official_total_<group>`.

        Of given boxes there is no rate, and no total. `counted` says nothing here: the tool always looks at all people.
        """
        everyone = np.ones(len(truth), dtype=bool)
        metric = self.measured(truth, estimates, everyone)
        detected, draws = estimates.detected, bootstrap.of(truth.shots)
        errors = np.where(detected[:, None], metric.all_errors().numpy(), np.nan)
        rate = (draws.counts @ detected.astype(float)) / draws.counts.sum(1)
        scores, infos = dict[str, Score](), dict[str, MetricInfo]()
        if estimates.by_detector:
            name = f"{self.name}_detection_rate"
            scores[name], infos[name] = draws.score(rate), share(self.name, "detection rate", label=RATE)
        shares = {group: metric.reduction(group, self.threshold)(errors, draws.counts) for group in metric.groups}
        scores |= {f"{self.name}_{group}": draws.score(own) for group, own in shares.items()}
        infos |= self.infos(metric)
        if estimates.by_detector:
            scores |= {f"{self.name}_total_{group}": draws.score(own * rate) for group, own in shares.items()}
            infos |= self.infos(metric, "total_")
        return Measured(scores, {}, infos)


def _rows(values: Float[np.ndarray, person * rest], counted: Bool[np.ndarray, " person"]) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float64)[counted])


def _answered(values: Float[np.ndarray, "person item number"]) -> Bool[np.ndarray, " item"]:
    """Which items the method answers for somebody."""
    return np.asarray(np.isfinite(values).all(-1).any(0))


def _predicted(groups: Groups, items: Sequence[str], answered: Bool[np.ndarray, " item"]) -> dict[str, list[str]]:
    """The groups of which the method answers every item."""
    there = {item for item, known in zip(items, answered, strict=True) if known}
    return {name: list(own) for name, own in groups.items() if set(own) <= there}


def no_torso(truth: Truth) -> str:
    """Why there is no number that a torso's length divides."""
    return f"{truth.data} has no torso length (no hips)"


def unknown_items(groups: Groups, items: Sequence[str], word: str) -> dict[str, str]:
    """Groups with an item that is none of these -> why they can have no number."""
    lost = {name: [item for item in own if item not in items] for name, own in groups.items()}
    return {name: f"no {word} {own[0]!r} in the data" for name, own in lost.items() if own}
