"""Read users' own data sets from a table: a CSV file with one joint per line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float

from hmlpe.csv_file import Row, read_table
from hmlpe.data.record import Person, Split
from hmlpe.data.sources.folder import LARGEST_PX
from hmlpe.data.sources.own import OwnSource, checked_test_fraction, existing_annotation_file, split_by_name
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

COLUMNS = ("image", "person", "joint", "x", "y", "visible")
OPTIONAL = ("split", "identity", "shot")


class TableSource(OwnSource):
    """Reader of a user's data set in a CSV file with the columns image, person, joint, x, y, visible, in any order.

    A line is a joint of a person in an image; `person` distinguishes the people of an image. x and y are 0-based pixels
    with pixel centres at integers; a joint is unknown if they are empty or NaN, or if it has no line. visible is 1 or
    true, or 0 or false for an occluded joint whose position is known; empty means 1. An optional column split is train
    or test, the same for all lines of an image; an optional column identity states who the person is, the same for all
    lines of a person; an optional column shot states the shot or sequence that the image is a frame of, the same for
    all lines of an image, and empty if there is none. People are in the order of their first lines. `skipped` counts
    what is left out: people without a known joint, empty lines, and cells of other columns. `torso_px` needs a skeleton
    with hips. A column of an attribute has the same value in all lines of a person.

    Args:
        name: name of the set.
        skeleton: the joints, by the names used in the table.
        images: folder of the images.
        table: the CSV file, UTF-8, separated by commas.
        test_fraction: share of the images for testing, chosen by their names; only for a table without a column split.
        attributes: attribute name -> {"field": its column, "classes": names of its classes}; without classes its values
            are numbers.

    Raises:
        UserError: a setting is invalid.
    """

    def __init__(
        self,
        name: object,  # object: a configuration may contain anything; invalid values are refused
        skeleton: Skeleton,
        images: object,
        table: object,
        test_fraction: object = None,
        attributes: object = None,
    ) -> None:
        super().__init__(name, skeleton, images, attributes)
        if self.has_split_folders:
            raise UserError("data.source.images: must be one folder; put subfolders in image names, as in test/a.jpg")
        self.table = existing_annotation_file(table, "table")
        self.test_fraction = None if test_fraction is None else checked_test_fraction(test_fraction)
        self._skipped: dict[str, int] = {}

    def annotation_files(self) -> list[Path]:
        """Return the table's file, as a list of one."""
        return [self.table]

    def settings(self) -> dict[str, Any]:
        """Return the setting that `read` depends on: the share of test images."""
        return {"test_fraction": self.test_fraction}

    def skipped(self) -> Mapping[str, int]:
        """Return reason -> number of people who are left out, or of lines and cells that are not read."""
        self.people()
        return dict(self._skipped)

    def read(self) -> list[Person]:
        """Read all people with a known joint, ordered by first line. Raises UserError that names file and line."""
        columns = dict.fromkeys([*COLUMNS, *(one.field for one in self.attribute_fields)])
        table = read_table(self.table, list(columns), [name for name in OPTIONAL if name not in columns])
        if ("split" in table.rows[0].cells) == (self.test_fraction is not None):
            raise UserError(
                f"data.source.test_fraction: set it, or give {self.table} a column 'split' of train and test, not both"
            )
        images: dict[str, Row] = {}
        people: dict[tuple[str, str], list[Row]] = {}
        for row in table.rows:
            image, number = (
                self.resolve_image_name(row.cells["image"], f"{row.where}, column 'image'"),
                row.parse_text("person"),
            )
            if not number:
                raise UserError(f"{row.where}: column 'person' is empty; number the people of an image")
            lines = people.setdefault((image, number), [])
            lines.append(row)
            _check_same_value("split", row, images.setdefault(image, row), "image")
            _check_same_value("shot", row, images[image], "image")
            for column in ("identity", *(one.field for one in self.attribute_fields)):
                _check_same_value(column, row, lines[0], "person")
        found = [self._to_person(image, lines) for (image, _), lines in people.items()]
        known = [person for person in found if np.isfinite(person.joints_px).any()]
        lost = len(found) - len(known)
        self._skipped = {**({"no joint is known": lost} if lost else {}), **table.ignored}
        return known

    def _to_person(self, image: str, rows: list[Row]) -> Person:
        """Convert the lines of one person in an image to a `Person`."""
        joints = self.skeleton.joints
        points, occluded = np.full((len(joints), 2), np.nan), np.zeros(len(joints), dtype=bool)
        there: dict[str, int] = {}
        for row in rows:
            joint = row.parse_text("joint")
            if joint not in joints:
                raise UserError(f"{row.where}: no joint {joint[:60]!r} in the skeleton; it has {', '.join(joints)}")
            if joint in there:
                raise UserError(f"{row.where}: {joint} of this person is already in line {there[joint]}; remove one")
            there[joint] = row.line
            index = joints.index(joint)
            points[index], hidden = _parse_joint(row)
            occluded[index] = hidden and np.isfinite(points[index]).all()
        return Person(
            image=image,
            where=rows[0].where,
            split=self._split_of_row(image, rows[0]),
            joints_px=points,
            occluded=occluded,
            detection_px=np.full(4, np.nan),
            torso_px=self._joint_distance("left_shoulder", "right_hip", points),
            torso_swapped_px=self._joint_distance("right_shoulder", "right_hip", points),
            sticks_px=np.zeros((0, 4)),
            faces_backwards=self.faces_backwards(points),
            identity=rows[0].parse_text("identity"),
            shot=rows[0].parse_text("shot"),
            attributes={
                one.attribute.name: one.parse_value(
                    rows[0].parse_text(one.field), f"{rows[0].where}, column {one.field!r}"
                )
                for one in self.attribute_fields
            },
        )

    def _split_of_row(self, image: str, row: Row) -> Split:
        """Return the split in the column split, or drawn by `test_fraction`, of the image in this line."""
        if self.test_fraction is not None:
            return split_by_name(image, self.test_fraction, row.parse_text("identity"), row.parse_text("shot"))
        split = row.cells["split"]
        if split not in ("train", "test"):
            raise UserError(f"{row.where}: column 'split' must be train or test, got {split[:60]!r}")
        return cast(Split, split)

    def _joint_distance(self, first_joint: str, second_joint: str, joints_px: Float[np.ndarray, "joint 2"]) -> float:
        """Return the distance of two joints in pixels; NaN if one is unknown."""
        return float(
            np.linalg.norm(self.joint_position(first_joint, joints_px) - self.joint_position(second_joint, joints_px))
        )


def _check_same_value(column: str, row: Row, first_row: Row, shared_by: str) -> None:
    """Raise UserError if two lines differ in a column whose value must be the same for `shared_by`, e.g. a person."""
    one, other = (line.parse_text(column) for line in (row, first_row))
    if one != other:
        raise UserError(
            f"{row.where}: column {column!r} is {one[:60]!r}, but {other[:60]!r} in line {first_row.line} "
            f"of the same {shared_by}"
        )


def _parse_joint(row: Row) -> tuple[Float[np.ndarray, " 2"], bool]:
    """Return the joint's position (2,) in pixels, NaN if unknown, and whether the line marks it as occluded."""
    point, hidden = np.array([row.parse_number("x"), row.parse_number("y")]), row.parse_bool("visible") is False
    if not np.isnan(point).all() and not (abs(point) <= LARGEST_PX).all():
        name = "xy"[int(np.argmin(abs(point) <= LARGEST_PX))]
        raise UserError(
            f"{row.where}: column {name!r} must be a number of pixels, at most {LARGEST_PX}, got "
            f"{row.cells[name][:60]!r}; for an unknown joint leave x and y empty"
        )
    return point, hidden
