"""Find the sources that a user names: photos, folders, globs, videos and cameras; write and recognise drawn pictures.

Pictures and videos that hmlpe-predict has drawn are not taken as sources.
"""

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

from hmlpe.data.sources.images import UNSUPPORTED
from hmlpe.files import write_bytes_atomic
from hmlpe.spelling import path_on_disk

LOSSY = {".jpg", ".jpeg", ".jpe", ".webp"}  # photos with these suffixes are drawn as JPEG, all others as PNG
_LONGEST = 65500  # the longest side of a JPEG file, in pixels
_LARGEST = 50_000_000  # the largest number of pixels of a drawn picture; that of a larger photo is reduced
_QUALITY = 92
_MARK = "drawn by hmlpe-predict"
_NAME = re.compile(r".*_(pose|maps\d+)\.(jpg|png)")
IMAGES = {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp"}
PHOTOS = IMAGES | set(UNSUPPORTED)
VIDEOS = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp", ".mjpeg"}


def suffix_for(name: str, image: UInt8[np.ndarray, "height width 3"]) -> str:
    """Return the suffix of the picture drawn over a photo: .jpg if the photo's format is lossy already, else .png.

    It is .png, too, if the image is too large for JPEG.

    Args:
        name: the photo's file name.
        image: the image to write.
    """
    lossy = PurePosixPath(name).suffix.lower() in LOSSY and max(image.shape) <= _LONGEST
    return ".jpg" if lossy else ".png"


def save_picture(path: Path, image: UInt8[np.ndarray, "height width 3"]) -> None:
    """Write a picture as PNG or JPEG, by its suffix, reduced if it is very large.

    The file's metadata say that hmlpe-predict drew it, by which `is_drawn` recognises it.
    """
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
    """Return whether `save_picture` wrote this file; False if the file cannot be read."""
    if not _NAME.fullmatch(path.name) or not path.is_file():
        return False
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            return _MARK in (image.info.get("Software"), image.info.get("comment", b"").decode(errors="replace"))
    except Exception:  # a damaged file makes Pillow's decoders raise almost anything
        return False


class Photo(NamedTuple):
    """A file that should be an image. `name` is its path relative to `FoundSources.folder`, with slashes."""

    path: Path
    name: str


class Video(NamedTuple):
    """A file that should be a video. `name` is its path relative to `FoundSources.folder`, with slashes."""

    path: Path
    name: str


class Camera(NamedTuple):
    """A camera, by its number (as OpenCV counts cameras), and its name in the results."""

    number: int
    name: str


class Skipped(NamedTuple):
    """A source that cannot be processed, by its name, and the reason in one line."""

    name: str
    reason: str


@dataclass
class FoundSources:
    """The files and cameras that a user's sources name.

    Attributes:
        folder: the absolute path of the folder that contains all files; names are relative to it.
        items: the photos, videos and cameras, each once, in the order of the sources; those of a folder or a glob are
            sorted by path.
        skipped: the sources that do not exist, cannot be read, or contain no image.
        ignored: the number of files in folders and globs that have no fitting suffix, are hidden, or were drawn by an
            earlier call.
    """

    folder: Path
    items: list[Photo | Video | Camera] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    ignored: int = 0


def find_sources(sources: Sequence[str | int], recursive: bool = False) -> FoundSources:
    """Find the photos, videos and cameras that the sources name.

    A source is a file, a folder, a glob, or a camera's number (unless there is a file of that name). A folder gives its
    images, and a glob its images and videos, recognised by their suffixes and sorted by path. Photos in formats that
    cannot be read (HEIC, raw) are among them, so that each is later reported by name. A file that is a source itself
    may have any suffix: with that of a video it is taken as a video, else as an image.

    Args:
        sources: what the user names, in order.
        recursive: whether to search the folders below a folder, too; links to folders are not followed.
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
                files, wanted, what = _files_in(path, recursive), PHOTOS, "folder"
            except OSError as error:
                skipped.append(Skipped(str(source), f"{source}: {error.strerror}"))
                continue
        elif str(source).isdecimal():
            paths.append(int(source))
            continue
        elif glob.has_magic(str(source)):
            roots.append(_glob_root(path))
            pattern = str(Path(glob.escape(str(roots[-1])), path.relative_to(roots[-1])))
            files = [Path(one) for one in glob.iglob(pattern, recursive=True) if os.path.isfile(one)]
            wanted, what = PHOTOS | VIDEOS, "glob"
        else:
            skipped.append(Skipped(str(source), f"{source}: there is no such file or folder"))
            continue
        kept = sorted(one for one in files if _has_suffix(one, wanted) and not _is_own_output(one, files))
        ignored += len(files) - len(kept)
        paths += kept
        if not kept:
            skipped.append(Skipped(str(source), _nothing_found_message(str(source), what, len(files), recursive)))
    found = FoundSources(_common_folder(roots), skipped=skipped, ignored=ignored)
    found.items = [_source_item(path, found.folder) for path in dict.fromkeys(paths)]
    return found


def _source_item(path: Path | int, folder: Path) -> Photo | Video | Camera:
    """Return the camera of a number, or the photo or video at a path; names are relative to `folder`."""
    if isinstance(path, int):
        return Camera(path, f"camera{path}")
    name = path.relative_to(folder).as_posix()
    return Video(path, name) if path.suffix.lower() in VIDEOS else Photo(path, name)


def _exists(path: Path) -> bool:
    """Return whether the path exists; a broken link counts, and is reported by name when it is read."""
    try:
        return os.path.lexists(path)
    except ValueError:  # a zero byte in the name
        return False


def _files_in(folder: Path, recursive: bool) -> list[Path]:
    """Return the files in a folder, and if `recursive` those in the folders below it."""
    return [path for path in _paths_in(folder, recursive) if not path.is_dir()]


def _paths_in(folder: Path, recursive: bool) -> Iterator[Path]:
    """Yield the folder's entries; if `recursive`, the files in the folder and in all folders below it."""
    if not recursive:
        yield from folder.iterdir()
        return
    for here, _, names in os.walk(folder):
        yield from (Path(here, name) for name in names)


def _has_suffix(path: Path, suffixes: set[str]) -> bool:
    """Return whether the file has one of the suffixes and is not hidden."""
    return path.suffix.lower() in suffixes and not path.name.startswith(".")


def _is_own_output(path: Path, files: Collection[Path]) -> bool:
    """Return whether hmlpe-predict has drawn this picture or video.

    A drawn picture says so in its metadata. A drawn video is recognised by its name `<stem>_pose`, beside a video
    `<stem>` among `files`.
    """
    if path.suffix.lower() in VIDEOS:
        of = path.stem.removesuffix("_pose")
        return of != path.stem and any(one.stem == of and one.suffix.lower() in VIDEOS for one in files)
    return is_drawn(path)


def _nothing_found_message(source: str, what: str, count: int, recursive: bool) -> str:
    """Return why a folder or glob gives no source; `count` is the number of its files, `what` folder or glob."""
    if what == "glob":
        return f"{source}: no {'image or video' if count else 'file'} has a name like that"
    deeper = "" if recursive else "; recursive=true also searches subfolders"
    return f"{source}: no image in this folder ({count} other files){deeper}"


def _glob_root(pattern: Path) -> Path:
    """Return the folder of a glob: its part before the first folder or name with a wildcard.

    A folder that has such a name, e.g. photos[1], is no wildcard.
    """
    root = Path(pattern.anchor)
    for part in pattern.parts[1:-1]:
        if glob.has_magic(part) and not os.path.isdir(root / part):  # False, too, where we may not look
            break
        root /= part
    return root


def _common_folder(folders: Iterable[Path]) -> Path:
    """Return the deepest folder that contains all of these, or the current folder if there are none."""
    known = [str(folder) for folder in folders]
    return Path(os.path.commonpath(known)) if known else Path.cwd()
