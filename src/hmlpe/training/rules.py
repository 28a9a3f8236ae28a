"""What is kept of a run by the rules by which a checkpoint is chosen (`runs.rules`)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hmlpe.runs.folder import CHOSEN, OTHER_BEST
from hmlpe.runs.rules import BASE
from hmlpe.training.checkpoint import Keeper


def base_of(tasks: Iterable[str]) -> str:
    """The task that chooses the checkpoint of all rows that train it: regression, else the first."""
    names = list(tasks)
    return BASE if BASE in names else names[0]


def monitored(active: list[str]) -> str:
    """The metric whose lowest value is best; the same for all rows that regress."""
    return f"val/{base_of(active)}_error"


def keepers(folder: Path, select: str, active: list[str]) -> dict[str, Keeper]:
    """Callbacks that keep what is evaluated of a run, by rule: the chosen checkpoint, and another for the best one.

    The last epoch needs none unless it is the chosen one: it is what a trained, or a resumed, model holds.
    """
    names = {select: CHOSEN} | ({} if select == "best" else {"best": OTHER_BEST})
    best = monitored(active)
    return {rule: Keeper(folder / name, best if rule == "best" else None) for rule, name in names.items()}
