"""Training people who leak: what counts as the same picture, and which reason is given."""

from __future__ import annotations

import io
import itertools
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagehash
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jaxtyping import Int, UInt8
from PIL import Image

from hmlpe.data import leaks
from hmlpe.data.leaks import (
    IN_TEST,
    NEAR_DUPLICATE,
    NO_HASH,
    SAME_PERSON,
    SAME_SHOT,
    check_max_bits,
    crop_hashes_if_static_camera,
    image_hash,
    leak_reasons,
    near_duplicate_pairs,
    nearest_test_rows,
)
from hmlpe.data.sources.images import read_image
from hmlpe.errors import UserError
from hmlpe.geometry import crop_resized

Picture = UInt8[np.ndarray, "height width 3"]
DISTANCE = 8
NAN = float("nan")
SEEDS = st.integers(0, 2**32 - 1)


def picture(seed: int, size: tuple[int, int] = (180, 120)) -> Picture:
    """A picture of its own for every seed, with as much detail as the hash sees."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return resized(coarse, size, Image.Resampling.BICUBIC)


def resized(image: Picture, size: tuple[int, int], how: Image.Resampling = Image.Resampling.BOX) -> Picture:
    return np.asarray(Image.fromarray(image).resize(size, how))


def pairs_of(*hashes_distance_crops: Any) -> Int[np.ndarray, "pair 2"]:
    return np.concatenate([np.zeros((0, 2), np.int64), *near_duplicate_pairs(*hashes_distance_crops)])


def encoded_again(image: Picture) -> Picture:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "jpeg", quality=50)
    return np.asarray(Image.open(stream))


def bits_between(a: np.uint64, b: np.uint64) -> int:
    return (int(a) ^ int(b)).bit_count()


def hashes(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "the same": np.copy,
    "encoded again": encoded_again,
    "smaller": lambda image: resized(image, (90, 60)),
    "larger": lambda image: resized(image, (270, 180), Image.Resampling.BICUBIC),
    "other proportions": lambda image: resized(image, (150, 150), Image.Resampling.BICUBIC),
    "brighter": lambda image: (image * 0.7 + 60).astype(np.uint8),
    "darker": lambda image: (image * 0.4).astype(np.uint8),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@given(seed=SEEDS)
def test_a_picture_is_found_again(change: Callable[[Picture], Picture], seed: int) -> None:
    assert bits_between(image_hash(picture(seed)), image_hash(change(picture(seed)))) <= DISTANCE // 2


@given(seed=SEEDS, other=SEEDS)
def test_another_picture_is_not_found(seed: int, other: int) -> None:
    assume(seed != other)
    one, two = image_hash(picture(seed)), image_hash(picture(other))
    assert bits_between(one, two) > DISTANCE


@pytest.mark.parametrize("turned", [np.fliplr, np.flipud], ids=["mirrored", "upside down"])
def test_a_turned_picture_is_another(turned: Callable[[Picture], Picture]) -> None:
    assert bits_between(image_hash(picture(1)), image_hash(np.ascontiguousarray(turned(picture(1))))) > DISTANCE


@given(seed=SEEDS)
def test_a_hash_has_half_of_its_bits_and_the_highest(seed: int) -> None:
    found = image_hash(picture(seed))
    assert isinstance(found, np.uint64) and int(found).bit_count() == 32 and int(found) >> 63 == 1


def test_bits_are_in_the_library_s_order() -> None:
    thumbnail = np.repeat(resized(picture(5), (32, 32))[:, :, :1], 3, axis=2)  # grey, of the size that is hashed
    assert f"{image_hash(thumbnail):016x}" == str(imagehash.phash(Image.fromarray(thumbnail)))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (20, 30), (33, 31), (2000, 10)])
def test_any_size_can_be_hashed(size: tuple[int, int]) -> None:
    assert (image_hash(picture(3, size)) == NO_HASH) == (size == (1, 1))


def flat(grey: int, noise: float = 0, bars: int = 0) -> Picture:
    """A frame without a picture, maybe with the bars of a wide-screen film above and below."""
    frame = grey + np.random.default_rng(grey).normal(0, noise, (120, 180, 3))
    frame[:bars] = frame[len(frame) - bars :] = 0
    return frame.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("bars", [0, 15, 29])
@pytest.mark.parametrize("noise", [0, 2])
def test_flat_frames_have_no_hash_and_are_no_duplicates(noise: float, bars: int) -> None:
    frames = [flat(grey, noise, bars) for grey in (0, 3, 128, 255)]
    found = hashes(*(int(image_hash(frame)) for frame in frames))
    assert (found == NO_HASH).all()
    assert nearest_test_rows(found, found, leaks.BITS - 1).tolist() == [-1] * 4
    assert pairs_of(found, leaks.BITS - 1).shape == (0, 2)


def test_a_dark_picture_has_a_hash() -> None:
    dark = (picture(2) * 0.1).astype(np.uint8)
    assert dark.max() < 26 and bits_between(image_hash(dark), image_hash(picture(2))) <= DISTANCE


def test_the_nearest_within_the_distance_is_given() -> None:
    test = hashes(0b1111_0000, NO_HASH, 0b1111_1110, 0b1111_1111)
    train = hashes(0b1111_1111, 0b1111_1100, 0b1111_0011, 0b1, NO_HASH, 0b1000_0000)
    assert nearest_test_rows(train, test, 0).tolist() == [3, -1, -1, -1, -1, -1]
    assert nearest_test_rows(train, test, 1).tolist() == [3, 2, -1, -1, -1, -1]
    assert nearest_test_rows(train, test, 2).tolist() == [
        3,
        2,
        0,
        -1,
        -1,
        -1,
    ]  # row 2 is as near to 3, which comes later
    assert nearest_test_rows(train, test, 3).tolist() == [3, 2, 0, -1, -1, 0]
    assert nearest_test_rows(train, test, 63).tolist() == [3, 2, 0, 0, -1, 0]


FEW = hnp.arrays(np.uint64, st.integers(0, 12), elements=st.sampled_from([0, 1, 3, 7, 2**63, 2**63 + 1, 2**64 - 1]))
ANY = hnp.arrays(np.uint64, st.integers(0, 12))


@given(train=FEW | ANY, test=FEW | ANY, distance=st.integers(0, 63), cells=st.integers(1, 40))
def test_chunks_agree_with_brute_force(train: np.ndarray, test: np.ndarray, distance: int, cells: int) -> None:
    expected = []
    for one in train:
        apart = [bits_between(one, two) if one and two else 99 for two in test]
        near = [row for row, bits in enumerate(apart) if bits <= distance and bits == min(apart)]
        expected.append(near[0] if near else -1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaks, "PAIRS_AT_ONCE", cells)
        assert nearest_test_rows(train, test, distance).tolist() == expected


def test_pairs_within_the_distance_are_given_once() -> None:
    found = hashes(0b1111, NO_HASH, 0b1111, 0b0111, NO_HASH, 0b0001)
    assert pairs_of(found, 0).tolist() == [[0, 2]]
    assert sorted(pairs_of(found, 1).tolist()) == [[0, 2], [0, 3], [2, 3]]
    assert sorted(pairs_of(found, 2).tolist()) == [[0, 2], [0, 3], [2, 3], [3, 5]]


@given(found=FEW | ANY, distance=st.integers(0, 63), cells=st.integers(1, 40))
def test_pairs_agree_with_brute_force(found: np.ndarray, distance: int, cells: int) -> None:
    rows = [row for row, one in enumerate(found) if one]
    expected = [[a, b] for a, b in itertools.combinations(rows, 2) if bits_between(found[a], found[b]) <= distance]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaks, "PAIRS_AT_ONCE", cells)
        pairs = pairs_of(found, distance)
    assert pairs.dtype == np.int64 and pairs.shape == (len(expected), 2) and sorted(pairs.tolist()) == expected


def test_memory_stays_small() -> None:
    train, test = np.random.default_rng(0).integers(1, 2**64, (2, 10_000), dtype=np.uint64)
    train[-1] = train[3] = test[17]
    tracemalloc.start()
    try:
        found, pairs = nearest_test_rows(train, test, 0), pairs_of(train, 0)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert found[-1] == found[3] == 17 and pairs.tolist() == [[3, 9999]]


@pytest.mark.parametrize("distance", [-1, 64, 1000])
def test_a_distance_is_a_number_of_bits(distance: int) -> None:
    with pytest.raises(UserError, match=rf"near_duplicates.*{distance}$"):
        nearest_test_rows(hashes(1), hashes(1), distance)
    with pytest.raises(UserError, match=rf"near_duplicates.*{distance}$"):
        pairs_of(hashes(), distance)


@pytest.mark.parametrize("distance", [True, False, 8.0, NAN, "8", [8], -1, 64])
def test_a_distance_is_a_whole_number(distance: object) -> None:
    with pytest.raises(UserError, match=r"^data\.near_duplicates: must be null or 0 to 63 bits, got"):
        check_max_bits(distance)


@pytest.mark.parametrize("distance", [None, 0, 63])
def test_no_distance_is_one_too(distance: int | None) -> None:
    check_max_bits(distance)


A, B, C, FAR = 0b1111, 0b0111, 0b0011, 2**64 - 1
PEOPLE = [  # image, split, identity, hash
    ("film/1", "test", "", A), ("film/1", "train", "ann", A), ("film/2", "train", "ann", B),
    ("film/2", "train", "", B), ("film/3", "train", "ann", FAR), ("film/4", "test", "ann", 2**63),
    ("film/5", "train", "bob", FAR), ("play/1", "train", "ann", FAR), ("play/2", "train", "", C),
    ("play/3", "train", "", 0), ("play/4", "test", "", 0),
]  # fmt: skip


def reasons(people: list[tuple[str, str, str, int]], distance: int | None) -> list[str]:
    images, splits, identities, found = zip(*people, strict=True)
    return leak_reasons(images, splits, identities, hashes(*found), distance)


def test_the_first_reason_that_holds_is_given() -> None:
    twin = f"{NEAR_DUPLICATE}: film/1"
    assert reasons(PEOPLE, 1) == ["", IN_TEST, twin, twin, f"{SAME_PERSON}: ann", "", "", "", "", "", ""]
    assert reasons(PEOPLE, 2) == ["", IN_TEST, twin, twin, f"{SAME_PERSON}: ann", "", "", "", twin, "", ""]


def test_without_a_distance_nothing_is_compared() -> None:
    ann = f"{SAME_PERSON}: ann"
    assert reasons(PEOPLE, None) == ["", IN_TEST, ann, "", ann, "", "", "", "", "", ""]


def test_without_test_people_nobody_leaks() -> None:
    assert reasons([person for person in PEOPLE if person[1] == "train"], 63) == [""] * 8
    assert leak_reasons([], [], [], hashes(), 8) == []


def test_shots_of_test_people_leak_on_wish() -> None:
    """Of one set: another film may name its shots alike. The other reasons come first."""
    rows = [  # image, split, identity, hash, shot
        ("film/1", "test", "", A, "reel"), ("film/2", "train", "", FAR, "reel"), ("film/3", "train", "", B, "reel"),
        ("film/4", "train", "", FAR, "other"), ("film/5", "train", "", FAR, ""), ("play/1", "train", "", FAR, "reel"),
        ("play/2", "test", "", 0, ""),
    ]  # fmt: skip
    images, splits, identities, found, shots = zip(*rows, strict=True)
    left_out = leak_reasons(images, splits, identities, hashes(*found), 1, shots=shots)
    assert left_out == ["", f"{SAME_SHOT}: reel", f"{NEAR_DUPLICATE}: film/1", "", "", "", ""]
    assert leak_reasons(images, splits, identities, hashes(*found), 1)[1] == ""


# ---- a camera that stands still ----

STILL = 40  # images of one background


def still_camera(moves: bool, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, hashes of images and of crops of an animal before one background, that sits or moves; at times blotched.

    The animal is 7 % of the picture's width, blotches of its own are painted over it in every image.
    """
    rng = np.random.default_rng(seed)
    background = cv2.resize(
        rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC
    )
    whole, crops = [], []
    for _ in range(STILL):
        x, y = rng.integers((60, 60), (260, 180)).tolist() if moves else (160, 120)
        image = background.copy()
        cv2.ellipse(image, (x, y), (12, 7), float(rng.uniform(0, 180)) if moves else 30.0, 0, 360, (40, 30, 20), -1)
        for dx, dy in rng.integers(-12, 13, (4, 2)).tolist() if moves else []:
            cv2.circle(image, (x + dx, y + dy), 4, rng.integers(0, 256, 3).tolist(), -1)
        image = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
        whole.append(image_hash(image))
        crops.append(image_hash(crop_resized(image, np.array([x - 18.0, y - 18, x + 18, y + 18]), 128)))
    return [f"lab/{number:03}" for number in range(STILL)], np.array(whole), np.array(crops)


