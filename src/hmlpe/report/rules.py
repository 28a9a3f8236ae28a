"""The same runs under the other rule by which a checkpoint is chosen: best on validation, or last."""

from collections.abc import Sequence
from dataclasses import replace

from hmlpe.report.result import Run

RULES = ("best", "last")  # as `select` of the training names them, and people/<rule>.npz


def other_than(rule: str) -> str:
    """The rule that was not chosen."""
    return RULES[1 - RULES.index(rule)]


def lacking_other_rule(runs: Sequence[Run]) -> list[str]:
    """The finished runs that know their numbers under the chosen rule alone, by name."""
    return [run.name for run in runs if run.finished and run.other_rule is None]


def under_other_rule(runs: Sequence[Run]) -> list[Run]:
    """The runs as if the other rule had been chosen; those that did not finish stay as they are."""
    return [
        replace(
            run,
            metrics=run.other_metrics,
            facts={**run.facts, "checkpoint_rule": run.other_rule},
            other_rule=run.facts["checkpoint_rule"],
            other_metrics=run.metrics,
        )
        if run.finished and run.other_rule is not None
        else run
        for run in runs
    ]
