"""FLIC, Frames Labeled In Cinema (Sapp & Taskar, MODEC, CVPR 2013; published at bensapp.github.io/flic-dataset.html).

For research use; cite the paper. The set is `examples.mat` (struct array `examples`, 5003 people) and the folder
`images/`. Labels are person-centric. An image is named after its film and frame number; the set's authors looked at
every tenth frame of a film. Frames at most 50 apart are assumed to be of one shot. Coordinates are MATLAB's, 1-based
(grade I of docs/facts.md), and are converted to 0-based.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from hmlpe.data.record import Person, Split
from hmlpe.data.sources.folder import FilmFrame, FolderSource, checked_image_name, shots_of
from hmlpe.data.sources.matlab import read_struct_array, required_array, required_field
from hmlpe.data.sources.sticks import HEAD, TORSO, window_of_sticks
from hmlpe.errors import UserError

SLOTS = {  # 1-based columns of `coords`
    "left_shoulder": 1,
    "left_elbow": 2,
    "left_wrist": 3,
    "right_shoulder": 4,
    "right_elbow": 5,
    "right_wrist": 6,
    "left_hip": 7,
    "right_hip": 10,
    "head": 17,  # the nose stands for the head (FACTS 5)
}

FRAME = re.compile(r"(?P<film>.+)-(?P<number>\d{8})\.\w+", re.ASCII)  # the name of an image
HEAD_REACH = 0.5  # from the head's centre to its top, over the distance from head to neck: Buffy's training median (U)


class FlicSource(FolderSource):
    """Reader of FLIC; `root` holds examples.mat and images/."""

    name = "flic"
    contents = "FLIC's examples.mat and images/"
    known_joints = frozenset({*SLOTS, "neck"})
    meanings: ClassVar[Mapping[str, str]] = {"head": "the nose", "neck": "the middle of the shoulders"}

    def annotation_files(self) -> list[Path]:
        """Return the annotation file, as a list of one."""
        return [self.root / "examples.mat"]

    def read(self) -> list[Person]:
        """Read all people, in the file's order. Raises UserError, with file, record and field, for invalid data."""
        (path,) = self.annotation_files()
        records = read_struct_array(path, "examples")
        people = [self._to_person(record, f"{path}, record {i}") for i, record in enumerate(records, start=1)]
        shots = shots_of([_parse_frame(person.image) for person in people])
        return [replace(person, shot=shot) for person, shot in zip(people, shots, strict=True)]

    def _to_person(self, record: Any, where: str) -> Person:
        """Convert a record of `examples.mat` to a person. Raises UserError if a field is not valid."""
        coords = required_array(record, "coords", (2, 29), where)
        points = {name: coords[:, slot - 1] - 1 for name, slot in SLOTS.items()}
        left, right = points["left_shoulder"], points["right_shoulder"]
        points["neck"] = (left + right) / 2
        unknown = np.full(2, np.nan)
        joints = np.stack([points.get(joint, unknown) for joint in self.skeleton.joints])
        if np.isinf(coords).any():
            raise UserError(f"{where}: field 'coords' must hold finite numbers, or NaN for an unknown joint")
        if not np.isfinite(joints).any():
            raise UserError(f"{where}: field 'coords' holds none of the skeleton's joints")
        return Person(
            image=checked_image_name(required_field(record, "filepath", where), f"{where}, field 'filepath'"),
            where=where,
            split=_read_split(record, where),
            joints_px=joints,
            occluded=np.zeros(len(joints), dtype=bool),  # FLIC does not mark occlusion
            detection_px=_read_detection(record, where),
            torso_px=_distance(left, points["right_hip"]),
            torso_swapped_px=_distance(right, points["right_hip"]),
            sticks_px=np.zeros((0, 4)),
            faces_backwards=bool(left[0] < right[0]),
            window_px=_upper_body_window(points),
        )


def _parse_frame(image: str) -> FilmFrame | None:
    """Return the film and frame number in an image's name; None if it is not named like FLIC's images."""
    found = FRAME.fullmatch(image)
    return found and FilmFrame(found["film"], int(found["number"]))


def _upper_body_window(points: Mapping[str, Float[np.ndarray, " 2"]]) -> Float[np.ndarray, " 4"]:
    """Return the window (4,) that an upper-body detector should find (`sticks.window_of_sticks`); NaN if unknown."""
    head, neck = points["head"], points["neck"]
    sticks = np.full((6, 4), np.nan)
    reach = HEAD_REACH * (neck - head)
    sticks[HEAD] = np.concatenate([head - reach, head + reach])
    sticks[TORSO] = np.concatenate([neck, (points["left_hip"] + points["right_hip"]) / 2])
    return window_of_sticks(sticks)


def _read_detection(record: Any, where: str) -> Float[np.ndarray, " 4"]:
    """Return a record's torso detection x0 y0 x1 y1 in 0-based pixels."""
    box = required_array(record, "torsobox", (4,), where)
    if np.isinf(box).any():
        raise UserError(f"{where}: field 'torsobox' must be finite, got {box.tolist()}")
    return box - 1


def _read_split(record: Any, where: str) -> Split:
    """Return the split of a record. Raises UserError unless it is exactly one of training and test."""
    train, test = (float(required_array(record, name, (), where)) for name in ("istrain", "istest"))
    if {train, test} != {0.0, 1.0}:
        raise UserError(f"{where}: one of 'istrain' and 'istest' must be 1 and the other 0, got {train:g} and {test:g}")
    return "train" if train else "test"


def _distance(a: Float[np.ndarray, " 2"], b: Float[np.ndarray, " 2"]) -> float:
    return float(np.linalg.norm(a - b))
