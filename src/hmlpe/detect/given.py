"""Read bounding boxes that the user supplies in a file, CSV or COCO's JSON; invalid files are refused."""

from __future__ import annotations

import json
import math
import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.csv_file import read_table
from hmlpe.detect.box_map import BoxMap
from hmlpe.detect.detector import Detections
from hmlpe.errors import UserError
from hmlpe.spelling import is_plain, normalised_id, to_nfc, with_forward_slashes

REQUIRED = ("image", "x0", "y0", "x1", "y1")
OPTIONAL = ("score",)
LARGEST_PX = 1_000_000  # no image is larger, so a larger number cannot be a coordinate in pixels

Boxes = dict[str, list[Float[np.ndarray, " 5"]]]  # image -> x0 y0 x1 y1 score
Category = int | str


def read_csv(path: Path) -> tuple[Boxes, Mapping[str, int]]:
    """Read the boxes of a table with the columns image, x0, y0, x1, y1 and optionally score; pixel centres at integers.

    Returns:
        Image name -> its boxes (x0 y0 x1 y1 score); and kind of content that was ignored -> how often it occurs
        (see `csv_file.Table`).

    Raises:
        UserError: the file is not readable or cut off, a column is missing, or the cells of a line are not a box.
    """
    boxes: Boxes = {}
    table = read_table(path, REQUIRED, OPTIONAL, may_be_empty=True)
    for row in table.rows:
        values = [
            _checked_number(row.cells.get(column, "1"), f"{row.where}, column {column}")
            for column in REQUIRED[1:] + OPTIONAL
        ]
        boxes.setdefault(_checked_image_name(row.cells["image"], row.where), []).append(_checked_box(values, row.where))
    return boxes, table.ignored


def read_coco(path: Path, images: Path | None, category: Category | None) -> Boxes:
    """Read the boxes of a COCO file, either of annotations or of detections (COCO's results format).

    COCO's bbox is x, y, width and height from the image's corner, where pixel i covers [i, i + 1], so 0.5 is
    subtracted. Crowds (iscrowd 1) are left out. The result is image name -> its boxes (x0 y0 x1 y1 score); listed
    images without boxes have an empty list.

    Args:
        path: file with an object with "images" and "annotations", or a list of objects with image_id, bbox and
            optionally score.
        images: for a list of detections, the file whose "images" give the image of each id; None: image_id is the
            image's name.
        category: id or name of the only category to read; None: all boxes, which must be of one category.

    Raises:
        UserError: the file is not readable, a record is not a box, an image is unknown, or there are several categories
            and none is chosen.
    """
    content = _read_json(path)
    listing = content if isinstance(content, dict) else _read_json(images) if images else None
    names = None if listing is None else _read_image_names(listing, path if isinstance(content, dict) else images)
    chosen = _category_id(listing if isinstance(listing, dict) else {}, category, path)
    kind = "annotation" if isinstance(content, dict) else "detection"
    records = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(records, list):
        raise UserError(f"{path}: must be a list of detections, or an object with a list of 'annotations'")
    boxes: Boxes = {name: [] for name in (names or {}).values()}
    seen: set[Any] = set()
    for place, record in enumerate(records, start=1):
        where = f"{path}, {kind} at place {place}"
        if not isinstance(record, dict):
            raise UserError(f"{where}: must be an object, got {_short_repr(record)}")
        of = _normalise_id(record.get("category_id"))
        if record.get("iscrowd") == 1 or (chosen is not None and of != chosen):
            continue
        seen.add(_short_repr(of))
        if len(seen) > 1:
            raise UserError(f"{where}: the boxes are of several categories; name one with detector.category")
        box, score = record.get("bbox"), record.get("score", 1)
        if not isinstance(box, list) or len(box) != 4:
            raise UserError(f"{where}: 'bbox' must be a list of 4 numbers, got {_short_repr(box)}")
        x, y, width, height, sure = (_checked_number(value, where) for value in (*box, score))
        corners = [x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5, sure]
        boxes.setdefault(_image_name_of(record, names, where), []).append(_checked_box(corners, where))
    return boxes


def _read_image_names(listing: Any, path: Path | None) -> dict[Category, str]:
    """Return image id -> image name, from the "images" of a COCO file. Raises UserError if one is not valid."""
    records = listing.get("images") if isinstance(listing, dict) else None
    if not isinstance(records, list):
        raise UserError(f"{path}: must hold a list of 'images', whose ids the boxes refer to")
    names: dict[Category, str] = {}
    for place, record in enumerate(records, start=1):
        where = f"{path}, image at place {place}"
        key = _normalise_id(record.get("id")) if isinstance(record, dict) else None
        if isinstance(key, bool) or not isinstance(key, int | str) or key in names:
            raise UserError(f"{where}: must be an object with a unique 'id', got {_short_repr(key)}")
        names[key] = _checked_image_name(record.get("file_name"), where)
    return names


def _image_name_of(record: Mapping[str, Any], names: Mapping[Category, str] | None, where: str) -> str:
    """Return the name of the image that a box refers to by "image_id": an id in `names`, or without `names` a name."""
    key = record.get("image_id") if names is None else _normalise_id(record.get("image_id"))
    if names is None:
        if not isinstance(key, str):
            raise UserError(f"{where}: 'image_id' is not a name; name the file listing the images: detector.images")
        return _checked_image_name(key, where)
    if isinstance(key, bool) or not isinstance(key, int | str) or key not in names:
        raise UserError(f"{where}: there is no image with the id {_short_repr(key)}")
    return names[key]


