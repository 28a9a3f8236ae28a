"""Each row against the row that trains the metric's task alone: the same seeds and people paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from hmlpe.report.columns import AVERAGE, Column, columns_of
from hmlpe.report.runs import by_row
from hmlpe.report.statistics.intervals import DRAWS, SEED, Interval, over_both, over_people
from hmlpe.report.statistics.measured import Measured, measure
from hmlpe.report.statistics.notes import notes_of
from hmlpe.report.statistics.outcome import Difference, Statistics
from hmlpe.report.statistics.scores import Score
from hmlpe.report.summary import tasks_of
from hmlpe.resample import counts
from hmlpe.runs.metric import split_of
from hmlpe.runs.result import Run, row_weights

Draws = Mapping[tuple[str, str], Float[np.ndarray, " draw"]]


def compare(runs: Sequence[Run], chosen: bool = True) -> Statistics:
    """The statistics of comparable runs; see `measure` for `chosen`."""
    measured = measure(runs, chosen)
    groups = {row: [run for run in group if run.finished] for row, group in by_row(runs)}
    columns = _columns(groups)
    draws, shots_of = _draws(measured, columns), _shots(measured, columns)
    bases = {task: _alone(task, groups) for task in tasks_of(runs)}
    differences, intervals = [], {}
    for column in columns:
        having = {row: [r for r in group if r.metrics.get(column.key) is not None] for row, group in groups.items()}
        base = next((row for rows in bases.values() for row in rows if having[row]), None)
        shots = shots_of.get(column.key, measured.shots)
        for row, group in having.items():
            own = _own_interval(group, column, draws, shots)
            if own is not None:
                intervals[row, column.key] = own
            if base is not None and row != base and group:
                differences += _difference(column, base, having[base], row, group, draws, shots)
    return Statistics(
        rule=next(run.rule for run in runs if run.finished),
        people=measured.people,
        shots=None if measured.shot is None else measured.shots,
        differences=tuple(differences),
        intervals=intervals,
        notes=tuple(notes_of(measured, groups, bases, columns, differences)),
    )


def _columns(groups: Mapping[str, Sequence[Run]]) -> list[Column]:
    """The metrics of test people that are sums over them, the tasks' own errors first, and of those the average's."""
    found = [
        column
        for column in columns_of([run for group in groups.values() for run in group])
        if split_of(column.key).startswith("test") and column.info.reduction is not None
    ]
    return sorted(found, key=lambda one: (one.info.kind != "error", not one.key.startswith(f"{AVERAGE}/")))


def _alone(task: str, groups: Mapping[str, Sequence[Run]]) -> list[str]:
    """The rows that train this task and no other."""
    weights = {row: row_weights(group) for row, group in groups.items() if group}
    return [row for row, own in weights.items() if [name for name, value in own.items() if value] == [task]]


def _draws(measured: Measured, columns: Sequence[Column]) -> Draws:
    """Values of each (run, metric's key): of the people themselves, then of each draw of people, the same for all."""
    if not measured.people:
        return {}
    drawn = counts(np.arange(measured.people) if measured.shot is None else measured.shot, DRAWS, SEED)
    return {
        (run, column.key): np.mean([score.values(drawn) for score in own], axis=0)
        for run, scores in measured.scores.items()
        for column in columns
        if (own := _scores(scores, column.key))
    }


def _shots(measured: Measured, columns: Sequence[Column]) -> dict[str, int]:
    """How many shots (or people, where nobody knows of shots) count in each metric: one set's are its own."""
    shot = np.arange(measured.people) if measured.shot is None else measured.shot
    found = {}
    for column in columns:
        counting = np.zeros(len(shot), dtype=bool)
        for scores in measured.scores.values():
            for score in _scores(scores, column.key):
                counting |= score.known
        found[column.key] = len(np.unique(shot[counting]))
    return found


def _scores(scores: Mapping[str, Score], key: str) -> list[Score]:
    """What the metric is the mean of: its own score, or those of all sets; empty where one is lacking."""
    split, _, name = key.partition("/")
    splits = {key.partition("/")[0] for key in scores} - {"test"} if split == AVERAGE else {split}
    found = [scores.get(f"{one}/{name}") for one in sorted(splits)]
    return [score for score in found if score is not None] if None not in found else []


def _own_interval(group: Sequence[Run], column: Column, draws: Draws, shots: int) -> Interval | None:
    found = [draws[run.name, column.key] for run in group if (run.name, column.key) in draws]
    if not found or len(found) < len(group):
        return None
    values = np.stack(found)
    return over_both(values, shots) if len(found) > 1 else over_people(values, shots)


def _difference(
    column: Column, base: str, base_runs: Sequence[Run], row: str, runs: Sequence[Run], draws: Draws, shots: int
) -> list[Difference]:
    """The row's difference; none if it shares no seed with its base."""
    of_base = {run.seed: run for run in base_runs}
    pairs = [(run, of_base[run.seed]) for run in runs if run.seed in of_base]
    if not pairs:
        return []
    each = [(run.metrics[column.key] or 0.0) - (other.metrics[column.key] or 0.0) for run, other in pairs]
    known = all((run.name, column.key) in draws for pair in pairs for run in pair)
    values = np.stack([draws[a.name, column.key] - draws[b.name, column.key] for a, b in pairs]) if known else None
    return [
        Difference(
            row=row,
            base=base,
            column=column,
            seeds=tuple(run.seed for run, _ in pairs),
            each=tuple(each),
            over_people=None if values is None else over_people(values, shots),
            over_both=None if values is None or len(pairs) < 2 else over_both(values, shots),
        )
    ]
