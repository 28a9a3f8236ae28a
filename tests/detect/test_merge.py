"""Several windows of one person become one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.detect.cascade import merge_windows
from hmlpe.geometry import iou


def draw(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corner, size = rng.integers(0, 60, (count, 2)), rng.integers(1, 40, (count, 2))
    # few different scores, so that there are ties
    return np.hstack([corner, corner + size]).astype(float), rng.integers(1, 4, count) / 2, rng.integers(0, 3, count)


def test_a_face_and_a_body_of_one_person_count_together_and_a_second_face_does_not() -> None:
    body, face, same_face, other = [0, 0, 10, 10], [1, 0, 11, 10], [0, 1, 10, 11], [50, 50, 60, 60]
    windows = np.array([other, face, body, same_face], dtype=float)
    found = merge_windows(windows, np.array([1.2, 1.0, 0.5, 0.9]), np.array([0, 0, 1, 0]), 0.4)
    np.testing.assert_allclose(found.scores, [1.5, 1.2])
    np.testing.assert_array_equal(found.windows_px, [face, other])


def test_touching_the_limit_is_not_over_it() -> None:
    windows = np.array([[0.0, 0, 2, 2], [0, 0, 2, 1]])  # IoU 0.5 exactly
    for overlap, people in ((0.5, 2), (0.49, 1)):
        assert len(merge_windows(windows, np.ones(2), np.zeros(2, dtype=int), overlap).scores) == people


@given(seed=st.integers(0, 10**6), count=st.integers(0, 25), overlap=st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_what_is_left_is_apart_covers_everything_and_does_not_depend_on_the_order(
    seed: int, count: int, overlap: float
) -> None:
    windows, scores, finders = draw(seed, count)
    found = merge_windows(windows, scores, finders, overlap)
    people = list(found.windows_px)
    assert all(iou(a, b) <= overlap for i, a in enumerate(people) for b in people[:i])
    for window in windows:
        assert any(iou(window, one) > overlap or (window == one).all() for one in people)
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.sum() <= scores.sum() + 1e-9
    mixed = np.random.default_rng(seed).permutation(count)
    again = merge_windows(windows[mixed], scores[mixed], finders[mixed], overlap)
    np.testing.assert_array_equal(again.windows_px, found.windows_px)
    np.testing.assert_array_equal(again.scores, found.scores)


def test_nothing_in_nothing_out() -> None:
    found = merge_windows(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=int), 0.4)
    assert found.windows_px.shape == (0, 4) and found.scores.shape == (0,)


def test_a_window_without_area_does_not_hang() -> None:
    found = merge_windows(np.zeros((2, 4)), np.ones(2), np.zeros(2, dtype=int), 0.4)
    assert found.scores.sum() == pytest.approx(2)
