"""The ground truth of a data set's test people, and a method's predictions for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.pack import PeopleColumns, columns_of, labels_of
from hmlpe.data.record import Person
from hmlpe.data.selection import DataSet, SelectedPerson
from hmlpe.data.sources.sticks import ARMS
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

STICKS = ("torso", "left_upper_arm", "right_upper_arm", "left_lower_arm", "right_lower_arm", "head")
"""The sticks of the stickmen data sets, in the order of their files; left and right as seen in the image (FACTS 5)."""


@dataclass(frozen=True, eq=False)
class Truth:
    """The ground truth of the test people of one data set, in its order.

    Coordinates are image pixels, with pixel centres at integers, and NaN where unknown.

    Attributes:
        data: the name of the data set.
        skeleton: the skeleton of the joints.
        images: (person,) the name of the image; several people may be in one image.
        locations: (person,) where the person's record is in the annotation file, for messages.
        shots: (person,) the shot, or where it is unknown the image; people of one shot are not independent.
        joints_px: (person, joint, 2) the joints, under the convention of sides that the settings name.
        torso_px: (person,) the length that torso-normalised protocols divide by.
        window_px: (person, 4) the upper-body window around the true person (`record.Person.window_px`).
        sticks: the names of the sticks: the data set's own six, or the skeleton's parts.
        sticks_px: (person, stick, 2, 2) the two ends of each stick.
        free_ends: whether the order of a stick's two ends is arbitrary (as in the stickmen data sets).
    """

    data: str
    skeleton: Skeleton
    images: tuple[str, ...]
    locations: tuple[str, ...]
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
    def has_annotation(self) -> Bool[np.ndarray, " person"]:
        """Return a mask of the people with a known joint or stick; all other people are left out of the scores."""
        joints, sticks = np.isfinite(self.joints_px).all(-1), np.isfinite(self.sticks_px).all((-1, -2))
        return np.asarray(joints.any(-1) | sticks.any(-1))

    def shots_of(self, counted: Bool[np.ndarray, " person"]) -> list[str]:
        """Return the shot of each person who is scored, as `Bootstrap.draw` takes them.

        Args:
            counted: (person,) whether the person is scored.
        """
        return [shot for shot, counts in zip(self.shots, counted, strict=True) if counts]


def truth_of(people: PeopleColumns, skeleton: Skeleton, sides: str, use_occluded: bool) -> Truth:
    """Return the ground truth of people of one data set.

    Args:
        people: the people.
        skeleton: the skeleton of their joints.
        sides, use_occluded: see `data.pack.labels_of`.

    Raises:
        UserError: there are no people.
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
        locations=tuple(map(str, people.where)),
        shots=tuple(map(str, people.resampling_groups)),
        joints_px=labels.joints_px,
        torso_px=labels.torso_px,
        window_px=people.window_px,
        sticks=STICKS if has_sticks else tuple(skeleton.parts),
        sticks_px=own if has_sticks else part_ends_px(labels.joints_px, skeleton),
        free_ends=has_sticks,
    )


def part_ends_px(
    joints_px: Float[np.ndarray, "person joint 2"], skeleton: Skeleton
) -> Float[np.ndarray, "person part 2 2"]:
    """Return the pixel coordinates of the two ends of every part of the skeleton, which may have no parts."""
    return joints_px[:, np.array(skeleton.part_ends, dtype=np.int64).reshape(-1, 2)]


def annotated_test_people(data_set: DataSet) -> PeopleColumns:
    """Return all annotated test people of a data set, with or without an image. Raises UserError if there are none."""
    people: Sequence[Person] = [person for person in data_set.source.people() if person.split == "test"]
    if not people:
        raise UserError(f"{data_set.source.name}: the set has no test people")
    members = [SelectedPerson(data_set, person, np.full(4, np.nan)) for person in people]
    return columns_of(members)


@dataclass(frozen=True, eq=False)
class Estimates:
    """The predictions of one method for the people of a `Truth`, in its order; NaN where nothing is predicted.

    Attributes:
        joints_px: (person, joint, 2) in image pixels, in the skeleton's order and with the ground truth's sides; None:
            the method predicts sticks only.
        sticks_px: (person, stick, 2, 2) in the order of `Truth.sticks`.
        detected: (person,) whether the person detector found this person (IoU of the windows > 0.5), or a box was
            given.
        confidence: (person, joint) in [0, 1]; None if the method gives none.
        missing: a text that says what the predictions leave out, and what else a reader must know of them; may be
            empty.
        by_detector: whether `detected` is the result of a person detector, so that a detection rate makes sense; False
            if all boxes were given.
    """

    joints_px: Float[np.ndarray, "person joint 2"] | None
    sticks_px: Float[np.ndarray, "person stick 2 2"]
    detected: Bool[np.ndarray, " person"]
    confidence: Float[np.ndarray, "person joint"] | None = None
    missing: str = ""
    by_detector: bool = True


def sticks_from_joints(
    joints_px: Float[np.ndarray, "person joint 2"], truth: Truth
) -> Float[np.ndarray, "person stick 2 2"]:
    """Return the sticks named in `Truth.sticks`, in pixels, as the lines between predicted joints.

    For the six sticks of the stickmen data sets only those of the arms are made: torso and head stay NaN. Their left is
    the left side of the image, which is the person's right (FACTS 5).
    """
    if truth.sticks != STICKS:
        return part_ends_px(joints_px, truth.skeleton)
    found = np.full((len(joints_px), len(STICKS), 2, 2), np.nan)
    for side, (upper, lower) in ARMS.items():
        shoulder, elbow, wrist = (
            _joint_or_nan(joints_px, truth.skeleton, f"{side}_{j}") for j in ("shoulder", "elbow", "wrist")
        )
        found[:, upper] = np.stack([shoulder, elbow], axis=1)
        found[:, lower] = np.stack([elbow, wrist], axis=1)
    return found


def _joint_or_nan(
    joints_px: Float[np.ndarray, "person joint 2"], skeleton: Skeleton, name: str
) -> Float[np.ndarray, "person 2"]:
    """Return the coordinates of the named joint; NaN if the skeleton does not have it."""
    if name not in skeleton.joints:
        return np.full((len(joints_px), 2), np.nan)
    return joints_px[:, skeleton.joints.index(name)]


def estimates_from_joints(
    truth: Truth,
    joints_px: Float[np.ndarray, "person joint 2"],
    detected: Bool[np.ndarray, " person"] | None = None,
    confidence: Float[np.ndarray, "person joint"] | None = None,
    missing_note: str = "",
    by_detector: bool = True,
) -> Estimates:
    """Return the estimates of a method that predicts joints; the sticks lie between its joints.

    Args:
        truth: the ground truth of the people.
        joints_px: see `Estimates`.
        detected: see `Estimates`; None: every person for whom a joint is predicted.
        confidence, missing_note, by_detector: see `Estimates`.
    """
    if detected is None:
        detected = np.isfinite(joints_px).all(-1).any(-1)
    return Estimates(
        joints_px, sticks_from_joints(joints_px, truth), np.asarray(detected), confidence, missing_note, by_detector
    )
