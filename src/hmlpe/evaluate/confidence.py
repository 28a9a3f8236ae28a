"""Measure how well the confidence ranks the errors: the accuracy of the most confident share of the joints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.evaluate.bootstrap import Bootstrap
from hmlpe.evaluate.people import Estimates, Truth
from hmlpe.evaluate.protocols import groups_with_unknown_items, no_torso_reason
from hmlpe.evaluate.settings import ConfidenceSettings

KEPT_SHARES = tuple(share / 20 for share in range(1, 21))


def accuracy_at_kept_shares(hits: Bool[np.ndarray, " joint"], confidence: Float[np.ndarray, " joint"]) -> list[float]:
    """Return the accuracy of the most confident joints, for each share of joints in `KEPT_SHARES`.

    Joints of equal confidence each count with their mean accuracy, so that their order does not matter.

    Args:
        hits: (joint,) whether the joint's prediction is right.
        confidence: (joint,) its confidence.
    """
    values, group = np.unique(-confidence, return_inverse=True)
    mean = np.bincount(group, hits, minlength=len(values)) / np.bincount(group, minlength=len(values))
    ranked = np.sort(group)  # the most confident first
    sums = np.cumsum(mean[ranked])
    counts = [max(1, round(share * len(hits))) for share in KEPT_SHARES]
    return [float(sums[count - 1] / count) for count in counts]


def measure_configured_groups(
    truth: Truth,
    estimates: Estimates,
    counted: Bool[np.ndarray, " person"],
    settings: ConfidenceSettings | None,
    bootstrap: Bootstrap,
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Measure how well the confidence ranks the errors in the configured groups of joints.

    Args:
        truth: the ground truth.
        estimates: the predictions, with their confidence.
        counted: (person,) whether the person is scored.
        settings: `groups`, name -> joints, and `at`, the threshold; None: no ranking is wanted.
        bootstrap: draws the samples for the intervals.

    Returns:
        The results of `selective_accuracy_by_group`; and the reasons why there are no others: by `confidence <group>`
        for groups with a joint that the skeleton does not have, or by `confidence` if no torso length is known.
    """
    if settings is None or estimates.confidence is None:
        return {}, {}
    if not np.isfinite(truth.torso_px).any():
        return {}, {"confidence": no_torso_reason(truth)}
    groups = settings.groups or {}
    unknown = groups_with_unknown_items(groups, truth.skeleton.joints, "joint")
    known = {name: joints for name, joints in groups.items() if name not in unknown}
    found = selective_accuracy_by_group(truth, estimates, counted, known, settings.at, bootstrap)
    return found, {f"confidence {name}": reason for name, reason in unknown.items()}


def selective_accuracy_by_group(
    truth: Truth,
    estimates: Estimates,
    counted: Bool[np.ndarray, " person"],
    groups: Mapping[str, Sequence[str]],
    threshold: float,
    bootstrap: Bootstrap,
) -> dict[str, dict[str, Any]]:
    """Measure, for each group of joints, how well the confidence ranks the errors: are confident joints right?

    A joint is right by MODEC's rule at the threshold. Joints without an estimate, a ground truth, a torso length or a
    confidence do not count, and a group without any joint is left out.

    Returns:
        For each group: the shares kept and the accuracy at each, the accuracy if an oracle ranked the joints, the
            accuracy of all joints, the gain of keeping the more confident half with its interval, the number of joints,
            and the threshold. Empty if the method gives no joints or no confidence.
    """
    if estimates.joints_px is None or estimates.confidence is None:
        return {}
    error = np.linalg.norm(estimates.joints_px - truth.joints_px, axis=-1) / truth.torso_px[:, None]
    usable = np.isfinite(error) & np.isfinite(estimates.confidence) & counted[:, None]
    found = {}
    for name, joints in groups.items():
        columns = truth.skeleton.indices(joints)
        rows, which = np.nonzero(usable[:, columns])
        if not len(rows):
            continue
        place = rows, np.array(columns)[which]
        hits, confidence = error[place] <= threshold, estimates.confidence[place]
        curve = accuracy_at_kept_shares(hits, confidence)
        found[name] = {
            "kept": list(KEPT_SHARES),
            "accuracy": curve,
            "oracle": accuracy_at_kept_shares(hits, hits.astype(float)),
            "overall": float(hits.mean()),
            "gain_at_half": _gain_at_half(rows, hits, confidence, truth, bootstrap),
            "joints": len(hits),
            "threshold": float(threshold),
        }
    return found


def _gain_at_half(
    person_rows: np.ndarray, hits: np.ndarray, confidence: np.ndarray, truth: Truth, bootstrap: Bootstrap
) -> list[float]:
    """Return by how much the more confident half of the joints is more accurate than all joints: [gain, low, high].

    Low and high are the ends of the gain's bootstrap interval over people.

    Args:
        person_rows: (joint,) the index of each joint's person in the ground truth.
        hits: (joint,) whether the joint's prediction is right.
        confidence: (joint,) its confidence.
        truth: the ground truth.
        bootstrap: draws the samples.
    """
    people, person = np.unique(person_rows, return_inverse=True)
    half = KEPT_SHARES.index(0.5)
    gains = []
    draws = bootstrap.draw([truth.shots[row] for row in people])
    for counts in draws.counts.astype(int):
        drawn = np.repeat(np.arange(len(hits)), counts[person])
        gains.append(accuracy_at_kept_shares(hits[drawn], confidence[drawn])[half] - hits[drawn].mean())
    return list(draws.score(np.array(gains)))
