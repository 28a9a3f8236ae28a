"""The people of a study, drawn: crops out of the pack, each in the page once, whoever shows it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from hmlpe.errors import UserError
from hmlpe.report.setup import Setup
from hmlpe.web import data_link

QUALITY = 82  # of the JPEG: crops are 128 pixels wide, and the page must stay small


class Crops:
    """Those of one pack.

    Raises:
        UserError: the pack is gone, or holds other data.
    """

    def __init__(self, setup: Setup, digest: str) -> None:
        from hmlpe.data.pack import open_pack

        pack = open_pack(setup.pack, setup.skeleton)
        if pack.manifest["digest"] != digest:
            raise UserError(f"{setup.pack}: is of other data than these runs were; prepare that data again")
        self._crops = pack.crops
        self.size_px = setup.size_px
        self.used: dict[int, str] = {}

    def use(self, row: int) -> str:
        """The name by which the page shows the crop of this row of the pack."""
        name = f"crop-{row}"
        if row not in self.used:
            if not 0 <= row < len(self._crops):
                raise UserError(f"the pack holds no person {row}")
            self.used[row] = data_link("image/jpeg", _jpeg(np.asarray(self._crops[row])))
        return name

    def images(self) -> Sequence[tuple[str, str]]:
        """Name and content of all that are used."""
        return [(f"crop-{row}", link) for row, link in sorted(self.used.items())]


def open_crops(setup: Setup, digest: str) -> Crops | str:
    """The crops, or why there are none."""
    try:
        return Crops(setup, digest)
    except UserError as error:
        return str(error)


def png_of_map(tile: UInt8[np.ndarray, "row column"], colour: tuple[int, int, int]) -> str:
    """A map of windows as a picture of one pixel a window: the colour, as opaque as the window is sure."""
    rgba = np.empty((*tile.shape, 4), np.uint8)
    rgba[..., :3], rgba[..., 3] = colour, tile
    out = io.BytesIO()
    Image.fromarray(rgba).save(out, "PNG")
    return data_link("image/png", out.getvalue())


def _jpeg(image: UInt8[np.ndarray, "row column 3"]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
