"""`<run>/csv/version_<n>/metrics.csv`: what each start of a run logged, its lines and its curves."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hmlpe.files import new_file

Curves = Mapping[str, Mapping[int, float]]
"""Metric -> epoch, counted from 1 -> its value; the mean, where an epoch logs several."""

_AFTER_TRAINING = re.compile(r"test.*/")  # logged when the checkpoint is evaluated, with the splits read beside it


def files_of(folder: Path) -> list[Path]:
    """The run's files, the earliest start first."""
    found = folder.glob("csv/**/metrics.csv")
    return sorted(found, key=lambda path: [int(number) for number in re.findall(r"\d+", path.parent.name)])


def read_curves(folder: Path, epochs: int | None) -> Curves:
    """The curves of the run in `folder`, as far as they are written; none without a file.

    A line that is not whole (the run is just writing it) and a cell that is no number are left out.

    Args:
        epochs: of the whole training; what is logged later is of the evaluation.
    """
    found: dict[str, dict[int, list[float]]] = {}
    for path in files_of(folder):
        starts: dict[str, dict[int, list[float]]] = {}
        for line in _whole_lines(path):
            epoch = _number(line.pop("epoch", ""))
            if epoch is None or (epochs is not None and epoch >= epochs):
                continue
            for name, text in line.items():
                value = _number(text)
                if value is not None and name != "step" and not _AFTER_TRAINING.match(name):
                    starts.setdefault(name, {}).setdefault(int(epoch) + 1, []).append(value)
        for name, values in starts.items():  # a later start repeats the epoch that was broken off
            found.setdefault(name, {}).update(values)
    return {
        name: {epoch: sum(values[epoch]) / len(values[epoch]) for epoch in sorted(values)}
        for name, values in sorted(found.items())
    }


def logged(folder: Path) -> set[str]:
    """The names of all that the run in `folder` has logged, whether or not it has values yet."""
    return {name for path in files_of(folder) for name in next(_cells(path), [])} - {"step", "epoch"}


def _whole_lines(path: Path) -> list[dict[str, str]]:
    try:
        header, *lines = _cells(path)
    except (ValueError, csv.Error):
        return []
    return [dict(zip(header, cells, strict=True)) for cells in lines if len(cells) == len(header)]


def _cells(path: Path) -> Iterator[list[str]]:
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError:  # replaced while we look: next time
        return
    whole = text[: text.rfind("\n") + 1]
    yield from csv.reader(io.StringIO(whole.replace("\0", ""), newline=""))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def rows_before(folder: Path, current: str, step: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Steps and their numbers, growing: of each step, what the last start that reached it logged."""
    starts = [path for path in folder.glob("version_*/metrics.csv") if path.parent.name != current]
    starts.sort(key=lambda path: int(path.parent.name.removeprefix("version_")), reverse=True)
    kept: list[tuple[int, dict[str, float]]] = []
    end = step
    for path in starts:
        rows = [row for row in _rows_of(path) if row[0] < end]
        kept, end = [*rows, *kept], min([end, *(number for number, _ in rows)])
    yield from kept


def _rows_of(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """A line that a kill has cut has too few fields, or a torn number: it is left out. A broken file ends early."""
    with suppress(OSError, csv.Error), path.open(newline="", encoding="utf-8", errors="replace") as file:
        for line in csv.DictReader(file):
            try:
                numbers = {key: float(value) for key, value in line.items() if value not in ("", None)}
                yield int(numbers.pop("step")), numbers
            except (KeyError, TypeError, ValueError):
                continue


def rewrite(path: Path, header: Sequence[str]) -> None:
    """Give a file another header, its lines kept; it holds the old or the new lines at any moment."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with new_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(rows)
