"""Boxes that the user gives, from a file."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from hmlpe.detect.box_files import Category, read_coco, read_csv
from hmlpe.detect.box_map import BoxMap
from hmlpe.detect.detector import Detections
from hmlpe.errors import UserError
from hmlpe.spelling import composed


class GivenBoxes:
    """Looks the people of an image up in a file.

    - CSV with the columns image,x0,y0,x1,y1 and perhaps score: corners in image pixels, pixel CENTRES at integers, so
      that the whole of an image of 10 x 10 is -0.5,-0.5,9.5,9.5.
    - COCO's JSON: see `box_files.read_coco`; its boxes count from the pixels' corners, so 0.5 is subtracted.

    An image goes by its name relative to the folder of the images, or else by its base name, if only one image of the
    file and only one that is asked for has it. An image that is not in the file has no people, and is in `unknown`;
    what of a table is not read is in `ignored`.

    Args:
        file: .csv, or .json.
        to_window: from the boxes to upper-body windows, a `BoxMap` or its shift, top and height; None: they are such
            windows already (see `Detections`).
        images: only for a .json that is a list of detections: the COCO file with their images.
        category: only for .json: id or name of the category to take, "person" in COCO's own files.

    Raises:
        UserError: the file is missing or broken, or one of its boxes is.
    """

    def __init__(
        self,
        file: str,
        to_window: BoxMap | Mapping[str, float | int] | None = None,
        images: str | None = None,
        category: Category | None = None,
    ) -> None:
        self.path = Path(file).expanduser()
        kind = self.path.suffix.lower()
        if kind not in (".csv", ".json"):
            raise UserError(f"detector.file: {file!r} must be a .csv, or a .json of COCO's kind")
        if isinstance(to_window, Mapping):
            if set(to_window) != {"shift", "top", "height"}:
                raise UserError(
                    f"detector.to_window: needs shift, top and height, got {', '.join(map(str, to_window))}"
                )
            to_window = BoxMap(**to_window)
        listing = None if images is None else Path(images).expanduser()
        read, self.ignored = (
            read_csv(self.path) if kind == ".csv" else (read_coco(self.path, listing, category), dict[str, int]())
        )
        self._found: dict[str, Detections] = {}
        for name, boxes in read.items():
            key = posixpath.normpath(name)
            if key in self._found:
                raise UserError(f"{self.path}: the image {key!r} is written in two ways; write it in one")
            table = np.array(boxes).reshape(-1, 5)
            table = table[np.argsort(-table[:, 4], kind="stable")]
            windows = table[:, :4] if to_window is None else to_window(table[:, :4])
            self._found[key] = Detections(windows, table[:, 4])
        self._by_base = defaultdict(list)
        for key in self._found:
            self._by_base[posixpath.basename(key)].append(key)
        self._asked: dict[str, str] = {}  # entry of the file -> the image that it was given to
        self._unknown: dict[str, None] = {}

    @property
    def unknown(self) -> list[str]:
        """The images that were asked for so far and are not in the file, in the order of the first call."""
        return list(self._unknown)

    def __call__(self, image: UInt8[np.ndarray, "height width 3"], name: str) -> Detections:
        """The image's people, the surest first.

        Raises:
            UserError: it could be several images of the file, or one of the file's could be several of those asked
                for, or a window lies outside the image.
        """
        entry = self._entry(name)
        if entry is None:
            self._unknown[name] = None
            return Detections(np.zeros((0, 4)), np.zeros(0))
        found = self._found[entry]
        height, width = image.shape[:2]
        windows = found.windows_px
        outside = (windows[:, 2:] <= -0.5).any(axis=1) | (windows[:, :2] >= (width - 0.5, height - 0.5)).any(axis=1)
        if outside.any():
            box = ", ".join(f"{value:g}" for value in windows[outside][0])
            raise UserError(
                f"{self.path}, image {entry!r}: the window {box} lies outside its {width} x {height} pixels; "
                "are the boxes of another version of it?"
            )
        return Detections(windows.copy(), found.scores.copy())

    def _entry(self, name: str) -> str | None:
        asked = composed(posixpath.normpath(Path(name).as_posix()))
        entry: str | None = asked
        if asked not in self._found:
            alike = self._by_base.get(posixpath.basename(asked), [])
            if len(alike) > 1:
                raise UserError(f"{self.path}: image {name!r} could be {alike[0]!r} or {alike[1]!r}; write its folder")
            entry = alike[0] if alike else None
        if entry is not None and self._asked.setdefault(entry, asked) != asked:
            raise UserError(
                f"{self.path}: its image {entry!r} could be {self._asked[entry]!r} or {asked!r}; write its folder"
            )
        return entry