def _category_id(listing: Mapping[str, Any], category: Category | None, path: Path) -> Any:
    """Return the id of the category that the user chose by name or id; None if none was chosen."""
    if not isinstance(category, str):
        return category
    listed = listing.get("categories")
    known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    ids = [_normalise_id(one.get("id")) for one in known if one.get("name") == category]
    if len(ids) != 1:
        raise UserError(f"{path}: {len(ids)} categories are called {category!r}; detector.category may also be an id")
    return ids[0]


def _checked_image_name(value: Any, where: str) -> str:
    """Return an image name with forward slashes and in Unicode NFC. Raises UserError if it is no name."""
    if not isinstance(value, str) or not value.strip() or not is_plain(value):
        raise UserError(f"{where}: must name an image, got {_short_repr(value)}")
    return to_nfc(with_forward_slashes(value))


def _normalise_id(value: Any) -> Any:
    """Return an id in which a number written as text is a number; any other value is returned as it is."""
    return normalised_id(value) if isinstance(value, int | str) else value


def _checked_number(value: Any, where: str) -> float:
    """Return the value as a float. Raises UserError if it is no number, or above `LARGEST_PX`."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LARGEST_PX:
        raise UserError(f"{where}: must be a number of at most {LARGEST_PX}, got {_short_repr(value)}")
    return number


def _checked_box(values: Sequence[float], where: str) -> Float[np.ndarray, " 5"]:
    """Return x0 y0 x1 y1 score as an array. Raises UserError if the box has no area."""
    x0, y0, x1, y1, _ = values
    if x1 <= x0 or y1 <= y0:
        raise UserError(f"{where}: the box has no width or no height, from {x0:g}, {y0:g} to {x1:g}, {y1:g}")
    return np.array(values, dtype=np.float64)


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror})") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({' '.join(str(error).split())}); is the file whole?") from error


def _short_repr(value: Any) -> str:
    return {dict: "an object", list: "a list", type(None): "nothing"}.get(type(value)) or repr(value)[:60]


class GivenBoxes:
    """A person detector that looks up the boxes of an image in a file of the user's.

    The file is one of:

    - CSV with the columns image,x0,y0,x1,y1 and optionally score: corners in image pixels, pixel CENTRES at integers,
      so that the whole of an image of 10 x 10 is -0.5,-0.5,9.5,9.5.
    - COCO's JSON: see `read_coco`; its boxes count from the pixels' corners, so 0.5 is subtracted.

    An image is looked up by its name relative to the folder of the images, or else by its base name, if only one image
    of the file and only one requested image has it. An image that is not in the file has no people, and is listed in
    `unlisted_images`. Content of a table that is not read is counted in `ignored`.

    Args:
        file: path of a .csv or a .json.
        to_window: map from the file's boxes to upper-body windows, a `BoxMap` or its shift, top and height; None: the
            boxes are such windows already (see `Detections`).
        images: only for a .json that is a list of detections: the COCO file that lists their images.
        category: only for .json: id or name of the category to read, "person" in COCO's own files.

    Raises:
        UserError: the file is missing or broken, or one of its boxes is not valid.
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
            raise UserError(f"detector.file: {file!r} must be a .csv, or a .json in COCO's format")
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
                raise UserError(f"{self.path}: the image {key!r} is written in two ways; use one")
            table = np.array(boxes).reshape(-1, 5)
            table = table[np.argsort(-table[:, 4], kind="stable")]
            windows = table[:, :4] if to_window is None else to_window(table[:, :4])
            self._found[key] = Detections(windows, table[:, 4])
        self._by_base = defaultdict(list)
        for key in self._found:
            self._by_base[posixpath.basename(key)].append(key)
        self._asked: dict[str, str] = {}  # entry of the file -> the requested image that it was matched to
        self._unlisted: dict[str, None] = {}

    @property
    def unlisted_images(self) -> list[str]:
        """Return the names of requested images that the file does not list, in the order of their first request."""
        return list(self._unlisted)

    def __call__(self, image: UInt8[np.ndarray, "height width 3"], name: str) -> Detections:
        """Return the people whom the file lists for the image, the highest score first.

        There are none if the file does not list the image (its name is then in `unlisted_images`).

        Args:
            image: the RGB image; only its size is used.
            name: name of the image.

        Raises:
            UserError: the name fits several images of the file, one image of the file fits several requested names, or
                a person box lies outside the image.
        """
        entry = self._matching_image(name)
        if entry is None:
            self._unlisted[name] = None
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

    def _matching_image(self, name: str) -> str | None:
        """Return the name by which the file lists the requested image, or None. Raises UserError if it is ambiguous."""
        asked = to_nfc(posixpath.normpath(Path(name).as_posix()))
        entry: str | None = asked
        if asked not in self._found:
            alike = self._by_base.get(posixpath.basename(asked), [])
            if len(alike) > 1:
                raise UserError(f"{self.path}: image {name!r} could be {alike[0]!r} or {alike[1]!r}; add its folder")
            entry = alike[0] if alike else None
        if entry is not None and self._asked.setdefault(entry, asked) != asked:
            raise UserError(
                f"{self.path}: its image {entry!r} could be {self._asked[entry]!r} or {asked!r}; add its folder"
            )
        return entry
