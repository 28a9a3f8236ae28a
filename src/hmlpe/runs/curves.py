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
    """Read the curves of the run in `folder`, as far as they are written; empty without a file.

    An incomplete line (the run is just writing it) and a cell that is not a number are left out.

    Args:
        epochs: number of training epochs; rows of later epochs belong to the evaluation and are left out. None: keep
            all.
    """
    found: dict[str, dict[int, list[float]]] = {}
    for path in metrics_files(folder):
        starts: dict[str, dict[int, list[float]]] = {}
        for line in _whole_lines(path):
            epoch = _finite_number(line.pop("epoch", ""))
            if epoch is None or (epochs is not None and epoch >= epochs):
                continue
            for name, text in line.items():
                value = _finite_number(text)
                if value is not None and name != "step" and not _AFTER_TRAINING.match(name):
                    starts.setdefault(name, {}).setdefault(int(epoch) + 1, []).append(value)
        for name, values in starts.items():  # a later start repeats the epoch that was interrupted
            found.setdefault(name, {}).update(values)
    return {
        name: {epoch: sum(values[epoch]) / len(values[epoch]) for epoch in sorted(values)}
        for name, values in sorted(found.items())
    }


def logged_names(folder: Path) -> set[str]:
    """Return the names of everything that the run in `folder` has logged, whether or not it has values yet."""
    return {name for path in metrics_files(folder) for name in next(_cells(path), [])} - {"step", "epoch"}


def _whole_lines(path: Path) -> list[dict[str, str]]:
    try:
        header, *lines = _cells(path)
    except (ValueError, csv.Error):
        return []
    return [dict(zip(header, cells, strict=True)) for cells in lines if len(cells) == len(header)]


def _cells(path: Path) -> Iterator[list[str]]:
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError:  # the file is being replaced; the next call will find it
        return
    whole = text[: text.rfind("\n") + 1]
    yield from csv.reader(io.StringIO(whole.replace("\0", ""), newline=""))


def _finite_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def earlier_rows(folder: Path, current: str, step: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield (step, values) of the earlier starts of a run, in the order of steps.

    Of a step that several starts reached, the row of the last of them is taken.

    Args:
        folder: the folder of all starts, `<run>/csv`.
        current: name of the present start's folder, which is left out.
        step: rows of this step and later are left out.
    """
    starts = [path for path in folder.glob("version_*/metrics.csv") if path.parent.name != current]
    starts.sort(key=lambda path: int(path.parent.name.removeprefix("version_")), reverse=True)
    kept: list[tuple[int, dict[str, float]]] = []
    end = step
    for path in starts:
        rows = [row for row in _rows_of(path) if row[0] < end]
        kept, end = [*rows, *kept], min([end, *(number for number, _ in rows)])
    yield from kept


def _rows_of(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield (step, values) of one file; a broken file ends early.

    A line that a kill cut off has too few fields or a torn number, and is left out.
    """
    with suppress(OSError, csv.Error), path.open(newline="", encoding="utf-8", errors="replace") as file:
        for line in csv.DictReader(file):
            try:
                numbers = {key: float(value) for key, value in line.items() if value not in ("", None)}
                yield int(numbers.pop("step")), numbers
            except (KeyError, TypeError, ValueError):
                continue


def replace_header(path: Path, header: Sequence[str]) -> None:
    """Replace the header of a file and keep its lines, atomically."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(rows)
