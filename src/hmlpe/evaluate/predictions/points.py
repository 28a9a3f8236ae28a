"""Read and check the points in other people's files, such as MATLAB files.

A NaN point is one that is not predicted; all others must be possible places in an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from jaxtyping import Float

from hmlpe.data.sources.folder import LARGEST_PX
from hmlpe.data.sources.matlab import check_mat5
from hmlpe.errors import UserError
from hmlpe.evaluate.people import Estimates, Truth, sticks_from_joints


def check_point(point: Float[np.ndarray, " 2"], where: str) -> None:
    """Raise UserError if a point is infinite or outside any image, or if only one of x and y is NaN."""
    unknown = np.isnan(point)
    if unknown.any() != unknown.all():
        raise UserError(f"{where}: one of x and y is missing, got {point.tolist()}")
    if not unknown.any() and not (abs(point) <= LARGEST_PX).all():
        raise UserError(f"{where}: x and y must be numbers of pixels, at most {LARGEST_PX}, got {point.tolist()}")


def check_points(points: Float[np.ndarray, "*batch 2"], where: str) -> None:
    """Raise UserError if any of the points is not valid, see `check_point`; `where` is their place in the file."""
    for point in points.reshape(-1, 2):
        check_point(point, where)


def check_not_empty(points: Float[np.ndarray, "*batch 2"], where: str) -> None:
    """Raise UserError if no point is predicted for anybody, as the file was then probably misread."""
    if not np.isfinite(points).any():
        raise UserError(f"{where}: predicts nothing: every x and y read from it is empty or NaN")


class Marks:
    """The marks of a person, which are the points that a file of predictions can give: joints and ends of sticks.

    Attributes:
        names: the skeleton's joints, then the two ends of each stick, `<stick>_1` and `<stick>_2`.
    """

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._joints = len(truth.skeleton.joints)
        self.names = [*truth.skeleton.joints, *(f"{stick}_{end}" for stick in truth.sticks for end in (1, 2))]

    def index(self, name: str, where: str) -> int:
        """Return the index of the mark with this name; a joint has precedence over a stick's end of the same name.

        Args:
            name: the name.
            where: its place in the file, for the error message.

        Raises:
            UserError: there is no such mark.
        """
        if name not in self.names:
            joints, ends = self.names[: self._joints], self.names[self._joints :]
            raise UserError(
                f"{where}: no joint {name[:60]!r}; there are {', '.join(joints)}, and the sticks' ends {ends[0]}, "
                f"{ends[1]} to {ends[-1]}"
            )
        return self.names.index(name)

    def to_estimates(
        self,
        points_px: Float[np.ndarray, "person mark 2"],
        is_given: np.ndarray,
        detected: np.ndarray,
        confidence: Float[np.ndarray, "person mark"],
        missing_note: str,
    ) -> Estimates:
        """Convert the marks to `Estimates`: a stick lies between its ends if the file gives them, else between joints.

        Args:
            points_px: (person, mark, 2) in pixels.
            is_given: (mark,) whether the file gives this mark for somebody.
            detected: (person,) whether the person is detected.
            confidence: (person, mark) in [0, 1], or NaN.
            missing_note: a text that says what the file leaves out; the marks that it gives for nobody are added to it.
        """
        ends = is_given[self._joints :].reshape(-1, 2)
        sticks = points_px[:, self._joints :].reshape(len(points_px), -1, 2, 2)
        halves = (ends[:, ::-1] & ~ends).ravel()  # ends that are not given although the stick's other end is
        absent = [name for name, half in zip(self.names[self._joints :], halves, strict=True) if half]
        if not is_given[: self._joints].any():
            return Estimates(None, sticks, detected, None, _add_absent_marks(missing_note, absent))
        joints, known = points_px[:, : self._joints], confidence[:, : self._joints]
        absent = [name for name, there in zip(self.names, is_given[: self._joints], strict=False) if not there] + absent
        sticks = np.where((ends[:, 0] | ends[:, 1])[:, None, None], sticks, sticks_from_joints(joints, self._truth))
        return Estimates(
            joints,
            sticks,
            detected,
            known if np.isfinite(known).any() else None,
            _add_absent_marks(missing_note, absent),
        )


def _add_absent_marks(missing_note: str, absent_marks: list[str]) -> str:
    """Return the note on what a file leaves out, with the marks added that it gives for nobody."""
    return "; ".join(part for part in (missing_note, f"no {', '.join(absent_marks)}" if absent_marks else "") if part)


def load_mat(path: Path, squeeze: bool) -> Mapping[str, Any]:
    """Return the variables of a MATLAB file by name; structs have their fields as attributes.

    Args:
        path: the file.
        squeeze: whether to remove axes of length 1.

    Raises:
        UserError: the file is missing, truncated, or not a MATLAB file of a version that can be read.
    """
    try:
        check_mat5(path)
        content = scipy.io.loadmat(str(path), squeeze_me=squeeze, struct_as_record=False)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror})") from error
    except Exception as error:  # a damaged file makes scipy raise almost anything
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a whole MATLAB file ({reason}); fetch it again") from error
    return {name: value for name, value in content.items() if not name.startswith("__")}


def find_struct_arrays(content: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    """Return the names of the variables that are struct arrays with all of these fields."""
    return [name for name, value in content.items() if _has_fields(value, fields)]


def _has_fields(value: Any, fields: Sequence[str]) -> bool:
    """Return whether a variable is a struct array, not empty, with all of these fields."""
    records = np.atleast_1d(value).ravel()
    return len(records) > 0 and all(hasattr(records[0], field) for field in fields)


def choose_variable(
    path: Path, content: Mapping[str, Any], variable: str | None, candidates: Sequence[str], expected: str
) -> str:
    """Return the name of the variable to read: the one that the user names, or else the only one that fits.

    Args:
        path: the file.
        content: its variables.
        variable: the name that the user gave, or None.
        candidates: the names of the variables of the right type and shape.
        expected: a description of the candidates, for the error message.

    Raises:
        UserError: there is no such variable, or not exactly one fits.
    """
    if variable is not None:
        if variable not in content:
            raise UserError(f"{path}: no variable {variable!r}; there are {', '.join(content) or 'none'}")
        return variable
    if len(candidates) > 1:
        raise UserError(
            f"{path}: expected one {expected}, found {', '.join(candidates)}; name it: predictions_form.variable=..."
        )
    if not candidates:
        raise UserError(f"{path}: expected one {expected}, found none; it holds {describe_content(content)}")
    return candidates[0]


def describe_content(content: Mapping[str, Any]) -> str:
    """Return a text that lists all variables of a file, each as `describe_variable` describes it."""
    return "; ".join(describe_variable(name, value) for name, value in content.items()) or "nothing"


def describe_variable(name: str, value: Any) -> str:
    """Return a text with a variable's name, type and shape.

    If an array of three axes can be made of it in MATLAB, the text says how.
    """
    array = np.asarray(value)
    shape = " x ".join(map(str, array.shape)) or "1"
    first = array.ravel()[0] if array.dtype == object and array.size else None
    fields = getattr(first, "_fieldnames", None)
    if fields:
        way = f"in MATLAB, {name} = cat(3, {name}.FIELD) makes an array of a field of x and y by joints"
        return f"{name}, a struct array {shape} with the fields {', '.join(fields)} ({way})"
    if array.dtype == object:
        return f"{name}, a cell array {shape} (in MATLAB, {name} = cat(3, {name}{{:}}) makes it an array)"
    if array.dtype.kind not in "iuf":
        return f"{name}, a text" if array.dtype.kind in "US" else f"{name}, {array.dtype} {shape}"
    if array.ndim != 2 or not array.size:
        return f"{name}, numbers {shape}"
    if array.shape[1] % 2 or min(array.shape) == 1:
        return f"{name}, a table of numbers {shape}"
    return (
        f"{name}, a table of numbers {shape} (if a row is one person's x1 y1 x2 y2 ..., in MATLAB "
        f"{name} = reshape({name}', 2, [], size({name}, 1)) gives it three axes)"
    )
