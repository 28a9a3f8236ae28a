"""Confidence against a reference in plain Python; networks without detectors; bad settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.errors import UserError
from hmlpe.network import Head, HeterogeneousNet, Trunk
from hmlpe.predict.export import has_tie
from hmlpe.predict.model import PoseModel
from hmlpe.predict.trained import CheckpointEstimator
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import JointRegression, PartDetection
from hmlpe.windows import WindowGrid

SKELETON = Skeleton(("a", "b", "c", "alone"), {"ab": ("a", "b"), "bc": ("b", "c")})
GRID = WindowGrid(3, 12, 29, 0.3)
SIZE = 40


@cache
def model(fires: float | None) -> PoseModel:
    tasks = {"joints": JointRegression(SKELETON, SIZE, 0.999), "parts": PartDetection(SKELETON, GRID)}
    net = HeterogeneousNet(
        Trunk([{"maps": 2, "kernel": 9, "relu": True}], (3, 2)),
        lambda inputs, outputs: Head(inputs, outputs, (4, 4), 0.5, "inverted"),
        {name: task.outputs for name, task in tasks.items()},
        SIZE,
        0.01,
    )
    return PoseModel(net, SKELETON, ("joints", tasks["joints"]), ("parts", tasks["parts"]), fires).eval()


def share_inside(start: np.ndarray, end: np.ndarray, x0: float, y0: float) -> float:
    """By cutting the stick at all four lines of the window and asking where the middle of each piece lies."""
    step = end - start
    if not step.any():
        return 0.0
    cuts = {0.0, 1.0}
    for axis, low in ((0, x0), (1, y0)):
        if step[axis] != 0:
            cuts |= {(line - start[axis]) / step[axis] for line in (low, low + GRID.extent_px)}
    cuts = sorted(cut for cut in cuts if 0 <= cut <= 1)
    total = 0.0
    for one, other in itertools.pairwise(cuts):
        x, y = start + (one + other) / 2 * step
        inside = x0 <= x <= x0 + GRID.extent_px and y0 <= y <= y0 + GRID.extent_px
        total += (other - one) * inside
    return total


def reference(joints: np.ndarray, maps: np.ndarray, fires: float | None) -> list[float]:
    found = []
    for joint in range(4):
        parts = []
        for part, (one, other) in enumerate(SKELETON.part_ends):
            if joint not in (one, other):
                continue
            answers = []
            for window in range(9):
                x0, y0 = GRID.stride_px * (window % 3), GRID.stride_px * (window // 3)
                if share_inside(joints[one], joints[other], x0, y0) > GRID.beta:
                    answers.append(maps[part, window] if fires is None else float(maps[part, window] > fires))
            parts.append(sum(answers) / len(answers) if answers else 0.0)
        found.append(sum(parts) / len(parts) if parts else math.nan)
    return found


@given(
    st.lists(st.tuples(st.integers(-400, 900), st.integers(-400, 900)), min_size=4, max_size=4),
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, 0.5, 0.9]),
)
def test_confidence_is_the_mean_over_the_windows_of_the_stick(
    tenths: list[tuple[int, int]], seed: int, fires: float | None
) -> None:
    joints = torch.tensor(tenths, dtype=torch.float32)[None] / 10
    maps = torch.from_numpy(np.random.default_rng(seed).random((1, 2, 9), dtype=np.float32))
    found = model(fires).confidence(joints, maps)[0]
    clear = ~has_tie(model(fires), joints, maps)[0]
    expected = torch.tensor(reference(joints[0].double().numpy(), maps[0].numpy(), fires), dtype=torch.float32)
    torch.testing.assert_close(found[clear], expected[clear], equal_nan=True, atol=1e-6, rtol=0)
    assert found[:3].isfinite().all() and bool(((found[:3] >= 0) & (found[:3] <= 1)).all()) and found[3].isnan()


def test_ties_are_where_a_window_is_at_a_threshold_and_nowhere_else() -> None:
    joints = torch.tensor([[[5.0, 5.0], [25.0, 5.0], [25.0, 25.0], [0.0, 0.0]]])
    maps = torch.full((1, 2, 9), 0.2)
    assert not has_tie(model(0.5), joints, maps).any()
    maps[0, 1, 0] = 0.5 + 1e-6
    assert has_tie(model(0.5), joints, maps).tolist() == [[False, True, True, False]]  # ends of the part bc
    assert not has_tie(model(None), joints, maps).any()
    joints[0, 0, 0], joints[0, 1, 0] = 19.0, 39.0  # [19, 29] of 20 px lies in the first column's windows ...
    assert not has_tie(model(None), joints, maps)[0, 0]
    joints[0, 0, 0], joints[0, 1, 0] = 23.0, 43.0  # ... and 6 px: just the share beta
    assert has_tie(model(None), joints, maps)[0, 0]


def test_no_window_means_no_confidence() -> None:
    far = torch.full((1, 4, 2), 500.0) + torch.arange(4)[None, :, None]
    assert model(None).confidence(far, torch.ones(1, 2, 9))[0, :3].tolist() == [0, 0, 0]


@pytest.mark.parametrize("fires", [-0.1, 1, 7, math.nan])
def test_fires_must_be_a_probability(fires: float, checkpoint: Path) -> None:
    with pytest.raises(UserError, match="fires: must be"):
        CheckpointEstimator(checkpoint, fires=fires)


def test_a_net_without_detectors_has_poses_and_no_confidence(make_checkpoint: Callable[..., Path]) -> None:
    estimate = CheckpointEstimator(make_checkpoint("row=regression_only"))
    poses = estimate(np.zeros((2, 112, 112, 3), np.uint8))
    assert poses.part_maps is None and np.isnan(poses.confidence).all() and poses.confidence.shape == (2, 8)
    assert np.isfinite(poses.joints_px).all() and estimate.card.tasks == ("regression",)
    assert list(estimate.model.network.heads) == ["regression"]


def test_a_skeleton_without_parts_has_no_confidence() -> None:
    lone = Skeleton(("a", "b"), {})
    task = JointRegression(lone, SIZE, 0.999)
    net = HeterogeneousNet(
        Trunk([{"maps": 2, "kernel": 9, "relu": True}], (3, 2)),
        lambda inputs, outputs: Head(inputs, outputs, (4, 4), 0.5, "inverted"),
        {"joints": 4},
        SIZE,
        0.01,
    )
    made = PoseModel(net, lone, ("joints", task), ("parts", PartDetection(lone, GRID))).eval()
    found = made(torch.zeros(3, 3, SIZE, SIZE, dtype=torch.uint8))
    assert list(found) == list(made.output_names) == ["joints_px", "confidence"] and found["confidence"].isnan().all()
