"""Sets of the user's own in COCO's format for keypoints (cocodataset.org/#format-data)."""

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
from hmlpe.data.sources.attributes import word
from hmlpe.data.sources.folder import LARGEST_PX
from hmlpe.data.sources.own import OwnSource, annotation_file, checked_fraction, split_by_name
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton
from hmlpe.spelling import is_plain, normalised_id, to_nfc

Record = dict[str, Any]
Identifier = int | str


def read_object(path: Path) -> Record:
    """The file's one object; NaN and infinity are read, as Python's tools write them.

    Raises:
        UserError: the file is missing, cut off, not UTF-8 or no JSON, or has a key twice in an object.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_object)
    except (OSError, ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise UserError(f"{path}: not readable as JSON ({reason}); is the file whole?") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold one JSON object, got {shown(content)}")
    return content


def records(content: Record, key: str, path: Path) -> list[Record]:
    """The list of objects under the key. Raises UserError if there is none."""
    listed = field(content, key, str(path))
    if not isinstance(listed, list):
        raise UserError(f"{path}: {key!r} must be a list, got {shown(listed)}")
    for place, record in enumerate(listed, start=1):
        if not isinstance(record, dict):
            raise UserError(f"{path}: {key!r} must hold objects, got {shown(record)} at place {place}")
    return listed


def field(record: Record, name: str, where: str) -> Any:
    """The named field; raises UserError if the record has none."""
    if name not in record:
        raise UserError(f"{where}: field {name!r} is missing")
    return record[name]


def identifier(record: Record, name: str, where: str) -> Identifier:
    """The named field, a whole number or a text; a number written as a text is that number.

    Raises:
        UserError: it is anything else, or is not there.
    """
    value = field(record, name, where)
    if isinstance(value, bool) or not isinstance(value, int | str) or not is_plain(str(value)):
        raise UserError(f"{where}: field {name!r} must be a whole number or a text, got {shown(value)}")
    return normalised_id(value)


def numbers(record: Record, name: str, count: int, where: str) -> Float[np.ndarray, " number"]:
    """The named field, a list of `count` numbers, none larger than any image; null and NaN are NaN.

    Raises:
        UserError: it is no such list, or is not there.
    """
    value = field(record, name, where)
    if not isinstance(value, list) or len(value) != count:
        got = f"{len(value)} of them" if isinstance(value, list) else shown(value)
        raise UserError(f"{where}: field {name!r} must be a list of {count} numbers, got {got}")
    for number in value:
        known = number is not None and number == number
        if known and (isinstance(number, bool) or not isinstance(number, int | float) or abs(number) > LARGEST_PX):
            raise UserError(f"{where}: field {name!r} must hold numbers of at most {LARGEST_PX}, got {shown(number)}")
    return np.array(value, dtype=np.float64)  # null becomes NaN


def shown(value: Any) -> str:
    """The value, short enough for a message."""
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(value)) or repr(value)[:60]


def _object(pairs: list[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) != len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {name[:60]!r} is there twice in one object")
    return record


Wanted = tuple[str, tuple[str, ...]]  # key of the configuration, names of the keypoints whose mean is wanted


def wanted_points(skeleton: Skeleton, joints: object, *pairs: tuple[str, object]) -> list[Wanted]:
    """The configured points: one per joint of the skeleton, in its order, then two per pair.

    Args:
        joints: joint -> name of a keypoint, or names; a joint that is left out, or null, has none.
        pairs: key of the configuration, and two names of keypoints, or None.

    Raises:
        UserError: names the key whose value is of no use.
    """
    if not isinstance(joints, Mapping) or all(value in (None, "", [], {}) for value in joints.values()):
        raise UserError("data.source.joints: must give the skeleton's joints the names of the file's keypoints")
    joints = {str(joint): value for joint, value in joints.items()}  # a number may be a name
    for joint in joints:
        if joint not in skeleton.joints:
            raise UserError(f"data.source.joints: the skeleton has no {joint!r}; it has {', '.join(skeleton.joints)}")
    points = [(f"data.source.joints.{joint}", joints.get(joint)) for joint in skeleton.joints]
    wanted = [(key, () if value is None else _names(key, value)) for key, value in points]
    for key, value in pairs:
        ends = ((), ()) if value is None else [(name,) for name in _names(key, value)]
        if len(ends) != 2:
            raise UserError(f"{key}: must be the names of two keypoints, got {value!r}")
        wanted += [(key, end) for end in ends]
    return wanted


def weights(
    wanted: Sequence[Wanted], categories: Sequence[Sequence[str]], path: Path
) -> list[Float[np.ndarray, "point keypoint"]]:
    """For each category, given by its keypoints' names, the weights of its keypoints in the wanted points.

    A point that the category lacks has weights of 0.

    Raises:
        UserError: names the key whose keypoint no category has.
    """
    there = dict.fromkeys(name for keypoints in categories for name in keypoints)
    if not there:
        raise UserError(f"{path}: no category has 'keypoints'; is this a file of keypoints?")
    for key, names in wanted:
        for name in names:
            if name not in there:
                raise UserError(f"{key}: no keypoint {name!r} in {path}; its keypoints are {', '.join(there)}")
    found = [np.zeros((len(wanted), len(keypoints))) for keypoints in categories]
    for keypoints, weight in zip(categories, found, strict=True):
        for row, (_, names) in enumerate(wanted):
            if set(names) <= set(keypoints):
                weight[row, [keypoints.index(name) for name in names]] = 1 / max(len(names), 1)
    return found


def _names(key: str, value: object) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str | int) else tuple(value) if isinstance(value, Sequence) else ()
    named = all(isinstance(name, str | int) and not isinstance(name, bool) for name in names)
    if not names or not named or len(set(map(str, names))) != len(names):
        raise UserError(f"{key}: must be the name of a keypoint, or a list of different names, got {value!r}")
    return tuple(to_nfc(str(name)) for name in names)


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
        names = [to_nfc(str(name)) for name in names]  # some tools number them
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
    return to_nfc(text or "")


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


class CocoSource(OwnSource):
    """Reader of COCO keypoint files.

    COCO's keypoints are pixels counted from 0, as ours, so they are taken as they are. Its boxes are continuous, where
    pixel i covers [i, i + 1], so 0.5 is subtracted; they become `window_px`. Visibility 0 is unknown, 1 occluded,
    2 visible. An annotation's own field "identity", a text, becomes the person's, and an image's own field "shot" that
    of its people. An attribute is a field of the annotation, or of its object "attributes", where CVAT writes them.
    Left out, and counted by `skipped`: crowds (iscrowd 1), annotations of categories without keypoints, people without
    a known joint. An image in which both files have people is refused: that is one name of two images, or one image
    that would train and test.

    Args:
        name: of the set.
        skeleton: the joints to fill.
        images: folder of the images, or {"train": folder, "test": folder} for two files.
        train: the annotation file of the training people, or of all.
        test: the annotation file of the test people; None: `test_fraction` of the images test.
        joints: joint of the skeleton -> name of the file's keypoint, or names of those whose mean it is.
        torso: the two keypoints between which `torso_px` is measured, [left_shoulder, right_hip]; None: it is unknown.
        test_fraction: share of the images that test, chosen by their names; only without a file of test people.
        torso_swapped: the same after left and right have changed places as MODEC changes them, hips not:
            [right_shoulder, right_hip].
        attributes: name of one -> {"field": its field, "classes": its words}; without classes it is a number.

    Raises:
        UserError: a setting is of no use.
    """

    def __init__(
        self,
        name: object,  # object: a configuration can hold anything, and what is of no use is refused
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
            raise UserError("data.source.test_fraction: set it, or data.source.test, and not both")
        self.test_fraction = None if test_fraction is None else checked_fraction(test_fraction)
        self.files: list[tuple[Path, Split | None]] = [(annotation_file(train, "train"), None)]
        if test is not None:
            self.files = [(self.files[0][0], "train"), (annotation_file(test, "test"), "test")]
            if os.path.samefile(*self.annotations()):
                raise UserError(f"data.source.test: {self.files[1][0]} is the file of the training people too")
        if test is None and self.parts_apart:
            raise UserError("data.source.images: must be one folder, as data.source.train is the file of all people")
        self.wanted = wanted_points(
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
        self._fields: dict[str, None] = {}  # all that annotations have, where attributes are wanted

    def image(self, name: str) -> UInt8[np.ndarray, "height width 3"]:
        """The RGB image, upright. Raises UserError if it is missing or broken, or its size not as the file states."""
        image = super().image(name)
        self.people()
        height, width = image.shape[:2]
        if self._sizes.get(name, (width, height)) != (width, height):
            raise UserError(
                f"{self.image_folder / name}: {width} x {height} pixels upright, but the annotations state "
                f"{' x '.join(map(str, self._sizes[name]))}; they are of another version of it"
            )
        return image

    def annotations(self) -> list[Path]:
        """The one file, or that of the training and that of the test people."""
        return [path for path, _ in self.files]

    def settings(self) -> dict[str, Any]:
        """The share for testing, and the keypoints."""
        return {"test_fraction": self.test_fraction, "points": [list(names) for _, names in self.wanted]}

    def skipped(self) -> Mapping[str, int]:
        """Reason -> how many annotations are left out for it."""
        self.people()
        return dict(self._skipped)

    def read(self) -> list[Person]:
        """Everyone with a known joint, in the files' order. Raises UserError naming file and annotation."""
        self._skipped.clear()
        people = [person for path, split in self.files for person in self._people_of(path, split)]
        for one in self.carried:
            if one.field not in self._fields and self._fields:
                raise UserError(
                    f"data.source.attributes.{one.attribute.name}.field: no annotation of "
                    f"{', '.join(map(str, self.annotations()))} has a field {one.field!r}; they have "
                    f"{', '.join(map(repr, self._fields))}"
                )
        train, test = ({person.image for person in people if person.split == split} for split in ("train", "test"))
        if self.test_fraction is None and train & test:
            raise UserError(
                f"{self.files[0][0]}, {self.files[1][0]}: {len(train & test)} images have people in both, e.g. "
                f"{min(train & test)}; if one name is of two images, give each part its folder, "
                "data.source.images={train: …, test: …}; else keep all people of an image in one file"
            )
        return people

    def _people_of(self, path: Path, split: Split | None) -> list[Person]:
        content = read_object(path)
        categories = keypoints_of(content, path)
        found = weights(self.wanted, list(categories.values()), path)
        images, sizes, shots = images_of(content, path, partial(self.image_of, split=split))
        file = _File(split, images, shots, dict(zip(categories, found, strict=True)))
        self._sizes |= sizes
        people, seen = [], set()
        for place, record in enumerate(records(content, "annotations", path), start=1):
            key = identifier(record, "id", f"{path}, annotation at place {place}")
            where = f"{path}, annotation {key!r}"
            if key in seen:
                raise UserError(f"{where}: its id is there twice; give each annotation its own")
            seen.add(key)
            if self.carried:
                self._fields |= dict.fromkeys(fields_of(record, where))
            person = self._person(record, file, where)
            if isinstance(person, Person):
                people.append(person)
            else:
                self._skipped[person] += 1
        return people

    def _person(self, record: Record, file: _File, where: str) -> Person | str:
        """The annotated person, or the reason to leave the annotation out."""
        image, category = (identifier(record, name, where) for name in ("image_id", "category_id"))
        for name, key, listed in (("image", image, file.images), ("category", category, file.weights)):
            if key not in listed:
                raise UserError(f"{where}: there is no {name} with the id {key!r} in the file")
        crowd = record.get("iscrowd")
        if crowd not in (None, 0, 1):  # or false and true
            raise UserError(f"{where}: field 'iscrowd' must be 0 or 1, got {shown(crowd)}")
        if crowd:
            return "a crowd"
        if not file.weights[category].size:
            return "of a category without keypoints"
        points, occluded = points_of(record, file.weights[category], where)
        count, identity = len(self.skeleton.joints), text_of(record, "identity", where)
        shot = file.shots.get(file.images[image], "")
        joints, ends = points[:count], points[count:]
        if not np.isfinite(joints).any():
            return "no joint is known"
        return Person(
            image=file.images[image],
            where=where,
            split=file.split or split_by_name(file.images[image], self.test_fraction or 0, identity, shot),
            joints_px=joints,
            occluded=occluded[:count],
            detection_px=np.full(4, np.nan),
            torso_px=float(np.linalg.norm(ends[0] - ends[1])),
            torso_swapped_px=float(np.linalg.norm(ends[2] - ends[3])),
            sticks_px=np.zeros((0, 4)),
            faces_backwards=self.faces_backwards(joints),
            window_px=window_of(record, where),
            identity=identity,
            shot=shot,
            attributes={
                one.attribute.name: one.number(word_of(record, one.field, where), f"{where}, field {one.field!r}")
                for one in self.carried
            },
        )


@dataclass(frozen=True, eq=False)
class _File:
    """What the annotations of a file refer to.

    Attributes:
        split: of all its people; None: by the image's name.
        images: id -> the image's name.
        shots: the image's name -> the shot that it is a frame of, where the file says it.
        weights: id of a category -> the weights of its keypoints, see `coco_names.weights`.
    """

    split: Split | None
    images: Mapping[Identifier, str]
    shots: Mapping[str, str]
    weights: Mapping[Identifier, Float[np.ndarray, "_ _"]]
