"""Read the images of a data set as RGB, or raise an error that says what is wrong with the file."""

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

# Pillow supports more formats, but starts programs to read some of them.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
UNSUPPORTED = {  # other formats that phones and cameras write, by suffix
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    **{".avif": "AVIF", ".jxl": "JPEG XL", ".jp2": "JPEG 2000"},
    **dict.fromkeys((".dng", ".nef", ".nrw", ".arw", ".cr2", ".cr3", ".orf", ".pef", ".raf", ".rw2", ".srw"), "raw"),
}
# Brands in the ftyp box of ISO 14496-12.
_FTYP_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "raw", b"mif1": "HEIC", b"msf1": "HEIC"}
_SIGNATURES = {  # first bytes of formats that are not supported
    **{b"\0\0\0\x0cjP  ": "JPEG 2000", b"\0\0\0\x0cJXL ": "JPEG XL", b"\xff\x0a": "JPEG XL"},
    **{b"%PDF": "PDF", b"8BPS": "PSD"},
}
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PIXELS = 2**28  # of a photo: phones make 108 and 200 million, but Pillow's own limit is 89 million
_TRANSPOSES = {  # the operation that makes an image upright, by EXIF's Orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEEP_MODES = ("I", "F")  # first letters of modes of more than 8 bits, which Pillow would turn white as RGB
_FORMATS_16_BIT = ("PNG", "PPM")  # formats with 16 bits in mode I, 0 to 65535; a TIFF's has 32, or is signed

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# About metadata that is not used.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")


def read_image(folder: Path, name: str, upright: bool = False) -> UInt8[np.ndarray, "height width 3"]:
    """Read the image file `folder/name` and return its pixels in RGB.

    Of 16 bits per channel the upper 8 are kept, in grey and in colour. Transparent images are put on white. Of several
    frames or pages the first is read.

    A name may not lead out of the folder. A link in the folder may, as the folder's owner has put it there.

    Args:
        folder: the image folder.
        name: path of the image, relative to the folder.
        upright: whether to apply the rotation noted in the file (EXIF), as viewers and labelling tools do; else the
            pixels stay as they are stored, except in a TIFF, which Pillow always rotates.

    Raises:
        UserError: the file is missing, truncated, not an image, too large for one, or outside the folder.
    """
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts or not is_plain(name):
        raise UserError(f"{name!r}: an image's name must be printable, and not lead out of {folder}")
    with _open_image(path) as image:
        # Pillow itself refuses only twice as many.
        if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise UserError(f"{path}: {image.width} x {image.height} pixels are too many for a photo")
        if image.format == "TIFF" and UNSUPPORTED.get(path.suffix.lower()) == "raw":
            raise UserError(f"{path}: a camera's raw file, of which only a preview can be read; save it as JPEG or PNG")
        return np.asarray(_convert_to_rgb(_rotate_upright(image) if upright else image, image.format, path))


def _rotate_upright(image: Image.Image) -> Image.Image:
    """Rotate the image as its EXIF orientation says; other EXIF entries are not read, as they may be broken."""
    image.load()  # a PNG's EXIF data may come after the pixels
    try:
        # The fallback also reads XMP.
        noted = _read_orientation(image.info.get("exif", b"")) or image.getexif().get(ExifTags.Base.Orientation)
        turn = _TRANSPOSES.get(int(noted or 0))
    except Exception:  # invalid metadata: no rotation
        return image
    return image if turn is None else image.transpose(turn)


def _read_orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, in EXIF data, or 0 without one (EXIF 2.32, 4.6.2).

    Pillow cannot be used, as it reads the preceding entries too and gives up at the first invalid one.
    """
    data = exif.removeprefix(b"Exif\0\0")
    order: Literal["big", "little"] = "big" if data.startswith(b"MM") else "little"

    def read_integer(start: int, size: int) -> int:
        return int.from_bytes(data[start : start + size], order)

    first = read_integer(4, 4) + 2
    for entry in range(first, first + 12 * read_integer(first - 2, 2), 12):
        if read_integer(entry, 2) == ExifTags.Base.Orientation:
            size = {3: 2, 4: 4, 8: 2, 9: 4}.get(read_integer(entry + 2, 2), 1)
            value = read_integer(entry + 8, size)
            return value - ord("0") if size == 1 and value > ord("0") else value
    return 0


def _convert_to_rgb(image: Image.Image, format: str | None, path: Path) -> Image.Image:
    """Convert an image of any mode to RGB with 8 bits per channel."""
    if image.mode.startswith("I;16") or (image.mode == "I" and format in _FORMATS_16_BIT):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode.startswith(_DEEP_MODES):
        raise UserError(f"{path}: more than 16 bits per channel, or signed; save it with 8 or 16")
    if not image.has_transparency_data:
        return image.convert("RGB")
    seen = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")


def image_size(folder: Path, name: str) -> tuple[int, int] | None:
    """Return an image's (width, height) in pixels from the file's header, without decoding it; None if it is missing.

    Raises:
        UserError: the file does not have the header of an image.
    """
    if not os.path.exists(folder / name):
        return None
    with _open_image(folder / name) as image:
        return image.width, image.height


@contextmanager
def _open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file without decoding it, for a `with` block; any error in the block becomes a UserError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
            raise OSError("it is a folder, a pipe or a device")
        # not opened by name: Pillow 12.3 then maps the file and swaps width and height of a rotated TIFF
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            yield image
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: image is missing") from error
    except UnidentifiedImageError as error:  # its text is only the path
        raise UserError(f"{path}: {_unsupported_message(path)}") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too many pixels for a photo ({error})") from error
    except Exception as error:  # a damaged file can make Pillow's decoders raise any error
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a whole image ({reason}); fetch it again") from error


def _unsupported_message(path: Path) -> str:
    """Return the error message for a file that is no image of a supported format; it says what the file is."""
    with path.open("rb") as file:
        start = file.read(12)
    found = next((name for sign, name in _SIGNATURES.items() if start.startswith(sign)), None)
    if start[4:8] == b"ftyp":
        found = _FTYP_BRANDS.get(start[8:12], "HEIC" if start[8:10] == b"he" else "a video")
    if start.startswith(_TIFF_SIGNATURES):
        return "an unsupported kind of TIFF, such as floating point; save it with 8 or 16 bits"
    if found is None:
        empty = "" if start else "empty, and so "
        return f"{empty}not a whole image in a supported format ({', '.join(FORMATS)}); save it as one of them"
    return f"{found}, which is not a supported image format; save it as JPEG or PNG"
