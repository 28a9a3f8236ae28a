"""What the readers of sets on disk share: annotation files beside a folder of images, and the shots of films."""

from __future__ import annotations

import os.path  # unlike pathlib's, its tests never raise, whatever the name
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

GAP = 50  # frames, two seconds of film (U); frames of one shot 10 apart differ by up to 32 bits of their hashes


class Frame(NamedTuple):
    """A frame of a film, by its number."""

    film: str
    number: int


def shots_of(frames: Sequence[Frame | None]) -> list[str]:
    """The shot of every frame: a chain of frames of one film, each at most `GAP` after the one before it.

    A shot is named after its first frame; a cut inside the chain is not seen. None is of no shot: its name is empty.
    """
    named: dict[Frame, str] = {}
    before = first = Frame("", 0)
    for frame in sorted({frame for frame in frames if frame is not None}):
        if frame.film != before.film or frame.number - before.number > GAP:
            first = frame
        named[frame] = f"{first.film}/{first.number:08d}"
        before = frame
    return ["" if frame is None else named[frame] for frame in frames]


LARGEST_PX = 100_000  # no photo is larger: what lies further out is an error of the file


class FileSource(ABC):
    """Annotation files and images (see `record.Source`). A reader says which files it reads, and reads them."""

    name: str
    meanings: ClassVar[Mapping[str, str]] = {}  # joints that are not annotated as such -> what they are made of

    @property
    @abstractmethod
    def image_folder(self) -> Path:
        """The folder of the images."""

    @abstractmethod
    def annotations(self) -> list[Path]:
        """The files that `read` reads."""

    @abstractmethod
    def read(self) -> list[Person]:
        """Everyone, in the set's order. Raises UserError naming file and record."""

    @abstractmethod
    def labels_digest(self) -> str:
        """Digest of the annotation files, and of whatever else `read` depends on."""

    def fingerprint(self) -> str:
        """Digest of the labels, and of the names and sizes of the images that are there."""
        names = sorted({person.image for person in self.people()})
        paths = map(self.image_path, names)
        return digest_of([self.labels_digest(), [os.path.getsize(p) if os.path.isfile(p) else None for p in paths]])

    def people(self) -> Sequence[Person]:
        """Everyone, in the set's order; read once."""
        return self._people

    @cached_property
    def _people(self) -> list[Person]:
        return self.read()

    def skipped(self) -> Mapping[str, int]:
        """Reason -> how many annotated people are not among `people` for it."""
        return {}

    def image(self, name: str) -> UInt8[ndarray, "height width 3"]:
        """The RGB image of that name. Raises UserError if it is missing or broken."""
        return read_image(self.image_folder, path_on_disk(self.image_folder, name))

    def image_path(self, name: str) -> str:
        """Where the image of that name lies, or would."""
        return os.path.join(self.image_folder, path_on_disk(self.image_folder, name))

    def missing_images(self) -> Sequence[str]:
        """Names of annotated images that are not there."""
        names = {person.image for person in self.people()}
        return sorted(name for name in names if not os.path.isfile(self.image_path(name)))


class FolderSource(FileSource):
    """A set in a folder of its own.

    Args:
        root: the set's folder.
        skeleton: the joints to fill; a joint that the set does not have stays NaN, but at least one must be known.

    Raises:
        UserError: no such folder, or a skeleton of which the set knows no joint.
    """

    images: str = "images"  # folder of the images, below root
    holds: ClassVar[str]  # what lies in root, for messages
    knows: ClassVar[frozenset[str]]  # names of joints that the reader can fill

    def __init__(self, root: str | None, skeleton: Skeleton) -> None:
        if root is None:
            raise UserError(f"data.root: is not set; it must name the folder that holds {self.holds}")
        self.root = Path(os.path.expanduser(root))
        self.skeleton = skeleton
        if not os.path.isdir(self.root):
            raise UserError(f"{self.root}: no such folder; data.root must name the folder that holds {self.holds}")
        if not self.knows & set(skeleton.joints):
            raise UserError(
                f"{self.name} has none of the skeleton's joints {list(skeleton.joints)}; choose another skeleton"
            )

    @property
    def image_folder(self) -> Path:
        """The folder of the images."""
        return self.root / self.images

    def labels_digest(self) -> str:
        """Digest of the annotation files' names and bytes."""
        return digest_of_files(self.annotations(), self.root)


def image_name(name: object, where: str) -> str:
    """`name`, in its shortest spelling, if it can be an image's below the image folder.

    Raises:
        UserError: it cannot; names the record.
    """
    if not isinstance(name, str) or not name.strip() or not is_plain(name):
        raise UserError(f"{where}: the image's name must be a text, got {str(name)[:80]!r}")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise UserError(f"{where}: the image's name {name!r} must not lead out of the image folder")
    return to_nfc(str(path))  # ./a.png and a.png are one image, which must not be in both splits
