"""What the user points at, in order: photos, folders, globs, videos, cameras; our own drawings are passed by."""

from __future__ import annotations

import glob
import io
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, PngImagePlugin

from hmlpe.data.sources.images import UNREAD
from hmlpe.files import write_bytes_atomic
from hmlpe.spelling import path_on_disk

LOSSY = {".jpg", ".jpeg", ".jpe", ".webp"}  # what comes from these is drawn as JPEG, all else as PNG
_LONGEST = 65500  # that JPEG can hold
_LARGEST = 50_000_000  # pixels of a picture; what is drawn over a larger photo is shrunk
_QUALITY = 92
_MARK = "drawn by hmlpe-predict"
_NAME = re.compile(r".*_(pose|maps\d+)\.(jpg|png)")


def suffix_for(name: str, image: UInt8[np.ndarray, "height width 3"]) -> str:
    """.jpg over a photo that is lossy already, else .png."""
    lossy = PurePosixPath(name).suffix.lower() in LOSSY and max(image.shape) <= _LONGEST
    return ".jpg" if lossy else ".png"


def save_picture(path: Path, image: UInt8[np.ndarray, "height width 3"]) -> None:
    """Write it as PNG or JPEG, by the suffix, with a mark of its origin; shrunk if it is very large."""
    stream, picture = io.BytesIO(), Image.fromarray(image)
    if picture.width * picture.height > _LARGEST:
        picture = picture.reduce(math.ceil(math.sqrt(picture.width * picture.height / _LARGEST)))
    if path.suffix == ".jpg":
        picture.save(stream, "JPEG", quality=_QUALITY, subsampling=0, comment=_MARK)
    else:
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Software", _MARK)
        picture.save(stream, "PNG", pnginfo=notes, compress_level=3)  # 6 takes three times as long
    write_bytes_atomic(path, stream.getvalue())


def is_drawn(path: Path) -> bool:
    """Whether `save_picture` wrote it. What cannot be read was not."""
    if not _NAME.fullmatch(path.name) or not path.is_file():
        return False
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            return _MARK in (image.info.get("Software"), image.info.get("comment", b"").decode(errors="replace"))
    except Exception:  # a damaged file makes Pillow's decoders raise almost anything
        return False


IMAGES = {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp"}
PHOTOS = IMAGES | set(UNREAD)
VIDEOS = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp", ".mjpeg"}


class Photo(NamedTuple):
    """A file that should be an image. `name` is its path below the folder of all sources, with slashes."""

    path: Path
    name: str


class Video(NamedTuple):
    """A file that should be a video. `name` as a photo's."""

    path: Path
    name: str


class Camera(NamedTuple):
    """A camera by its number."""

    number: int
    name: str


class Skipped(NamedTuple):
    """What was asked for and cannot be had, and why, in one line."""

    name: str
    reason: str


@dataclass
class Found:
    """What sources lead to.

    Attributes:
        folder: the one that holds all files, absolute; names are relative to it.
        items: in the order asked for; a folder's and a glob's by name; nothing twice.
        skipped: what was asked for by name and is not there.
        ignored: files in folders and under globs that are none by their suffix, hidden, or drawn by an earlier call.
    """

    folder: Path
    items: list[Photo | Video | Camera] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    ignored: int = 0


def find(sources: Sequence[str | int], recursive: bool = False) -> Found:
    """What the sources lead to; a whole number that is no file's name is a camera's.

    Of a folder the images are taken, of a glob images and videos, each known by its suffix and sorted by its path.
    Photos of formats that are not read (HEIC, raw) are among them, so that each is named when it cannot be read.
    A file that is named itself is taken whatever its suffix: as a video by a video's suffix, else as an image.

    Args:
        recursive: folders with all folders below them, though not through links.
    """
    roots: list[Path] = []
    paths: list[Path | int] = []
    skipped: list[Skipped] = []
    ignored = 0
    for source in sources:
        path = Path(os.path.abspath(str(source)))
        if not _exists(path):
            path = Path(path.anchor, path_on_disk(Path(path.anchor), str(path.relative_to(path.anchor))))
        if _exists(path):
            roots.append(path if path.is_dir() else path.parent)
            if not path.is_dir():
                paths.append(path)
                continue
            try:
                files, wanted, what = _files(path, recursive), PHOTOS, "folder"
            except OSError as error:
                skipped.append(Skipped(str(source), f"{source}: {error.strerror}"))
                continue
        elif str(source).isdecimal():
            paths.append(int(source))
            continue
        elif glob.has_magic(str(source)):
            roots.append(_fixed(path))
            files = [Path(one) for one in glob.iglob(str(path), recursive=True) if os.path.isfile(one)]
            wanted, what = PHOTOS | VIDEOS, "glob"
        else:
            skipped.append(Skipped(str(source), f"{source}: there is no such file or folder"))
            continue
        kept = sorted(one for one in files if _known(one, wanted) and not _ours(one, files))
        ignored += len(files) - len(kept)
        paths += kept
        if not kept:
            skipped.append(Skipped(str(source), _nothing(str(source), what, len(files), recursive)))
    found = Found(_above(roots), skipped=skipped, ignored=ignored)
    found.items = [_item(path, found.folder) for path in dict.fromkeys(paths)]
    return found


def _item(path: Path | int, folder: Path) -> Photo | Video | Camera:
    if isinstance(path, int):
        return Camera(path, f"camera{path}")
    name = path.relative_to(folder).as_posix()
    return Video(path, name) if path.suffix.lower() in VIDEOS else Photo(path, name)


def _exists(path: Path) -> bool:
    """Whether there is something; a link that leads nowhere is refused later, by its name."""
    try:
        return os.path.lexists(path)
    except ValueError:  # a zero byte in the name
        return False


def _files(folder: Path, recursive: bool) -> list[Path]:
    return [path for path in _walk(folder, recursive) if not path.is_dir()]


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    if not recursive:
        yield from folder.iterdir()
        return
    for here, _, names in os.walk(folder):
        yield from (Path(here, name) for name in names)


def _known(path: Path, suffixes: set[str]) -> bool:
    return path.suffix.lower() in suffixes and not path.name.startswith(".")


def _ours(path: Path, files: Collection[Path]) -> bool:
    """Whether an earlier call has made it: pictures say so themselves, a video stands beside the one it is of."""
    if path.suffix.lower() in VIDEOS:
        of = path.stem.removesuffix("_pose")
        return of != path.stem and any(one.stem == of and one.suffix.lower() in VIDEOS for one in files)
    return is_drawn(path)


def _nothing(source: str, what: str, count: int, recursive: bool) -> str:
    if what == "glob":
        return f"{source}: no {'image or video' if count else 'file'} has a name like that"
    deeper = "" if recursive else "; recursive=true looks into folders below, too"
    return f"{source}: no image in this folder ({count} other files){deeper}"


def _fixed(pattern: Path) -> Path:
    """The folder of a glob: as far as it is no pattern."""
    parts = pattern.parts
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _above(folders: Iterable[Path]) -> Path:
    """The folder that holds all of these."""
    known = [str(folder) for folder in folders]
    return Path(os.path.commonpath(known)) if known else Path.cwd()
