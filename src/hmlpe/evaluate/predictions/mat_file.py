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
        with path.open("rb") as file:
            if file.read(10) == b"MATLAB 7.3":
                raise UserError(f"{path}: is of MATLAB's version 7.3, which is not read; save it with '-v7'")
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
    if len(fitting) != 1:
        there = f"{', '.join(fitting)} are" if fitting else "none is"
        raise UserError(f"{path}: one {what} is due, {there} there; name it: predictions_form.variable=...")
    return fitting[0]
