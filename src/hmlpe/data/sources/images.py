"""Reading the images of a set from its folder: whole, in RGB, or a clear error."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from hmlpe.errors import UserError


def read_image(folder: Path, name: str) -> UInt8[np.ndarray, "height width 3"]:
    """Read `folder/name` as RGB.

    Raises:
        UserError: the file is missing, cut off, no image, too large to be one, or outside the folder.
    """
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise UserError(f"{name}: an image's name must not lead out of {folder}")
    limit = Image.MAX_IMAGE_PIXELS or math.inf  # Pillow itself only warns up to twice that
    try:
        with Image.open(path) as image:
            if image.width * image.height > limit:
                raise UserError(f"{path}: {image.width} x {image.height} pixels are too many for a photo")
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: image is missing") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a whole image ({error}); fetch it again") from error
