"""Metrics as shares over people, so that people can be drawn anew: the same numbers as those of `hmlpe.metrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.report.columns import AVERAGE
from hmlpe.report.setup import Setup
from hmlpe.report.statistics.people import People

PDJ_THRESHOLD = 0.2  # of the torso's length
PCP_THRESHOLD = 0.5  # of the stick's length

Points = Float[np.ndarray, "person item 2"]


@dataclass(frozen=True, eq=False)
class Score:
    """The mean over items of sum(found) / sum(known), both sums over people.

    Attributes:
        found: of each person and item, e.g. how many joints are within the threshold.
        known: how many count.
    """

    found: Float[np.ndarray, "person item"]
    known: Float[np.ndarray, "person item"]

    def values(self, counts: Float[np.ndarray, "draw person"]) -> Float[np.ndarray, " draw"]:
        """The score when each person counts so often; NaN where nothing is known."""
        known = counts @ self.known
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = (counts @ self.found) / known
        there = np.isfinite(shares)  # an item that nobody of a draw has does not count in it
        return np.asarray(np.where(there, shares, 0).sum(1) / np.where(there.any(1), there.sum(1), np.nan))

    def among(self, some: Bool[np.ndarray, " person"]) -> Score:
        """The score of some of the people."""
        return Score(self.found * some[:, None], self.known * some[:, None])


def of_splits(scores: Mapping[str, Score], people: People, splits: Sequence[str]) -> dict[str, Score]:
    """By `<split>/<metric>`: of all test people, and of each set's own, which is the start of their names."""
    found = {f"test/{name}": score for name, score in scores.items()}
    for split in splits:
        if split != AVERAGE:
            own = np.char.startswith(people.person, f"{split.removeprefix('test_')}/")
            found |= {f"{split}/{name}": score.among(own) for name, score in scores.items()}
    return found


def scores_of(people: People, setup: Setup) -> dict[str, Score]:
    """The scores of one run by the metric's name; those that its file or its config has nothing for are left out."""
    arrays, found = people.arrays, dict[str, Score]()
    for name, values in arrays.items():
        if name.endswith("_error"):
            known = np.isfinite(values)[:, None]  # of a person of whom nothing is known there is no error
            found[name] = Score(np.where(known, values.astype(float)[:, None], 0.0), known.astype(float))
    if "predicted_crop_px" in arrays:
        found["error_px"] = _distance(arrays["predicted_crop_px"], arrays["truth_crop_px"])
    if "predicted_px" in arrays:
        predicted, truth = arrays["predicted_px"], arrays["truth_px"]
        for group, joints in setup.groups.get("pdj_modec", {}).items():
            own = setup.skeleton.indices(joints)
            found[f"pdj_modec_{group}@{PDJ_THRESHOLD:.2f}"] = _pdj(predicted[:, own], truth[:, own], arrays["torso_px"])
        for group, parts in setup.groups.get("pcp_strict", {}).items():
            ends = [setup.skeleton.indices(setup.skeleton.parts[part]) for part in parts]
            found[f"pcp_strict_{group}"] = _pcp(predicted[:, ends], truth[:, ends])
    return found


def _distance(predicted: Points, truth: Points) -> Score:
    """Mean distance of the known joints, pooled."""
    known = np.isfinite(truth).all(-1)
    distance = np.linalg.norm(predicted - truth, axis=-1).astype(float)
    return Score(np.where(known, distance, 0).sum(1, keepdims=True), known.sum(1, keepdims=True).astype(float))


def _pdj(predicted: Points, truth: Points, torso: Float[np.ndarray, " person"]) -> Score:
    """MODEC's rule (`hmlpe.metrics.ModecPDJ`): left and right pooled; a joint that is not predicted is wrong."""
    known = np.isfinite(truth.sum(-1) + torso[:, None])
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.linalg.norm(predicted - truth, axis=-1) / torso[:, None]
        hits = known & (error <= np.asarray(PDJ_THRESHOLD, error.dtype))
    return Score(hits.sum(1, keepdims=True).astype(float), known.sum(1, keepdims=True).astype(float))


def _pcp(predicted: Float[np.ndarray, "person stick 2 2"], truth: Float[np.ndarray, "person stick 2 2"]) -> Score:
    """Strict PCP (`hmlpe.metrics.StrictPCPOfJoints`): both ends, the mean over sticks."""
    known = np.isfinite(truth).all((-1, -2))
    length = np.linalg.norm(truth[..., 1, :] - truth[..., 0, :], axis=-1)
    error = np.linalg.norm(predicted - truth, axis=-1).max(-1)
    hits = known & ((error <= np.asarray(PCP_THRESHOLD, error.dtype) * length) | (error == 0))
    return Score(hits.astype(float), known.astype(float))
