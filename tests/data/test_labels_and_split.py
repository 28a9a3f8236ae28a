"""Labels under both conventions of sides, and the validation split by scenes."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Sequence
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.data import split
from hmlpe.data.leaks import NO_HASH
from hmlpe.data.pack import PeopleColumns, labels_of
from hmlpe.data.split import assign_scenes, check_validation_fraction, split_by_scene
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

NAN = float("nan")
HEAD, L_SHOULDER, NECK, R_SHOULDER, L_ELBOW, R_ELBOW, L_WRIST, R_WRIST = range(8)


@pytest.fixture
def people() -> PeopleColumns:
    """Person 0 faces the camera, person 1 does not; joint j of person p is at (100 p + j, 10 j)."""
    joints = np.stack([np.stack([100 * p + np.arange(8.0), 10 * np.arange(8.0)], axis=1) for p in range(2)])
    joints[0, L_ELBOW] = joints[1, R_ELBOW] = NAN
    occluded = np.zeros((2, 8), dtype=bool)
    occluded[:, L_WRIST] = True
    return PeopleColumns(
        set=np.array(["x", "y"]), image=np.array(["a", "b"]), where=np.array(["1", "2"]),
        split=np.array(["train", "test"]), identity=np.array(["", "ann"]), hash=np.array([1, 2], np.uint64),
        shot=np.array(["reel/1", ""]), crop_hash=np.zeros(2, np.uint64),
        joints_px=joints, occluded=occluded,
        box_px=np.array([[0.0, 1, 2, 3], [4, 5, 6, 7]]), detection_px=np.zeros((2, 4)), window_px=np.zeros((2, 4)),
        torso_px=np.array([50.0, 51]), torso_swapped_px=np.array([60.0, 61]), sticks_px=np.zeros((2, 0, 4)),
        faces_backwards=np.array([False, True]), attributes=np.array([[0.0, NAN], [1, 34]]),
    )  # fmt: skip


def test_image_sides_swap_who_faces_backwards_and_nobody_else(people: PeopleColumns, skeleton: Skeleton) -> None:
    labels = labels_of(people, skeleton, "image", True)
    np.testing.assert_array_equal(labels.joints_px[0], people.joints_px[0])
    x = labels.joints_px[1, :, 0]
    assert x[[HEAD, NECK]].tolist() == [100 + HEAD, 100 + NECK]
    assert x[[L_SHOULDER, R_SHOULDER]].tolist() == [100 + R_SHOULDER, 100 + L_SHOULDER]
    assert x[[L_WRIST, R_WRIST]].tolist() == [100 + R_WRIST, 100 + L_WRIST]
    np.testing.assert_array_equal(x[[L_ELBOW, R_ELBOW]], [NAN, 100 + L_ELBOW])
    assert labels.torso_px.tolist() == [50, 61]  # the swapped torso for the swapped person
    np.testing.assert_array_equal(labels.box_px, people.box_px)
    np.testing.assert_array_equal(labels.attributes, people.attributes)  # of the person, not of a side


def test_person_sides_keep_everything(people: PeopleColumns, skeleton: Skeleton) -> None:
    labels = labels_of(people, skeleton, "person", True)
    np.testing.assert_array_equal(labels.joints_px, people.joints_px)
    assert labels.torso_px.tolist() == [50, 51]
    np.testing.assert_array_equal(labels.attributes, people.attributes)


def test_occluded_joints_are_left_out_on_request_and_follow_the_swap(people: PeopleColumns, skeleton: Skeleton) -> None:
    used = {sides: labels_of(people, skeleton, sides, True).joints_px for sides in ("person", "image")}
    for sides, hidden in (("person", [L_WRIST, L_WRIST]), ("image", [L_WRIST, R_WRIST])):
        left_out = labels_of(people, skeleton, sides, False).joints_px
        expected = used[sides].copy()
        expected[[0, 1], hidden] = NAN
        np.testing.assert_array_equal(left_out, expected)
        assert np.isfinite(used[sides][[0, 1], hidden]).all()


@pytest.mark.parametrize("sides", ["person", "image"])
@pytest.mark.parametrize("use_occluded", [True, False])
def test_the_pack_is_not_changed(people: PeopleColumns, skeleton: Skeleton, sides: str, use_occluded: bool) -> None:
    before = people.joints_px.copy(), people.torso_px.copy()
    labels_of(people, skeleton, sides, use_occluded).joints_px[:] = 0
    np.testing.assert_array_equal(people.joints_px, before[0])
    np.testing.assert_array_equal(people.torso_px, before[1])


@pytest.mark.parametrize("sides", ["Image", "", "observer"])
def test_other_words_for_sides_are_refused(people: PeopleColumns, skeleton: Skeleton, sides: str) -> None:
    with pytest.raises(UserError, match=r"data\.sides"):
        labels_of(people, skeleton, sides, True)


def test_names_are_unique_in_the_pack(people: PeopleColumns) -> None:
    assert people.image_ids.tolist() == ["x/a", "y/b"]
    assert people.person_ids.tolist() == ["", "y/ann"]  # nobody knows who the first is
    assert people.shot_ids.tolist() == ["x/reel/1", ""]


# ---- scenes ----


def hashes_of(images: Sequence[str], bits: dict[str, int]) -> np.ndarray:
    return np.array([bits.get(image, int(NO_HASH)) for image in images], np.uint64)


def together(scene: np.ndarray) -> np.ndarray:
    """(row, row): of one scene? The numbers of the scenes do not matter."""
    return np.asarray(scene[:, None] == scene)


def joined(
    images: str, identities: str, bits: dict[str, int], distance: int | None, shots: str | None = None
) -> list[set[str]]:
    """The scenes as sets of images, by their first; an image a letter, an identity another or - for unknown."""
    who, what = (np.array([one.strip("-") for one in names or "-" * len(images)]) for names in (identities, shots))
    scene = assign_scenes(np.array(list(images)), who, hashes_of(images, bits), distance, None, what)
    found = ({image for image, one in zip(images, scene, strict=True) if one == number} for number in {*scene})
    return sorted(found, key=min)


def test_near_duplicates_are_of_one_scene_through_a_chain() -> None:
    bits = {"a": 0b1000_0001, "b": 0b1000_0011, "c": 0b1000_0111, "d": 0b1111_1000}  # a and c are 2 apart
    for order in permutations("abcd"):
        found = assign_scenes(np.array(order), np.array([""] * 4), hashes_of(order, bits), 1)
        for one, other in pairwise("abc"):
            assert found[order.index(one)] == found[order.index(other)]
        assert len({*found}) == 2 and found.dtype == np.int64


SAME = dict.fromkeys("abcd", 0b1011)


@pytest.mark.parametrize(
    ("images", "identities", "bits", "distance", "expected"),
    [
        ("abcd", "----", SAME, 0, ["abcd"]),
        ("abcd", "----", SAME, None, ["a", "b", "c", "d"]),  # only the very same image
        ("abcb", "----", SAME, None, ["a", "b", "c"]),
        ("abcd", "----", {}, 63, ["a", "b", "c", "d"]),  # without a hash nothing is near
        ("abcd", "----", {"a": 3, "b": 3}, 63, ["ab", "c", "d"]),
        ("abcd", "----", {"a": 1, "b": 3, "c": 7, "d": 15}, 0, ["a", "b", "c", "d"]),
        ("abcd", "x-x-", {}, None, ["ac", "b", "d"]),
        ("abcd", "xyxy", {}, 0, ["ac", "bd"]),
        ("abcd", "xxxx", {}, 0, ["abcd"]),
        ("abbc", "x-yy", {}, None, ["a", "bc"]),  # b's second person, not its first
        ("abbc", "xxyy", {}, None, ["abc"]),  # two people in one image join theirs
        ("abcd", "x-x-", {"c": 1, "d": 3}, 1, ["acd", "b"]),  # a person, then a near-duplicate
    ],
)
def test_who_is_of_one_scene(
    images: str, identities: str, bits: dict[str, int], distance: int | None, expected: list[str]
) -> None:
    assert joined(images, identities, bits, distance) == [set(scene) for scene in expected]


@pytest.mark.parametrize(
    ("identities", "bits", "shots", "expected"),
    [
        ("----", {}, "ss--", ["ab", "c", "d"]),  # whatever their hashes: they are unlike, or there are none
        ("----", {"a": 1, "b": 2**64 - 1}, "ss--", ["ab", "c", "d"]),
        ("----", {}, "stst", ["ac", "bd"]),
        ("-xx-", {}, "ss-t", ["abc", "d"]),  # a shot, then a person
        ("xy--", {}, "-xy-", ["a", "b", "c", "d"]),  # a shot of a person's name is not that person
        ("----", {"b": 1, "c": 3}, "ss--", ["abc", "d"]),
    ],
)
def test_images_of_one_shot_are_of_one_scene(
    identities: str, bits: dict[str, int], shots: str, expected: list[str]
) -> None:
    assert joined("abcd", identities, bits, 1, shots) == [set(scene) for scene in expected]


def test_where_the_camera_stands_still_the_crops_tell_scenes_apart() -> None:
    """Four images of one background; the crops of a and b are alike, and of d there is nothing to be seen."""
    images, nobody = np.array(list("abcd")), np.full(4, "")
    whole, crops = np.full(4, 5, np.uint64), np.array([0b11, 0b111, 2**63, NO_HASH], np.uint64)
    without_d = assign_scenes(images[:3], nobody[:3], whole[:3], 1, crops[:3])
    assert together(without_d)[0].tolist() == [True, True, False]
    assert len({*assign_scenes(images, nobody, whole, 1, crops)}) == 1


def test_many_people_in_the_same_two_images_join_them() -> None:
    images = np.array([image for image in "ab" for _ in range(256)])
    people = np.array([str(number) for _ in "ab" for number in range(256)])
    assert len({*assign_scenes(images, people, np.zeros(512, np.uint64), None)}) == 1


ROWS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["", "", "x", "y"])), min_size=1, max_size=10)
BITS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([0, 1, 3, 7, 15, 2**63, 2**64 - 1]))


@given(rows=ROWS, bits=BITS, distance=st.none() | st.integers(0, 3))
def test_scenes_agree_with_brute_force(rows: list[tuple[str, str]], bits: dict[str, int], distance: int | None) -> None:
    images, people = ([row[column] for row in rows] for column in (0, 1))

    def near(one: str, other: str) -> bool:
        both = bits.get(one, 0), bits.get(other, 0)
        return distance is not None and 0 not in both and (both[0] ^ both[1]).bit_count() <= distance

    expected = np.array([
        [a == b or (who != "" and who == other) or near(a, b) for b, other in rows] for a, who in rows
    ])  # fmt: skip
    for _ in rows:  # paths of twice the length each time
        expected = expected @ expected
    found = assign_scenes(np.array(images), np.array(people), hashes_of(images, bits), distance)
    np.testing.assert_array_equal(together(found), expected)
    back = assign_scenes(np.array(images[::-1]), np.array(people[::-1]), hashes_of(images[::-1], bits), distance)
    np.testing.assert_array_equal(together(back[::-1]), expected)


# ---- the split ----


def alone(images: Sequence[str]) -> np.ndarray:
    """Every image is a scene."""
    return np.unique(images, return_inverse=True)[1]


@st.composite
def rows_of_images(draw: st.DrawFn) -> list[str]:
    """Image names of rows; at least three images, some with several people, in any order."""
    counts = draw(st.lists(st.integers(1, 4), min_size=3, max_size=12))
    return draw(st.permutations([f"{index}.jpg" for index, count in enumerate(counts) for _ in range(count)]))


@st.composite
def rows_of_scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Image names of rows, and the numbers of their scenes, which may be any."""
    images = draw(rows_of_images())
    of = {image: draw(st.integers(-5, 5)) for image in sorted(set(images))}
    return np.array(images), np.array([of[image] for image in images])


