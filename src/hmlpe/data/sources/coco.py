"""Sets of the user's own in COCO's format for keypoints (cocodataset.org/#format-data)."""

from __future__ import annotations

import os.path
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.data.record import Person, Split
from hmlpe.data.sources.coco_names import wanted_points, weights
from hmlpe.data.sources.coco_records import (
    Size,
    fields_of,
    images_of,
    keypoints_of,
    points_of,
    text_of,
    window_of,
    word_of,
)
from hmlpe.data.sources.json_file import Identifier, Record, identifier, read_object, records, shown
from hmlpe.data.sources.own import OwnSource, annotation_file, checked_fraction, split_by_name
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton


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
