"""Does the confidence rank the errors? Accuracy over the share of joints that is kept, the surest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.evaluate.bootstrap import Bootstrap
from hmlpe.evaluate.estimates import Estimates
from hmlpe.evaluate.truth import Truth

KEPT = tuple(share / 20 for share in range(1, 21))


def accuracy_over_kept(hits: Bool[np.ndarray, " joint"], confidence: Float[np.ndarray, " joint"]) -> list[float]:
    """Accuracy of the surest KEPT share of the joints, for each share; joints of equal confidence count alike."""
    values, group = np.unique(-confidence, return_inverse=True)
    mean = np.bincount(group, hits, minlength=len(values)) / np.bincount(group, minlength=len(values))
    ranked = np.sort(group)  # the surest first
    sums = np.cumsum(mean[ranked])
    counts = [max(1, round(share * len(hits))) for share in KEPT]
    return [float(sums[count - 1] / count) for count in counts]


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
            "gain_at_half": _gain(rows, hits, confidence, bootstrap),
            "joints": len(hits),
        }
    return found


def _gain(rows: np.ndarray, hits: np.ndarray, confidence: np.ndarray, bootstrap: Bootstrap) -> list[float]:
    """Accuracy of the surer half minus that of all, and its interval over people."""
    import torch

    people, person = np.unique(rows, return_inverse=True)
    half = KEPT.index(0.5)
    gains = []
    for counts in bootstrap.counts(len(people)).numpy().astype(int)[: 1 + min(bootstrap.draws, 500)]:
        drawn = np.repeat(np.arange(len(hits)), counts[person])
        gains.append(accuracy_over_kept(hits[drawn], confidence[drawn])[half] - hits[drawn].mean())
    return list(bootstrap.score(torch.tensor(gains)))


def draw_ranking(found: Mapping[str, Mapping[str, Any]], title: str, path: Path) -> None:
    """One panel a group: the confidence's curve between an oracle's and no ranking at all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(found), 3.6), layout="constrained")
    for axis, (name, one) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        share = 100 * np.array(one["kept"])
        axis.plot(share, 100 * np.array(one["oracle"]), color="0.7", lw=1.2, label="an oracle's ranking")
        axis.plot(share, 100 * np.array(one["accuracy"]), color="#0072B2", marker="o", ms=3.5, label="by confidence")
        axis.axhline(100 * one["overall"], color="0.4", ls="--", lw=1, label="no ranking")
        axis.set(xlabel=f"{name}s kept, the surest first [%]", ylabel="right at 0.20 torso [%]", ylim=(0, 103))
        axis.set_title(name, fontsize=10)
        axis.grid(color="0.92")
    figure.axes[0].legend(fontsize=8, loc="lower left")
    figure.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
