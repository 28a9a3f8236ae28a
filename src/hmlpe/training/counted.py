"""Of how many people anything is known that a task learns: the others have no error, and nothing is learned of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from hmlpe.data.datamodule import PoseDataModule
from hmlpe.errors import UserError
from hmlpe.tasks import Task
from hmlpe.training.rules import monitored

log = logging.getLogger(__name__)

Counted = dict[str, dict[str, int]]
"""Split -> task -> people who count."""


def counted(tasks: Mapping[str, Task], data: PoseDataModule) -> Counted:
    """Who counts, of every split and task."""
    everyone = {split: people.everyone() for split, people in data.plain.items()}
    return {
        split: {name: int(task.target(sample).counts.sum()) for name, task in tasks.items()}
        for split, sample in everyone.items()
    }


def check_counted(found: Counted, data: PoseDataModule, active: list[str], fit: bool, name: str) -> None:
    """Say where not everyone counts, in the words of the run of this name.

    Args:
        active: the tasks that are trained, and judged.
        fit: the run trains.

    Raises:
        UserError: a task has nobody to learn from, or there is nobody to choose the checkpoint by.
    """
    chooses = monitored(active).partition("/")[2].removesuffix("_error")
    needed = {"train": active, "val": [chooses]} if fit else {}
    for split, counts in found.items():
        people = len(data.plain[split])
        for task in active:
            few = f"only {counts[task]}" if counts[task] else "none"
            said = f"of {few} of {people} {split} people anything is known that {task} learns"
            remedy = "a joint without coordinates is unknown, and so is an occluded one under data.use_occluded=false"
            if not counts[task] and task in needed.get(split, ()):
                what = "there is nothing to learn" if split == "train" else "no checkpoint can be chosen"
                raise UserError(f"data: {said}, so {what} ({remedy})")
            if counts[task] < people:
                log.warning("%s: %s; the others count in no error (%s)", name, said, remedy)
