"""Read predictions from a numeric array in a .mat file: 2 x joints x people, in the order of the test people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hmlpe.errors import UserError
from hmlpe.evaluate.people import Estimates, Truth, estimates_from_joints
from hmlpe.evaluate.predictions.matched import parse_name_setting, parse_origin_setting
from hmlpe.evaluate.predictions.points import check_not_empty, check_point, choose_variable, describe_variable, load_mat

AXES = ("xy", "joint", "person")


class MatrixReader:
    """Reads an array with three axes: x and y, joints, and the annotated test people in the order of the data set.

    The number of people must be that of the annotated test people. NaN for x and y means that the joint is not
    predicted, and counts as wrong.

    Args:
        joints: joint of the skeleton -> its index on the array's axis of joints, counted from 1 as in MATLAB; or a list
            of indices, of whose points the joint is the mean. Other joints are not predicted.
        variable: the name of the array; None: the only numeric one with three axes.
        axes: the names of the array's axes, in its order.
        origin: the coordinate of the first pixel's centre: 1, or 0.

    Raises:
        UserError: a setting is not valid.
    """

    def __init__(
        self,
        joints: object = None,  # object: a configuration may hold any type, and an invalid one is rejected below
        variable: object = None,
        axes: object = AXES,
        origin: object = 1,
    ) -> None:
        if not isinstance(joints, Mapping) or not joints:
            raise UserError(
                "predictions_form.joints: must say where in the array each joint is, from 1, e.g. "
                f"predictions_form.joints={{left_elbow: 2, left_wrist: 3}}, got {joints!r}"
            )
        if not isinstance(axes, Sequence) or sorted(map(str, axes)) != sorted(AXES):
            raise UserError(f"predictions_form.axes: must be {', '.join(AXES)} in the array's order, got {axes!r}")
        self.columns = {
            str(joint): _parse_columns(value, f"predictions_form.joints.{joint}") for joint, value in joints.items()
        }
        _check_columns_differ(self.columns)
        self.variable, self.origin = parse_name_setting(variable, "variable"), parse_origin_setting(origin)
        self.axes = tuple(map(str, axes))

    def __call__(self, path: Path, truth: Truth) -> Estimates:
        """Return the array's predictions. Raises UserError, which names file and variable, if they are not valid."""
        indices = truth.skeleton.indices(self.columns, where="predictions_form.joints")
        points, where = self._read_points(path)
        if len(points) != len(truth):
            raise UserError(
                f"{where}: {len(points)} people, {truth.data} has {len(truth)} annotated test people; the array must "
                "hold all of them, in the set's order"
            )
        for joint, columns in self.columns.items():
            if max(columns) > points.shape[1]:
                raise UserError(
                    f"predictions_form.joints.{joint}: no place {max(columns)} in {path}, which has {points.shape[1]}"
                )
        joints = np.full((len(truth), len(truth.skeleton.joints), 2), np.nan)
        for index, columns in zip(indices, self.columns.values(), strict=True):
            used = points[:, [column - 1 for column in columns]]
            _check_each_point(used, columns, where)
            joints[:, index] = used.mean(axis=1) - self.origin
        check_not_empty(joints, where)
        absent = [joint for joint in truth.skeleton.joints if joint not in self.columns]
        return estimates_from_joints(truth, joints, missing_note=f"no {', '.join(absent)}" if absent else "")

    def _read_points(self, path: Path) -> tuple[Float[np.ndarray, "person place 2"], str]:
        """Return the array as (person, place, x and y) in the file's pixels, and a text that names file and variable.

        A place is an index on the axis of joints. The pixel origin of the file is kept.

        Raises:
            UserError: the file has no array of such a shape.
        """
        content = load_mat(path, squeeze=False)
        numeric = [name for name, value in content.items() if _is_numeric(value)]
        fitting = [name for name in numeric if content[name].ndim == 3]
        variable = choose_variable(path, content, self.variable, fitting, "numeric array with three axes")
        where = f"{path}, variable {variable}"
        values = content[variable]
        if variable not in numeric or values.ndim > 3 or _is_flat_table(values, self.axes):
            raise UserError(
                f"{where}: must be a numeric array with the axes {', '.join(self.axes)}; it is "
                f"{describe_variable(variable, values)}"
            )
        values = values.reshape(*values.shape, *[1] * (3 - values.ndim))  # MATLAB drops last axes of length 1
        if values.shape[self.axes.index("xy")] != 2:
            raise UserError(
                f"{where}: has shape {values.shape}, but its axis of x and y must have length 2, by "
                f"predictions_form.axes=[{', '.join(self.axes)}]; give the array's own order"
            )
        order = [self.axes.index(axis) for axis in ("person", "joint", "xy")]
        return values.transpose(order).astype(np.float64), where


def _parse_columns(value: object, key: str) -> list[int]:
    """Return a joint's places on the axis of joints, counted from 1, as a list.

    Raises UserError if they are not valid.
    """
    columns = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    whole = [column for column in columns if isinstance(column, int) and not isinstance(column, bool) and column >= 1]
    if not columns or len(whole) != len(columns) or len(set(whole)) != len(whole):
        raise UserError(
            f"{key}: must be a place in the array, counted from 1, or a list of different ones, got {value!r}"
        )
    return whole


def _check_columns_differ(columns_of: Mapping[str, Sequence[int]]) -> None:
    """Raise UserError if two joints are given the same places on the axis of joints."""
    owner: dict[tuple[int, ...], str] = {}
    for joint, columns in columns_of.items():
        first = owner.setdefault(tuple(sorted(columns)), joint)
        if first != joint:
            places = ", ".join(map(str, columns))
            raise UserError(
                f"predictions_form.joints: place {places} is given to {first} and to {joint}; each joint needs its own"
            )


def _is_numeric(value: object) -> bool:
    """Return whether a variable is an array of integers or floats."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "iuf"


def _is_flat_table(values: np.ndarray, axes: Sequence[str]) -> bool:
    """Return whether an array of fewer than three axes is not that of one person, as it has no axis of x and y.

    MATLAB drops a last axis of length 1, so that the array of one person may have two axes.
    """
    return values.ndim < 3 and dict(zip(axes, values.shape, strict=False)).get("xy", 1) != 2


def _check_each_point(points: Float[np.ndarray, "person place 2"], columns: Sequence[int], where: str) -> None:
    """Apply `check_point` to every point, naming person and place in the error."""
    for person, own in enumerate(points, start=1):
        for column, point in zip(columns, own, strict=True):
            check_point(point, f"{where}, person {person}, place {column}")
