"""What the two Leeds sets share: one matrix of joints beside images of one person each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.record import Person, Split
from hmlpe.data.sources.folder import LARGEST_PX, FolderSource
from hmlpe.data.sources.images import image_size
from hmlpe.data.sources.matlab import read_struct_array
from hmlpe.errors import UserError

JOINTS = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
    *("neck", "head_top"),
)


class LeedsSource(FolderSource):
    """What the two sets share."""

    knows = frozenset({*JOINTS, "head"})
    meanings: ClassVar[Mapping[str, str]] = {"head": "the middle of neck and head top"}
    axes: ClassVar[tuple[int, int]]  # of the matrix, before the axis of people
    other: ClassVar[str]  # the reader of the other set
    image_digits: ClassVar[int]
    hidden_flag: ClassVar[int]  # what the flag of an occluded joint is
    _empty = 0

    def annotations(self) -> list[Path]:
        """The one annotation file."""
        return [self.root / "joints.mat"]

    def read(self) -> list[Person]:
        """All people with a known joint, in the file's order. Raises UserError naming file, person and joint."""
        (path,) = self.annotations()
        people = [self._person(path, i, one) for i, one in enumerate(self._matrix(path), start=1)]
        known = [person for person in people if np.isfinite(person.joints_px).any()]
        self._empty = len(people) - len(known)
        return known

    def skipped(self) -> Mapping[str, int]:
        """How many people have none of the skeleton's joints."""
        self.people()
        return {"no joint is known": self._empty} if self._empty else {}

    def split(self, number: int) -> Split:
        """The split of the person of that number, counted from 1."""
        return "train"

    def _matrix(self, path: Path) -> Float[np.ndarray, "person 14 3"]:
        try:
            matrix = np.asarray(read_struct_array(path, "joints"))  # a list along the first axis
        except ValueError:  # of unequal things
            matrix = np.zeros((), dtype=object)
        if matrix.ndim == 2:  # one person: MATLAB drops axes of length 1 at the end
            matrix = matrix[..., None]
        if matrix.ndim == 3 and matrix.shape[:2] == self.axes[::-1]:
            raise UserError(
                f"{path}: this is the other Leeds set, by the order of its axes; its reader is {self.other}"
            )
        if matrix.dtype.kind not in "iuf" or matrix.ndim != 3 or matrix.shape[:2] != self.axes or not matrix.size:
            wanted, got = (" x ".join(map(str, shape)) for shape in ((*self.axes, "people"), matrix.shape))
            raise UserError(
                f"{path}: 'joints' must be numbers, {wanted}, got {matrix.dtype}, {got or 'no matrix'}; fetch it again"
            )
        return np.moveaxis(matrix.astype(np.float64), (2, self.axes.index(14)), (0, 1))

    def _person(self, path: Path, number: int, labels: Float[np.ndarray, "14 3"]) -> Person:
        where = f"{path}, person {number}"
        xy, hidden = self._points(labels, where)
        points = {name: (xy[row], bool(hidden[row])) for row, name in enumerate(JOINTS)}
        points["head"] = ((xy[-2] + xy[-1]) / 2, bool(hidden[-2:].any()))  # middle of neck and head top (FACTS 5)
        joints = [points.get(name, (np.full(2, np.nan), False)) for name in self.skeleton.joints]
        image = f"im{number:0{self.image_digits}d}.jpg"
        size = image_size(self.image_folder, image)
        left, right, hip = (points[name][0] for name in ("left_shoulder", "right_shoulder", "right_hip"))
        return Person(
            image=image,
            where=where,
            split=self.split(number),
            joints_px=np.stack([point for point, _ in joints]),
            occluded=np.array([occluded for _, occluded in joints]),
            detection_px=np.full(4, np.nan) if size is None else np.array([0, 0, *size]) - 0.5,  # all of it (FACTS 5)
            torso_px=float(np.linalg.norm(left - hip)),
            torso_swapped_px=float(np.linalg.norm(right - hip)),
            sticks_px=np.zeros((0, 4)),
            faces_backwards=bool(left[0] < right[0]),
        )

    def _points(
        self, labels: Float[np.ndarray, "14 3"], where: str
    ) -> tuple[Float[np.ndarray, "14 2"], Bool[np.ndarray, " 14"]]:
        xy, flags = labels[:, :2] - 1, labels[:, 2]
        unknown = np.isnan(xy).all(axis=1)
        for name, point, flag, nowhere in zip(JOINTS, xy, flags, unknown, strict=True):
            if flag not in (0, 1):
                raise UserError(f"{where}: the flag of {name} must be 0 or 1, got {flag:g}")
            if not nowhere and not (np.abs(point) <= LARGEST_PX).all():
                raise UserError(f"{where}: {name} must lie in an image, or be NaN NaN, got {(point + 1).tolist()}")
        return xy, flags == self.hidden_flag