def left_out(images: list[str], whole: np.ndarray, crops: np.ndarray | None, distance: int = DISTANCE) -> int:
    """How many of the training people, of whom every fifth is a test person."""
    splits = ["test" if row % 5 == 0 else "train" for row in range(len(images))]
    found = leak_reasons(images, splits, [""] * len(images), whole, distance, crops)
    return sum(reason != "" for reason in found)


def test_the_hash_sees_more_than_the_background_of_a_camera_that_stands_still() -> None:
    images, whole, crops = still_camera(moves=True)
    assert left_out(images, whole, None) == 32  # all: the whole picture's hash is the background's
    asked = crop_hashes_if_static_camera(images, whole, crops, DISTANCE)
    assert (asked == crops).all() and left_out(images, whole, asked) <= 3
    sitting = still_camera(moves=False)
    assert (
        left_out(*sitting[:2], crop_hashes_if_static_camera(*sitting, DISTANCE)) == 32
    )  # nothing of it changes: they are duplicates


def test_crops_are_asked_only_where_the_camera_stands_still() -> None:
    """Nine of a shot are no camera that stands still; neither is a tenth in another set, nor are 4 % of a large set."""
    same, rng = np.uint64(0b1011), np.random.default_rng(1)
    others = rng.integers(1, 2**64, 300, dtype=np.uint64)
    crops = np.arange(1, 311, dtype=np.uint64)
    for name, alike, asked in (("lab", 11, True), ("lab", 10, False), ("of two", 11, False), ("film", 11, False)):
        of_lab = {"film": 300}.get(name, 11)
        whole = others[:of_lab].copy()
        whole[:alike] = same
        images = [f"{'other' if name == 'of two' and row % 2 else 'lab'}/{row:03}" for row in range(of_lab)]
        found = crop_hashes_if_static_camera(images, whole, crops[:of_lab], DISTANCE)
        assert (found[:alike] == (crops[:alike] if asked else leaks.NO_HASH)).all(), name
    assert not crop_hashes_if_static_camera(["lab/1"] * 20, np.full(20, same), crops[:20], None).any()


