"""What a reader must know beside the paired differences: what is lacking, which base was taken, what is not fair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hmlpe.report.columns import BASE_TASK, SWEPT_TASK, Column
from hmlpe.report.result import Run
from hmlpe.report.runs import row_weights
from hmlpe.report.statistics.measured import Measured
from hmlpe.report.statistics.outcome import Difference


def notes_of(
    measured: Measured,
    groups: Mapping[str, Sequence[Run]],
    bases: Mapping[str, Sequence[str]],
    columns: Sequence[Column],
    differences: Sequence[Difference],
) -> list[str]:
    """The notes.

    Args:
        groups: each row's finished runs.
        bases: the rows that train a task alone, by that task.
    """
    notes = []
    if not any(bases.values()):
        notes.append("No row trains one task alone, so there is nothing to pair the rows with.")
    for task, rows in bases.items():
        taken = {found.base for found in differences} & set(rows)
        if len(rows) > 1 and taken:
            notes.append(f"{len(rows)} rows train {task} alone ({', '.join(rows)}); base: {', '.join(sorted(taken))}.")
    if measured.rule == "best" and any(
        found.column.key.endswith(f"/{SWEPT_TASK}_error") and found.base in bases[SWEPT_TASK] for found in differences
    ):
        notes.append(
            f"{SWEPT_TASK}_error is not like for like under this rule: rows that train {BASE_TASK} choose their epoch "
            f"by val/{BASE_TASK}_error, their base by val/{SWEPT_TASK}_error. Fair: under the last epoch."
        )
    notes += _without_a_number(groups, columns)
    if measured.lacking:
        (run, why), more = next(iter(measured.lacking.items())), len(measured.lacking) - 1
        others = f", nor {more} more {'run' if more == 1 else 'runs'}" if more else ""
        notes.append(f"No interval over people holds {run}{others}: {why}.")
    return notes


def _without_a_number(groups: Mapping[str, Sequence[Run]], columns: Sequence[Column]) -> list[str]:
    """Finished runs that train a metric's task and yet have no number, as one that diverged; else they only vanish."""
    found: dict[tuple[str, ...], list[str]] = {}
    for column in columns:
        training = [run for group in groups.values() for run in group if row_weights(group).get(_task_of(column))]
        lacking = tuple(run.name for run in training if run.metrics.get(column.key) is None)
        if 0 < len(lacking) < len(training):  # what nobody has, these people do not give
            found.setdefault(lacking, []).append(column.heading)
    return [
        f"Without a number, and in no mean or difference: {', '.join(r)} ({', '.join(m)})." for r, m in found.items()
    ]


def _task_of(column: Column) -> str:
    """Scores of poses are the base task's."""
    return SWEPT_TASK if column.key.endswith(f"/{SWEPT_TASK}_error") else BASE_TASK
