"""Leeds Sports Pose, and its extended training set.

LSP: Johnson & Everingham, Clustered Pose and Nonlinear Appearance Models for Human Pose Estimation, BMVC 2010; at
sam.johnson.io/research/lsp.html. Extended: Johnson & Everingham, Learning Effective Human Pose Estimation from
Inaccurate Annotation, CVPR 2011; at sam.johnson.io/research/lspet.html. No licence is stated; the photographs belong to
Flickr users, whom LSP's files name. Cite the paper.

Both are distributed as `joints.mat` (matrix `joints`) beside `images/`, with one person per image, which is cropped
around the person. Joints are person-centric; coordinates are MATLAB's, 1-based, and are converted to 0-based.
The two sets differ in the order of the axes, the meaning of the flag and the number of digits in the images' names.
"""

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
from hmlpe.files import digest_of
from hmlpe.skeleton import Skeleton

JOINTS = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
    *("neck", "head_top"),
)


class LeedsSource(FolderSource):
    """Base of the readers of LSP and LSP extended."""

    known_joints = frozenset({*JOINTS, "head"})
    meanings: ClassVar[Mapping[str, str]] = {"head": "the middle of neck and head top"}
    axes: ClassVar[tuple[int, int]]  # shape of the matrix without its last axis, that of people
    other: ClassVar[str]  # name of the reader of the other set
    image_digits: ClassVar[int]
    hidden_flag: ClassVar[int]  # value of the flag of an occluded joint
    _empty = 0

    def annotation_files(self) -> list[Path]:
        """Return the annotation file, as a list of one."""
        return [self.root / "joints.mat"]

    def read(self) -> list[Person]:
        """Read all people with a known joint, in the file's order.

        Raises:
            UserError: the file is missing or damaged, of the other Leeds set, or a flag or coordinate is not valid; the
                message names the file and, if possible, the person and joint.
        """
        (path,) = self.annotation_files()
        people = [self._to_person(path, i, one) for i, one in enumerate(self._read_matrix(path), start=1)]
        known = [person for person in people if np.isfinite(person.joints_px).any()]
        self._empty = len(people) - len(known)
        return known

    def skipped(self) -> Mapping[str, int]:
        """Return reason -> number of people who are left out: those without any of the skeleton's joints."""
        self.people()
        return {"no joint is known": self._empty} if self._empty else {}

    def split_of_person(self, number: int) -> Split:
        """Return the split of the person with this number, counted from 1; all are training people by default."""
        return "train"

    def _read_matrix(self, path: Path) -> Float[np.ndarray, "person 14 3"]:
        """Read the matrix of all people's joints, each as x, y and flag, in MATLAB's 1-based pixels."""
        try:
            matrix = np.asarray(read_struct_array(path, "joints"))  # a list along the first axis
        except ValueError:  # the elements differ in shape
            matrix = np.zeros((), dtype=object)
        if matrix.ndim == 2:  # one person: MATLAB drops axes of length 1 at the end
            matrix = matrix[..., None]
        if matrix.ndim == 3 and matrix.shape[:2] == self.axes[::-1]:
            raise UserError(
                f"{path}: by the order of its axes, this is the other Leeds set; its reader is {self.other}"
            )
        if matrix.dtype.kind not in "iuf" or matrix.ndim != 3 or matrix.shape[:2] != self.axes or not matrix.size:
            wanted, got = (" x ".join(map(str, shape)) for shape in ((*self.axes, "people"), matrix.shape))
            raise UserError(
                f"{path}: 'joints' must be numbers, {wanted}, got {matrix.dtype}, {got or 'no matrix'}; fetch it again"
            )
        return np.moveaxis(matrix.astype(np.float64), (2, self.axes.index(14)), (0, 1))

    def _to_person(self, path: Path, number: int, labels: Float[np.ndarray, "14 3"]) -> Person:
        """Convert the joints (x, y, flag) of the person with this number, counted from 1, to a `Person`."""
        where = f"{path}, person {number}"
        xy, hidden = self._parse_joints(labels, where)
        points = {name: (xy[row], bool(hidden[row])) for row, name in enumerate(JOINTS)}
        points["head"] = ((xy[-2] + xy[-1]) / 2, bool(hidden[-2:].any()))  # middle of neck and head top (FACTS 5)
        joints = [points.get(name, (np.full(2, np.nan), False)) for name in self.skeleton.joints]
        image = f"im{number:0{self.image_digits}d}.jpg"
        size = image_size(self.image_folder, image)
        left, right, hip = (points[name][0] for name in ("left_shoulder", "right_shoulder", "right_hip"))
        return Person(
            image=image,
            where=where,
            split=self.split_of_person(number),
            joints_px=np.stack([point for point, _ in joints]),
            occluded=np.array([occluded for _, occluded in joints]),
            detection_px=np.full(4, np.nan)
            if size is None
            else np.array([0, 0, *size]) - 0.5,  # the whole image (FACTS 5)
            torso_px=float(np.linalg.norm(left - hip)),
            torso_swapped_px=float(np.linalg.norm(right - hip)),
            sticks_px=np.zeros((0, 4)),
            faces_backwards=bool(left[0] < right[0]),
        )

    def _parse_joints(
        self, labels: Float[np.ndarray, "14 3"], where: str
    ) -> tuple[Float[np.ndarray, "14 2"], Bool[np.ndarray, " 14"]]:
        """Return a person's joints in 0-based pixels, NaN where unknown, and a mask of the occluded ones."""
        xy, flags = labels[:, :2] - 1, labels[:, 2]
        unknown = np.isnan(xy).all(axis=1)
        for name, point, flag, nowhere in zip(JOINTS, xy, flags, unknown, strict=True):
            if flag not in (0, 1):
                raise UserError(f"{where}: the flag of {name} must be 0 or 1, got {flag:g}")
            if not nowhere and not (np.abs(point) <= LARGEST_PX).all():
                raise UserError(f"{where}: {name} must lie in an image, or be NaN NaN, got {(point + 1).tolist()}")
        return xy, flags == self.hidden_flag


