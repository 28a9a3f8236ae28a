"""Points as files give them: NaN is not predicted, everything else must be a place in an image."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hmlpe.data.sources.folder import LARGEST_PX
from hmlpe.errors import UserError
from hmlpe.evaluate.estimates import Estimates, sticks_of
from hmlpe.evaluate.truth import Truth


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
