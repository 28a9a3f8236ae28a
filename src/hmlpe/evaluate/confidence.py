"""Does the confidence rank the errors? Accuracy over the share of joints that is kept, the surest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.evaluate.bootstrap import Bootstrap
from hmlpe.evaluate.people import Estimates, Truth
from hmlpe.evaluate.protocols import no_torso, unknown_items
from hmlpe.evaluate.settings import ConfidenceSettings

KEPT = tuple(share / 20 for share in range(1, 21))


def accuracy_over_kept(hits: Bool[np.ndarray, " joint"], confidence: Float[np.ndarray, " joint"]) -> list[float]:
    """Accuracy of the surest KEPT share of the joints, for each share; joints of equal confidence count alike."""
    values, group = np.unique(-confidence, return_inverse=True)
    mean = np.bincount(group, hits, minlength=len(values)) / np.bincount(group, minlength=len(values))
    ranked = np.sort(group)  # the surest first
    sums = np.cumsum(mean[ranked])
    counts = [max(1, round(share * len(hits))) for share in KEPT]
    return [float(sums[count - 1] / count) for count in counts]


def ranking_of(
    truth: Truth,
    estimates: Estimates,
    counted: Bool[np.ndarray, " person"],
    settings: ConfidenceSettings | None,
    bootstrap: Bootstrap,
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The ranking of the groups whose joints the skeleton has, and why others have none, by `confidence <group>`.

    Args:
        settings: `groups`, name -> joints, and `at`, the threshold; None: no ranking is wanted.
    """
    if settings is None or estimates.confidence is None:
        return {}, {}
    if not np.isfinite(truth.torso_px).any():
        return {}, {"confidence": no_torso(truth)}
    groups = settings.groups or {}
    unknown = unknown_items(groups, truth.skeleton.joints, "joint")
    known = {name: joints for name, joints in groups.items() if name not in unknown}
    found = ranking(truth, estimates, counted, known, settings.at, bootstrap)
    return found, {f"confidence {name}": reason for name, reason in unknown.items()}


def ranking(
    truth: Truth,
    estimates: Estimates,
    counted: Bool[np.ndarray, " person"],
    groups: Mapping[str, Sequence[str]],
    threshold: float,
    bootstrap: Bootstrap,
) -> dict[str, dict[str, Any]]:
    """For each group of joints: the curve, that of an oracle, and what keeping the surer half gains, with its interval.

    A joint is right by MODEC's rule at the threshold; those of people without an estimate do not count. Empty without
    a confidence or a torso's length.
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
        curve = accuracy_over_kept(hits, confidence)
        found[name] = {
            "kept": list(KEPT),
            "accuracy": curve,
            "oracle": accuracy_over_kept(hits, hits.astype(float)),
            "overall": float(hits.mean()),
            "gain_at_half": _gain(rows, hits, confidence, truth, bootstrap),
            "joints": len(hits),
            "threshold": float(threshold),
        }
    return found


def _gain(
    rows: np.ndarray, hits: np.ndarray, confidence: np.ndarray, truth: Truth, bootstrap: Bootstrap
) -> list[float]:
    """Accuracy of the surer half minus that of all, and its interval over people."""
    people, person = np.unique(rows, return_inverse=True)
    half = KEPT.index(0.5)
    gains = []
    draws = bootstrap.of([truth.shots[row] for row in people])
    for counts in draws.counts.astype(int):
        drawn = np.repeat(np.arange(len(hits)), counts[person])
        gains.append(accuracy_over_kept(hits[drawn], confidence[drawn])[half] - hits[drawn].mean())
    return list(draws.score(np.array(gains)))
