"""Which keypoints of a COCO file make which joint of the skeleton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton
from hmlpe.spelling import composed

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
    return tuple(composed(str(name)) for name in names)
