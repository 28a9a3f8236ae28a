"""Read users' own data sets in COCO's keypoint format (cocodataset.org/#format-data)."""

from __future__ import annotations

import json
import os.path
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from jaxtyping import Bool, Float, UInt8

from hmlpe.data.record import Person, Split
from hmlpe.data.sources.attributes import as_text
from hmlpe.data.sources.folder import LARGEST_PX
from hmlpe.data.sources.own import OwnSource, checked_test_fraction, existing_annotation_file, split_by_name
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton
from hmlpe.spelling import is_plain, normalised_id, to_nfc

Record = dict[str, Any]
Identifier = int | str
# Key of the configuration, and names of the keypoints whose mean is the point.
ConfiguredPoint = tuple[str, tuple[str, ...]]
Size = tuple[int, int]


def read_json_object(path: Path) -> Record:
    """Read a JSON file and return the object in it; NaN and infinity are accepted, as Python's tools write them.

    Raises:
        UserError: the file is missing, truncated, not UTF-8 or not a JSON object, or an object has a key twice.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_object_with_unique_keys)
    except (OSError, ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise UserError(f"{path}: not readable as JSON ({reason}); is the file whole?") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold one JSON object, got {describe_value(content)}")
    return content


def required_records(content: Record, key: str, path: Path) -> list[Record]:
    """Return the list of JSON objects under the key, e.g. "annotations". Raises UserError if there is no such list."""
    listed = required_field(content, key, str(path))
    if not isinstance(listed, list):
        raise UserError(f"{path}: {key!r} must be a list, got {describe_value(listed)}")
    for place, record in enumerate(listed, start=1):
        if not isinstance(record, dict):
            raise UserError(f"{path}: {key!r} must hold objects, got {describe_value(record)} at place {place}")
    return listed


def required_field(record: Record, name: str, where: str) -> Any:
    """Return the value of the field `name`. Raises UserError, beginning with `where`, if the record lacks it."""
    if name not in record:
        raise UserError(f"{where}: field {name!r} is missing")
    return record[name]


def required_id(record: Record, name: str, where: str) -> Identifier:
    """Return the id in the field `name`, a whole number or a text; a number written as text becomes a number.

    Raises:
        UserError: the field holds anything else, or is missing.
    """
    value = required_field(record, name, where)
    if isinstance(value, bool) or not isinstance(value, int | str) or not is_plain(str(value)):
        raise UserError(f"{where}: field {name!r} must be a whole number or a text, got {describe_value(value)}")
    return normalised_id(value)


def required_numbers(record: Record, name: str, count: int, where: str) -> Float[np.ndarray, " number"]:
    """Return the numbers in the field `name`, a list of `count` numbers of at most `LARGEST_PX`; null becomes NaN.

    Raises:
        UserError: the field holds no such list, or is missing.
    """
    value = required_field(record, name, where)
    if not isinstance(value, list) or len(value) != count:
        got = f"{len(value)} of them" if isinstance(value, list) else describe_value(value)
        raise UserError(f"{where}: field {name!r} must be a list of {count} numbers, got {got}")
    for number in value:
        known = number is not None and number == number
        if known and (isinstance(number, bool) or not isinstance(number, int | float) or abs(number) > LARGEST_PX):
            raise UserError(
                f"{where}: field {name!r} must hold numbers of at most {LARGEST_PX}, got {describe_value(number)}"
            )
    return np.array(value, dtype=np.float64)  # null becomes NaN


def describe_value(value: Any) -> str:
    """Return a short description of a JSON value for messages."""
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(value)) or repr(value)[:60]


def _object_with_unique_keys(pairs: list[tuple[str, Any]]) -> Record:
    """Convert the keys and values of a JSON object to a dictionary. Raises ValueError if a key is there twice."""
    record = dict(pairs)
    if len(record) != len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {name[:60]!r} appears twice in one object")
    return record


def configured_points(skeleton: Skeleton, joints: object, *pairs: tuple[str, object]) -> list[ConfiguredPoint]:
    """Return the configured points: the skeleton's joints, in order, then two points for each of `pairs`.

    A point is returned as the key of its setting, and the names of the file's keypoints of which it is the mean.

    Args:
        skeleton: the skeleton.
        joints: the setting `data.source.joints`: joint -> name or names of keypoints; a joint that is left out, or
            null, has no keypoints.
        pairs: for each pair the key of its setting, e.g. data.source.torso, and its value: two names of keypoints, or
            None.

    Raises:
        UserError: a setting is invalid; names its key.
    """
    if not isinstance(joints, Mapping) or all(value in (None, "", [], {}) for value in joints.values()):
        raise UserError("data.source.joints: must map the skeleton's joints to the names of the file's keypoints")
    joints = {str(joint): value for joint, value in joints.items()}  # a name in YAML may be read as a number
    for joint in joints:
        if joint not in skeleton.joints:
            raise UserError(f"data.source.joints: the skeleton has no {joint!r}; it has {', '.join(skeleton.joints)}")
    points = [(f"data.source.joints.{joint}", joints.get(joint)) for joint in skeleton.joints]
    wanted = [(key, () if value is None else _keypoint_names(key, value)) for key, value in points]
    for key, value in pairs:
        ends = ((), ()) if value is None else [(name,) for name in _keypoint_names(key, value)]
        if len(ends) != 2:
            raise UserError(f"{key}: must be the names of two keypoints, got {value!r}")
        wanted += [(key, end) for end in ends]
    return wanted


def keypoint_averaging_weights(
    points: Sequence[ConfiguredPoint], keypoints_by_category: Sequence[Sequence[str]], path: Path
) -> list[Float[np.ndarray, "point keypoint"]]:
    """Return, for each category, the weights (point, keypoint) with which its keypoints are averaged into points.

    A point for which the category lacks a keypoint has weights of 0.

    Args:
        points: the points to compute, see `configured_points`.
        keypoints_by_category: the names of each category's keypoints.
        path: the file, for messages.

    Raises:
        UserError: a configured keypoint is in none of the categories; names the setting.
    """
    there = dict.fromkeys(name for keypoints in keypoints_by_category for name in keypoints)
    if not there:
        raise UserError(f"{path}: no category has 'keypoints'; is this a file of keypoints?")
    for key, names in points:
        for name in names:
            if name not in there:
                raise UserError(f"{key}: no keypoint {name!r} in {path}; its keypoints are {', '.join(there)}")
    found = [np.zeros((len(points), len(keypoints))) for keypoints in keypoints_by_category]
    for keypoints, weight in zip(keypoints_by_category, found, strict=True):
        for row, (_, names) in enumerate(points):
            if set(names) <= set(keypoints):
                weight[row, [keypoints.index(name) for name in names]] = 1 / max(len(names), 1)
    return found


def _keypoint_names(key: str, value: object) -> tuple[str, ...]:
    """Return the keypoint names in the value of the setting `key`, a name or a list. Raises UserError if invalid."""
    names = (value,) if isinstance(value, str | int) else tuple(value) if isinstance(value, Sequence) else ()
    named = all(isinstance(name, str | int) and not isinstance(name, bool) for name in names)
    if not names or not named or len(set(map(str, names))) != len(names):
        raise UserError(f"{key}: must be the name of a keypoint, or a list of different names, got {value!r}")
    return tuple(to_nfc(str(name)) for name in names)


def read_images(
    content: Record, path: Path, to_image_name: Callable[[object, str], str]
) -> tuple[dict[Identifier, str], dict[str, Size], dict[str, str]]:
    """Read the list of images of a COCO file.

    Args:
        content: the JSON object in the file.
        path: the file, for messages.
        to_image_name: function of (the name in the file, its place for messages) that returns the image's name in the
            data set.

    Returns:
        Image id -> image name; image name -> (width, height); and image name -> the shot that it is a frame of. The
        last two have only the images for which the file states them.

    Raises:
        UserError: an id or a name occurs twice.
    """
    images: dict[Identifier, str] = {}
    sizes: dict[str, Size] = {}
    shots: dict[str, str] = {}
    for place, record in enumerate(required_records(content, "images", path), start=1):
        where = f"{path}, image at place {place}"
        key = required_id(record, "id", where)
        if key in images:
            raise UserError(f"{where}: the id {key!r} appears twice; give each image its own")
        images[key] = to_image_name(required_field(record, "file_name", where), f"{where}, field 'file_name'")
        width, height = record.get("width"), record.get("height")
        if _is_image_side(width) and _is_image_side(height):
            sizes[images[key]] = width, height
        if shot := optional_text(record, "shot", f"{path}, image {key!r}"):
            shots[images[key]] = shot
    for name, count in Counter(images.values()).most_common(1):
        if count > 1:
            raise UserError(f"{path}: the image {name!r} appears under {count} ids; give all its people the same id")
    return images, sizes, shots


def read_keypoint_names(content: Record, path: Path) -> dict[Identifier, list[str]]:
    """Return category id -> names of its keypoints, possibly none. Raises UserError if an id occurs twice."""
    categories: dict[Identifier, list[str]] = {}
    for place, record in enumerate(required_records(content, "categories", path), start=1):
        where = f"{path}, category at place {place}"
        key, names = required_id(record, "id", where), record.get("keypoints") or []
        if key in categories:
            raise UserError(f"{where}: the id {key!r} appears twice; give each category its own")
        if not isinstance(names, list) or not all(
            isinstance(name, str | int) and is_plain(str(name)) for name in names
        ):
            raise UserError(f"{where}: field 'keypoints' must be a list of names, got {describe_value(names)}")
        names = [to_nfc(str(name)) for name in names]  # some tools use numbers as names
        if len(set(names)) != len(names):
            raise UserError(f"{where}: field 'keypoints' repeats a name: {', '.join(names)[:200]}")
        categories[key] = names
    return categories


def average_keypoints(
    record: Record, weights: Float[np.ndarray, "point keypoint"], where: str
) -> tuple[Float[np.ndarray, "point 2"], Bool[np.ndarray, " point"]]:
    """Compute the points of an annotation as weighted means of its keypoints.

    A point is NaN if one of its keypoints is unknown, or if it has none; it is occluded if one of its keypoints is.
    All keypoints are unknown if the annotation has no list of them; a keypoint whose three numbers are all null or NaN
    is unknown, too.

    Args:
        record: the annotation.
        weights: (point, keypoint), see `keypoint_averaging_weights`.
        where: the annotation, for messages.

    Returns:
        The points (point, 2) in pixels, and a mask (point,) of those that are occluded.

    Raises:
        UserError: there are not three numbers per keypoint, or a visibility is not 0, 1 or 2, or a keypoint with
            visibility 1 or 2 has no coordinates.
    """
    if record.get("keypoints") in (None, []):
        record = {"keypoints": [0] * 3 * weights.shape[1]}
    table = required_numbers(record, "keypoints", 3 * weights.shape[1], where).reshape(-1, 3)
    table[np.isnan(table).all(axis=1)] = 0
    xy, visible = table[:, :2], table[:, 2]
    if not np.isin(visible, (0, 1, 2)).all():
        raise UserError(f"{where}: the visibility of a keypoint must be 0, 1 or 2, got {visible.tolist()}")
    if np.isnan(xy[visible > 0]).any():
        raise UserError(f"{where}: field 'keypoints' has one without x or y whose visibility is not 0")
    parts = weights > 0
    points = weights @ np.where(visible[:, None] > 0, xy, 0)
    points[(parts & (visible == 0)).any(axis=1) | ~parts.any(axis=1)] = np.nan
    return points, (parts & (visible == 1)).any(axis=1)


def read_box(record: Record, where: str) -> Float[np.ndarray, " 4"]:
    """Return an annotation's box (4,) as x0 y0 x1 y1, pixel centres at integers; NaN without a box or without area.

    Raises:
        UserError: the box does not have four numbers, or has a negative side.
    """
    if record.get("bbox") in (None, []):
        return np.full(4, np.nan)
    x, y, width, height = required_numbers(record, "bbox", 4, where)
    if min(width, height) < 0:
        raise UserError(f"{where}: field 'bbox' must have a width and a height, got {width:g} and {height:g}")
    return np.array([x, y, x + width, y + height]) - 0.5 if width * height > 0 else np.full(4, np.nan)


def optional_text(record: Record, name: str, where: str) -> str:
    """Return the text in the optional field `name`; empty if it is missing. Raises UserError if it is no text."""
    text = record.get(name)
    if text is not None and not (isinstance(text, str) and is_plain(text)):
        raise UserError(f"{where}: field {name!r} must be a text, got {describe_value(text)}")
    return to_nfc(text or "")


def flatten_attributes(record: Record, where: str) -> Record:
    """Return the fields of an annotation together with those in its object "attributes", where CVAT writes them.

    Raises:
        UserError: "attributes" is not an object.
    """
    nested = record.get("attributes") or {}
    if not isinstance(nested, dict):
        raise UserError(f"{where}: field 'attributes' must be an object, got {describe_value(nested)}")
    return nested | {name: value for name, value in record.items() if name != "attributes"}


def attribute_text(record: Record, name: str, where: str) -> str:
    """Return the value of an annotation's attribute as text; empty if it is null or missing.

    Raises:
        UserError: the value is a list or an object.
    """
    value = flatten_attributes(record, where).get(name)
    if not (value is None or isinstance(value, str | int | float)):
        raise UserError(f"{where}: field {name!r} must be a text or a number, got {describe_value(value)}")
    return as_text(value)


def _is_image_side(value: object) -> TypeGuard[int]:
    """Return whether the value can be the width or height of an image: a positive whole number."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


