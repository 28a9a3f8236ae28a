"""Which form a file of predictions has."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from hmlpe.errors import UserError
from hmlpe.evaluate.people import Estimates, Truth
from hmlpe.evaluate.predictions.buffy_tool import FIELDS, BuffyToolReader
from hmlpe.evaluate.predictions.points import check_any, holds, load_mat, with_fields
from hmlpe.evaluate.predictions.table import CsvReader
from hmlpe.file_kinds import describe_other_format


@runtime_checkable
class Reader(Protocol):
    """Reads one form of files; a configuration of `predictions_form` builds it."""

    def __call__(self, path: Path, truth: Truth) -> Estimates:
        """The file's answers for the people of `truth`. Raises UserError naming file and line or record."""
        ...


def read_predictions(path: Path, truth: Truth, form: Reader | None) -> Estimates:
    """A method's answers.

    Args:
        path: the file.
        truth: the annotated people that it is scored on.
        form: its reader; None: by what the file is (`reader_of`).

    Raises:
        UserError: there is no such file, its form is not known, or whatever its reader says.
    """
    check_there(path)
    found = (form or reader_of(path))(path, truth)
    if found.detected.any():  # else nobody is found, which is an answer
        check_any(found.sticks_px if found.joints_px is None else found.joints_px, str(path))
    return found


def check_there(path: Path) -> None:
    """Raise UserError if there is no such file."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; predictions= must name a file of predictions")


def reader_of(path: Path) -> Reader:
    """The reader of a file whose form is plain: a csv, or results of the Buffy tool. Raises UserError otherwise."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return CsvReader()
    if suffix != ".mat":
        other = describe_other_format(path)
        due = "a .csv or a .mat is due, or say what it is with predictions_form=csv, buffy or matrix"
        raise UserError(f"{path}: {due if other is None else f'{other} (a .csv or a .mat is due)'}")
    content = load_mat(path, squeeze=True)
    if with_fields(content, FIELDS):
        return BuffyToolReader()
    raise UserError(
        f"{path}: no struct array with the fields {', '.join(FIELDS)} is in it, but {holds(content)}; say what it is, "
        "for an array of 2 x joints x people with predictions_form=matrix "
        "'predictions_form.joints={left_elbow: 2, left_wrist: 3}' (both)"
    )