@given(images=rows_of_images(), fraction=st.floats(0.2, 0.8), seed=st.integers(0, 2**32))
def test_no_image_is_on_both_sides(images: Sequence[str], fraction: float, seed: int) -> None:
    names = np.array(images)
    train, validation = split_by_scene(names, alone(names), fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(names)))
    assert not set(names[train]) & set(names[validation])
    assert (np.diff(train) > 0).all() and (np.diff(validation) > 0).all()
    assert len(set(names[validation])) == round(fraction * len(set(images)))


@given(images=rows_of_images(), fraction=st.floats(0.2, 0.8), seed=st.integers(0, 2**32))
def test_images_without_a_scene_are_drawn_by_their_names(images: Sequence[str], fraction: float, seed: int) -> None:
    """The rule before there were scenes, so that such packs keep their split."""
    names = np.unique(images)
    expected = np.random.default_rng(seed).permutation(names)[: round(fraction * len(names))]
    found = split_by_scene(np.array(images), alone(images), fraction, seed)[1]
    np.testing.assert_array_equal(found, np.flatnonzero(np.isin(images, expected)))


@given(rows=rows_of_scenes(), fraction=st.floats(0.2, 0.8), seed=st.integers(0, 2**32))
def test_no_scene_is_on_both_sides_and_as_much_validates_as_fits(
    rows: tuple[np.ndarray, np.ndarray], fraction: float, seed: int
) -> None:
    images, scene = rows
    sizes = {int(number): len(set(images[scene == number])) for number in scene}
    wanted = round(fraction * len(set(images)))
    if min(sizes.values()) > wanted:
        with pytest.raises(UserError, match=r"data\.validation\.fraction"):
            split_by_scene(images, scene, fraction, seed)
        return
    train, validation = split_by_scene(images, scene, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(images)))
    assert not set(scene[train]) & set(scene[validation]) and not set(images[train]) & set(images[validation])
    left = wanted - len(set(images[validation]))
    assert 0 <= left < min(sizes[int(number)] for number in scene[train])  # else one more would have fitted
    np.testing.assert_array_equal(split_by_scene(images, scene, fraction, seed)[1], validation)


