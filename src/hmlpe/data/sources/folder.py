"""Base of the readers of data sets on disk: annotation files, a folder of images, and the shots of films."""

from __future__ import annotations

import os.path  # its exists() and isfile() never raise for odd names, unlike pathlib's
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

from jaxtyping import UInt8
from numpy import ndarray

from hmlpe.data.record import Person
from hmlpe.data.sources.images import read_image
from hmlpe.errors import UserError
from hmlpe.files import digest_of, digest_of_files
from hmlpe.skeleton import Skeleton
from hmlpe.spelling import is_plain, path_on_disk, to_nfc

MAX_SHOT_GAP = 50  # frames, two seconds (U); the hashes of frames 10 apart in a shot differ by up to 32 bits
LARGEST_PX = 100_000  # no photo is larger: larger coordinates are errors in the file


class FilmFrame(NamedTuple):
    """A frame of a film, identified by the film's name and the frame's number."""

    film: str
    number: int


def shots_of(frames: Sequence[FilmFrame | None]) -> list[str]:
    """Return the name of each frame's shot, guessed from frame numbers; empty for None.

    A shot is a chain of frames of a film, each at most `MAX_SHOT_GAP` after the previous one; a cut within the chain is
    not detected. It is named after its first frame.

    >>> shots_of([FilmFrame("a", 10), FilmFrame("a", 50), FilmFrame("a", 200), None])
    ['a/00000010', 'a/00000010', 'a/00000200', '']
    """
    named: dict[FilmFrame, str] = {}
    before = first = FilmFrame("", 0)
    for frame in sorted({frame for frame in frames if frame is not None}):
        if frame.film != before.film or frame.number - before.number > MAX_SHOT_GAP:
            first = frame
        named[frame] = f"{first.film}/{first.number:08d}"
        before = frame
    return ["" if frame is None else named[frame] for frame in frames]


class FileSource(ABC):
    """Base of readers (see `record.Source`) of annotation and image files; a subclass names and reads the files."""

    name: str
    meanings: ClassVar[Mapping[str, str]] = {}  # how joints that the set does not annotate are defined

    @property
    @abstractmethod
    def image_folder(self) -> Path:
        """Return the folder that contains the images."""

    @abstractmethod
    def annotation_files(self) -> list[Path]:
        """Return the paths of the annotation files, which `read` reads."""

    @abstractmethod
    def read(self) -> list[Person]:
        """Read all people, in the set's order. Raises UserError, with file and record, for invalid data."""

    @abstractmethod
    def labels_digest(self) -> str:
        """Return a digest of the annotation files and all else that `read` depends on."""

    def fingerprint(self) -> str:
        """Return a digest of the labels, and of the sizes in bytes of the image files (None if missing)."""
        names = sorted({person.image for person in self.people()})
        paths = map(self.image_path, names)
        return digest_of([self.labels_digest(), [os.path.getsize(p) if os.path.isfile(p) else None for p in paths]])

    def people(self) -> Sequence[Person]:
        """Return all people, in the set's order; the files are read only at the first call."""
        return self._people

    @cached_property
    def _people(self) -> list[Person]:
        return self.read()

    def skipped(self) -> Mapping[str, int]:
        """Return reason -> number of annotations that `people` leaves out for it."""
        return {}

    def image(self, name: str) -> UInt8[ndarray, "height width 3"]:
        """Read the pixels of the image with this name, in RGB. Raises UserError if it is missing or broken."""
        return read_image(self.image_folder, path_on_disk(self.image_folder, name))

    def image_path(self, name: str) -> str:
        """Return the path of the image file with this name, which need not exist."""
        return os.path.join(self.image_folder, path_on_disk(self.image_folder, name))

    def missing_images(self) -> Sequence[str]:
        """Return the names of annotated images whose files do not exist."""
        names = {person.image for person in self.people()}
        return sorted(name for name in names if not os.path.isfile(self.image_path(name)))


class FolderSource(FileSource):
    """Base of readers of published data sets, each in a folder of its own with annotation files and images.

    Args:
        root: the set's folder.
        skeleton: the joints to read; joints that the set does not have are NaN, but it must have at least one.

    Raises:
        UserError: the folder does not exist, or the set has none of the skeleton's joints.
    """

    images: str = "images"  # folder of the images, relative to root
    contents: ClassVar[str]  # what root contains, for messages
    known_joints: ClassVar[frozenset[str]]  # names of joints that the reader can fill

    def __init__(self, root: str | None, skeleton: Skeleton) -> None:
        if root is None:
            raise UserError(f"data.root: is not set; it must name the folder that holds {self.contents}")
        self.root = Path(os.path.expanduser(root))
        self.skeleton = skeleton
        if not os.path.isdir(self.root):
            raise UserError(f"{self.root}: no such folder; data.root must name the folder that holds {self.contents}")
        if not self.known_joints & set(skeleton.joints):
            raise UserError(
                f"{self.name} has none of the skeleton's joints {list(skeleton.joints)}; choose another skeleton"
            )

    @property
    def image_folder(self) -> Path:
        """Return the folder that contains the images."""
        return self.root / self.images

    def labels_digest(self) -> str:
        """Return a digest of the annotation files' names and bytes."""
        return digest_of_files(self.annotation_files(), self.root)


def checked_image_name(name: object, where: str) -> str:
    """Check the name of an image, and return it normalised, relative to the image folder.

    >>> checked_image_name("./a.png", "row 1")
    'a.png'

    Raises:
        UserError: the name cannot be that of an image below the image folder; names the record `where`.
    """
    if not isinstance(name, str) or not name.strip() or not is_plain(name):
        raise UserError(f"{where}: the image's name must be a text, got {str(name)[:80]!r}")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise UserError(f"{where}: the image's name {name!r} must not lead out of the image folder")
    return to_nfc(str(path))  # ./a.png and a.png are the same image, which must not be in both splits
