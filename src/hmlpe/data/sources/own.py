"""What the readers of users' own sets share: paths, a share for testing, and who faces backwards."""

from __future__ import annotations

import hashlib
import os.path
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.data.record import Split
from hmlpe.data.sources.folder import FileSource
from hmlpe.data.sources.images import read_image
from hmlpe.errors import UserError
from hmlpe.files import digest_of, digest_of_file
from hmlpe.skeleton import Skeleton


class OwnSource(FileSource):
    """A set of the user's own. Paths may begin with ~, and are relative to the working directory.

    Args:
        name: of the set, for messages and files.
        skeleton: the joints to fill.
        images: folder of the images.

    Raises:
        UserError: there is no such folder, or the name is no name.
    """

    def __init__(self, name: object, skeleton: Skeleton, images: object) -> None:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise UserError(f"data.source.name: must be a name for the set, got {name!r}")
        self.name = name
        self.skeleton = skeleton
        self._images = _path(images, "images", "the folder of the images")
        if not os.path.isdir(self._images):
            raise UserError(f"data.source.images: no such folder: {self._images}")

    @property
    def image_folder(self) -> Path:
        """The folder of the images."""
        return self._images

    def image(self, name: str) -> UInt8[np.ndarray, "height width 3"]:
        """The RGB image of that name, upright as its EXIF data say. Raises UserError if it is missing or broken."""
        return read_image(self.image_folder, name, upright=True)

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Whatever else `read` depends on, in plain containers."""

    def labels_digest(self) -> str:
        """Digest of the annotation files' bytes and the settings."""
        return digest_of([[digest_of_file(path) for path in self.annotations()], self.settings()])

    def faces_backwards(self, joints_px: Float[np.ndarray, "joint 2"]) -> bool:
        """Whether the left shoulder lies left of the right one (MODEC's rule); False if either is unknown."""
        return bool(self.joint("left_shoulder", joints_px)[0] < self.joint("right_shoulder", joints_px)[0])

    def joint(self, name: str, joints_px: Float[np.ndarray, "joint 2"]) -> Float[np.ndarray, " 2"]:
        """The joint of that name; NaN if the skeleton has none."""
        joints = self.skeleton.joints
        return joints_px[joints.index(name)] if name in joints else np.full(2, np.nan)


def annotation_file(value: object, key: str) -> Path:
    """The file that the key `data.source.<key>` names. Raises UserError if there is none."""
    path = _path(value, key, "an annotation file")
    if not os.path.isfile(path):
        raise UserError(f"data.source.{key}: no such file: {path}")
    return path


def checked_fraction(value: object) -> float:
    """`data.source.test_fraction`, checked. Raises UserError if it is no number between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise UserError(f"data.source.test_fraction: must be a number between 0 and 1, got {value!r}")
    return float(value)


def split_by_name(image: str, test_fraction: float, identity: str = "", shot: str = "") -> Split:
    """The split of an image, drawn from its name alone: more images leave the others where they are.

    Args:
        identity: who is in it, where that is known: then the split is drawn from that, the same for all their images.
        shot: what it is a frame of; where that is known and `identity` is not, the split is drawn from it.
    """
    drawn = int.from_bytes(hashlib.sha256((identity or shot or image).encode()).digest()[:8], "big") / 2**64
    return "test" if drawn < test_fraction else "train"


def _path(value: object, key: str, what: str) -> Path:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise UserError(f"data.source.{key}: must name {what}, got {value!r}")
    return Path(os.path.expanduser(value))
