"""What a checkpoint says of each test person, collected for the run's people file (`runs.people`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from hmlpe.data.dataset import Sample
from hmlpe.data.pack import Columns
from hmlpe.metrics import Rows
from hmlpe.runs.people import ERRORS, People
from hmlpe.tasks import Task
from hmlpe.training.module import MultiTaskPose

SPLIT = "test"


class EachPerson(Callback):
    """Collects what an evaluation of the test people finds of each, on all processes.

    Attributes:
        found: of the last evaluation, by the names of `MultiTaskPose.validation_step` and `row`; the same everywhere.
    """

    def __init__(self) -> None:
        self.found: dict[str, Tensor] = {}
        self.rows: Rows | None = None

    def on_test_batch_end(  # type: ignore[override]  # the outputs are those of test_step
        self, trainer: L.Trainer, pl_module: MultiTaskPose, outputs: dict[str, Tensor], batch: Sample, *number: Any
    ) -> None:
        """Add a batch, if it is of the test people."""
        if pl_module.split != SPLIT:
            return
        if self.rows is None:
            self.rows = Rows(list(outputs)).to(pl_module.device)
        self.rows.update(batch["row"], **outputs)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Gather them."""
        if self.rows is not None:
            self.found, self.rows = {name: value.cpu() for name, value in self.rows.compute().items()}, None


def people_of(found: Mapping[str, Tensor], tasks: Iterable[Task], everyone: Columns) -> People:
    """What the run's people file keeps.

    Args:
        found: see `EachPerson`.
        tasks: that were trained.
        everyone: of the whole pack.
    """
    index = found["row"].numpy()
    arrays = {name: found[name].numpy() for name in ("truth_crop_px", "truth_px", "torso_px", "box_px")}
    arrays |= {name: value.float().numpy() for name, value in found.items() if name.startswith(ERRORS)}
    for task in tasks:
        arrays |= task.kept(found)
    return People(index, names_of(everyone)[index], everyone.drawn_together[index], arrays)


def names_of(people: Columns) -> np.ndarray:
    """(person,) where each is annotated, with the names of set and image: the same in all packs of these people."""
    return np.strings.add(np.strings.add(people.image_ids, " "), people.where)
