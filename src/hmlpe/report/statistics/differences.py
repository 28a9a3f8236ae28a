"""Compare each row with a base row, which trains one task alone, paired by seed and by person.

The base is the first row that has the metric among those that train one task alone, the study's base task first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.errors import UserError
from hmlpe.report.columns import AVERAGE, Column, columns_of, single_test_set_splits
from hmlpe.report.runs import group_by_row, read_people_of, read_setup
from hmlpe.report.statistics.outcome import (
    DRAWS,
    SEED,
    Difference,
    Interval,
    Statistics,
    people_interval,
    seeds_and_people_interval,
)
from hmlpe.report.summary import tasks_of
from hmlpe.resample import bootstrap_counts
from hmlpe.runs.metric import MetricInfo, Reduction, metric_split
from hmlpe.runs.people import People
from hmlpe.runs.result import OLDEST_SCHEMA, Run, row_weights
from hmlpe.runs.rules import other_rule_than

TOLERANCE = (1e-6, 1e-4)  # relative; of current results, and of older ones, which were summed in float32
Draws = Mapping[tuple[str, str], Float[np.ndarray, " draw"]]


def compare_rows(runs: Sequence[Run], chosen_rule: bool = True) -> Statistics:
    """Compare each row with its base row, and compute the confidence intervals of the rows' own means.

    Args:
        runs: comparable runs.
        chosen_rule: True: compare the checkpoints that the study evaluates (e.g. the best ones on validation); False:
            those of the other rule (then the last ones).
    """
    measured = read_scores(runs, chosen_rule)
    groups = {row: [run for run in group if run.finished] for row, group in group_by_row(runs)}
    columns = _resampled_columns(groups)
    draws, shots_of = _bootstrap_values(measured, columns), _shot_counts(measured, columns)
    bases = {task: _rows_training_alone(task, groups) for task in tasks_of(runs)}
    differences, intervals = [], {}
    for column in columns:
        having = {row: [r for r in group if r.metrics.get(column.key) is not None] for row, group in groups.items()}
        base = next((row for rows in bases.values() for row in rows if having[row]), None)
        shots = shots_of.get(column.key, measured.shots)
        for row, group in having.items():
            own = _row_interval(group, column, draws, shots)
            if own is not None:
                intervals[row, column.key] = own
            if base is not None and row != base and group:
                differences += _paired_differences(column, base, having[base], row, group, draws, shots)
    return Statistics(
        rule=next(run.rule for run in runs if run.finished),
        people=measured.people,
        shots=None if measured.shot is None else measured.shots,
        differences=tuple(differences),
        intervals=intervals,
        notes=tuple(statistics_notes(measured, groups, bases, columns, differences)),
    )


def _resampled_columns(groups: Mapping[str, Sequence[Run]]) -> list[Column]:
    """Return the test metrics that can be computed from errors of single people, and so on resampled people.

    The tasks' errors come before the scores; among each, the metrics averaged over the test sets come first.
    """
    found = [
        column
        for column in columns_of([run for group in groups.values() for run in group])
        if metric_split(column.key).startswith("test") and column.info.reduction is not None
    ]
    return sorted(found, key=lambda one: (one.info.kind != "error", not one.key.startswith(f"{AVERAGE}/")))


def _rows_training_alone(task: str, groups: Mapping[str, Sequence[Run]]) -> list[str]:
    """Return the rows that train this task and no other."""
    weights = {row: row_weights(group) for row, group in groups.items() if group}
    return [row for row, own in weights.items() if [name for name, value in own.items() if value] == [task]]


def _bootstrap_values(measured: StudyScores, columns: Sequence[Column]) -> Draws:
    """Return each metric's value on the test people themselves, then on each bootstrap draw of people.

    The keys are (run's name, metric's key). All runs share the draws.
    """
    if not measured.people:
        return {}
    drawn = bootstrap_counts(np.arange(measured.people) if measured.shot is None else measured.shot, DRAWS, SEED)
    return {
        (run, column.key): np.mean([score.values(drawn) for score in own], axis=0)
        for run, scores in measured.scores.items()
        for column in columns
        if (own := _averaged_scores(scores, column.key))
    }


def _shot_counts(measured: StudyScores, columns: Sequence[Column]) -> dict[str, int]:
    """Return the number of shots (or of people, if shots are unknown) that enter each metric, by its key."""
    shot = np.arange(measured.people) if measured.shot is None else measured.shot
    found = {}
    for column in columns:
        counting = np.zeros(len(shot), dtype=bool)
        for scores in measured.scores.values():
            for score in _averaged_scores(scores, column.key):
                counting |= score.has_error
        found[column.key] = len(np.unique(shot[counting]))
    return found


def _averaged_scores(scores: Mapping[str, PersonScore], key: str) -> list[PersonScore]:
    """Return the scores over which a metric is averaged; empty if one is missing.

    An average over the test sets has the score of each set; any other metric has its one score.
    """
    split, _, name = key.partition("/")
    splits = {key.partition("/")[0] for key in scores} - {"test"} if split == AVERAGE else {split}
    found = [scores.get(f"{one}/{name}") for one in sorted(splits)]
    return [score for score in found if score is not None] if None not in found else []


def _row_interval(group: Sequence[Run], column: Column, draws: Draws, shots: int) -> Interval | None:
    """Return the confidence interval of a row's mean over its runs; None if one of them lacks per-person errors."""
    found = [draws[run.name, column.key] for run in group if (run.name, column.key) in draws]
    if not found or len(found) < len(group):
        return None
    values = np.stack(found)
    return seeds_and_people_interval(values, shots) if len(found) > 1 else people_interval(values, shots)


