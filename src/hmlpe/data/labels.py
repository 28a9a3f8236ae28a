"""The labels that training and protocols use, out of a pack's columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.pack import Columns
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Labels:
    """Joints as one convention of sides has them; NaN where a joint is unknown or not to be used.

    Attributes:
        joints_px: (person, joint, 2) image pixels.
        occluded: (person, joint) marked occluded, whether used or not.
        torso_px: (person,) the length that torso-normalised protocols divide by: |left shoulder - right hip| of these
            labels, but that the hips never change places (`record.Person.torso_swapped_px`).
        box_px: (person, 4) the crop's box in the image.
        attributes: (person, attribute) as the pack has them (`Pack.attributes`), NaN where unknown.
    """

    joints_px: Float[np.ndarray, "person joint 2"]
    occluded: Bool[np.ndarray, "person joint"]
    torso_px: Float[np.ndarray, " person"]
    box_px: Float[np.ndarray, "person 4"]
    attributes: Float[np.ndarray, "person attribute"]


def labels_of(people: Columns, skeleton: Skeleton, sides: str, use_occluded: bool) -> Labels:
    """Labels under a convention of sides.

    Args:
        sides: "person" keeps the person's left and right; "image" follows MODEC: left and right change places for
            people who face backwards, so that the labelled left lies on the image's right for everyone (FACTS 6).
        use_occluded: use joints that are marked occluded but have coordinates.

    Raises:
        UserError: another word for sides.
    """
    if sides not in ("image", "person"):
        raise UserError(f"data.sides: must be image or person, got {sides!r}")
    joints, occluded = people.joints_px.copy(), people.occluded.copy()
    if not use_occluded:
        joints[occluded] = np.nan
    torso = people.torso_px
    if sides == "image":
        swapped = people.faces_backwards
        joints[swapped] = joints[swapped][:, skeleton.mirror_order]
        occluded[swapped] = occluded[swapped][:, skeleton.mirror_order]
        torso = np.where(swapped, people.torso_swapped_px, torso)
    return Labels(joints, occluded, torso, people.box_px, people.attributes)