@given(rows=rows_of_scenes(), seed=st.integers(0, 99), data=st.data())
def test_the_choice_does_not_depend_on_the_order_of_rows_or_the_numbers_of_scenes(
    rows: tuple[np.ndarray, np.ndarray], seed: int, data: st.DataObject
) -> None:
    images, scene = rows
    order = np.array(data.draw(st.permutations(range(len(images)))))
    number = dict(zip(range(-5, 6), data.draw(st.permutations(range(11))), strict=True))
    other = images[order], np.array([number[int(one)] for one in scene[order]])
    chosen = []
    for these, numbers in (rows, other):
        try:
            chosen.append(set(these[split_by_scene(these, numbers, 0.4, seed)[1]]))
        except UserError:
            chosen.append(set())
    assert chosen[0] == chosen[1]


def test_a_scene_that_is_too_large_trains_and_the_others_fill_the_share() -> None:
    images = np.array([f"{index:02}.jpg" for index in range(20)])
    scene = np.array([0] * 6 + [1] * 3 + list(range(2, 13)))
    drawn = [set(split_by_scene(images, scene, 0.25, seed)[1].tolist()) for seed in range(30)]
    assert all(len(rows) == 5 and not rows & set(range(6)) for rows in drawn)
    assert {len(rows & {6, 7, 8}) for rows in drawn} == {0, 3}


