"""Reading struct arrays and matrices out of MATLAB files, with errors that name file, record and field."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from jaxtyping import Float

from hmlpe.data.sources.folder import LARGEST_PX
from hmlpe.data.sources.mat5 import check_mat5
from hmlpe.errors import UserError


def read_struct_array(path: Path, variable: str) -> Sequence[Any]:
    """The records of a struct array, each with its fields as attributes; or a matrix, along its first axis.

    Raises:
        UserError: the file is missing, cut off or no MATLAB file, or holds no such variable.
    """
    if not path.is_file():
        raise UserError(f"{path}: annotation file is missing; is data.root the folder that holds {path.name}?")
    check_mat5(path)
    try:
        content = scipy.io.loadmat(str(path), squeeze_me=True, struct_as_record=False)
    except Exception as error:  # a cut file makes scipy raise almost anything, zlib.error and IndexError among them
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a whole MATLAB file ({reason}); fetch it again") from error
    if variable not in content:
        raise UserError(f"{path}: no variable {variable!r}; is this the set's own annotation file?")
    return list(np.atleast_1d(content[variable]))


def field(record: Any, name: str, where: str) -> Any:
    """The named field of a record; raises UserError if it has none."""
    if not hasattr(record, name):
        raise UserError(f"{where}: field {name!r} is missing")
    return getattr(record, name)


def array(record: Any, name: str, shape: tuple[int, ...], where: str) -> Float[np.ndarray, "..."]:
    """A field as floats of the given shape; raises UserError if it is anything else."""
    value = field(record, name, where)
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: field {name!r} does not hold numbers, got {str(value)[:40]!r}") from error
    if numbers.shape != shape:
        raise UserError(f"{where}: field {name!r} must be of shape {shape}, got {numbers.shape}")
    return numbers


def whole(record: Any, name: str, where: str) -> int:
    """A field as a whole number of at least 0; raises UserError if it is anything else."""
    value = float(array(record, name, (), where))
    if not value.is_integer() or value < 0:
        raise UserError(f"{where}: field {name!r} must be a whole number, got {value:g}")
    return int(value)


def box(record: Any, name: str, where: str) -> Float[np.ndarray, " 4"]:
    """A field as a box x0 y0 x1 y1 with an area, of photographic size; raises UserError if it is anything else."""
    found = array(record, name, (4,), where)
    if not ((abs(found) < LARGEST_PX).all() and (found[2:] > found[:2]).all()):
        raise UserError(f"{where}: field {name!r} must be a box [minx miny maxx maxy], got {found.tolist()}")
    return found
