"""Reading the images of a set from its folder: whole, in RGB, or a clear error."""

from __future__ import annotations

import warnings
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
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{name}: an image's name must not lead out of {folder}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: image is missing") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{path}: not a whole image ({error}); fetch it again") from error
