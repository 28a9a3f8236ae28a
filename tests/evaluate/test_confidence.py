"""Accuracy over the share that is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.evaluate.bootstrap import Bootstrap
from hmlpe.evaluate.confidence import KEPT_SHARES, accuracy_at_kept_shares, selective_accuracy_by_group
from hmlpe.evaluate.people import estimates_from_joints
from hmlpe.evaluate.write import draw_ranking

from .conftest import truth_like

GROUPS = {"elbow": ["left_elbow", "right_elbow"], "wrist": ["left_wrist", "right_wrist"]}
HITS = np.array([True] * 6 + [False] * 4)


def test_by_hand() -> None:
    """Ten joints, six right; the surest three are right, wrong, right."""
    hits = np.array([True, False, True, True, True, True, True, False, False, False])
    curve = dict(zip(KEPT_SHARES, accuracy_at_kept_shares(hits, np.linspace(1, 0.1, 10)), strict=True))
    assert [curve[share] for share in (0.1, 0.2, 0.3, 0.7, 1.0)] == pytest.approx([1, 1 / 2, 2 / 3, 6 / 7, 0.6])


def test_equal_confidence_ranks_nothing() -> None:
    assert accuracy_at_kept_shares(HITS, np.full(10, 0.3)) == pytest.approx([0.6] * len(KEPT_SHARES))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=40), st.randoms())
def test_the_order_of_the_joints_says_nothing(joints: list[tuple[bool, float]], random: object) -> None:
    hits, confidence = (np.array(values) for values in zip(*joints, strict=True))
    order = np.random.default_rng(0).permutation(len(hits))
    curve = accuracy_at_kept_shares(hits, confidence)
    assert accuracy_at_kept_shares(hits[order], confidence[order]) == pytest.approx(curve)
    oracle = accuracy_at_kept_shares(hits, hits.astype(float))
    assert all(own <= best + 1e-9 for own, best in zip(curve, oracle, strict=True))
    assert curve[-1] == pytest.approx(hits.mean())


def test_the_ranking_of_a_set() -> None:
    """Confidence that knows the errors gains what an oracle does; a constant one nothing."""
    truth = truth_like(40)
    joints = truth.joints_px.copy()
    joints[:20, 4:] += 500
    knows = np.ones((40, 8))
    knows[:20, 4:] = 0
    everyone = np.ones(40, dtype=bool)
    found = selective_accuracy_by_group(
        truth, estimates_from_joints(truth, joints, confidence=knows), everyone, GROUPS, 0.2, Bootstrap(50)
    )
    assert set(found) == {"elbow", "wrist"} and found["wrist"]["joints"] == 80
    assert found["wrist"]["accuracy"] == found["wrist"]["oracle"] and found["wrist"]["overall"] == 0.5
    value, low, _ = found["wrist"]["gain_at_half"]
    assert value == 0.5 and 0.2 < low < value
    flat = selective_accuracy_by_group(
        truth, estimates_from_joints(truth, joints, confidence=knows * 0), everyone, GROUPS, 0.2, Bootstrap(50)
    )
    assert flat["wrist"]["gain_at_half"] == pytest.approx([0, 0, 0])


def test_nothing_to_rank() -> None:
    truth = truth_like(3)
    everyone = np.ones(3, dtype=bool)
    assert (
        selective_accuracy_by_group(
            truth, estimates_from_joints(truth, truth.joints_px), everyone, GROUPS, 0.2, Bootstrap(5)
        )
        == {}
    )
    unknown = np.full((3, 8), np.nan)
    assert (
        selective_accuracy_by_group(
            truth,
            estimates_from_joints(truth, truth.joints_px, confidence=unknown),
            everyone,
            GROUPS,
            0.2,
            Bootstrap(5),
        )
        == {}
    )


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    truth = truth_like(10)
    estimates = estimates_from_joints(truth, truth.joints_px, confidence=np.random.default_rng(0).uniform(size=(10, 8)))
    found = selective_accuracy_by_group(truth, estimates, np.ones(10, dtype=bool), GROUPS, 0.2, Bootstrap(5))
    draw_ranking(found, "made", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000
