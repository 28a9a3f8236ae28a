"""The same runs under the other rule by which a checkpoint is chosen: best on validation, or last."""

from collections.abc import Sequence
from dataclasses import replace

from hmlpe.runs.result import Run


def lacking_other_rule(runs: Sequence[Run]) -> list[str]:
    """The finished runs that know their numbers under the chosen rule alone, by name."""
    return [run.name for run in runs if run.finished and run.other_rule is None]


def under_other_rule(runs: Sequence[Run]) -> list[Run]:
    """The runs as if the other rule had been chosen; those that did not finish stay as they are."""
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
