"""What the records of a COCO file hold, checked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.sources.folder import image_name
from hmlpe.data.sources.json_file import Identifier, Record, field, identifier, numbers, records, shown
from hmlpe.errors import UserError


def images_of(content: Record, path: Path) -> dict[Identifier, str]:
    """Id -> the image's name. Raises UserError at ids or names that are there twice."""
    images: dict[Identifier, str] = {}
    for place, record in enumerate(records(content, "images", path), start=1):
        where = f"{path}, image at place {place}"
        key = identifier(record, "id", where)
        if key in images:
            raise UserError(f"{where}: the id {key!r} is there twice; give each image its own")
        images[key] = image_name(field(record, "file_name", where), f"{where}, field 'file_name'")
    for name, count in Counter(images.values()).most_common(1):
        if count > 1:
            raise UserError(f"{path}: the image {name!r} is there under {count} ids; give all its people one")
    return images


def sizes_of(content: Record, path: Path) -> dict[str, tuple[int, int]]:
    """Name of an image -> the width and height that the file states, where it does."""
    stated = {}
    for record in records(content, "images", path):
        size = record.get("width"), record.get("height")
        if all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in size):
            stated[image_name(record.get("file_name"), f"{path}, image {record.get('id')!r}")] = size
    return stated  # type: ignore[return-value]  # they are integers


def shots_of_images(content: Record, path: Path) -> dict[str, str]:
    """Name of an image -> the shot that the file says it is a frame of, where it does; a field of the user's own."""
    said = {}
    for record in records(content, "images", path):
        where = f"{path}, image {record.get('id')!r}"
        if shot := text_of(record, "shot", where):
            said[image_name(record.get("file_name"), where)] = shot
    return said


def keypoints_of(content: Record, path: Path) -> dict[Identifier, list[str]]:
    """Id of a category -> the names of its keypoints, empty if it has none. Raises UserError at doubled ids."""
    categories: dict[Identifier, list[str]] = {}
    for place, record in enumerate(records(content, "categories", path), start=1):
        where = f"{path}, category at place {place}"
        key, names = identifier(record, "id", where), record.get("keypoints") or []
        if key in categories:
            raise UserError(f"{where}: the id {key!r} is there twice; give each category its own")
        if not isinstance(names, list) or not all(isinstance(name, str) and name.isprintable() for name in names):
            raise UserError(f"{where}: field 'keypoints' must be a list of names, got {shown(names)}")
        if len(set(names)) != len(names):
            raise UserError(f"{where}: field 'keypoints' has a name twice: {', '.join(names)[:200]}")
        categories[key] = names
    return categories


def points_of(
    record: Record, weights: Float[np.ndarray, "point keypoint"], where: str
) -> tuple[Float[np.ndarray, "point 2"], Bool[np.ndarray, " point"]]:
    """The annotation's points, weighted means of its keypoints, in pixels; and which are occluded.

    A point is unknown if one of its keypoints is, or if it has none; it is occluded if one of its keypoints is.

    Raises:
        UserError: there are not three numbers per keypoint, or a visibility other than 0, 1 and 2.
    """
    table = numbers(record, "keypoints", 3 * weights.shape[1], where).reshape(-1, 3)
    xy, visible = table[:, :2], table[:, 2]
    if not np.isin(visible, (0, 1, 2)).all():
        raise UserError(f"{where}: the visibility of a keypoint must be 0, 1 or 2, got {visible.tolist()}")
    parts = weights > 0
    points = weights @ np.where(visible[:, None] > 0, xy, 0)
    points[(parts & (visible == 0)).any(axis=1) | ~parts.any(axis=1)] = np.nan
    return points, (parts & (visible == 1)).any(axis=1)


def window_of(record: Record, where: str) -> Float[np.ndarray, " 4"]:
    """The annotation's box, x0 y0 x1 y1 with pixel centres at integers; NaN if it has none."""
    if record.get("bbox") is None:
        return np.full(4, np.nan)
    x, y, width, height = numbers(record, "bbox", 4, where)
    if min(width, height) <= 0:
        raise UserError(f"{where}: field 'bbox' must have a width and a height, got {width:g} and {height:g}")
    return np.array([x, y, x + width, y + height]) - 0.5


def text_of(record: Record, name: str, where: str) -> str:
    """A text that the user may have added: who it is ("identity"), or of which "shot"; empty if it is not said."""
    text = record.get(name)
    if text is not None and not (isinstance(text, str) and text.isprintable()):
        raise UserError(f"{where}: field {name!r} must be a text, got {shown(text)}")
    return text or ""