def _paired_differences(
    column: Column, base: str, base_runs: Sequence[Run], row: str, runs: Sequence[Run], draws: Draws, shots: int
) -> list[Difference]:
    """Return, as a list of one, a row's difference from its base row, paired by seed; empty without a shared seed."""
    of_base = {run.seed: run for run in base_runs}
    pairs = [(run, of_base[run.seed]) for run in runs if run.seed in of_base]
    if not pairs:
        return []
    known = all((run.name, column.key) in draws for pair in pairs for run in pair)
    values = np.stack([draws[a.name, column.key] - draws[b.name, column.key] for a, b in pairs]) if known else None
    if values is None:
        each = [(run.metrics[column.key] or 0.0) - (other.metrics[column.key] or 0.0) for run, other in pairs]
    else:  # not of result.json, whose rounding may lie outside a narrow interval
        each = values[:, 0].tolist()
    return [
        Difference(
            row=row,
            base=base,
            column=column,
            seeds=tuple(run.seed for run, _ in pairs),
            each=tuple(each),
            over_people=None if values is None else people_interval(values, shots),
            over_both=None if values is None or len(pairs) < 2 else seeds_and_people_interval(values, shots),
        )
    ]


def statistics_notes(
    measured: StudyScores,
    groups: Mapping[str, Sequence[Run]],
    bases: Mapping[str, Sequence[str]],
    columns: Sequence[Column],
    differences: Sequence[Difference],
) -> list[str]:
    """Return notes for the reader: what is missing, and what must be known to read the comparison.

    Args:
        measured: the scores of the runs.
        groups: the finished runs of each row.
        bases: for each task, the rows that train it alone.
        columns: the compared metrics.
        differences: the differences between rows.
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
                f"val/{base}_error, their base by val/{task}_error. For a fair comparison see the last epoch."
            )
    notes += _notes_without_number(groups, columns)
    if measured.missing:
        (run, why), more = next(iter(measured.missing.items())), len(measured.missing) - 1
        others = f" and {more} more {'run' if more == 1 else 'runs'}" if more else ""
        notes.append(f"Left out of intervals over people: {run}{others} ({why}).")
    return notes


def _notes_without_number(groups: Mapping[str, Sequence[Run]], columns: Sequence[Column]) -> list[str]:
    """Return notes on finished runs that train a metric's task but have no number for it, e.g. as they diverged.

    Without the note these runs would be missing unnoticed.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for column in columns:
        training = [run for group in groups.values() for run in group if row_weights(group).get(column.info.task)]
        lacking = tuple(run.name for run in training if run.metrics.get(column.key) is None)
        if 0 < len(lacking) < len(training):  # if no run has the number, these test people do not allow it
            found.setdefault(lacking, []).append(column.heading)
    return [f"No value, so in no mean or difference: {', '.join(r)} ({', '.join(m)})." for r, m in found.items()]


@dataclass(frozen=True)
class StudyScores:
    """The scores of a study's finished runs, which can be computed on resampled people.

    Attributes:
        scores: scores by the run's name, then the metric's key, for runs with valid files of the same people.
        people: number of test people; 0 without any file.
        shot: (person,) shot of each person, equal for people who are drawn together; None: no file, or one of an older
            version.
        missing: for each other finished run, by name, why it has no scores.
        rule: name of the checkpoint rule, one of `RULES`; empty if no run's config states it.
    """

    scores: Mapping[str, Mapping[str, PersonScore]]
    people: int
    shot: np.ndarray | None
    missing: Mapping[str, str]
    rule: str

    @property
    def shots(self) -> int:
        """Return the number of shots that the bootstrap draws from, or of people where shots are unknown."""
        return self.people if self.shot is None else len(np.unique(self.shot))


