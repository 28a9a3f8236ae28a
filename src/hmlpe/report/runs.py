"""The runs of a study, found in its folder and put in the tables' order."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hmlpe.errors import UserError
from hmlpe.report.columns import BASE_TASK
from hmlpe.report.result import Run, read_run


def collect(study: Path) -> list[Run]:
    """All runs below the folder `study`, in the tables' order; folders without a result.json are skipped.

    Raises UserError: no such folder, no result in it, a broken one (see `read_run`), two of the same row and seed.
    """
    if not study.is_dir():
        raise UserError(f"{study}: no such study folder; run the sweep first, or pass study=<outputs>/<experiment>")
    runs = [read_run(file) for file in sorted(study.glob("*/result.json"))]
    if not runs:
        raise UserError(f"{study}: no <row>_s<seed>/result.json in it; run the sweep first, or pass another study")
    seen: dict[str, Run] = {}
    for run in runs:
        other = seen.setdefault(run.name, run)
        if other is not run:
            raise UserError(f"{other.file} and {run.file}: same row {run.row!r}, seed {run.seed}; remove one of them")
    return in_order(runs)


def in_order(runs: Sequence[Run]) -> list[Run]:
    """The runs in the tables' order, whatever order they come in."""
    return [run for _, group in by_row(runs) for run in group]


def by_row(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """Runs by row, and by seed within: base task alone, growing weights of the others, rows without the base task."""
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        groups.setdefault(run.row, []).append(run)
    return sorted(groups.items(), key=lambda item: (_weight_key(row_weights(item[1])), item[0]))


def row_weights(group: Sequence[Run]) -> Mapping[str, float]:
    """The weights of one row: those of its finished runs, else the first that are stated."""
    return min(group, key=lambda run: (not run.finished, not run.weights, run.seed)).weights


def _weight_key(weights: Mapping[str, float]) -> tuple[int, tuple[float, ...]]:
    base = weights.get(BASE_TASK, 0.0)
    others = tuple(weight / (base or 1.0) for task, weight in sorted(weights.items()) if task != BASE_TASK)
    return (0 if base else 1 if any(others) else 2), others
