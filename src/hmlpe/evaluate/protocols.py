"""The protocols: which people count, and which numbers are reported under which names (FACTS 6)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hmlpe.errors import UserError
from hmlpe.evaluate.bootstrap import Bootstrap, Score
from hmlpe.evaluate.estimates import Estimates
from hmlpe.evaluate.truth import STICKS, Truth
from hmlpe.metrics import ErrorCurve, ModecPDJ, OfficialPCP, StrictPCP
from hmlpe.metrics.pdj import THRESHOLDS

Scores = dict[str, Score]
Curves = dict[str, dict[float, Score]]  # group -> threshold -> share
Groups = Mapping[str, Sequence[str]]

PCP_THRESHOLDS = tuple(t / 20 for t in range(1, 11))  # 0.05 ... 0.5 lengths of the stick


class Protocol(ABC):
    """A named way to score estimates.

    Attributes:
        name: with which its numbers begin.
        looks_at_all: it tells detected people from missed ones by itself.
    """

    name: ClassVar[str]
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
    ) -> tuple[Scores, Curves]:
        """Numbers by name, and their curves over the threshold.

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
    ) -> tuple[Scores, Curves]:
        """`pdj_modec_<group>@<threshold>` and `..._auc`; of single joints the former at `each_at`."""
        assert estimates.joints_px is not None
        answered = _answered(estimates.joints_px)
        singles = {joint: [joint] for joint in truth.skeleton.joints}
        groups = _predicted({**self.groups, **singles}, truth.skeleton.joints, answered)
        metric = ModecPDJ(truth.skeleton, groups)
        metric.update(*(_rows(of, counted) for of in (estimates.joints_px, truth.joints_px, truth.torso_px)))
        hits, draws = metric.curve(), bootstrap.of(truth.shots_of(counted))
        scores: Scores = {}
        curves: Curves = {}
        for group in groups:
            shares = torch.stack([metric.share(hit, group, draws.counts) for hit in hits])  # threshold, draw
            curve = {t: draws.score(share) for t, share in zip(THRESHOLDS, shares, strict=True)}
            if group in singles:
                scores[f"{self.name}_{group}@{self.each_at:.2f}"] = curve[self.each_at]
                continue
            curves[group] = curve
            scores |= {f"{self.name}_{group}@{t:.2f}": curve[t] for t in self.at}
            scores[f"{self.name}_{group}_auc"] = draws.score(shares.mean(0))
        return scores, curves


class PcpStrict(Protocol):
    """Corrected PCP: both ends of a stick within half its length.

    Args:
        groups: name -> sticks; a group's value is the mean over its sticks. It is reported where all are predicted.
        threshold: share of the stick's length.
    """

    name = "pcp_strict"

    def __init__(self, groups: Groups, threshold: float | int = 0.5) -> None:
        self.groups, self.threshold = groups, threshold
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not threshold > 0:
            raise UserError(f"protocol.{self.name}.threshold: must be a number above 0, got {threshold!r}")

    def metric(self, truth: Truth, groups: Groups) -> ErrorCurve:
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

    def measured(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"]
    ) -> tuple[ErrorCurve, list[str]]:
        """The metric with the people's errors, and the names of its groups, single sticks among them."""
        answered = _answered(estimates.sticks_px.reshape(*estimates.sticks_px.shape[:2], 4))
        singles = {stick: [stick] for stick in truth.sticks}
        groups = _predicted({**self.groups, **singles}, truth.sticks, answered)
        metric = self.metric(truth, groups)
        metric.update(_rows(estimates.sticks_px, counted), _rows(truth.sticks_px, counted))
        return metric, list(groups)

    def scores(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"], bootstrap: Bootstrap
    ) -> tuple[Scores, Curves]:
        """`pcp_strict_<group>`, and the groups' curves."""
        metric, groups = self.measured(truth, estimates, counted)
        draws = bootstrap.of(truth.shots_of(counted))

        def score(group: str, threshold: float) -> Score:
            return draws.score(metric.share(metric.within(threshold), group, draws.counts))

        curves = {g: {t: score(g, t) for t in PCP_THRESHOLDS} for g in groups if g in self.groups}
        return {f"{self.name}_{group}": score(group, self.threshold) for group in groups}, curves


class PcpOfficial(PcpStrict):
    """The official Buffy tool: PCP over the detected people, their share, and the product of both."""

    name = "pcp_official"
    looks_at_all = True

    def metric(self, truth: Truth, groups: Groups) -> ErrorCurve:
        """The torchmetrics class, for this truth."""
        return OfficialPCP(truth.sticks, groups, self.threshold)

    def scores(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"], bootstrap: Bootstrap
    ) -> tuple[Scores, Curves]:
        """`pcp_official_detection_rate`, `pcp_official_<group>` over detected people, `pcp_official_total_<group>`.

        Of given boxes there is no rate, and no total. `counted` says nothing here: the tool always looks at all people.
        """
        everyone = np.ones(len(truth), dtype=bool)
        metric, groups = self.measured(truth, estimates, everyone)
        detected = torch.from_numpy(estimates.detected)
        draws = bootstrap.of(truth.shots)
        rate = (draws.counts @ detected.double()) / draws.counts.sum(-1)
        found = metric.within(self.threshold).where(detected[:, None], torch.nan)
        scores = {f"{self.name}_detection_rate": draws.score(rate)} if estimates.by_detector else {}
        for group in groups:
            share = metric.share(found, group, draws.counts)
            scores[f"{self.name}_{group}"] = draws.score(share)
            if estimates.by_detector:
                scores[f"{self.name}_total_{group}"] = draws.score(share * rate)
        return scores, {}


def _rows(values: Float[np.ndarray, "person *rest"], counted: Bool[np.ndarray, " person"]) -> Tensor:
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
