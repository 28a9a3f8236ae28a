"""Files of pictures that this program has drawn: written whole, and known again."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8
from PIL import Image, PngImagePlugin

from hmlpe.files import write_bytes_atomic

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
