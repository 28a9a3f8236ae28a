"""The annotated people of a test set, and what a method says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.pack import Columns, columns_of, labels_of
from hmlpe.data.record import Person
from hmlpe.data.selection import DataSet, Member
from hmlpe.data.sources.sticks import ARMS
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

STICKS = ("torso", "left_upper_arm", "right_upper_arm", "left_lower_arm", "right_lower_arm", "head")
"""The sticks of the sets of stickmen, in their files' order; left and right as seen in the image (FACTS 5)."""


@dataclass(frozen=True, eq=False)
class Truth:
    """Test people of one set, in its order. Coordinates are image pixels, pixel centres at integers, NaN where unknown.

    Attributes:
        data: name of the set.
        skeleton: of the joints.
        images: (person,) name of the image; people of one image share it.
        wheres: (person,) the record in its annotation file, for messages.
        shots: (person,) the same for people who are not independent: of one shot, or where it is unknown of one image.
        joints_px: (person, joint, 2) under the convention of sides that the protocol names.
        torso_px: (person,) the length that torso-normalised protocols divide by.
        window_px: (person, 4) the upper-body window of the true person (`record.Person.window_px`).
        sticks: names of the sticks: the set's own six, or the skeleton's parts.
        sticks_px: (person, stick, 2, 2).
        free_ends: which end of a stick comes first says nothing (the sets of stickmen).
    """

    data: str
    skeleton: Skeleton
    images: tuple[str, ...]
    wheres: tuple[str, ...]
    shots: tuple[str, ...]
    joints_px: Float[np.ndarray, "person joint 2"]
    torso_px: Float[np.ndarray, " person"]
    window_px: Float[np.ndarray, "person 4"]
    sticks: tuple[str, ...]
    sticks_px: Float[np.ndarray, "person stick 2 2"]
    free_ends: bool

    def __len__(self) -> int:
        return len(self.images)

    @property
    def known(self) -> Bool[np.ndarray, " person"]:
        """Of whom a joint or a stick is known: the others count in no share."""
        joints, sticks = np.isfinite(self.joints_px).all(-1), np.isfinite(self.sticks_px).all((-1, -2))
        return np.asarray(joints.any(-1) | sticks.any(-1))

    def shots_of(self, counted: Bool[np.ndarray, " person"]) -> list[str]:
        """The shots of those people who count."""
        return [shot for shot, counts in zip(self.shots, counted, strict=True) if counts]


def truth_of(people: Columns, skeleton: Skeleton, sides: str, use_occluded: bool) -> Truth:
    """The truth of people of one set (`labels.labels_of` for sides and use_occluded).

    Raises:
        UserError: there is nobody.
    """
    if not len(people.image):
        raise UserError("there are no test people to score")
    labels = labels_of(people, skeleton, sides, use_occluded)
    own = people.sticks_px[:, : len(STICKS)].reshape(len(people.image), -1, 2, 2)
    has_sticks = own.shape[1] == len(STICKS) and bool(np.isfinite(own).any())
    return Truth(
        data=str(people.set[0]),
        skeleton=skeleton,
        images=tuple(map(str, people.image)),
        wheres=tuple(map(str, people.where)),
        shots=tuple(map(str, people.resampling_groups)),
        joints_px=labels.joints_px,
        torso_px=labels.torso_px,
        window_px=people.window_px,
        sticks=STICKS if has_sticks else tuple(skeleton.parts),
        sticks_px=own if has_sticks else parts_of(labels.joints_px, skeleton),
        free_ends=has_sticks,
    )


def parts_of(
    joints_px: Float[np.ndarray, "person joint 2"], skeleton: Skeleton
) -> Float[np.ndarray, "person part 2 2"]:
    """The two ends of every part of the skeleton, which may have none."""
    return joints_px[:, np.array(skeleton.part_ends, dtype=np.int64).reshape(-1, 2)]


def annotated(one: DataSet) -> Columns:
    """Every annotated test person of a set, with or without an image. Raises UserError if it has none."""
    people: Sequence[Person] = [person for person in one.source.people() if person.split == "test"]
    if not people:
        raise UserError(f"{one.source.name}: the set has no test people")
    members = [Member(one, person, np.full(4, np.nan)) for person in people]
    return columns_of(members)


@dataclass(frozen=True, eq=False)
class Estimates:
    """One method's answers, a row for each person of a `Truth`, in its order; NaN where there is none.

    Attributes:
        joints_px: (person, joint, 2) in image pixels, in the skeleton's order and the truth's sides; None: the method
            gives sticks alone.
        sticks_px: (person, stick, 2, 2) in the order of `Truth.sticks`.
        detected: (person,) the person detector found this person (IoU of the windows > 0.5), or boxes were given.
        confidence: (person, joint) in [0, 1]; None if the method gives none.
        by_detector: `detected` is what a person detector found, so that its rate is a number; else boxes were given.
        missing: what the file leaves out, and what else a reader must know of its answers, in words; empty if nothing.
    """

    joints_px: Float[np.ndarray, "person joint 2"] | None
    sticks_px: Float[np.ndarray, "person stick 2 2"]
    detected: Bool[np.ndarray, " person"]
    confidence: Float[np.ndarray, "person joint"] | None = None
    missing: str = ""
    by_detector: bool = True


def sticks_of(joints_px: Float[np.ndarray, "person joint 2"], truth: Truth) -> Float[np.ndarray, "person stick 2 2"]:
    """The truth's sticks between estimated joints. Of a set's own six, the arms alone: torso and head stick stay NaN.

    The set's left is the image's left, which is the person's right (FACTS 5).
    """
    if truth.sticks != STICKS:
        return parts_of(joints_px, truth.skeleton)
    found = np.full((len(joints_px), len(STICKS), 2, 2), np.nan)
    for side, (upper, lower) in ARMS.items():
        shoulder, elbow, wrist = (
            _joint(joints_px, truth.skeleton, f"{side}_{j}") for j in ("shoulder", "elbow", "wrist")
        )
        found[:, upper] = np.stack([shoulder, elbow], axis=1)
        found[:, lower] = np.stack([elbow, wrist], axis=1)
    return found


def _joint(
    joints_px: Float[np.ndarray, "person joint 2"], skeleton: Skeleton, name: str
) -> Float[np.ndarray, "person 2"]:
    if name not in skeleton.joints:
        return np.full((len(joints_px), 2), np.nan)
    return joints_px[:, skeleton.joints.index(name)]


def of_joints(
    truth: Truth,
    joints_px: Float[np.ndarray, "person joint 2"],
    detected: Bool[np.ndarray, " person"] | None = None,
    confidence: Float[np.ndarray, "person joint"] | None = None,
    missing: str = "",
    by_detector: bool = True,
) -> Estimates:
    """Estimates of a method that gives joints.

    Args:
        detected: None: everyone who has a joint.
    """
    if detected is None:
        detected = np.isfinite(joints_px).all(-1).any(-1)
    return Estimates(joints_px, sticks_of(joints_px, truth), np.asarray(detected), confidence, missing, by_detector)
