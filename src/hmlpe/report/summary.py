"""Summarise runs into one line per row: mean, sample standard deviation and n of each metric, without formatting."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hmlpe.report.columns import MEAN_POSE, Column, columns_of, is_collapsed, weight_symbol
from hmlpe.report.comparable import check_comparable, describe_unfinished
from hmlpe.report.runs import base_task_of, group_by_row, sorted_runs
from hmlpe.runs.result import Run, row_weights
from hmlpe.words import count_with_noun

FACTS = ("start", "steps")
FEW_STEPS = 100  # with fewer no network has learnt anything from scratch


@dataclass(frozen=True)
class Stat:
    """A metric's mean and sample standard deviation over `n` seeds, in its own unit.

    The deviation has ddof = 1; it is None for n = 1.
    """

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class TableLine:
    """One row of the study's table: mean and deviation of each metric over the row's seeds.

    Attributes:
        row: its name.
        weights: weight of each task.
        facts: values of the table's `facts`.
        n: number of finished seeds.
        collapsed: how many of these predict about one pose for every image.
        stats: mean and deviation by the column's key; None without a value.
    """

    row: str
    weights: Mapping[str, float]
    facts: Mapping[str, str]
    n: int
    collapsed: int
    stats: Mapping[str, Stat | None]


@dataclass(frozen=True)
class Table:
    """The content of a study's table and of the notes below it, before formatting.

    Attributes:
        title: the study's name.
        about: protocol, data and budget in a few sentences.
        tasks: the tasks, the base task first.
        symbols: symbols of the tasks' weights.
        facts: what the rows differ in besides their weights.
        columns: columns that have a value.
        lines: the rows; the first may be the mean pose.
        unfinished: (name, status, status and error) of each run that is not finished and so not counted.
        absent: names of runs without any result although other rows have their seed.
    """

    title: str
    about: str
    tasks: tuple[str, ...]
    symbols: tuple[str, ...]
    facts: tuple[str, ...]
    columns: tuple[Column, ...]
    lines: tuple[TableLine, ...]
    unfinished: tuple[tuple[str, str, str], ...]
    absent: tuple[str, ...]


def summarise_runs(runs: Sequence[Run]) -> Table:
    """Compute the table of these runs, given in any order.

    Raises:
        UserError: the runs cannot be compared, or none is finished.
    """
    check_comparable(runs)
    groups = group_by_row(runs)
    ordered = sorted_runs(runs)
    finished = [run for run in ordered if run.finished]
    columns = columns_of(finished)
    lines = [_summarise_row(row, group, columns) for row, group in groups]
    mean_pose = {column.key: mean_pose_stat(finished, column.key) for column in columns}
    if any(mean_pose.values()):
        lines.insert(0, TableLine(MEAN_POSE, {}, {}, 1, 0, mean_pose))
    tasks = tasks_of(ordered)
    seeds = sorted({run.seed for run in ordered})
    names = {run.name for run in ordered}
    return Table(
        title=", ".join(sorted({run.result.experiment or "" for run in finished})),
        about=describe_runs(finished),
        tasks=tasks,
        symbols=tuple(weight_symbol(ordered, task) for task in tasks),
        facts=FACTS if any(run.result.varies for run in finished) else (),
        columns=tuple(column for column in columns if any(line.stats[column.key] for line in lines)),
        lines=tuple(lines),
        unfinished=tuple((run.name, run.status, describe_unfinished(run)) for run in ordered if not run.finished),
        absent=tuple(f"{row}_s{seed}" for row, _ in groups for seed in seeds if f"{row}_s{seed}" not in names),
    )


def mean_and_std(values: Sequence[float | None]) -> Stat | None:
    """Return mean and sample standard deviation of the values that are not None; None if all values are None.

    The sums are exactly rounded, so the order of the values does not matter.

    >>> mean_and_std([1.0, None, 3.0])
    Stat(mean=2.0, std=1.4142135623730951, n=2)
    """
    known = [float(value) for value in values if value is not None]
    if not known:
        return None
    return Stat(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None, len(known))


def mean_pose_stat(finished: Sequence[Run], key: str) -> Stat | None:
    """Return the mean pose's value of a metric.

    All comparable runs scored the same pose, so n is 1 for any number of runs.
    """
    return mean_and_std([value for run in finished if (value := run.mean_pose.get(key)) is not None][:1])


def tasks_of(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the tasks that have a weight in any of the runs: the base task first, then the others by name."""
    found = {task for run in runs for task in run.weights}
    base = base_task_of(runs)
    return (*([base] if base in found else []), *sorted(found - {base}))


