"""What sticks say of joints and windows, and what they do not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.data.sources.sticks import joints_of_sticks, window_of_sticks

NAN = float("nan")
HIDDEN = (NAN,) * 4

STICKS = np.array([  # torso, the image's left and right upper arm, lower arms, head
    (50, 80, 50, 30), (30, 32, 24, 55), (86, 70, 70, 32), (26, 57, 30, 80), (96, 50, 86, 70), (52, 26, 48, 10),
], dtype=float)  # fmt: skip
JOINTS = {  # of STICKS, by hand: the arm on the image's left is the person's right one
    "head": (50, 18), "neck": (50, 30), "right_shoulder": (30, 32), "right_elbow": (25, 56), "right_wrist": (30, 80),
    "left_shoulder": (70, 32), "left_elbow": (86, 70), "left_wrist": (96, 50),
}  # fmt: skip


def joints(sticks: np.ndarray) -> dict[str, tuple[float, ...]]:
    return {name: tuple(point.tolist()) for name, point in joints_of_sticks(sticks).items()}


def known(sticks: np.ndarray) -> set[str]:
    found = joints_of_sticks(sticks)
    assert all(np.isfinite(point).all() or np.isnan(point).all() for point in found.values())
    for name, point in found.items():  # what is known is right
        np.testing.assert_array_equal(point, JOINTS[name] if np.isfinite(point).all() else (NAN, NAN))
    return {name for name, point in found.items() if np.isfinite(point).all()}


def changed(**rows: Sequence[float]) -> np.ndarray:
    """STICKS with these sticks replaced: t, ul, ur, ll, lr, h."""
    sticks = STICKS.copy()
    for name, row in rows.items():
        sticks[["t", "ul", "ur", "ll", "lr", "h"].index(name)] = row
    return sticks


@pytest.mark.parametrize("turned", list(itertools.product([False, True], repeat=6)))
def test_joints_do_not_depend_on_the_order_of_ends(turned: Sequence[bool]) -> None:
    sticks = np.where(np.array(turned)[:, None], STICKS[:, [2, 3, 0, 1]], STICKS)
    assert joints(sticks) == JOINTS
    np.testing.assert_array_equal(window_of_sticks(sticks), window_of_sticks(STICKS))


ARM = {"shoulder", "elbow", "wrist"}
LEFT, RIGHT = ({f"{side}_{joint}" for joint in ARM} for side in ("left", "right"))


@pytest.mark.parametrize(
    ("hidden", "lost"),
    [
        ("h", {"head", "neck"}),
        ("t", {"neck"}),
        ("lr", {"left_wrist"}),  # the shoulder is clearly the end near the neck
        ("ll", RIGHT),  # 20 and 36 px from the neck: not as clear
        ("ul", RIGHT),  # nothing says which end of a lower arm is the wrist
        ("ur", LEFT),
        ("ul ll", RIGHT),
        ("lr h", {"head", "neck"} | LEFT),  # without the neck an upper arm says nothing
        ("lr t", {"neck"} | LEFT),
        ("t ul ur ll lr h", set(JOINTS)),
    ],
)
def test_what_hidden_sticks_hide(hidden: str, lost: set[str]) -> None:
    assert known(changed(**dict.fromkeys(hidden.split(), HIDDEN))) == set(JOINTS) - lost


def test_an_upper_arm_alone_must_point_away_from_the_neck() -> None:
    for end, clear in ((20.5, True), (19.5, False), (-20.5, True), (-19.5, False)):  # the shoulder is 10 from the neck
        found = joints_of_sticks(changed(ul=(50 + end, 30, 40, 30), ll=HIDDEN))
        assert np.isfinite(found["right_shoulder"]).all() == np.isfinite(found["right_elbow"]).all() == clear
        if clear:
            assert found["right_shoulder"].tolist() == [40, 30] and found["right_elbow"].tolist() == [50 + end, 30]
        assert np.isnan(found["right_wrist"]).all()


def test_the_closest_ends_meet_however_close_the_next_ones_are() -> None:
    found = joints_of_sticks(changed(ul=(40, 30, 40, 60), ll=(35, 60, 32, 60)))  # gaps of 5 and 8
    assert found["right_shoulder"].tolist() == [40, 30]
    assert found["right_elbow"].tolist() == [37.5, 60] and found["right_wrist"].tolist() == [32, 60]
    folded = joints_of_sticks(changed(ul=(40, 30, 40, 60), ll=(45, 55, 45, 32)))  # gaps of 5.4 and 7.1: a hand raised
    assert folded["right_elbow"].tolist() == [42.5, 31] and folded["right_wrist"].tolist() == [45, 55]


def test_the_neck_is_the_torso_end_near_the_head_also_upside_down() -> None:
    for turn in (1, -1):
        found = joints_of_sticks(turn * STICKS)
        assert found["neck"].tolist() == [turn * 50, turn * 30]
    assert np.isnan(joints_of_sticks(changed(t=(50, 8, 50, 28)))["neck"]).all()  # both 10 from the head's centre
    assert np.isnan(joints_of_sticks(changed(t=(50, 18, 50, 18)))["neck"]).all()


numbers = st.floats(-500, 500).map(lambda x: round(x, 1))
stick = st.one_of(st.tuples(numbers, numbers, numbers, numbers), st.just(HIDDEN))
stickmen = st.lists(stick, min_size=6, max_size=6).map(lambda rows: np.array(rows, dtype=float))


@given(sticks=stickmen)
def test_a_mirror_swaps_sides_and_nothing_else(sticks: np.ndarray) -> None:
    mirrored = (sticks * [-1, 1, -1, 1])[[0, 2, 1, 4, 3, 5]]
    sides = {"left": "right", "right": "left"}
    for name, point in joints_of_sticks(sticks).items():
        side, _, rest = name.partition("_")
        other = f"{sides[side]}_{rest}" if rest else name
        np.testing.assert_array_equal(joints_of_sticks(mirrored)[other], point * [-1, 1])
    np.testing.assert_allclose(window_of_sticks(mirrored), window_of_sticks(sticks)[[2, 1, 0, 3]] * [-1, 1, -1, 1])


@given(sticks=stickmen)
def test_joints_come_from_the_ends_of_their_own_sticks(sticks: np.ndarray) -> None:
    found = joints_of_sticks(sticks)
    ends = sticks.reshape(6, 2, 2).tolist()
    own = {"neck": 0, "right_shoulder": 1, "left_shoulder": 2, "right_wrist": 3, "left_wrist": 4}
    for name, row in own.items():
        assert np.isnan(found[name]).all() or found[name].tolist() in ends[row]


def test_the_window_spans_head_and_upper_torso() -> None:
    # y from the head's top, 10, to the torso's centre, 55; 45 / 0.9 = 50 wide around 50
    np.testing.assert_allclose(window_of_sticks(STICKS), [25, 10, 75, 55])
    lying = changed(t=(0, 100, 40, 100), h=(60, 90, 70, 96))  # 10 high; x between 20 and 65
    np.testing.assert_allclose(window_of_sticks(lying), [42.5 - 10 / 1.8, 90, 42.5 + 10 / 1.8, 100])
    for none in (changed(t=HIDDEN), changed(h=HIDDEN), changed(t=(0, 5, 9, 5), h=(3, 5, 4, 5))):
        assert np.isnan(window_of_sticks(none)).all()
