"""A study's results under each checkpoint rule: first under the one that the study chose, then under the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hmlpe.report.runs import collect_runs
from hmlpe.report.statistics import Statistics, compare_rows
from hmlpe.report.summary import Table, summarise_runs
from hmlpe.runs.result import Run


def runs_without_other_rule(runs: Sequence[Run]) -> list[str]:
    """Return the names of the finished runs that have no numbers under the checkpoint rule that was not chosen."""
    return [run.name for run in runs if run.finished and run.other_rule is None]


def under_other_rule(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with their numbers under the other checkpoint rule in the place of those under the chosen one.

    Unfinished runs stay as they are.
    """
    return [
        replace(
            run,
            metrics=run.other_metrics,
            rule=run.other_rule,
            other_rule=run.rule,
            other_metrics=run.metrics,
        )
        if run.finished and run.other_rule is not None
        else run
        for run in runs
    ]


@dataclass(frozen=True)
class Findings:
    """The results of a study under one checkpoint rule: its runs, their table, and the comparison of rows."""

    runs: tuple[Run, ...]
    table: Table
    statistics: Statistics

    @property
    def rule(self) -> str:
        """Return the checkpoint rule, in words."""
        return self.statistics.rule


@dataclass(frozen=True)
class Study:
    """The results of a study, under both checkpoint rules if possible.

    Attributes:
        chosen: results under the checkpoint rule that the study chose.
        other: results under the other rule; None if some runs lack its numbers.
        why_no_other: which runs lack them and why, in words; empty if `other` is given.
    """

    chosen: Findings
    other: Findings | None
    why_no_other: str

    @property
    def by_rule(self) -> tuple[Findings, ...]:
        """Return the results under the chosen checkpoint rule, then those under the other rule if there are any."""
        return (self.chosen,) if self.other is None else (self.chosen, self.other)


def read_study(folder: Path) -> Study:
    """Read a study's runs from its folder, and compute their results.

    Raises:
        UserError: see `collect_runs` and `check_comparable`.
    """
    return study_of(collect_runs(folder))


def study_of(runs: Sequence[Run]) -> Study:
    """Compute the results of a study's runs.

    Raises:
        UserError: the runs cannot be compared, or none is finished.
    """
    chosen = Findings(tuple(runs), summarise_runs(runs), compare_rows(runs))
    lacking = runs_without_other_rule(runs)
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        kinds = "runs of an older version and evaluations with fit=false"
        why = f"{lacking[0]}{more} lack the numbers under the other checkpoint rule, as {kinds} do"
        return Study(chosen, None, why)
    others = under_other_rule(runs)
    return Study(chosen, Findings(tuple(others), summarise_runs(others), compare_rows(others, chosen_rule=False)), "")