def describe_runs(finished: Sequence[Run]) -> str:
    """Return a text on protocol, data, people and budget of comparable runs, without dates, paths or hosts."""
    run = finished[0]
    result = run.result
    people = {key: int(count) for key, count in run.people.items() if count is not None}
    annotated, missing = people.get("test_annotated", people["test"]), people.get("test_missing_images")
    tested = f"{people['test']} of " if annotated != people["test"] else ""
    tested += count_with_noun(annotated, "test person", "test people")
    if missing:
        lost = count_with_noun(missing, "person's image is", "people's images are")
        tested += f" ({lost} missing)"
    counts = result.counted.get("test", {})
    few = [f"{count} count for {task}" for task, count in counts.items() if count < people["test"]]
    tested += f" ({', '.join(few)})" if few else ""
    if beside := people.get("test_neighbours"):
        tested += f", {beside} of them in shots that are trained on"
    splits = {"train": "training", "val": "validation"}
    trained = [
        count_with_noun(people[key], f"{word} person", f"{word} people")
        for key, word in splits.items()
        if key in people
    ]
    return (
        f"Protocol: {result.protocol}. Data {short_digest(run.provenance['data'])}: "
        f"{', '.join([*trained, tested])}. Checkpoint: {run.rule}. "
        f"Recipe {result.recipe}, network {result.network}, {_epochs_in_words(finished)}."
    )


def short_digest(digest: str) -> str:
    """Return the first twelve characters of a digest, without the name of its algorithm.

    >>> short_digest("sha256:0123456789abcdef")
    '0123456789ab'
    """
    return digest.rpartition(":")[2][:12]


def _epochs_in_words(finished: Sequence[Run]) -> str:
    """Return the number of epochs of the runs, or its range, in words, and whether they are too short to learn from."""
    values = sorted({int(run.result.epochs or 0) for run in finished})
    steps = max(run.result.steps or 0 for run in finished)
    anew = all(run.result.start in (None, "scratch") for run in finished)
    few = f" ({count_with_noun(steps, 'step')}: too few to learn from)" if anew and 0 < steps < FEW_STEPS else ""
    return (count_with_noun(values[0], "epoch") if len(values) == 1 else f"{values[0]} to {values[-1]} epochs") + few


def _row_facts(finished: Sequence[Run]) -> dict[str, str]:
    """Return what the row's network started from, and its training steps, including those before this start."""
    if not finished:
        return {}
    steps = sorted({(run.result.steps or 0) + (run.result.steps_before or 0) for run in finished})
    start = finished[0].result.start or "scratch"
    return {"start": start, "steps": f"{steps[0]}" if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"}


def _summarise_row(row: str, group: Sequence[Run], columns: Sequence[Column]) -> TableLine:
    """Summarise one row of the study as a line of its table; `group` holds the row's runs."""
    finished = [run for run in group if run.finished]
    return TableLine(
        row=row,
        weights=row_weights(group),
        facts=_row_facts(finished),
        n=len(finished),
        collapsed=sum(is_collapsed(run) for run in finished),
        stats={column.key: mean_and_std([run.metrics.get(column.key) for run in finished]) for column in columns},
    )
