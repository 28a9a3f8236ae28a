"""Reading the images of a set from its folder: whole, in RGB, or a clear error."""

from __future__ import annotations

import math
import os.path
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

from hmlpe.errors import UserError
from hmlpe.spelling import is_plain

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # Pillow knows more, and starts programs for some
UNREAD = {  # what else phones and cameras write
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    **{".avif": "AVIF", ".jxl": "JPEG XL", ".jp2": "JPEG 2000"},
    **dict.fromkeys((".dng", ".nef", ".nrw", ".arw", ".cr2", ".cr3", ".orf", ".pef", ".raf", ".rw2", ".srw"), "raw"),
}
BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "raw", b"mif1": "HEIC", b"msf1": "HEIC"}  # ISO 14496-12, ftyp
STARTS = {
    **{b"\0\0\0\x0cjP  ": "JPEG 2000", b"\0\0\0\x0cJXL ": "JPEG XL", b"\xff\x0a": "JPEG XL"},
    **{b"%PDF": "PDF", b"8BPS": "PSD"},
}
TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
LARGEST = 2**28  # pixels of a photo: phones make 108 and 200 million, where Pillow stops at 89
TURNS = {  # what makes it upright, by the value of EXIF's Orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DEEP = ("I", "F")  # modes of more than 8 bits per pixel begin so; to RGB, Pillow makes them white
DEEP_WHOLE = ("PNG", "PPM")  # formats whose mode I is 16 bits, from 0 to 65535; a TIFF's is 32, or has a sign

Image.MAX_IMAGE_PIXELS = LARGEST
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")  # of notes that are not read


def read_image(folder: Path, name: str, upright: bool = False) -> UInt8[np.ndarray, "height width 3"]:
    """Read `folder/name` as RGB.

    Args:
        upright: carry out the rotation that the file notes (EXIF), as viewers and labelling tools do; else the pixels
            are as they are stored, but for a TIFF's, which Pillow turns in any case.

    Of 16 bits per channel the upper 8 are kept, in grey as in colour. What is transparent is laid on white. Of several
    frames or pages the first is read.

    A name may not lead out of the folder. A link in the folder may: whoever owns the folder put it there.

    Raises:
        UserError: the file is missing, cut off, no image, too large to be one, or outside the folder.
    """
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts or not is_plain(name):
        raise UserError(f"{name!r}: an image's name must be printable, and not lead out of {folder}")
    with _opened(path) as image:
        if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):  # Pillow refuses twice that
            raise UserError(f"{path}: {image.width} x {image.height} pixels are too many for a photo")
        if image.format == "TIFF" and UNREAD.get(path.suffix.lower()) == "raw":
            raise UserError(f"{path}: a camera's raw file, of which only a preview is read; save it as JPEG or PNG")
        return np.asarray(_rgb(_turned(image) if upright else image, image.format, path))


def _turned(image: Image.Image) -> Image.Image:
    """The image upright. Of its notes the orientation alone is read: phones write others that nobody can read."""
    image.load()  # a PNG's notes may stand behind the pixels
    try:
        noted = _orientation(image.info.get("exif", b"")) or image.getexif().get(ExifTags.Base.Orientation)  # or XMP's
        turn = TURNS.get(int(noted or 0))
    except Exception:  # notes that are none turn nothing
        return image
    return image if turn is None else image.transpose(turn)


def _orientation(exif: bytes) -> int:
    """The orientation that EXIF data note, 0 if they do not (EXIF 2.32, 4.6.2; its values fit into their entry).

    Pillow reads the entries before it too, and gives up at the first that points to nowhere.
    """
    data = exif.removeprefix(b"Exif\0\0")
    order: Literal["big", "little"] = "big" if data.startswith(b"MM") else "little"

    def number(place: int, size: int) -> int:
        return int.from_bytes(data[place : place + size], order)

    first = number(4, 4) + 2
    for entry in range(first, first + 12 * number(first - 2, 2), 12):
        if number(entry, 2) == ExifTags.Base.Orientation:
            size = {3: 2, 4: 4, 8: 2, 9: 4}.get(number(entry + 2, 2), 1)
            value = number(entry + 8, size)
            return value - ord("0") if size == 1 and value > ord("0") else value
    return 0


def _rgb(image: Image.Image, format: str | None, path: Path) -> Image.Image:
    """Any mode as RGB of 8 bits."""
    if image.mode.startswith("I;16") or (image.mode == "I" and format in DEEP_WHOLE):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode.startswith(DEEP):
        raise UserError(f"{path}: more than 16 bits per channel, or with a sign; save it with 8 or 16")
    if not image.has_transparency_data:
        return image.convert("RGB")
    seen = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")


def image_size(folder: Path, name: str) -> tuple[int, int] | None:
    """Width and height in pixels, by the file's header alone; None if there is no file.

    Raises:
        UserError: it has no header of an image.
    """
    if not os.path.exists(folder / name):
        return None
    with _opened(folder / name) as image:
        return image.width, image.height


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The image, not yet decoded; whatever goes wrong with it, then or before, becomes a UserError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its writer
            raise OSError("it is a folder, a pipe or a device")
        # not by its name: of a file that it maps, Pillow 12.3 takes a turned TIFF's width for its height
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            yield image
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: image is missing") from error
    except UnidentifiedImageError as error:  # whose text is the path again
        raise UserError(f"{path}: {_what_else(path)}") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too many pixels for a photo ({error})") from error
    except Exception as error:  # a damaged file makes Pillow's decoders raise almost anything
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a whole image ({reason}); fetch it again") from error


def _what_else(path: Path) -> str:
    """What to say of a file that is of none of the formats."""
    with path.open("rb") as file:
        start = file.read(12)
    found = next((name for sign, name in STARTS.items() if start.startswith(sign)), None)
    if start[4:8] == b"ftyp":
        found = BRANDS.get(start[8:12], "HEIC" if start[8:10] == b"he" else "a video")
    if start.startswith(TIFFS):
        return "a TIFF of a kind that is not read, as one of floating point; save it with 8 or 16 bits"
    if found is None:
        empty = "" if start else "empty, and so "
        return f"{empty}not a whole image of a format that is read ({', '.join(FORMATS)}); save it as one of them"
    return f"{found}, a format that is not read as an image; save it as JPEG or PNG"
