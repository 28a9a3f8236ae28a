"""Base of the readers of users' own data sets: image names, the share of test images, and who faces backwards."""

from __future__ import annotations

import hashlib
import os.path
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.data.record import Attribute, Split
from hmlpe.data.sources.attributes import parse_attributes
from hmlpe.data.sources.folder import FileSource, checked_image_name
from hmlpe.data.sources.images import read_image
from hmlpe.errors import UserError
from hmlpe.files import digest_of, digest_of_file
from hmlpe.skeleton import Skeleton
from hmlpe.spelling import is_plain, path_on_disk, with_forward_slashes


class OwnSource(FileSource):
    """Base of readers of a user's own data set. Paths may begin with ~, and are relative to the working directory.

    Args:
        name: name of the set, for messages and files.
        skeleton: the joints to read.
        images: folder of the images; or {"train": folder, "test": folder} if each split has its own, so that two
            images may have the same name. Image names in the set are then relative to the common parent folder.
        attributes: attribute name -> {field, classes}, see `attributes.parse_attributes`.

    Raises:
        UserError: a folder does not exist, or the name or an attribute is invalid.
    """

    def __init__(self, name: object, skeleton: Skeleton, images: object, attributes: object = None) -> None:
        if not isinstance(name, str) or not name.strip() or not is_plain(name):
            raise UserError(f"data.source.name: must be a name for the set, got {name!r}")
        self.name = name
        self.skeleton = skeleton
        self.attribute_fields = parse_attributes(attributes)
        if isinstance(images, Mapping):
            folders = {split: _existing_folder(images.get(split), f"images.{split}") for split in get_args(Split)}
            if len(images) != len(folders):
                raise UserError(f"data.source.images: must be one folder, or those of train and test, got {images}")
            self._images = Path(os.path.commonpath([os.path.abspath(folder) for folder in folders.values()]))
            self._below = {split: os.path.relpath(folder, self._images) for split, folder in folders.items()}
        else:
            self._images, self._below = _existing_folder(images, "images"), {}

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """Return the definitions of the attributes that the set's people have."""
        return tuple(one.attribute for one in self.attribute_fields)

    @property
    def image_folder(self) -> Path:
        """Return the folder that contains all images."""
        return self._images

    def image(self, name: str) -> UInt8[np.ndarray, "height width 3"]:
        """Read the pixels of the image with this name, in RGB, rotated upright as its EXIF data say.

        Raises:
            UserError: the image is missing or broken.
        """
        return read_image(self.image_folder, path_on_disk(self.image_folder, name), upright=True)

    @property
    def has_split_folders(self) -> bool:
        """Return whether training and test images have separate folders."""
        return bool(self._below)

    def resolve_image_name(self, name: object, where: str, split: Split | None = None) -> str:
        """Convert the name of an image in the labels to its name in the set, relative to the image folder.

        If the labels repeat the folder's own name, as in photos/a.jpg for the folder photos/, it is removed unless such
        a file exists.

        Args:
            name: the name in the labels.
            where: its place in the annotation file, for messages.
            split: the split whose folder the name is relative to, if each split has its own.

        Raises:
            UserError: the name cannot be that of a file below the folder.
        """
        below = self._below.get(split or "", ".")
        said = checked_image_name(with_forward_slashes(name) if isinstance(name, str) else name, where)
        found, parts = checked_image_name(f"{below}/{said}", where), PurePosixPath(said).parts
        above = Path(os.path.abspath(self._images / below)).parts
        starts = [length for length in range(1, len(parts)) if parts[:length] == above[-length:]]
        if starts and not os.path.isfile(self.image_path(found)):
            shorter = [checked_image_name("/".join((below, *parts[length:])), where) for length in starts]
            found = next((one for one in shorter if os.path.isfile(self.image_path(one))), found)
        return found

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return name -> value of the settings that `read` depends on, except the attributes, as JSON values."""

    def labels_digest(self) -> str:
        """Return a digest of the annotation files' bytes and the settings, including the attributes."""
        settings = self.settings()
        if self.attribute_fields:  # left out if empty, as digests of older packs do not have this key
            settings["attributes"] = [[one.attribute.as_dict(), one.field] for one in self.attribute_fields]
        return digest_of([[digest_of_file(path) for path in self.annotation_files()], settings])

    def faces_backwards(self, joints_px: Float[np.ndarray, "joint 2"]) -> bool:
        """Return whether the left shoulder is left of the right one (MODEC's rule); False if either is unknown."""
        return bool(
            self.joint_position("left_shoulder", joints_px)[0] < self.joint_position("right_shoulder", joints_px)[0]
        )

    def joint_position(self, name: str, joints_px: Float[np.ndarray, "joint 2"]) -> Float[np.ndarray, " 2"]:
        """Return the coordinates (2,) of the joint with this name; NaN if the skeleton does not have it."""
        joints = self.skeleton.joints
        return joints_px[joints.index(name)] if name in joints else np.full(2, np.nan)


def existing_annotation_file(value: object, key: str) -> Path:
    """Return the path in the setting `data.source.<key>`. Raises UserError if there is no such file."""
    path = _parse_path(value, key, "an annotation file")
    if not os.path.isfile(path):
        raise UserError(f"data.source.{key}: no such file: {path}")
    return path


def checked_test_fraction(value: object) -> float:
    """Return the value of `data.source.test_fraction`. Raises UserError unless it is a number above 0 and below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise UserError(f"data.source.test_fraction: must be a number between 0 and 1, got {value!r}")
    return float(value)


def split_by_name(image: str, test_fraction: float, identity: str = "", shot: str = "") -> Split:
    """Draw the split of an image at random, seeded by its name alone, so that added images do not change other splits.

    Args:
        image: the image's name.
        test_fraction: share of the images for testing.
        identity: who is in the image; if known, the split is drawn from it, so it is the same in all their images.
        shot: the shot of the image; if it is known and `identity` is not, the split is drawn from it.
    """
    drawn = int.from_bytes(hashlib.sha256((identity or shot or image).encode()).digest()[:8], "big") / 2**64
    return "test" if drawn < test_fraction else "train"


def _existing_folder(value: object, key: str) -> Path:
    """Return the path in the setting `data.source.<key>`. Raises UserError if there is no such folder."""
    path = _parse_path(value, key, "the folder of the images")
    if not os.path.isdir(path):
        raise UserError(f"data.source.{key}: no such folder: {path}")
    return path


def _parse_path(value: object, key: str, what: str) -> Path:
    """Return the path in the setting `data.source.<key>`, with ~ replaced. Raises UserError if it is no path."""
    if not isinstance(value, str) or not value.strip() or not is_plain(value):
        raise UserError(f"data.source.{key}: must name {what}, got {value!r}")
    return Path(os.path.expanduser(value))
