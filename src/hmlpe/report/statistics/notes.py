"""What a reader must know beside the paired differences: what is lacking, which base was taken, what is not fair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hmlpe.report.columns import Column
from hmlpe.report.statistics.measured import Measured
from hmlpe.report.statistics.outcome import Difference
from hmlpe.runs.result import Run, row_weights


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
    base = next(iter(bases), "")
    for task in [one for one in bases if one != base and measured.rule == "best"]:
        own = [found for found in differences if found.column.info.kind == "error" and found.column.info.task == task]
        if any(found.base in bases[task] for found in own):
            notes.append(
                f"{task}_error is not like for like under this rule: rows that train {base} choose their epoch by "
                f"val/{base}_error, their base by val/{task}_error. Fair: under the last epoch."
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
        training = [run for group in groups.values() for run in group if row_weights(group).get(column.info.task)]
        lacking = tuple(run.name for run in training if run.metrics.get(column.key) is None)
        if 0 < len(lacking) < len(training):  # what nobody has, these people do not give
            found.setdefault(lacking, []).append(column.heading)
    return [
        f"Without a number, and in no mean or difference: {', '.join(r)} ({', '.join(m)})." for r, m in found.items()
    ]
