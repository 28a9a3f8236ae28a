"""`<run>/csv/version_<n>/metrics.csv`: read the rows and curves that each start of a run logged."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hmlpe.files import atomic_file

Curves = Mapping[str, Mapping[int, float]]
"""Metric -> epoch, counted from 1 -> value, averaged where it was logged several times in the epoch."""

_AFTER_TRAINING = re.compile(r"test.*/")  # metrics that are logged when the checkpoint is evaluated


def metrics_files(folder: Path) -> list[Path]:
    """Return the run's metrics files, the earliest start first."""
    found = folder.glob("csv/**/metrics.csv")
    return sorted(found, key=lambda path: [int(number) for number in re.findall(r"\d+", path.parent.name)])


def read_curves(folder: Path, epochs: int | None) -> Curves:
    """Return the curves that the run in `folder` has logged so far; empty if it has no metrics file.

    An incomplete line (the run is just writing it) and a cell that is not a number are left out.

    Args:
        folder: folder of the run.
        epochs: number of training epochs; rows of later epochs belong to the evaluation and are left out. None: keep
            all.
    """
    found: dict[str, dict[int, list[float]]] = {}
    for path in metrics_files(folder):
        starts: dict[str, dict[int, list[float]]] = {}
        for line in _complete_rows(path):
            epoch = _finite_or_none(line.pop("epoch", ""))
            if epoch is None or (epochs is not None and epoch >= epochs):
                continue
            for name, text in line.items():
                value = _finite_or_none(text)
                if value is not None and name != "step" and not _AFTER_TRAINING.match(name):
                    starts.setdefault(name, {}).setdefault(int(epoch) + 1, []).append(value)
        for name, values in starts.items():  # a later start repeats the epoch that was interrupted
            found.setdefault(name, {}).update(values)
    return {
        name: {epoch: sum(values[epoch]) / len(values[epoch]) for epoch in sorted(values)}
        for name, values in sorted(found.items())
    }


def logged_names(folder: Path) -> set[str]:
    """Return the names of all metrics in the CSV files of the run in `folder`, whether or not they have values yet."""
    return {name for path in metrics_files(folder) for name in next(_csv_rows(path), [])} - {"step", "epoch"}


def _complete_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as text by column; lines that are not written completely are left out."""
    try:
        header, *lines = _csv_rows(path)
    except (ValueError, csv.Error):
        return []
    return [dict(zip(header, cells, strict=True)) for cells in lines if len(cells) == len(header)]


def _csv_rows(path: Path) -> Iterator[list[str]]:
    """Yield the cells of each line of a CSV file, the header first; nothing if the file cannot be opened."""
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError:  # the file is being replaced; the next call will find it
        return
    whole = text[: text.rfind("\n") + 1]
    yield from csv.reader(io.StringIO(whole.replace("\0", ""), newline=""))


def _finite_or_none(text: str) -> float | None:
    """Return the number in a cell; None if it is no number, or not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def rows_of_earlier_starts(folder: Path, current_start: str, end_step: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield (step, values by metric) as the earlier starts of a resumed run logged them, in the order of steps.

    If several starts reached a step, its row is that of the last of them.

    Args:
        folder: the folder of all starts, `<run>/csv`.
        current_start: name of the present start's folder, which is left out.
        end_step: rows of this step and of later ones are left out.
    """
    starts = [path for path in folder.glob("version_*/metrics.csv") if path.parent.name != current_start]
    starts.sort(key=lambda path: int(path.parent.name.removeprefix("version_")), reverse=True)
    kept: list[tuple[int, dict[str, float]]] = []
    end = end_step
    for path in starts:
        rows = [row for row in _read_steps(path) if row[0] < end]
        kept, end = [*rows, *kept], min([end, *(number for number, _ in rows)])
    yield from kept


def _read_steps(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield (step, values by metric) of each row of one metrics file, up to the place where it cannot be read.

    A line that was cut off, as the run was killed, is left out.
    """
    with suppress(OSError, csv.Error), path.open(newline="", encoding="utf-8", errors="replace") as file:
        for line in csv.DictReader(file):
            try:
                numbers = {key: float(value) for key, value in line.items() if value not in ("", None)}
                yield int(numbers.pop("step")), numbers
            except (KeyError, TypeError, ValueError):
                continue


def replace_header(path: Path, header: Sequence[str]) -> None:
    """Replace the header of a CSV file and keep its rows, in one atomic step. New columns stay empty."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(rows)
