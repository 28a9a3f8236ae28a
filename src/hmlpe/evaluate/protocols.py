"""The evaluation protocols: which people count, and which scores are reported under which names (FACTS 6)."""

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
PCP_THRESHOLDS = tuple(t / 20 for t in range(1, 11))  # 0.05 ... 0.5, as shares of the stick's length
RATE = "rate"  # the label of a detection rate, the score that is not of a group of joints or sticks


class Measured(NamedTuple):
    """The results of scoring predictions by a protocol.

    Attributes:
        scores: the scores by name.
        curves: the curve over the threshold of each group that has one.
        infos: a description of each score; those with `shown` have a column in the table.
    """

    scores: Scores
    curves: Curves
    infos: dict[str, MetricInfo]


def share_info(protocol: str, heading: str, shown: bool = True, **more: Any) -> MetricInfo:
    """Return the description (`MetricInfo`) of a score that is a share of joints, sticks or people.

    Args:
        protocol: the protocol's name.
        heading: the heading of the score's column.
        shown: whether the score has a column.
        more: further fields of `MetricInfo`.
    """
    told = SHARE | {"kind": "protocol", "section": protocol, "heading": heading, "shown": shown}
    return MetricInfo(title=f"{protocol} {heading}", **(told | more))


class Protocol(ABC):
    """A named way to score estimates.

    Attributes:
        name: the name, with which the names of its scores begin.
        axes: the labels of the curves' axes: the threshold's, and the share's.
        counts_everyone: whether the protocol always takes all people and tells detected people from missed ones by
            itself, so that it is not applied to the detected people alone.
    """

    name: ClassVar[str]
    axes: ClassVar[tuple[str, str]] = ("threshold", "within the threshold [%]")
    counts_everyone: ClassVar[bool] = False

    @abstractmethod
    def why_not(self, truth: Truth, estimates: Estimates) -> str:
        """Return a text that says why the protocol does not apply to these predictions; empty if it applies."""

    def groups_without_score(self, truth: Truth) -> dict[str, str]:
        """Return which configured groups of joints or sticks get no score, as the data lack one of their items.

        Returns:
            The reason, by the group's name.
        """
        return {}

    @abstractmethod
    def scores(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"], bootstrap: Bootstrap
    ) -> Measured:
        """Return the scores, their curves over the threshold, and their descriptions.

        Args:
            truth: the ground truth.
            estimates: the predictions.
            counted: (person,) whether the person is scored; one without a prediction is scored as wrong.
            bootstrap: draws the samples for the intervals.
        """


