"""Reading the images of a set from its folder: whole, in RGB, or a clear error."""

from __future__ import annotations

import math
import os.path
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from hmlpe.errors import UserError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # Pillow knows more, and starts programs for some
DEEP = ("I", "F")  # modes of more than 8 bits per pixel begin so; to RGB, Pillow makes them white
DEEP_WHOLE = ("PNG", "PPM")  # formats whose mode I is 16 bits, from 0 to 65535; a TIFF's is 32, or has a sign


def read_image(folder: Path, name: str, upright: bool = False) -> UInt8[np.ndarray, "height width 3"]:
    """Read `folder/name` as RGB.

    Args:
        upright: carry out the rotation that the file notes (EXIF), as viewers and labelling tools do; else the pixels
            are as they are stored.

    Of 16 bits per channel the upper 8 are kept, in grey as in colour. What is transparent is laid on white. Of several
    frames or pages the first is read.

    A name may not lead out of the folder. A link in the folder may: whoever owns the folder put it there.

    Raises:
        UserError: the file is missing, cut off, no image, too large to be one, or outside the folder.
    """
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts or not name.isprintable():
        raise UserError(f"{name!r}: an image's name must be printable, and not lead out of {folder}")
    limit = Image.MAX_IMAGE_PIXELS or math.inf  # Pillow itself only warns up to twice that
    with _opened(path) as image:
        if image.width * image.height > limit:
            raise UserError(f"{path}: {image.width} x {image.height} pixels are too many for a photo")
        return np.asarray(_rgb(ImageOps.exif_transpose(image) if upright else image, image.format, path))


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
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: image is missing") from error
    except UnidentifiedImageError as error:  # whose text is the path again
        raise UserError(f"{path}: not a whole image (of no format that is known); fetch it again") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too many pixels for a photo ({error})") from error
    except Exception as error:  # a damaged file makes Pillow's decoders raise almost anything
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a whole image ({reason}); fetch it again") from error