def test_the_seed_chooses() -> None:
    names = np.array([f"{index}.jpg" for index in range(100)])
    splits = [tuple(split_by_scene(names, alone(names), 0.1, seed)[1]) for seed in (0, 0, 1, 2)]
    assert splits[0] == splits[1] and len(set(splits)) == 3


@pytest.mark.parametrize("fraction", ["a", None, True, [0.1], 0, 1, NAN])
def test_a_fraction_is_a_number_between_0_and_1(fraction: Any) -> None:
    with pytest.raises(UserError, match=r"^data\.validation\.fraction: must be a number between 0 and 1, got "):
        check_validation_fraction(fraction)


@pytest.mark.parametrize("sizes", [[10, 10, 10], [1, 2], [104, 896], [1] * 29, [2, 2]])
@pytest.mark.parametrize("fraction", [0.001, 0.9999])
def test_a_refused_fraction_names_those_that_can_be(sizes: list[int], fraction: float) -> None:
    """Whole shots validate: the advice must work, whatever their sizes are."""
    scene = np.repeat(np.arange(len(sizes)), sizes)
    images = np.array([f"{number:04d}" for number in range(len(scene))])
    with pytest.raises(UserError, match=r"choose from [\d.]+ to [\d.]+") as raised:
        split_by_scene(images, scene, fraction, 0)
    advised = re.search(r"choose from ([\d.]+) to ([\d.]+)", str(raised.value))
    assert advised
    for value in map(float, advised.groups()):
        for seed in range(5):
            assert all(map(len, split_by_scene(images, scene, value, seed)))


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, NAN, 0.05, 0.95])
def test_a_split_without_images_is_refused(fraction: Any) -> None:
    with pytest.raises(UserError, match=r"data\.validation\.fraction"):
        split_by_scene(np.array(["a", "b", "c", "c"]), np.array([0, 1, 2, 2]), float(fraction), 0)


@pytest.mark.parametrize("images", ["aaa", "abc"])
def test_one_scene_cannot_be_split(images: str) -> None:
    with pytest.raises(UserError, match="fraction"):
        split_by_scene(np.array(list(images)), np.array([4, 4, 4]), 0.5, 0)


def test_a_film_whose_every_frame_is_alike_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pairs are some ten million; one other picture and one shot stand apart, and join as anywhere."""
    monkeypatch.setattr(split, "MOST_PAIRS", 2**17)
    images = np.array([f"s/{number:05d}.jpg" for number in range(4503)])
    hashes = np.full(4503, 5, np.uint64)
    hashes[4500:] = [2**60 - 1, 2**61 - 2, 2**62 - 4]
    shots = np.array([""] * 4501 + ["one", "one"])
    tracemalloc.start()
    found = assign_scenes(images, np.array([""] * 4503), hashes, 1, None, shots)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len({*found[:4500]}) == 1 and len({*found}) == 3 and found[4501] == found[4502]
    assert most < 200e6
