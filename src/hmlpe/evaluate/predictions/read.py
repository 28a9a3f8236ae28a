"""Choose the reader for a file of predictions by its format, and read it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from hmlpe.errors import UserError
from hmlpe.evaluate.people import Estimates, Truth
from hmlpe.evaluate.predictions.buffy_tool import FIELDS, BuffyToolReader
from hmlpe.evaluate.predictions.points import check_not_empty, describe_content, find_struct_arrays, load_mat
from hmlpe.evaluate.predictions.table import CsvReader
from hmlpe.file_kinds import describe_other_format


@runtime_checkable
class Reader(Protocol):
    """A callable that reads files of one format; it is built from the config group `predictions_form`."""

    def __call__(self, path: Path, truth: Truth) -> Estimates:
        """Read the predictions for the people of `truth` from a file.

        Raises:
            UserError: the file is not valid; the message names the file and the line or record.
        """
        ...


def read_predictions(path: Path, truth: Truth, reader: Reader | None) -> Estimates:
    """Read a method's predictions from a file.

    Args:
        path: the file.
        truth: the annotated people on whom the method is scored.
        reader: the reader; None: chosen by the file's suffix and content (`choose_reader`).

    Raises:
        UserError: there is no such file, its format is not known, it predicts nothing, or its reader finds an error.
    """
    check_exists(path)
    found = (reader or choose_reader(path))(path, truth)
    if found.detected.any():  # that nobody is detected is a valid result
        check_not_empty(found.sticks_px if found.joints_px is None else found.joints_px, str(path))
    return found


def check_exists(path: Path) -> None:
    """Raise UserError if there is no such file."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; predictions= must name a file of predictions")


def choose_reader(path: Path) -> Reader:
    """Return the reader for the file, which is a CSV or a result of the Buffy tool.

    Raises UserError for other files.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return CsvReader()
    if suffix != ".mat":
        other = describe_other_format(path)
        due = "expected a .csv or .mat file, or say what it is with predictions_form=csv, buffy or matrix"
        raise UserError(f"{path}: {due if other is None else f'{other} (expected a .csv or .mat file)'}")
    content = load_mat(path, squeeze=True)
    if find_struct_arrays(content, FIELDS):
        return BuffyToolReader()
    raise UserError(
        f"{path}: holds no struct array with the fields {', '.join(FIELDS)}, but {describe_content(content)}; say "
        "what it is; for an array of 2 x joints x people, give both predictions_form=matrix "
        "'predictions_form.joints={left_elbow: 2, left_wrist: 3}'"
    )
