"""Labels under both conventions of sides, and the validation split by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.data.labels import labels_of
from hmlpe.data.pack import Columns
from hmlpe.data.split import split_by_image
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

NAN = float("nan")
HEAD, L_SHOULDER, NECK, R_SHOULDER, L_ELBOW, R_ELBOW, L_WRIST, R_WRIST = range(8)


@pytest.fixture
def people() -> Columns:
    """Person 0 faces the camera, person 1 does not; joint j of person p is at (100 p + j, 10 j)."""
    joints = np.stack([np.stack([100 * p + np.arange(8.0), 10 * np.arange(8.0)], axis=1) for p in range(2)])
    joints[0, L_ELBOW] = joints[1, R_ELBOW] = NAN
    occluded = np.zeros((2, 8), dtype=bool)
    occluded[:, L_WRIST] = True
    return Columns(
        set=np.array(["x", "y"]), image=np.array(["a", "b"]), where=np.array(["1", "2"]),
        split=np.array(["train", "test"]), joints_px=joints, occluded=occluded,
        box_px=np.array([[0.0, 1, 2, 3], [4, 5, 6, 7]]), detection_px=np.zeros((2, 4)), window_px=np.zeros((2, 4)),
        torso_px=np.array([50.0, 51]), torso_swapped_px=np.array([60.0, 61]), sticks_px=np.zeros((2, 0, 4)),
        faces_backwards=np.array([False, True]),
    )  # fmt: skip


def test_image_sides_swap_who_faces_backwards_and_nobody_else(people: Columns, skeleton: Skeleton) -> None:
    labels = labels_of(people, skeleton, "image", True)
    np.testing.assert_array_equal(labels.joints_px[0], people.joints_px[0])
    x = labels.joints_px[1, :, 0]
    assert x[[HEAD, NECK]].tolist() == [100 + HEAD, 100 + NECK]
    assert x[[L_SHOULDER, R_SHOULDER]].tolist() == [100 + R_SHOULDER, 100 + L_SHOULDER]
    assert x[[L_WRIST, R_WRIST]].tolist() == [100 + R_WRIST, 100 + L_WRIST]
    np.testing.assert_array_equal(x[[L_ELBOW, R_ELBOW]], [NAN, 100 + L_ELBOW])
    assert labels.torso_px.tolist() == [50, 61]  # the swapped torso for the swapped person
    np.testing.assert_array_equal(labels.box_px, people.box_px)


def test_person_sides_keep_everything(people: Columns, skeleton: Skeleton) -> None:
    labels = labels_of(people, skeleton, "person", True)
    np.testing.assert_array_equal(labels.joints_px, people.joints_px)
    assert labels.torso_px.tolist() == [50, 51]


def test_occluded_joints_are_left_out_on_request_and_follow_the_swap(people: Columns, skeleton: Skeleton) -> None:
    used = {sides: labels_of(people, skeleton, sides, True).joints_px for sides in ("person", "image")}
    for sides, hidden in (("person", [L_WRIST, L_WRIST]), ("image", [L_WRIST, R_WRIST])):
        left_out = labels_of(people, skeleton, sides, False).joints_px
        expected = used[sides].copy()
        expected[[0, 1], hidden] = NAN
        np.testing.assert_array_equal(left_out, expected)
        assert np.isfinite(used[sides][[0, 1], hidden]).all()


@pytest.mark.parametrize("sides", ["person", "image"])
@pytest.mark.parametrize("use_occluded", [True, False])
def test_the_pack_is_not_changed(people: Columns, skeleton: Skeleton, sides: str, use_occluded: bool) -> None:
    before = people.joints_px.copy(), people.torso_px.copy()
    labels_of(people, skeleton, sides, use_occluded).joints_px[:] = 0
    np.testing.assert_array_equal(people.joints_px, before[0])
    np.testing.assert_array_equal(people.torso_px, before[1])


@pytest.mark.parametrize("sides", ["Image", "", "observer"])
def test_other_words_for_sides_are_refused(people: Columns, skeleton: Skeleton, sides: str) -> None:
    with pytest.raises(UserError, match=r"data\.sides"):
        labels_of(people, skeleton, sides, True)


@st.composite
def rows_of_images(draw: st.DrawFn) -> list[str]:
    """Image names of rows; at least three images, some with several people, in any order."""
    counts = draw(st.lists(st.integers(1, 4), min_size=3, max_size=12))
    return draw(st.permutations([f"{index}.jpg" for index, count in enumerate(counts) for _ in range(count)]))


@given(images=rows_of_images(), fraction=st.floats(0.2, 0.8), seed=st.integers(0, 2**32))
def test_no_image_is_on_both_sides(images: Sequence[str], fraction: float, seed: int) -> None:
    names = np.array(images)
    train, validation = split_by_image(names, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(names)))
    assert not set(names[train]) & set(names[validation])
    assert (np.diff(train) > 0).all() and (np.diff(validation) > 0).all()
    assert len(set(names[validation])) == round(fraction * len(set(images)))


@given(images=rows_of_images(), seed=st.integers(0, 99), data=st.data())
def test_the_choice_does_not_depend_on_the_order_of_rows(images: list[str], seed: int, data: st.DataObject) -> None:
    other = data.draw(st.permutations(images))
    chosen = [set(np.array(rows)[split_by_image(np.array(rows), 0.4, seed)[1]]) for rows in (images, other)]
    assert chosen[0] == chosen[1]


def test_the_seed_chooses() -> None:
    names = np.array([f"{index}.jpg" for index in range(100)])
    splits = [tuple(split_by_image(names, 0.1, seed)[1]) for seed in (0, 0, 1, 2)]
    assert splits[0] == splits[1] and len(set(splits)) == 3


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, NAN, 0.05, 0.95])
def test_a_split_without_images_is_refused(fraction: Any) -> None:
    with pytest.raises(UserError, match=r"data\.validation\.fraction"):
        split_by_image(np.array(["a", "b", "c", "c"]), float(fraction), 0)


def test_one_image_cannot_be_split() -> None:
    with pytest.raises(UserError, match="fraction"):
        split_by_image(np.array(["a", "a", "a"]), 0.5, 0)
