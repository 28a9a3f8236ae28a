"""Annotated people for tests of predictions: with sticks, as Buffy's, and with joints alone, as FLIC's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from hmlpe.data.sources.sticks import joints_of_sticks, window_of_sticks
from hmlpe.errors import UserError
from hmlpe.evaluate.people import Truth

from .conftest import truth_like, upper_body

SKELETON = upper_body()
MAN = np.array(  # torso, left and right upper arm, left and right lower arm, head
    [
        [100, 60, 100, 120], [80, 62, 72, 90], [120, 62, 131, 91], [72, 90, 80, 118], [131, 91, 124, 117],
        [100, 30, 101, 55],
    ],
    dtype=np.float64,
)  # fmt: skip
IMAGES = (  # 000020.jpg is the name of two images, the first of two people
    "buffy_s5e2_original/000010.jpg",
    "buffy_s5e2_original/000020.jpg",
    "buffy_s5e2_original/000020.jpg",
    "buffy_s5e5_original/000020.jpg",
)
SHIFTS = (0, 0, 300, 40)  # of MAN, to the right


def man(person: int) -> np.ndarray:
    """(6, 4) the true sticks of a person, pixels counted from 0."""
    return MAN + np.array([SHIFTS[person], 0] * 2)


def stick_truth() -> Truth:
    sticks = [man(person) for person in range(len(IMAGES))]
    joints = [joints_of_sticks(one) for one in sticks]
    return truth_like(
        len(IMAGES),
        sticks=True,
        data="buffy",
        images=IMAGES,
        locations=tuple(f"sticks.txt, line {i}" for i in range(len(IMAGES))),
        joints_px=np.array([[one[name] for name in SKELETON.joints] for one in joints]),
        torso_px=np.full(len(IMAGES), np.nan),
        window_px=np.stack([window_of_sticks(one) for one in sticks]),
        sticks_px=np.stack(sticks).reshape(-1, 6, 2, 2),
    )


def joint_truth(people: int = 3, windows: bool = False) -> Truth:
    """One person an image."""
    joints = np.random.default_rng(0).integers(0, 200, (people, 8, 2)).astype(np.float64)
    return truth_like(
        people,
        data="flic",
        images=tuple(f"film-{i:03d}.jpg" for i in range(people)),
        locations=tuple(f"examples.mat, record {7 * i}" for i in range(people)),
        joints_px=joints,
        window_px=np.tile([10.0, 20, 90, 110], (people, 1)) if windows else np.full((people, 4), np.nan),
        sticks_px=joints[:, SKELETON.part_ends],
    )


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def stick_lines(truth: Truth, people: Sequence[int], more: Callable[[int], str] = lambda person: "") -> list[str]:
    """Lines `image,person,joint,x,y` of the true sticks' ends; `more` ends every line of a person."""
    return [
        f"{truth.images[person]},{truth.images[:person].count(truth.images[person]) + 1},{name}_{end + 1},{x},{y}"
        f"{more(person)}"
        for person in people
        for name, stick in zip(truth.sticks, truth.sticks_px[person].tolist(), strict=True)
        for end, (x, y) in enumerate(stick)
    ]


def joint_lines(truth: Truth, people: Sequence[int]) -> list[str]:
    return [
        f"{truth.images[person]},1,{joint},{x},{y}"
        for person in people
        for joint, (x, y) in zip(truth.skeleton.joints, truth.joints_px[person].tolist(), strict=True)
    ]


def refusal(call: Callable[[], object]) -> str:
    """The one line in which a call is refused."""
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)