class PdjModec(Protocol):
    """MODEC's accuracy curves of joints, whose error is the distance divided by |left shoulder - right hip|.

    Args:
        groups: name -> joints, e.g. wrist -> left_wrist, right_wrist; groups with joints that are not in the skeleton
            are left out.
        at: the thresholds that the table shows.
        each_at: the threshold at which every single joint is reported.
    """

    name = "pdj_modec"
    axes = ("threshold [share of the torso]", "joints within the threshold [%]")

    def __init__(self, groups: Groups, at: Sequence[float], each_at: float) -> None:
        self.groups, self.at, self.each_at = groups, list(at), each_at
        wrong = [t for t in (*self.at, each_at) if t not in THRESHOLDS]
        if wrong:
            raise UserError(f"protocol.pdj_modec: thresholds must be 0.01, 0.02 ... 0.2, got {wrong[0]!r}")

    def why_not(self, truth: Truth, estimates: Estimates) -> str:
        """Return why MODEC's curves do not apply: no predicted joints, or no torso lengths; empty if they apply."""
        if estimates.joints_px is None:
            return "the predictions give sticks, not joints"
        return "" if np.isfinite(truth.torso_px).any() else no_torso_reason(truth)

    def groups_without_score(self, truth: Truth) -> dict[str, str]:
        """Return the groups with a joint that is not in the skeleton, with the reasons."""
        return groups_with_unknown_items(self.groups, truth.skeleton.joints, "joint")

    def scores(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"], bootstrap: Bootstrap
    ) -> Measured:
        """Return `pdj_modec_<group>@<threshold>` and `pdj_modec_<group>_auc`, the mean over the thresholds.

        Single joints only have `pdj_modec_<joint>@<each_at>`.
        """
        assert estimates.joints_px is not None
        answered = _is_predicted_for_anyone(estimates.joints_px)
        singles = {joint: [joint] for joint in truth.skeleton.joints}
        groups = _fully_predicted_groups({**self.groups, **singles}, truth.skeleton.joints, answered)
        metric = ModecPDJ(truth.skeleton, groups)
        metric.update(*(_counted_tensor(of, counted) for of in (estimates.joints_px, truth.joints_px, truth.torso_px)))
        draws, errors = bootstrap.draw(truth.shots_of(counted)), metric.all_errors().numpy()
        scores: Scores = {}
        curves: Curves = {}
        infos: dict[str, MetricInfo] = {}

        def add(name: str, score: Score, heading: str, shown: bool) -> None:
            scores[name], infos[name] = score, share_info(self.name, heading, shown)

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
    """Corrected PCP: a stick is right if both of its ends are within half of its length.

    Args:
        groups: name -> sticks; the score of a group is the mean over its sticks, and it is reported if all of them are
            predicted.
        threshold: the share of the stick's length.
    """

    name = "pcp_strict"
    people: ClassVar[str] = "all"
    axes = ("threshold [share of the stick]", "sticks within the threshold [%]")

    def __init__(self, groups: Groups, threshold: float | int = 0.5) -> None:
        self.groups, self.threshold = groups, threshold
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not threshold > 0:
            raise UserError(f"protocol.{self.name}.threshold: must be a number above 0, got {threshold!r}")

    def metric(self, truth: Truth, groups: Groups) -> StrictPCP:
        """Build the torchmetrics metric for the sticks of this ground truth."""
        return StrictPCP(truth.sticks, groups, self.threshold, truth.free_ends)

    def why_not(self, truth: Truth, estimates: Estimates) -> str:
        """Return why PCP does not apply: no stick is both annotated and predicted; empty if it applies."""
        if not truth.sticks:
            return "the skeleton has no parts"
        known = np.isfinite(truth.sticks_px).all((-1, -2)) & np.isfinite(estimates.sticks_px).all((-1, -2))
        return "" if known.any() else "no stick is both annotated and predicted"

    def groups_without_score(self, truth: Truth) -> dict[str, str]:
        """Return the groups with a stick that no data set of this skeleton or of stickmen has, with the reasons."""
        return groups_with_unknown_items(self.groups, (*truth.sticks, *truth.skeleton.parts, *STICKS), "stick")

    def updated_metric(self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"]) -> StrictPCP:
        """Build the metric, and update it with the predictions for the people who are scored.

        Each single stick is a group, too.
        """
        answered = _is_predicted_for_anyone(estimates.sticks_px.reshape(*estimates.sticks_px.shape[:2], 4))
        singles = {stick: [stick] for stick in truth.sticks}
        groups = _fully_predicted_groups({**self.groups, **singles}, truth.sticks, answered)
        metric = self.metric(truth, groups)
        metric.update(_counted_tensor(estimates.sticks_px, counted), _counted_tensor(truth.sticks_px, counted))
        return metric

    def scores(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"], bootstrap: Bootstrap
    ) -> Measured:
        """Return `pcp_strict_<group>`, the share of right sticks, and each group's curve over the threshold."""
        metric = self.updated_metric(truth, estimates, counted)
        draws, errors = bootstrap.draw(truth.shots_of(counted)), metric.all_errors().numpy()

        def score(group: str, threshold: float) -> Score:
            return draws.score(metric.reduction(group, threshold)(errors, draws.counts))

        curves = {g: {t: score(g, t) for t in PCP_THRESHOLDS} for g in metric.groups if g in self.groups}
        scores = {f"{self.name}_{group}": score(group, self.threshold) for group in metric.groups}
        return Measured(scores, curves, self.infos(metric))

    def infos(self, metric: StrictPCP, prefix: str = "") -> dict[str, MetricInfo]:
        """Return the descriptions of the groups' scores; those of single sticks are not shown in the table.

        Args:
            metric: the metric with the groups.
            prefix: the text between the protocol and the group in the scores' names, such as total_.
        """
        return {
            f"{self.name}_{prefix}{group}": share_info(
                self.name, f"{prefix}{group}".replace("_", " "), group in self.groups, people=self.people
            )
            for group in metric.groups
        }


class PcpOfficial(PcpStrict):
    """The official Buffy tool's protocol: PCP over the detected people, the detection rate, and the product of both."""

    name = "pcp_official"
    people = "detected"
    counts_everyone = True

    def metric(self, truth: Truth, groups: Groups) -> StrictPCP:
        """Build the torchmetrics metric for the sticks of this ground truth."""
        return OfficialPCP(truth.sticks, groups, self.threshold)

    def scores(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"], bootstrap: Bootstrap
    ) -> Measured:
        """Return `pcp_official_detection_rate`, and `pcp_official_<group>` and `pcp_official_total_<group>`.

        `pcp_official_<group>` is the PCP over the detected people, and the total is its product with the detection
        rate. If all boxes were given, there is no rate and no total. `counted` has no effect, as the tool always takes
        all people.
        """
        everyone = np.ones(len(truth), dtype=bool)
        metric = self.updated_metric(truth, estimates, everyone)
        detected, draws = estimates.detected, bootstrap.draw(truth.shots)
        errors = np.where(detected[:, None], metric.all_errors().numpy(), np.nan)
        rate = (draws.counts @ detected.astype(float)) / draws.counts.sum(1)
        scores, infos = dict[str, Score](), dict[str, MetricInfo]()
        if estimates.by_detector:
            name = f"{self.name}_detection_rate"
            scores[name], infos[name] = draws.score(rate), share_info(self.name, "detection rate", label=RATE)
        shares = {group: metric.reduction(group, self.threshold)(errors, draws.counts) for group in metric.groups}
        scores |= {f"{self.name}_{group}": draws.score(own) for group, own in shares.items()}
        infos |= self.infos(metric)
        if estimates.by_detector:
            scores |= {f"{self.name}_total_{group}": draws.score(own * rate) for group, own in shares.items()}
            infos |= self.infos(metric, "total_")
        return Measured(scores, {}, infos)


def _counted_tensor(values: Float[np.ndarray, person * rest], counted: Bool[np.ndarray, " person"]) -> Tensor:
    """Return the values of the people who are scored, as a tensor."""
    return torch.from_numpy(np.asarray(values, dtype=np.float64)[counted])


def _is_predicted_for_anyone(values: Float[np.ndarray, "person item number"]) -> Bool[np.ndarray, " item"]:
    """Return a mask of the items (joints or sticks) that the method predicts for at least one person."""
    return np.asarray(np.isfinite(values).all(-1).any(0))


def _fully_predicted_groups(
    groups: Groups, items: Sequence[str], is_predicted: Bool[np.ndarray, " item"]
) -> dict[str, list[str]]:
    """Return the groups of which the method predicts every item (joint or stick)."""
    there = {item for item, known in zip(items, is_predicted, strict=True) if known}
    return {name: list(own) for name, own in groups.items() if set(own) <= there}


def no_torso_reason(truth: Truth) -> str:
    """Return the reason why there are no scores normalised by the torso length."""
    return f"{truth.data} has no torso length (no hips)"


def groups_with_unknown_items(groups: Groups, known_items: Sequence[str], item_kind: str) -> dict[str, str]:
    """Return the groups that name an item not in `known_items`, with the reason why they have no score.

    >>> groups_with_unknown_items({"wrist": ["left_wrist"], "knee": ["left_knee"]}, ["left_wrist"], "joint")
    {'knee': "no joint 'left_knee' in the data"}
    """
    lost = {name: [item for item in own if item not in known_items] for name, own in groups.items()}
    return {name: f"no {item_kind} {own[0]!r} in the data" for name, own in lost.items() if own}