class CocoSource(OwnSource):
    """Reader of a user's data set in COCO's keypoint format.

    COCO's keypoints are 0-based pixels, as here, so they are not changed. In its boxes pixel i covers [i, i + 1], so
    0.5 is subtracted; they become `window_px`. Visibility 0 means unknown, 1 occluded, 2 visible. An annotation's
    optional field "identity", a text, becomes the person's identity, and an image's optional field "shot" the shot of
    its people. An attribute is a field of the annotation, or of its object "attributes", where CVAT writes them.
    `skipped` counts what is left out: crowds (iscrowd 1), annotations of categories without keypoints, and people
    without a known joint. An image with people in both files is refused, as either two images have the same name, or
    one image would be in both splits.

    Args:
        name: name of the set.
        skeleton: the joints to fill.
        images: folder of the images, or {"train": folder, "test": folder} for two files.
        train: the annotation file of the training people; of all people if `test` is None.
        test: the annotation file of the test people; None: a share `test_fraction` of the images is for testing.
        joints: joint of the skeleton -> name of a keypoint of the file, or names of the keypoints whose mean it is.
        torso: the two keypoints between which `torso_px` is measured, [left_shoulder, right_hip]; None: it is unknown.
        test_fraction: share of the images for testing, chosen by their names; only without a file of test people.
        torso_swapped: the two keypoints after swapping left and right by MODEC's rule, which leaves the hips:
            [right_shoulder, right_hip].
        attributes: attribute name -> {"field": its field, "classes": names of its classes}; without classes its values
            are numbers.

    Raises:
        UserError: a setting is invalid.
    """

    def __init__(
        self,
        name: object,  # object: a configuration may contain anything; invalid values are refused
        skeleton: Skeleton,
        images: object,
        train: object,
        test: object,
        joints: object,
        torso: object = None,
        test_fraction: object = None,
        torso_swapped: object = None,
        attributes: object = None,
    ) -> None:
        super().__init__(name, skeleton, images, attributes)
        if (test is None) == (test_fraction is None):
            raise UserError("data.source.test_fraction: set either this or data.source.test, not both")
        self.test_fraction = None if test_fraction is None else checked_test_fraction(test_fraction)
        self.files: list[tuple[Path, Split | None]] = [(existing_annotation_file(train, "train"), None)]
        if test is not None:
            self.files = [(self.files[0][0], "train"), (existing_annotation_file(test, "test"), "test")]
            if os.path.samefile(*self.annotation_files()):
                raise UserError(f"data.source.test: {self.files[1][0]} is also the file of the training people")
        if test is None and self.has_split_folders:
            raise UserError("data.source.images: must be one folder, as data.source.train is the file of all people")
        self.wanted = configured_points(
            skeleton, joints, ("data.source.torso", torso), ("data.source.torso_swapped", torso_swapped)
        )
        hip, swapped_hip = self.wanted[-3][1], self.wanted[-1][1]
        if hip and swapped_hip and hip != swapped_hip:
            raise UserError(
                f"data.source.torso_swapped: must end in {hip[0]!r} as data.source.torso does, got {swapped_hip[0]!r}: "
                "MODEC's left and right hips never change places"
            )
        self._skipped: Counter[str] = Counter()
        self._sizes: dict[str, Size] = {}
        self._fields: dict[str, None] = {}  # the fields that annotations have, collected if attributes are configured

    def image(self, name: str) -> UInt8[np.ndarray, "height width 3"]:
        """Read the pixels of an image in RGB, rotated upright.

        Raises:
            UserError: it is missing or broken, or does not have the size that the annotation file states.
        """
        image = super().image(name)
        self.people()
        height, width = image.shape[:2]
        if self._sizes.get(name, (width, height)) != (width, height):
            raise UserError(
                f"{self.image_folder / name}: {width} x {height} pixels upright, but the annotations state "
                f"{' x '.join(map(str, self._sizes[name]))}; they are of another version of it"
            )
        return image

    def annotation_files(self) -> list[Path]:
        """Return the annotation files: one for all people, or one for training and one for test people."""
        return [path for path, _ in self.files]

    def settings(self) -> dict[str, Any]:
        """Return the settings that `read` depends on: the share of test images, and the keypoints of each point."""
        return {"test_fraction": self.test_fraction, "points": [list(names) for _, names in self.wanted]}

    def skipped(self) -> Mapping[str, int]:
        """Return reason -> number of annotations that are left out."""
        self.people()
        return dict(self._skipped)

    def read(self) -> list[Person]:
        """Read all people with a known joint, in the files' order. Raises UserError that names file and annotation."""
        self._skipped.clear()
        people = [person for path, split in self.files for person in self._read_people(path, split)]
        for one in self.attribute_fields:
            if one.field not in self._fields and self._fields:
                raise UserError(
                    f"data.source.attributes.{one.attribute.name}.field: no annotation of "
                    f"{', '.join(map(str, self.annotation_files()))} has a field {one.field!r}; they have "
                    f"{', '.join(map(repr, self._fields))}"
                )
        train, test = ({person.image for person in people if person.split == split} for split in ("train", "test"))
        if self.test_fraction is None and train & test:
            raise UserError(
                f"{self.files[0][0]}, {self.files[1][0]}: {len(train & test)} images have people in both, e.g. "
                f"{min(train & test)}; if two images share a name, give each part its own folder, "
                "data.source.images={train: …, test: …}; else keep all people of an image in one file"
            )
        return people

    def _read_people(self, path: Path, split: Split | None) -> list[Person]:
        """Read the people in one annotation file; `split` None means that each image's split is drawn."""
        content = read_json_object(path)
        categories = read_keypoint_names(content, path)
        found = keypoint_averaging_weights(self.wanted, list(categories.values()), path)
        images, sizes, shots = read_images(content, path, partial(self.resolve_image_name, split=split))
        file = _FileIndex(split, images, shots, dict(zip(categories, found, strict=True)))
        self._sizes |= sizes
        people, seen = [], set()
        for place, record in enumerate(required_records(content, "annotations", path), start=1):
            key = required_id(record, "id", f"{path}, annotation at place {place}")
            where = f"{path}, annotation {key!r}"
            if key in seen:
                raise UserError(f"{where}: its id appears twice; give each annotation its own")
            seen.add(key)
            if self.attribute_fields:
                self._fields |= dict.fromkeys(flatten_attributes(record, where))
            person = self._to_person(record, file, where)
            if isinstance(person, Person):
                people.append(person)
            else:
                self._skipped[person] += 1
        return people

    def _to_person(self, record: Record, index: _FileIndex, where: str) -> Person | str:
        """Return the annotated person, or the reason why the annotation is left out."""
        image, category = (required_id(record, name, where) for name in ("image_id", "category_id"))
        for name, key, listed in (("image", image, index.images), ("category", category, index.weights)):
            if key not in listed:
                raise UserError(f"{where}: there is no {name} with the id {key!r} in the file")
        crowd = record.get("iscrowd")
        if crowd not in (None, 0, 1):  # or false and true
            raise UserError(f"{where}: field 'iscrowd' must be 0 or 1, got {describe_value(crowd)}")
        if crowd:
            return "a crowd"
        if not index.weights[category].size:
            return "of a category without keypoints"
        points, occluded = average_keypoints(record, index.weights[category], where)
        count, identity = len(self.skeleton.joints), optional_text(record, "identity", where)
        shot = index.shots.get(index.images[image], "")
        joints, ends = points[:count], points[count:]
        if not np.isfinite(joints).any():
            return "no joint is known"
        return Person(
            image=index.images[image],
            where=where,
            split=index.split or split_by_name(index.images[image], self.test_fraction or 0, identity, shot),
            joints_px=joints,
            occluded=occluded[:count],
            detection_px=np.full(4, np.nan),
            torso_px=float(np.linalg.norm(ends[0] - ends[1])),
            torso_swapped_px=float(np.linalg.norm(ends[2] - ends[3])),
            sticks_px=np.zeros((0, 4)),
            faces_backwards=self.faces_backwards(joints),
            window_px=read_box(record, where),
            identity=identity,
            shot=shot,
            attributes={
                one.attribute.name: one.parse_value(
                    attribute_text(record, one.field, where), f"{where}, field {one.field!r}"
                )
                for one in self.attribute_fields
            },
        )


@dataclass(frozen=True, eq=False)
class _FileIndex:
    """What is needed to read the annotations of one file: its split, images and categories.

    Attributes:
        split: the split of all its people; None: chosen by the image's name.
        images: image id -> image name.
        shots: image name -> the shot that it is a frame of; only where the file states it.
        weights: category id -> weights (point, keypoint), see `keypoint_averaging_weights`.
    """

    split: Split | None
    images: Mapping[Identifier, str]
    shots: Mapping[str, str]
    weights: Mapping[Identifier, Float[np.ndarray, "_ _"]]
