"""What a file's predictions are compared with besides the ground truth, to find out if they are plausible.

That is the mean pose, the ground truth under the other convention of sides, and the sizes of the images.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.pack import PeopleColumns, columns_of, labels_of
from hmlpe.data.record import Person
from hmlpe.data.selection import DataSet, SelectedPerson
from hmlpe.data.sources.folder import FileSource
from hmlpe.data.sources.images import image_size
from hmlpe.data.sources.own import OwnSource
from hmlpe.errors import UserError
from hmlpe.evaluate.people import Truth, truth_of
from hmlpe.geometry import crop_to_image, image_to_crop

MAX_SIZES_READ = 200  # the largest number of images whose size is read


@dataclass(frozen=True, eq=False)
class Reference:
    """What predictions for the people of a `Truth` are compared with, besides that truth, in its order.

    Attributes:
        mean_pose_px: (person, joint, 2) the mean pose of the training people, placed in each person's box, in image
            pixels; NaN for a person without a box; None if there are no training people.
        other_sides: the ground truth under the other convention of sides; None if it is the same for all people.
        sides_differ: (person,) whether the person's labels differ between the two conventions.
        other_name: the name of the other convention, a value of the setting data.sides.
        sizes_px: (person, 2) width and height of the person's image; NaN where they are not known.
    """

    mean_pose_px: Float[np.ndarray, "person joint 2"] | None
    other_sides: Truth | None
    sides_differ: Bool[np.ndarray, " person"]
    other_name: str
    sizes_px: Float[np.ndarray, "person 2"]


def reference_of(data_set: DataSet, people: PeopleColumns, truth: Truth, sides: str, use_occluded: bool) -> Reference:
    """Return what a file's predictions for the test people of a data set are compared with.

    Args:
        data_set: the data set.
        people: its test people, as `people.annotated_test_people` gives them.
        truth: their ground truth.
        sides: the convention of sides of the ground truth.
        use_occluded: whether the ground truth includes occluded joints.
    """
    other_name = "person" if sides == "image" else "image"
    other = truth_of(people, truth.skeleton, other_name, use_occluded)
    sides_differ = ~np.isclose(other.joints_px, truth.joints_px, equal_nan=True).all((1, 2))
    return Reference(
        mean_pose_px=_mean_pose_in_boxes(data_set, truth, sides, use_occluded),
        other_sides=other if sides_differ.any() else None,
        sides_differ=sides_differ,
        other_name=other_name,
        sizes_px=_image_sizes(data_set, truth),
    )


def _mean_pose_in_boxes(
    data_set: DataSet, truth: Truth, sides: str, use_occluded: bool
) -> Float[np.ndarray, "person joint 2"] | None:
    """Return the training people's mean pose in each test person's box; None if there are no training people."""
    everyone = [(person, _box_or_nan(data_set, person)) for person in data_set.source.people()]
    members = [SelectedPerson(data_set, p, box) for p, box in everyone if p.split == "train" and np.isfinite(box).all()]
    if not members:
        return None
    columns = columns_of(members)
    joints = labels_of(columns, truth.skeleton, sides, use_occluded).joints_px
    shares = image_to_crop(joints, columns.box_px[:, None], 1)
    known = np.isfinite(shares).all(-1, keepdims=True)
    with np.errstate(invalid="ignore"):  # a joint that is never known stays NaN
        mean = np.where(known, shares, 0).sum(0) / known.sum(0)
    tested = np.stack([box for person, box in everyone if person.split == "test"])
    return crop_to_image(np.broadcast_to(mean, truth.joints_px.shape), tested[:, None], 1)


def _box_or_nan(data_set: DataSet, person: Person) -> Float[np.ndarray, " 4"]:
    """Return the person's box (x0, y0, x1, y1) in pixels; NaN if there is none, or if the record is faulty."""
    with suppress(UserError):  # a faulty record is no error here: the person has no box
        box = data_set.boxes.box_px(person)
        if box is not None:
            return box
    return np.full(4, np.nan)


def _image_sizes(data_set: DataSet, truth: Truth) -> Float[np.ndarray, "person 2"]:
    """Return width and height of each person's image; NaN where unknown, and beyond `MAX_SIZES_READ` images."""
    found = np.full((len(truth), 2), np.nan)
    if not isinstance(data_set.source, FileSource):
        return found
    for person in np.linspace(0, len(truth) - 1, min(MAX_SIZES_READ, len(truth))).astype(int):
        with suppress(UserError):  # a faulty image is no error here: only predictions are evaluated
            size = image_size(data_set.source.image_folder, truth.images[person])
            if size is not None:  # a user's own photo may be rotated when it is read: width and height may be exchanged
                found[person] = max(size) if isinstance(data_set.source, OwnSource) else size
    return found