def read_scores(runs: Sequence[Run], chosen_rule: bool) -> StudyScores:
    """Read the scores of the finished runs, with their errors by person.

    Args:
        runs: the runs of a study.
        chosen_rule: True: under the checkpoint rule that the study chose; False: under the other rule, whose metrics
            the runs must already have (see `study.under_other_rule`).
    """
    scores: dict[str, Mapping[str, PersonScore]] = {}
    lacking: dict[str, str] = {}
    rule = ""
    first: tuple[str, People] | None = None
    for run in runs:
        if not run.finished:
            continue
        try:
            setup = read_setup(run.file.parent)
            rule = setup.rule if chosen_rule else other_rule_than(setup.rule)
            people = read_people_of(run, rule)
            splits = single_test_set_splits(key.partition("/")[0] for key in run.metrics)
            found = scores_by_split(scores_of(people, run.infos), people, splits)
            _check_same_people(people, first)
            _check_same_numbers(run, found)
            found = {name: score for name, score in found.items() if run.metrics.get(name) is not None}
        except (UserError, LookupError, TypeError, ValueError) as error:
            lacking[run.name] = run.error_without_folder(error)
            continue
        first = first or (run.name, people)
        scores[run.name] = found
    return StudyScores(scores, len(first[1]) if first else 0, first[1].shot if first else None, lacking, rule)


def _check_same_people(people: People, first: tuple[str, People] | None) -> None:
    """Raise UserError unless the test people and their shots are those of `first`, a run's name and people."""
    if first is None:
        return
    if not np.array_equal(people.person, first[1].person):
        raise UserError(f"its test people are not those of {first[0]}; rerun it")
    one, other = ([] if shot is None else shot.tolist() for shot in (people.shot, first[1].shot))
    if one != other:
        raise UserError(f"its test people's shots are not those of {first[0]}; rerun it")


def _check_same_numbers(run: Run, scores: Mapping[str, PersonScore]) -> None:
    """Raise UserError unless the scores equal the numbers in result.json, up to their rounding to float32."""
    for name, score in scores.items():
        stated = run.metrics.get(name)
        if stated is None:
            continue
        found = float(score.values(np.ones((1, len(score.errors))))[0])
        if not math.isclose(found, stated, rel_tol=TOLERANCE[run.result.schema_ == OLDEST_SCHEMA], abs_tol=1e-7):
            raise UserError(f"its people's file gives {found:.6g} for {name}, its result.json {stated:.6g}; rerun it")


@dataclass(frozen=True, eq=False)
class PersonScore:
    """A score that is computed from the errors of each person, by a reduction to one number."""

    reduction: Reduction
    errors: Float[np.ndarray, "person item"]

    def values(self, counts: Float[np.ndarray, "draw person"]) -> Float[np.ndarray, " draw"]:
        """Compute the score on each draw of people.

        Args:
            counts: how often each person is in each draw.

        Returns:
            The score of each draw; NaN where no error is known.
        """
        return self.reduction(self.errors, counts)

    @property
    def has_error(self) -> Bool[np.ndarray, " person"]:
        """Return a mask of the people for whom at least one error is known."""
        return self.reduction.has_known_error(self.errors)

    def restricted_to(self, mask: Bool[np.ndarray, " person"]) -> PersonScore:
        """Return the score of only the people whom `mask` selects."""
        return PersonScore(self.reduction, np.where(mask[:, None], self.errors, np.nan))


def scores_by_split(scores: Mapping[str, PersonScore], people: People, splits: Sequence[str]) -> dict[str, PersonScore]:
    """Return the scores on all test people, and on the people of each set, by `<split>/<metric>`.

    A person's name starts with that of the set.
    """
    found = {f"test/{name}": score for name, score in scores.items()}
    for split in splits:
        if split != AVERAGE:
            own = np.char.startswith(people.person, f"{split.removeprefix('test_')}/")
            found |= {f"{split}/{name}": score.restricted_to(own) for name, score in scores.items()}
    return found


def scores_of(people: People, infos: Mapping[str, MetricInfo]) -> dict[str, PersonScore]:
    """Return the scores of one run, by the metric's name; metrics without errors in its people file are left out.

    Raises:
        ValueError: the errors do not have the shape that the result states.
    """
    found = {}
    for name, info in infos.items():
        if info.shown and info.reduction is not None and info.reduction.errors in people.errors:
            errors = people.errors[info.reduction.errors]
            if errors.ndim != 2 or max(info.reduction.items or (0,)) >= errors.shape[1]:
                raise ValueError(f"errors of {name} have the shape {errors.shape}")
            found[name] = PersonScore(info.reduction, errors)
    return found
