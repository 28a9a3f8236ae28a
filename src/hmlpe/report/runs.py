"""Read the runs of a study from its folder, in the order of the tables, and the settings that pictures need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmlpe.errors import UserError
from hmlpe.runs.folder import CONFIG, not_a_run_error, read_config
from hmlpe.runs.people import People, people_file, read_people
from hmlpe.runs.result import OLDEST_SCHEMA, Run, read_run, row_weights
from hmlpe.runs.rules import RULES
from hmlpe.skeleton import Skeleton


def collect_runs(study: Path) -> list[Run]:
    """Read all runs in a study's folder, in the tables' order; folders without result.json are skipped.

    Raises:
        UserError: the folder does not exist or has no result, a result is broken (see `read_run`), or two runs have the
            same row and seed.
    """
    if not study.is_dir():
        raise UserError(f"{study}: no such study folder; run the sweep first, or pass study=<outputs>/<experiment>")
    runs = [_upgrade_if_old(read_run(file)) for file in sorted(study.glob("*/result.json"))]
    if not runs:
        raise UserError(f"{study}: no <row>_s<seed>/result.json in it; run the sweep first, or pass another study")
    seen: dict[str, Run] = {}
    for run in runs:
        other = seen.setdefault(run.name, run)
        if other is not run:
            raise UserError(f"{other.file} and {run.file}: same row {run.row!r}, seed {run.seed}; remove one of them")
    return sorted_runs(runs)


def _upgrade_if_old(run: Run) -> Run:
    """Return the run; one of the oldest version gets the descriptions of its metrics added."""
    if run.result.schema_ != OLDEST_SCHEMA:
        return run
    from hmlpe.metrics.before import upgrade_run  # loads torch

    return upgrade_run(run)


def read_people_of(run: Run, rule: str) -> People:
    """Read a run's results for each test person, under a checkpoint rule. Raises UserError: see `read_people`."""
    people = read_people(people_file(run.file.parent, rule))
    if run.result.schema_ != OLDEST_SCHEMA:
        return people
    from hmlpe.metrics.before import with_recomputed_errors  # loads torch

    return with_recomputed_errors(run, people)


def sorted_runs(runs: Sequence[Run]) -> list[Run]:
    """Return the runs in the tables' order, whatever order they are given in."""
    return [run for _, group in group_by_row(runs) for run in group]


def group_by_row(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """Group the runs by row, sorted by seed within each.

    Rows come in the tables' order: the base task alone, then increasing weights of the other tasks, then rows without
    the base task.
    """
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        groups.setdefault(run.row, []).append(run)
    return sorted(groups.items(), key=lambda item: (_weight_key(item[1]), item[0]))


def base_task_of(runs: Sequence[Run]) -> str:
    """Return the base task, as the finished runs state it; the other rows are compared with its row."""
    return min(runs, key=lambda run: not run.finished).result.base


def relative_weight(run: Run, swept_task: str) -> float:
    """Return the weight of `swept_task` divided by that of the base task; infinite if the latter is 0."""
    base = run.weights.get(run.result.base, 0.0)
    return run.weights.get(swept_task, 0.0) / base if base else math.inf


def swept_tasks(runs: Sequence[Run]) -> list[str]:
    """Return the tasks, other than the base task, whose relative weights differ between the rows."""
    base = base_task_of(runs)
    tasks = sorted({task for run in runs for task in run.weights} - {base})
    return [task for task in tasks if len({relative_weight(run, task) for run in runs if run.weights.get(base)}) > 1]


def _weight_key(group: Sequence[Run]) -> tuple[int, tuple[float, ...]]:
    """Return the key by which rows are sorted: with the base task alone, with other tasks, without the base task."""
    weights, task = row_weights(group), base_task_of(group)
    base = weights.get(task, 0.0)
    others = tuple(weight / (base or 1.0) for name, weight in sorted(weights.items()) if name != task)
    return (0 if base else 1 if any(others) else 2), others


@dataclass(frozen=True)
class RunSetup:
    """The settings of one run that are needed to read and draw its results per person.

    Attributes:
        rule: the rule by which its checkpoint was chosen, one of `RULES`.
        skeleton: joints and parts, in their order.
        pack: folder of the pack with the crops.
        size_px: side of the test crop, in pixels.
        windows: origin and side of the window grid as it is drawn, where each window is a tile around its centre; in
            pixels of the test crop.
    """

    rule: str
    skeleton: Skeleton
    pack: Path
    size_px: int
    windows: tuple[float, float]


def read_setup(folder: Path) -> RunSetup:
    """Read the settings of the run in `folder` that drawing needs.

    Raises:
        UserError: there is no config.yaml, or it is not that of a training run.
    """
    try:
        return _parse_setup(read_config(folder))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise not_a_run_error(folder / CONFIG, error) from error


def _parse_setup(raw: dict[str, Any]) -> RunSetup:
    """Return the setup that a run's configuration gives. Raises ValueError and others if it is not valid."""
    rule = raw["select"]
    if rule not in RULES:
        raise ValueError(f"select is {rule!r}")
    skeleton, windows = raw["skeleton"], raw["windows"]
    extent, stride = float(windows["extent_px"]), float(windows["stride_px"])
    return RunSetup(
        rule=rule,
        skeleton=Skeleton(skeleton["joints"], skeleton["parts"], skeleton["mirror"]),
        pack=Path(raw["data"]["pack"]),
        size_px=int(raw["size_px"]),
        windows=((extent - stride) / 2, stride * int(windows["count"])),
    )
