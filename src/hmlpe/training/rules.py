"""The rules by which a checkpoint is chosen, both of which are evaluated: best on validation, and last."""

from __future__ import annotations

from pathlib import Path

from hmlpe.training.checkpoint import Keeper
from hmlpe.training.result import CHOSEN, OTHER_BEST

RULES = {
    "best": "lowest val/regression_error (without regression: the error of the first trained task)",
    "last": "last epoch",
}


def other_than(rule: str) -> str:
    """The other of the two rules."""
    (other,) = RULES.keys() - {rule}
    return other


def monitored(active: list[str]) -> str:
    """The metric whose lowest value is best; the same for all rows that regress."""
    return f"val/{'regression' if 'regression' in active else active[0]}_error"


def keepers(folder: Path, select: str, active: list[str]) -> dict[str, Keeper]:
    """Callbacks that keep what is evaluated of a run, by rule: the chosen checkpoint, and another for the best one.

    The last epoch needs none unless it is the chosen one: it is what a trained, or a resumed, model holds.
    """
    names = {select: CHOSEN} | ({} if select == "best" else {"best": OTHER_BEST})
    best = monitored(active)
    return {rule: Keeper(folder / name, best if rule == "best" else None) for rule, name in names.items()}
