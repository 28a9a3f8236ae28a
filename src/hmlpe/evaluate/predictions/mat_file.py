"""MATLAB files of other people: what is in them, in one clear line if it cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from hmlpe.data.sources.mat5 import check_mat5
from hmlpe.errors import UserError


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
