"""What a file's answers are held against beside the truth: the mean pose, the other sides, the images' sizes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.pack import Columns, columns_of, labels_of
from hmlpe.data.record import Person
from hmlpe.data.selection import DataSet, Member
from hmlpe.data.sources.folder import FileSource
from hmlpe.data.sources.images import image_size
from hmlpe.data.sources.own import OwnSource
from hmlpe.errors import UserError
from hmlpe.evaluate.people import Truth, truth_of
from hmlpe.geometry import crop_to_image, image_to_crop

LOOKED_AT = 200  # images whose size is read


@dataclass(frozen=True, eq=False)
class Reference:
    """Beside a `Truth`, in its order.

    Attributes:
        mean_pose_px: (person, joint, 2) the training people's mean pose in each person's box, NaN without a box; None
            if there are no training people.
        other_sides: the truth under the other convention of sides; None if nobody's labels differ.
        differ: (person,) whose labels differ in it.
        other_name: of the other convention.
        sizes_px: (person, 2) width and height of the image, NaN where they are not known.
    """

    mean_pose_px: Float[np.ndarray, "person joint 2"] | None
    other_sides: Truth | None
    differ: Bool[np.ndarray, " person"]
    other_name: str
    sizes_px: Float[np.ndarray, "person 2"]


def reference_of(one: DataSet, people: Columns, truth: Truth, sides: str, use_occluded: bool) -> Reference:
    """The reference of a set's test people (`truth.annotated`), whose truth has these sides."""
    other_name = "person" if sides == "image" else "image"
    other = truth_of(people, truth.skeleton, other_name, use_occluded)
    differ = ~np.isclose(other.joints_px, truth.joints_px, equal_nan=True).all((1, 2))
    return Reference(
        mean_pose_px=_mean_pose(one, truth, sides, use_occluded),
        other_sides=other if differ.any() else None,
        differ=differ,
        other_name=other_name,
        sizes_px=_sizes(one, truth),
    )


def _mean_pose(
    one: DataSet, truth: Truth, sides: str, use_occluded: bool
) -> Float[np.ndarray, "person joint 2"] | None:
    everyone = [(person, _box(one, person)) for person in one.source.people()]
    members = [Member(one, p, box) for p, box in everyone if p.split == "train" and np.isfinite(box).all()]
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


def _box(one: DataSet, person: Person) -> Float[np.ndarray, " 4"]:
    with suppress(UserError):  # of an odd record: here it only has no box
        box = one.boxes.box_px(person)
        if box is not None:
            return box
    return np.full(4, np.nan)


def _sizes(one: DataSet, truth: Truth) -> Float[np.ndarray, "person 2"]:
    found = np.full((len(truth), 2), np.nan)
    if not isinstance(one.source, FileSource):
        return found
    for person in np.linspace(0, len(truth) - 1, min(LOOKED_AT, len(truth))).astype(int):
        with suppress(UserError):  # it is not the images that are evaluated
            size = image_size(one.source.image_folder, truth.images[person])
            if size is not None:  # a photo of one's own may be turned when it is read
                found[person] = max(size) if isinstance(one.source, OwnSource) else size
    return found
