"""Answers that are not what they are taken for are doubted; good ones, and published ones, are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hmlpe.data.boxes import BoxRule
from hmlpe.data.record import Source
from hmlpe.data.selection import DataSet
from hmlpe.data.sources.buffy import BuffySource
from hmlpe.data.sources.flic import FlicSource
from hmlpe.data.sources.lsp import LspSource
from hmlpe.evaluate.people import STICKS, Estimates, Truth, annotated_test_people, estimates_from_joints, truth_of
from hmlpe.evaluate.plausible import plausibility_warnings
from hmlpe.evaluate.predictions import read_predictions
from hmlpe.evaluate.reference import Reference, reference_of

from .conftest import truth_like, upper_body

SKELETON = upper_body()
MIRROR = SKELETON.mirror_order
POSE = np.array([[0, -60], [40, 0], [0, 0], [-40, 0], [60, 50], [-55, 45], [50, 95], [-60, 100]], dtype=np.float64)
SIDE = 640.0
Points = np.ndarray


def people(count: int = 40) -> tuple[Truth, Reference]:
    """People of one pose, more or less, anywhere in images of 640 x 640, and their reference; the first ten face away.

    The convention is that of the image, as if the people had been turned round already.
    """
    rng = np.random.default_rng(0)
    centres = rng.uniform(120, 500, (count, 1, 2))
    joints = centres + POSE + rng.normal(0, 30, (count, 8, 2))
    truth = truth_like(count, joints_px=joints, torso_px=np.full(count, 120.0))
    truth = replace(truth, sticks_px=joints[:, SKELETON.part_ends])
    turned = joints.copy()
    turned[:10] = turned[:10][:, MIRROR]
    other = replace(truth, joints_px=turned, sticks_px=turned[:, SKELETON.part_ends])
    differ = np.arange(count) < 10
    return truth, Reference(centres + POSE, other, differ, "person", np.full((count, 2), SIDE))


def good(truth: Truth, noise: float = 5.0) -> Points:
    return truth.joints_px + np.random.default_rng(1).normal(0, noise, truth.joints_px.shape)


def with_zeros(points: Points) -> Points:
    points = points.copy()
    points[::4, 6] = 0
    return points


def one_for_two(points: Points) -> Points:
    points = points.copy()
    points[:, 6] = points[:, 4]
    return points


CHANGES: dict[str, tuple[Callable[[Points], Points], list[str]]] = {
    "nothing": (lambda points: points, []),
    "whole pixels": (np.round, []),
    "left and right": (lambda points: points[:, MIRROR], ["left and right seem to be exchanged"]),
    "x and y": (lambda points: points[..., ::-1], ["x and y seem to be exchanged"]),
    "one earlier": (lambda points: np.roll(points, 1, axis=0), ["the people seem to be shifted"]),
    "one later": (lambda points: np.roll(points, -1, axis=0), ["the people seem to be shifted"]),
    "zeros": (with_zeros, ["one point repeats: left_wrist is at (0, 0) in 10 of 40 people"]),
    "two joints": (
        one_for_two,
        ["one point repeats: left_elbow and left_wrist are at the same place in 40 of 40 people"],
    ),
    "three times as large": (
        lambda points: 3 * points,
        ["images of another size: 0 % of the points are near the truth, 100 % with x times 0.33", "points lie outside"],
    ),
    "of 256 x 192": (lambda points: points * [0.4, 0.3], ["x times 2.5 and y times 3.3"]),
    "another pose": (lambda points: points * 0 + 300 + POSE[::-1], ["worse than the mean pose", "one point repeats"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_changed_is_said_and_nothing_else(name: str) -> None:
    change, words = CHANGES[name]
    truth, reference = people()
    found = plausibility_warnings(
        truth, estimates_from_joints(truth, np.ascontiguousarray(change(good(truth)))), reference
    )
    assert len(found) == len(words), found
    assert all(word in doubt for word, doubt in zip(words, found, strict=True)), found
    assert not [doubt for doubt in found if "\n" in doubt]


def test_sticks_of_images_of_another_size_are_doubted_whatever_the_order_of_their_ends() -> None:
    truth, reference = people()
    free = replace(truth, free_ends=True)
    sticks = estimates_from_joints(truth, good(truth)).sticks_px[:, :, ::-1] / 2
    (doubt, *_) = plausibility_warnings(free, Estimates(None, sticks, np.ones(len(truth), dtype=bool)), reference)
    assert "x times 2 and y times 2" in doubt, doubt


def test_sides_of_the_other_convention_are_found_by_whose_labels_differ() -> None:
    """Ten of forty people: as a whole the file is better as it is than mirrored."""
    truth, reference = people()
    assert reference.other_sides is not None
    (doubt,) = plausibility_warnings(truth, estimates_from_joints(truth, good(reference.other_sides)), reference)
    assert "data.sides=person" in doubt and "for the 10 people whose labels differ" in doubt
    found = plausibility_warnings(
        truth, estimates_from_joints(truth, good(truth)), replace(reference, other_sides=None)
    )
    assert not found


def test_too_few_people_say_nothing() -> None:
    truth, reference = people(4)
    for change, _ in CHANGES.values():
        found = plausibility_warnings(
            truth, estimates_from_joints(truth, np.ascontiguousarray(change(good(truth)))), reference
        )
        assert not [doubt for doubt in found if "outside" not in doubt]


def test_a_poor_method_is_not_a_mistaken_one() -> None:
    """Half the arms anywhere, a third of the people missed, or a third of them mirrored by the method itself."""
    truth, reference = people()
    rng = np.random.default_rng(2)
    arms, missed, turned = good(truth), good(truth), good(truth)
    wild = rng.random((40, 4)) < 0.5
    arms[:, 4:][wild] += rng.normal(0, 80, (40, 4, 2))[wild]
    missed[::3] = np.nan
    turned[::3] = turned[::3][:, MIRROR]
    for points in (arms, missed, turned):
        assert plausibility_warnings(truth, estimates_from_joints(truth, points), reference) == []


# On real sets, and with the prediction files that are published with them.

RULES = {
    "buffy": (BuffySource, BoxRule("window", "detection", (1.7, 0, 2.2), 0.05)),
    "flic": (FlicSource, BoxRule("detection", "detection", (3.5, 1.75, 1.75), 0.05)),
    "lsp": (LspSource, BoxRule("truth", "detection", (1, 0, 0), 0.05, aspect=1.5)),
}
Known = Callable[[str], tuple[Truth, Reference]]


@pytest.fixture(scope="module")
def known(real_data: Path) -> Known:
    found: dict[str, tuple[Truth, Reference]] = {}

    def of(name: str) -> tuple[Truth, Reference]:
        if name not in found:
            if not (real_data / name).is_dir():
                pytest.skip(f"no real {name}: {real_data / name} is not a folder")
            reader, rule = RULES[name]
            source: Source = reader(str(real_data / name), SKELETON)
            one = DataSet(source, rule)
            tested = annotated_test_people(one)
            truth = truth_of(tested, SKELETON, "image", True)
            found[name] = truth, reference_of(one, tested, truth, "image", True)
        return found[name]

    return of


@pytest.mark.real
@pytest.mark.parametrize("file", ["techrep2010_buffy_results.mat", "BMVC09best256_buffy_results.mat"])
def test_published_files_are_not_doubted_but_when_they_are_changed(real_data: Path, known: Known, file: str) -> None:
    """Frames of one shot are much alike: half of the sticks are near the truth with people shifted by one."""
    truth, reference = known("buffy")
    found = read_predictions(real_data / "buffy" / file, truth, None)
    assert plausibility_warnings(truth, found, reference) == []
    arms = [f"{side}_{part}_arm" for part in ("upper", "lower") for side in ("right", "left")]
    order = [STICKS.index(name) for name in ("torso", *arms, "head")]
    changes: dict[str, Callable[[Points], Points]] = {
        "left and right": lambda sticks: sticks[:, order],
        "x and y": lambda sticks: sticks[..., ::-1],
        "shifted": lambda sticks: np.roll(sticks, 1, axis=0),
        "another size": lambda sticks: sticks * 2,
        "mean pose": lambda sticks: sticks + np.array([200, -100]),
    }
    for word, change in changes.items():
        changed = Estimates(None, np.ascontiguousarray(change(found.sticks_px)), found.detected)
        said = plausibility_warnings(truth, changed, reference)
        assert said and word in said[0], (word, said)


@pytest.mark.real
@pytest.mark.parametrize("name", ["buffy", pytest.param("flic", marks=pytest.mark.slow), "lsp"])
def test_good_answers_for_real_people_are_not_doubted(known: Known, name: str) -> None:
    """Noise of a quarter of the people's spread, as numbers and as whole pixels; and the mean pose is no worse."""
    truth, reference = known(name)
    spread = float(np.nanmedian(np.nanstd(truth.joints_px, axis=1)))
    points = good(truth, spread / 4)
    for answers in (points, np.round(points)):
        assert plausibility_warnings(truth, estimates_from_joints(truth, answers), reference) == []
    assert reference.mean_pose_px is not None
    assert plausibility_warnings(truth, estimates_from_joints(truth, reference.mean_pose_px), reference) == []


@pytest.mark.real
@pytest.mark.parametrize("name", [pytest.param("flic", marks=pytest.mark.slow), "lsp"])
def test_real_people_seen_from_behind_tell_the_sides(known: Known, name: str) -> None:
    truth, reference = known(name)
    assert reference.other_sides is not None and reference.sides_differ.sum() == {"flic": 48, "lsp": 331}[name]
    said = plausibility_warnings(truth, estimates_from_joints(truth, good(reference.other_sides)), reference)
    assert len(said) == 1 and "data.sides=person" in said[0]