def test_near_is_who_is_near_in_both() -> None:
    """Row 0 is near to test row 0 as a picture, to test row 1 as a crop too; NO_HASH asks no crop."""
    train, test = hashes(0b111, 0b111, 0b111), hashes(0b111, 0b1111)
    crops = hashes(1, 2**63, 0), hashes(2**40 - 1, 0b11)
    assert nearest_test_rows(train, test, 1, crops).tolist() == [1, -1, 0]
    assert nearest_test_rows(train, test, 1).tolist() == [0, 0, 0]
    assert pairs_of(train, 1, crops[0]).tolist() == [[0, 2], [1, 2]]


@given(
    people=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 6), st.sampled_from(["train", "test"]), st.sampled_from("-xy")),
        min_size=1,
    ),
    distance=st.none() | st.integers(0, 2),
)
def test_who_remains_shares_nothing_with_the_test_set(
    people: list[tuple[str, int, str, str]], distance: int | None
) -> None:
    rows = [(f"{name}/{number}", split, who.strip("-"), number) for name, number, split, who in people]
    found = reasons(rows, distance)
    tests = [row for row in rows if row[1] == "test"]
    for row, reason in zip(rows, found, strict=True):
        image, split, who, number = row
        near = distance is not None and any(
            number and other[3] and bits_between(np.uint64(number), np.uint64(other[3])) <= distance for other in tests
        )
        seen = any(who and who == other[2] and image[0] == other[0][0] for other in tests)
        leaking = split == "train" and (any(image == other[0] for other in tests) or near or seen)
        assert bool(reason) == leaking


@pytest.mark.real
@pytest.mark.parametrize(
    ("train", "test", "same"),
    [
        ("flic/images/irma-la-douce-00157231.jpg", "flic/images/irma-la-douce-00157331.jpg", True),
        ("flic/images/goldeneye-00074261.jpg", "flic/images/goldeneye-00074471.jpg", True),
        ("lsp/images/im0371.jpg", "lsp/images/im1622.jpg", True),
        ("lsp/images/im0210.jpg", "lsp/images/im1100.jpg", True),
        ("flic/images/battle-cry-00135611.jpg", "flic/images/monster-in-law-d1-00123881.jpg", False),  # 10 bits
        ("lsp/images/im0215.jpg", "lsp/images/im1033.jpg", False),  # 10 bits
    ],
)
def test_real_pairs(real_data: Path, train: str, test: str, same: bool) -> None:
    one, two = (image_hash(read_image(real_data, name)) for name in (train, test))
    assert (bits_between(one, two) <= DISTANCE) == same
