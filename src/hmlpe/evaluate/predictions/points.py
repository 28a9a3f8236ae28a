"""Points as files of other people give them, MATLAB's among them: NaN is not predicted, all else lies in an image."""

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
from hmlpe.evaluate.people import Estimates, Truth, sticks_of


def check_point(point: Float[np.ndarray, " 2"], where: str) -> None:
    """Raise UserError if a point is infinite, out of any image, or known by half."""
    unknown = np.isnan(point)
    if unknown.any() != unknown.all():
        raise UserError(f"{where}: one of x and y is there and the other is not, got {point.tolist()}")
    if not unknown.any() and not (abs(point) <= LARGEST_PX).all():
        raise UserError(f"{where}: x and y must be numbers of pixels, at most {LARGEST_PX}, got {point.tolist()}")


def check_points(points: Float[np.ndarray, "*batch 2"], where: str) -> None:
    """`check_point` for all of them, which share one place in the file."""
    for point in points.reshape(-1, 2):
        check_point(point, where)


def check_any(points: Float[np.ndarray, "*batch 2"], where: str) -> None:
    """Raise UserError if nothing is predicted of anybody: then nothing was read of what the file holds."""
    if not np.isfinite(points).any():
        raise UserError(f"{where}: predicts nothing: every x and y that is read of it is empty or NaN")


class Marks:
    """All points that a file can give of a person of the truth.

    Attributes:
        names: the skeleton's joints, then the two ends of each stick, `<stick>_1` and `<stick>_2`.
    """

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._joints = len(truth.skeleton.joints)
        self.names = [*truth.skeleton.joints, *(f"{stick}_{end}" for stick in truth.sticks for end in (1, 2))]

    def index(self, name: str, where: str) -> int:
        """The point of that name; a joint comes before an end of the same name. Raises UserError if there is none."""
        if name not in self.names:
            joints, ends = self.names[: self._joints], self.names[self._joints :]
            raise UserError(
                f"{where}: no joint {name[:60]!r}; there are {', '.join(joints)}, and the sticks' ends {ends[0]}, "
                f"{ends[1]} to {ends[-1]}"
            )
        return self.names.index(name)

    def estimates(
        self,
        points_px: Float[np.ndarray, "person mark 2"],
        given: np.ndarray,
        detected: np.ndarray,
        confidence: Float[np.ndarray, "person mark"],
        missing: str,
    ) -> Estimates:
        """The answers: a stick that the file gives by its ends is taken from them, others lie between the joints.

        Args:
            given: (mark,) the file gives this point of somebody.
            missing: what the file leaves out, in words; points that it gives of nobody are added.
        """
        ends = given[self._joints :].reshape(-1, 2)
        sticks = points_px[:, self._joints :].reshape(len(points_px), -1, 2, 2)
        halves = (ends[:, ::-1] & ~ends).ravel()  # the other end is given
        absent = [name for name, half in zip(self.names[self._joints :], halves, strict=True) if half]
        if not given[: self._joints].any():
            return Estimates(None, sticks, detected, None, _with_absent(missing, absent))
        joints, known = points_px[:, : self._joints], confidence[:, : self._joints]
        absent = [name for name, there in zip(self.names, given[: self._joints], strict=False) if not there] + absent
        sticks = np.where((ends[:, 0] | ends[:, 1])[:, None, None], sticks, sticks_of(joints, self._truth))
        return Estimates(
            joints, sticks, detected, known if np.isfinite(known).any() else None, _with_absent(missing, absent)
        )


def _with_absent(missing: str, absent: list[str]) -> str:
    return "; ".join(part for part in (missing, f"no {', '.join(absent)}" if absent else "") if part)


def load_mat(path: Path, squeeze: bool) -> Mapping[str, Any]:
    """Variable -> its content, structs with their fields as attributes.

    Args:
        squeeze: without axes of length 1.

    Raises:
        UserError: it is missing, cut off, or no MATLAB file of a version that is read.
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


def with_fields(content: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    """The variables that are struct arrays with all of these fields."""
    return [name for name, value in content.items() if _has(value, fields)]


def _has(value: Any, fields: Sequence[str]) -> bool:
    records = np.atleast_1d(value).ravel()
    return len(records) > 0 and all(hasattr(records[0], field) for field in fields)


def choose(path: Path, content: Mapping[str, Any], variable: str | None, fitting: Sequence[str], what: str) -> str:
    """The variable that is meant: the named one, or the only one that fits. Raises UserError if there is none."""
    if variable is not None:
        if variable not in content:
            raise UserError(f"{path}: no variable {variable!r}; there are {', '.join(content) or 'none'}")
        return variable
    if len(fitting) > 1:
        raise UserError(
            f"{path}: one {what} is due, {', '.join(fitting)} are there; name it: predictions_form.variable=..."
        )
    if not fitting:
        raise UserError(f"{path}: one {what} is due, none is there; it holds {holds(content)}")
    return fitting[0]


def holds(content: Mapping[str, Any]) -> str:
    """What the variables are, and how those that are no array of three axes become one."""
    return "; ".join(describe(name, value) for name, value in content.items()) or "nothing"


def describe(name: str, value: Any) -> str:
    """A variable in words: its name, what it is, its shape, and how it becomes an array of three axes, if it can."""
    array = np.asarray(value)
    shape = " x ".join(map(str, array.shape)) or "1"
    first = array.ravel()[0] if array.dtype == object and array.size else None
    fields = getattr(first, "_fieldnames", None)
    if fields:
        way = f"in MATLAB, {name} = cat(3, {name}.FIELD) makes an array of a field that is x and y by joints"
        return f"{name}, a struct array {shape} with the fields {', '.join(fields)} ({way})"
    if array.dtype == object:
        return f"{name}, a cell array {shape} (in MATLAB, {name} = cat(3, {name}{{:}}) makes an array of it)"
    if array.dtype.kind not in "iuf":
        return f"{name}, a text" if array.dtype.kind in "US" else f"{name}, {array.dtype} {shape}"
    if array.ndim != 2 or not array.size:
        return f"{name}, numbers {shape}"
    if array.shape[1] % 2 or min(array.shape) == 1:
        return f"{name}, a table of numbers {shape}"
    return (
        f"{name}, a table of numbers {shape} (where a row is x1 y1 x2 y2 ... of a person, in MATLAB "
        f"{name} = reshape({name}', 2, [], size({name}, 1)) makes three axes of it)"
    )