class LspSource(LeedsSource):
    """Reader of LSP; `root` holds joints.mat (3 x 14 x 2000; flag 1 = occluded) and images/im0001.jpg to im2000.jpg.

    Args:
        root: the set's folder.
        skeleton: the joints to fill.
        train: number of people, the first in the file, who are training people; the others are test people.

    Raises:
        UserError: the folder or skeleton is invalid, or `train` is not a whole number.
    """

    name = "lsp"
    contents = "Leeds Sports Pose's joints.mat and images/"
    axes = (3, 14)
    other = "LspExtendedSource"
    image_digits = 4
    hidden_flag = 1

    def __init__(self, root: str | None, skeleton: Skeleton, train: object = 1000) -> None:
        super().__init__(root, skeleton)
        if not isinstance(train, int) or isinstance(train, bool) or train < 0:
            raise UserError(f"data.source.train: must be a whole number of people, 0 or more, got {train!r}")
        self.train = train

    def split_of_person(self, number: int) -> Split:
        """Return the split of the person with this number, counted from 1: "train" for the first `train` people."""
        return "train" if number <= self.train else "test"

    def labels_digest(self) -> str:
        """Return a digest of the annotation file and the number of training people."""
        return digest_of([super().labels_digest(), self.train])


class LspExtendedSource(LeedsSource):
    """Reader of LSP extended; `root` holds joints.mat (14 x 3 x 10000; flag 1 = visible) and images/im00001.jpg on.

    All people are training people. A joint that is not visible is occluded if it has coordinates, and unknown if a
    coordinate in the file is 0 or less.
    """

    name = "lsp_extended"
    contents = "Leeds Sports Pose extended's joints.mat and images/"
    axes = (14, 3)
    other = "LspSource"
    image_digits = 5
    hidden_flag = 0

    def _parse_joints(
        self, labels: Float[np.ndarray, "14 3"], where: str
    ) -> tuple[Float[np.ndarray, "14 2"], Bool[np.ndarray, " 14"]]:
        """Return what the base class does; joints not visible and with a coordinate of 0 or less are unknown."""
        nowhere = (labels[:, 2] == 0) & (labels[:, :2] <= 0).any(axis=1)
        return super()._parse_joints(np.where(nowhere[:, None] & [True, True, False], np.nan, labels), where)
