"""Convert stickmen to people; and the base of readers of stickman sets that are one text file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import ClassVar, cast, get_args

import numpy as np
from jaxtyping import Float

from hmlpe.data.record import Person, Split
from hmlpe.data.sources.folder import FolderSource, checked_image_name
from hmlpe.data.sources.stickmen import Stickman, read_stickmen
from hmlpe.data.sources.sticks import JOINTS, MEANINGS, joints_of_sticks, window_of_sticks
from hmlpe.errors import UserError
from hmlpe.files import digest_of
from hmlpe.skeleton import Skeleton

UNKNOWN = np.full(2, np.nan)


def person_of_stickman(
    stickman: Stickman, split: Split, skeleton: Skeleton, detection_px: Float[np.ndarray, " 4"] | None = None
) -> Person:
    """Convert a stickman to a person; joints that the sticks do not determine are NaN, possibly all of them.

    The sticks stay as in the file: left and right as seen in the image, the two ends in any order. Hips are not
    annotated, so `torso_px` is NaN. Who is seen from behind is not annotated either, so `faces_backwards` is False.
    """
    joints = joints_of_sticks(stickman.sticks_px)
    return Person(
        image=stickman.image,
        where=stickman.where,
        split=split,
        joints_px=np.stack([joints.get(joint, UNKNOWN) for joint in skeleton.joints]),
        occluded=np.zeros(len(skeleton.joints), dtype=bool),  # a hidden stick has no coordinates
        detection_px=np.full(4, np.nan) if detection_px is None else detection_px,
        torso_px=float("nan"),
        sticks_px=stickman.sticks_px,
        faces_backwards=False,
        window_px=window_of_sticks(stickman.sticks_px),
    )


class StickSet(FolderSource):
    """Base of readers of a set of stickmen in one text file that has no split of its own.

    Args:
        root: the set's folder.
        skeleton: the joints to fill.
        split: the split of all people, "train" or "test".

    Raises:
        UserError: the folder, skeleton or split is invalid.
    """

    file: ClassVar[str]  # the annotation file, relative to root
    header_counts: ClassVar[Collection[int]]  # how many numbers may follow the name in a header line
    known_joints = frozenset(JOINTS)
    meanings = MEANINGS

    def __init__(self, root: str | None, skeleton: Skeleton, split: str = "train") -> None:
        super().__init__(root, skeleton)
        if split not in get_args(Split):
            raise UserError(f"data.source.split: must be train or test, got {split!r}")
        self.split = cast(Split, split)

    def annotation_files(self) -> list[Path]:
        """Return the annotation file, as a list of one."""
        return [self.root / self.file]

    def read(self) -> list[Person]:
        """Read all people, in the file's order. Raises UserError, with file and line, for invalid data."""
        return [person_of_stickman(stickman, self.split, self.skeleton) for stickman in self.stickmen()]

    def stickmen(self) -> list[Stickman]:
        """Read the annotated stickmen, in the file's order."""
        (path,) = self.annotation_files()
        return read_stickmen(path, self.header_counts, self.to_image_name)

    def to_image_name(self, name: str, where: str) -> str:
        """Convert the name in a header line to the image's name, relative to the image folder.

        Raises:
            UserError: the image would be outside the image folder.
        """
        return checked_image_name(name, where)

    def labels_digest(self) -> str:
        """Return a digest of the annotation file's bytes and the split."""
        return digest_of([super().labels_digest(), self.split])
