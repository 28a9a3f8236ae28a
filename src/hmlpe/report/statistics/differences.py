"""Each row against the row that trains the metric's task alone: the same seeds and people paired, person by person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.errors import UserError
from hmlpe.report.columns import AVERAGE, Column, columns_of, test_sets
from hmlpe.report.runs import by_row, people_of, read_setup
from hmlpe.report.statistics.outcome import DRAWS, SEED, Difference, Interval, Statistics, over_both, over_people
from hmlpe.report.summary import tasks_of
from hmlpe.resample import bootstrap_counts
from hmlpe.runs.metric import MetricInfo, Reduction, split_of
from hmlpe.runs.people import People
from hmlpe.runs.result import OLDEST_SCHEMA, Run, other_rule_than, row_weights


@dataclass(frozen=True, eq=False)
class Score:
    """People's errors, and how they become the number."""

    reduction: Reduction
    errors: Float[np.ndarray, "person item"]

    def values(self, counts: Float[np.ndarray, "draw person"]) -> Float[np.ndarray, " draw"]:
        """The score when each person counts so often; NaN where nothing is known."""
        return self.reduction(self.errors, counts)

    @property
    def known(self) -> Bool[np.ndarray, " person"]:
        """Who counts."""
        return self.reduction.known(self.errors)

    def among(self, some: Bool[np.ndarray, " person"]) -> Score:
        """The score of some of the people."""
        return Score(self.reduction, np.where(some[:, None], self.errors, np.nan))


def of_splits(scores: Mapping[str, Score], people: People, splits: Sequence[str]) -> dict[str, Score]:
    """By `<split>/<metric>`: of all test people, and of each set's own, which is the start of their names."""
    found = {f"test/{name}": score for name, score in scores.items()}
    for split in splits:
        if split != AVERAGE:
            own = np.char.startswith(people.person, f"{split.removeprefix('test_')}/")
            found |= {f"{split}/{name}": score.among(own) for name, score in scores.items()}
    return found


def scores_of(people: People, infos: Mapping[str, MetricInfo]) -> dict[str, Score]:
    """The scores of one run by the metric's name; those that its file has no errors for are left out.

    Raises:
        ValueError: its errors are not as the results say.
    """
    found = {}
    for name, info in infos.items():
        if info.shown and info.reduction is not None and info.reduction.errors in people.errors:
            errors = people.errors[info.reduction.errors]
            if errors.ndim != 2 or max(info.reduction.items or (0,)) >= errors.shape[1]:
                raise ValueError(f"errors of {name} have the shape {errors.shape}")
            found[name] = Score(info.reduction, errors)
    return found


TOLERANCE = (1e-6, 1e-4)  # of today's results, and of those that had summed in float32


@dataclass(frozen=True)
class Measured:
    """Attributes:
    scores: by the run's name, then the metric's key; of the runs whose files are whole and of the same people.
    people: how many; 0 without any file.
    shot: (person,) the same for people who are drawn together; None: no file, or one of an older version.
    lacking: the other finished runs by name, and why.
    rule: the checkpoint rule by its name, one of `RULES`; empty where no run's config says it.
    """

    scores: Mapping[str, Mapping[str, Score]]
    people: int
    shot: np.ndarray | None
    lacking: Mapping[str, str]
    rule: str

    @property
    def shots(self) -> int:
        """How many are drawn from: shots, or people where nobody knows of shots."""
        return self.people if self.shot is None else len(np.unique(self.shot))


def measure(runs: Sequence[Run], chosen: bool) -> Measured:
    """The scores of the finished runs.

    Args:
        chosen: under the rule that the study chose its checkpoints by; else under the other one, which the metrics of
            the runs must be of already (see `rules.under_other_rule`).
    """
    scores: dict[str, Mapping[str, Score]] = {}
    lacking: dict[str, str] = {}
    rule = ""
    first: tuple[str, People] | None = None
    for run in runs:
        if not run.finished:
            continue
        try:
            setup = read_setup(run.file.parent)
            rule = setup.rule if chosen else other_rule_than(setup.rule)
            people = people_of(run, rule)
            splits = test_sets(key.partition("/")[0] for key in run.metrics)
            found = of_splits(scores_of(people, run.infos), people, splits)
            _check_same_people(people, first)
            _check_same_numbers(run, found)
            found = {name: score for name, score in found.items() if run.metrics.get(name) is not None}
        except (UserError, LookupError, TypeError, ValueError) as error:
            lacking[run.name] = run.error_without_folder(error)
            continue
        first = first or (run.name, people)
        scores[run.name] = found
    return Measured(scores, len(first[1]) if first else 0, first[1].shot if first else None, lacking, rule)


def _check_same_people(people: People, first: tuple[str, People] | None) -> None:
    if first is None:
        return
    if not np.array_equal(people.person, first[1].person):
        raise UserError(f"its test people are not those of {first[0]}; rerun it")
    one, other = ([] if shot is None else shot.tolist() for shot in (people.shot, first[1].shot))
    if one != other:
        raise UserError(f"its test people's shots are not those of {first[0]}; rerun it")


def _check_same_numbers(run: Run, scores: Mapping[str, Score]) -> None:
    """The file must give the numbers of result.json, which are rounded to float32."""
    for name, score in scores.items():
        stated = run.metrics.get(name)
        if stated is None:
            continue
        found = float(score.values(np.ones((1, len(score.errors))))[0])
        if not math.isclose(found, stated, rel_tol=TOLERANCE[run.result.schema_ == OLDEST_SCHEMA], abs_tol=1e-7):
            raise UserError(f"its people's file gives {found:.6g} for {name}, its result.json {stated:.6g}; rerun it")


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
    drawn = bootstrap_counts(np.arange(measured.people) if measured.shot is None else measured.shot, DRAWS, SEED)
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
