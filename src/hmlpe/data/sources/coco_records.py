"""What the records of a COCO file hold, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeGuard

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.sources.attributes import word
from hmlpe.data.sources.json_file import Identifier, Record, field, identifier, numbers, records, shown
from hmlpe.errors import UserError
from hmlpe.spelling import composed, is_plain

Size = tuple[int, int]


def images_of(
    content: Record, path: Path, image_of: Callable[[object, str], str]
) -> tuple[dict[Identifier, str], dict[str, Size], dict[str, str]]:
    """Id -> the image's name; and name -> width and height, and name -> the shot it is a frame of, where they are said.

    Args:
        image_of: gives the image's name in the set, of the name in the file and where that stands.

    Raises:
        UserError: ids or names are there twice.
    """
    images: dict[Identifier, str] = {}
    sizes: dict[str, Size] = {}
    shots: dict[str, str] = {}
    for place, record in enumerate(records(content, "images", path), start=1):
        where = f"{path}, image at place {place}"
        key = identifier(record, "id", where)
        if key in images:
            raise UserError(f"{where}: the id {key!r} is there twice; give each image its own")
        images[key] = image_of(field(record, "file_name", where), f"{where}, field 'file_name'")
        width, height = record.get("width"), record.get("height")
        if _is_side(width) and _is_side(height):
            sizes[images[key]] = width, height
        if shot := text_of(record, "shot", f"{path}, image {key!r}"):
            shots[images[key]] = shot
    for name, count in Counter(images.values()).most_common(1):
        if count > 1:
            raise UserError(f"{path}: the image {name!r} is there under {count} ids; give all its people one")
    return images, sizes, shots


def keypoints_of(content: Record, path: Path) -> dict[Identifier, list[str]]:
    """Id of a category -> the names of its keypoints, empty if it has none. Raises UserError at doubled ids."""
    categories: dict[Identifier, list[str]] = {}
    for place, record in enumerate(records(content, "categories", path), start=1):
        where = f"{path}, category at place {place}"
        key, names = identifier(record, "id", where), record.get("keypoints") or []
        if key in categories:
            raise UserError(f"{where}: the id {key!r} is there twice; give each category its own")
        if not isinstance(names, list) or not all(
            isinstance(name, str | int) and is_plain(str(name)) for name in names
        ):
            raise UserError(f"{where}: field 'keypoints' must be a list of names, got {shown(names)}")
        names = [composed(str(name)) for name in names]  # some tools number them
        if len(set(names)) != len(names):
            raise UserError(f"{where}: field 'keypoints' has a name twice: {', '.join(names)[:200]}")
        categories[key] = names
    return categories


def points_of(
    record: Record, weights: Float[np.ndarray, "point keypoint"], where: str
) -> tuple[Float[np.ndarray, "point 2"], Bool[np.ndarray, " point"]]:
    """The annotation's points, weighted means of its keypoints, in pixels; and which are occluded.

    A point is unknown if one of its keypoints is, or if it has none; it is occluded if one of its keypoints is. Without
    a list of keypoints all are unknown, and so is a keypoint whose three numbers are.

    Raises:
        UserError: there are not three numbers per keypoint, a visibility is not 0, 1 or 2, or has no place.
    """
    if record.get("keypoints") in (None, []):
        record = {"keypoints": [0] * 3 * weights.shape[1]}
    table = numbers(record, "keypoints", 3 * weights.shape[1], where).reshape(-1, 3)
    table[np.isnan(table).all(axis=1)] = 0
    xy, visible = table[:, :2], table[:, 2]
    if not np.isin(visible, (0, 1, 2)).all():
        raise UserError(f"{where}: the visibility of a keypoint must be 0, 1 or 2, got {visible.tolist()}")
    if np.isnan(xy[visible > 0]).any():
        raise UserError(f"{where}: field 'keypoints' holds one without x or y whose visibility is not 0")
    parts = weights > 0
    points = weights @ np.where(visible[:, None] > 0, xy, 0)
    points[(parts & (visible == 0)).any(axis=1) | ~parts.any(axis=1)] = np.nan
    return points, (parts & (visible == 1)).any(axis=1)


def window_of(record: Record, where: str) -> Float[np.ndarray, " 4"]:
    """The annotation's box, x0 y0 x1 y1 with pixel centres at integers; NaN if it has none, or one without area.

    Raises:
        UserError: there are not four numbers, or one side is negative.
    """
    if record.get("bbox") in (None, []):
        return np.full(4, np.nan)
    x, y, width, height = numbers(record, "bbox", 4, where)
    if min(width, height) < 0:
        raise UserError(f"{where}: field 'bbox' must have a width and a height, got {width:g} and {height:g}")
    return np.array([x, y, x + width, y + height]) - 0.5 if width * height > 0 else np.full(4, np.nan)


def text_of(record: Record, name: str, where: str) -> str:
    """A text that the user may have added: who it is ("identity"), or of which "shot"; empty if it is not said."""
    text = record.get(name)
    if text is not None and not (isinstance(text, str) and is_plain(text)):
        raise UserError(f"{where}: field {name!r} must be a text, got {shown(text)}")
    return composed(text or "")


def fields_of(record: Record, where: str) -> Record:
    """The annotation's fields, and those of its object "attributes", where CVAT writes what it has no field for.

    Raises:
        UserError: "attributes" is no object.
    """
    nested = record.get("attributes") or {}
    if not isinstance(nested, dict):
        raise UserError(f"{where}: field 'attributes' must be an object, got {shown(nested)}")
    return nested | {name: value for name, value in record.items() if name != "attributes"}


def word_of(record: Record, name: str, where: str) -> str:
    """What one of `fields_of` says, as a table would; empty if it is null, or not there. Raises UserError at a list."""
    value = fields_of(record, where).get(name)
    if not (value is None or isinstance(value, str | int | float)):
        raise UserError(f"{where}: field {name!r} must be a text or a number, got {shown(value)}")
    return word(value)


def _is_side(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
