"""Words on pictures."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from hmlpe.palette import SIDES, rgb, side_of
from hmlpe.skeleton import Skeleton

INK, PAPER = 16, 245  # near black, near white

Image = UInt8[np.ndarray, "height width 3"]


@lru_cache(maxsize=256)
def caption(text: str, size: int) -> Image:
    """Dark text on a light strip, `size` pixels high in capitals and what hangs below them. Not to be written to."""
    font = _font(size)
    left, _, right, _ = font.getbbox(text)
    pad = max(2, size // 4)
    strip = Pillow.new("RGB", (int(right - left) + 2 * pad, size + size // 3 + pad), (PAPER,) * 3)
    ImageDraw.Draw(strip).text((pad - left, pad // 2), text, fill=(INK,) * 3, font=font)
    return np.asarray(strip)


@lru_cache(maxsize=16)
def legend(skeleton: Skeleton, size: int, unsure: float | None) -> Image:
    """A strip that explains the joints' colours; discs and dashes, unless `unsure` is None. Not to be written to."""
    pieces = []
    sides = {side_of(skeleton, joint) for joint in range(len(skeleton.joints))}
    for side in SIDES:
        if side in sides:
            word = side.word.removesuffix(" joint").removeprefix("joint of the ")
            pieces += [_swatch(side.colour, size), caption(word, size)]
    if unsure is not None:
        pieces.append(caption(f"fuller: surer, dashed: below {unsure:g}", size))
    height = max(len(piece) for piece in pieces)
    whole = [np.pad(piece, ((0, height - len(piece)), (0, 0), (0, 0)), constant_values=PAPER) for piece in pieces]
    return np.hstack(whole)


def paste(picture: Image, piece: UInt8[np.ndarray, "high wide 3"], left: int, top: int) -> None:
    """Put the piece at this place, moved so that as much of it as possible is inside."""
    height, width = (min(a, b) for a, b in zip(picture.shape[:2], piece.shape[:2], strict=True))
    x, y = max(0, min(left, picture.shape[1] - width)), max(0, min(top, picture.shape[0] - height))
    picture[y : y + height, x : x + width] = piece[:height, :width]


def _swatch(colour: str, size: int) -> Image:
    pad = max(2, size // 4)
    zoom = 4  # drawn larger, so that its edge is smooth
    square = Pillow.new("RGB", (zoom * (size + pad), zoom * (size + size // 3 + pad)), (PAPER,) * 3)
    box = [zoom * pad, zoom * (pad + size // 8), zoom * (pad + size - 2), zoom * (pad + size // 8 + size - 2)]
    ImageDraw.Draw(square).ellipse(box, fill=rgb(colour), outline=(INK,) * 3, width=zoom)
    return np.asarray(square.reduce(zoom))


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
