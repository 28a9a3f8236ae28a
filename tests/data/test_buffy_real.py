"""The real Buffy Stickmen: counts, the detector's known answer, and joints found again in another way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from hmlpe.data.leaks import image_hash, nearest_test_rows
from hmlpe.data.record import Person
from hmlpe.data.sources.buffy import BuffySource
from hmlpe.data.split import assign_scenes, split_by_scene
from hmlpe.skeleton import Skeleton

pytestmark = pytest.mark.real

SIDES = {"left": "right", "right": "left"}  # of the image -> of the person


@pytest.fixture(scope="module")
def buffy(real_data: Path, skeleton: Skeleton) -> BuffySource:
    if not (real_data / "buffy").is_dir():
        pytest.skip(f"no real Buffy: {real_data / 'buffy'} is not a folder")
    return BuffySource(str(real_data / "buffy"), skeleton)


@pytest.fixture(scope="module")
def people(buffy: BuffySource) -> Sequence[Person]:
    return buffy.people()


def frame_of(person: Person) -> tuple[int, int]:
    """Episode and frame, out of the image's name."""
    return int(person.image[len("buffy_s5e")]), int(person.image[-len("000063.jpg") : -len(".jpg")])


def test_counts(buffy: BuffySource, people: Sequence[Person]) -> None:
    assert len(people) == len({p.image for p in people}) == len({p.where.rsplit("/")[-1] for p in people}) == 748
    assert Counter(p.split for p in people) == {"train": 472, "test": 276}
    assert Counter(frame_of(p)[0] for p in people) == {2: 76, 3: 376, 4: 96, 5: 108, 6: 92}
    assert {frame_of(p)[0] for p in people if p.split == "train"} == {3, 4}
    assert buffy.missing_images() == []
    assert buffy.image(people[0].image).shape == (405, 720, 3)
    assert all(np.isfinite(p.sticks_px).all() and np.isfinite(p.window_px).all() for p in people)


def test_the_detector_finds_263_of_the_276_test_people(people: Sequence[Person]) -> None:
    """FACTS 6: detection rate 0.9529."""
    found = [p for p in people if np.isfinite(p.detection_px).all()]
    assert Counter(p.split for p in found) == {"test": 263}
    for person in found:  # their IoU once more, from lengths
        (ax, ay, bx, by), (cx, cy, dx, dy) = person.detection_px, person.window_px
        common = (min(bx, dx) - max(ax, cx)) * (min(by, dy) - max(ay, cy))
        assert common / ((bx - ax) * (by - ay) + (dx - cx) * (dy - cy) - common) > 0.5


def test_sides(people: Sequence[Person], skeleton: Skeleton) -> None:
    """Left and right were as seen in the image, and are the person's now: the left is on the image's right."""
    for joint, share in (("shoulder", 1), ("elbow", 1), ("wrist", 0.93)):
        left, right = skeleton.indices([f"left_{joint}", f"right_{joint}"])
        pairs = [(p.joints_px[left, 0], p.joints_px[right, 0]) for p in people]
        known = [pair for pair in pairs if not np.isnan(pair).any()]
        assert len(known) > 700 and np.mean([a > b for a, b in known]) >= share


def test_joints_lie_where_they_should(people: Sequence[Person], skeleton: Skeleton) -> None:
    (neck,) = skeleton.indices(["neck"])
    turned = {frame_of(p) for p in people if p.joints_px[neck, 1] > p.sticks_px[0, [1, 3]].mean()}
    assert turned == {(3, 54579), (3, 54581), (3, 54582), (3, 54583)}  # upside down; all other torsos are upright
    for person in people:
        joints = person.joints_px[np.isfinite(person.joints_px).all(axis=1)]
        assert (joints > -2).all() and (joints < [721, 406]).all()


def records(folder: Path) -> dict[tuple[int, int], list[list[complex]]]:
    """(episode, frame) -> the ends of every stick as complex numbers, straight from the text."""
    found = {}
    for path in sorted((folder / "data").glob("*_sticks.txt")):
        words = path.read_text(encoding="ascii").split()
        for i in range(0, len(words), 25):
            x = [float(word) - 1 for word in words[i + 1 : i + 25]]
            ends = [[complex(*x[j : j + 2]), complex(*x[j + 2 : j + 4])] for j in range(0, 24, 4)]
            found[int(path.name[len("buffy_s5e")]), int(words[i])] = ends
    return found


def arms_the_other_way(ends: list[list[complex]]) -> dict[str, tuple[complex, ...]]:
    """Person's side -> shoulder, elbow, wrist: of the four ways to lay out an arm the one with the smallest gap."""
    arms = {}
    for side, upper, lower in (("left", ends[1], ends[3]), ("right", ends[2], ends[4])):
        ways = [(*one, *two) for one, two in product((upper, upper[::-1]), (lower, lower[::-1]))]
        shoulder, a, b, wrist = min(ways, key=lambda way: abs(way[1] - way[2]))
        arms[SIDES[side]] = (shoulder, (a + b) / 2, wrist)
    return arms


def test_joints_are_found_again_by_brute_force(real_data: Path, people: Sequence[Person], skeleton: Skeleton) -> None:
    truth = records(real_data / "buffy")
    assert len(truth) == len(people) == 748
    for person in people:
        ends = truth[frame_of(person)]
        joints = dict(zip(skeleton.joints, (complex(x, y) for x, y in person.joints_px), strict=True))
        assert abs(joints["head"] - sum(ends[5]) / 2) < 1
        assert abs(joints["neck"] - min(ends[0], key=lambda end: abs(end - sum(ends[5]) / 2))) < 1
        for side, arm in arms_the_other_way(ends).items():
            found = [joints[f"{side}_{joint}"] for joint in ("shoulder", "elbow", "wrist")]
            assert all(abs(a - b) < 1 for a, b in zip(found, arm, strict=True))


def test_validation_by_image_alone_would_leak(buffy: BuffySource, people: Sequence[Person]) -> None:
    """The figures of docs/data.md: near-duplicates of training images among the validation images."""
    images = np.array([f"buffy/{p.image}" for p in people if p.split == "train"])
    hashes = np.array([image_hash(buffy.image(name.removeprefix("buffy/"))) for name in images])
    nobody = np.full(len(images), "")
    found = {}
    for distance in (None, 8):
        train, validation = split_by_scene(images, assign_scenes(images, nobody, hashes, distance), 0.1, 0)
        found[distance] = (len(validation), int((nearest_test_rows(hashes[validation], hashes[train], 8) >= 0).sum()))
    assert found == {None: (47, 29), 8: (47, 0)}
