"""`people/<rule>.npz`: what a checkpoint says of each test person, for statistics over people and for drawing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from hmlpe.data.dataset import Sample
from hmlpe.data.pack import Columns
from hmlpe.files import new_file
from hmlpe.metrics import Rows
from hmlpe.training.module import MultiTaskPose

SPLIT = "test"
_AS_FOUND = ("predicted_crop_px", "truth_crop_px", "predicted_px", "truth_px", "torso_px", "box_px")
_MAPS = {"part_maps": "part_maps_predicted", "part_truth": "part_maps_true"}


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


def write_people(path: Path, found: Mapping[str, Tensor], people: Columns) -> None:
    """Write one line a person, whole or not at all: a numpy archive of arrays of one length, N.

    Names and shapes (arrays of a task that is not trained are left out):

        index                                     int64 (N,), the row in the pack
        person                                    str (N,), the pack's name of the person
        shot                                      str (N,), the same for people of one shot, or where that is unknown of
                                                  one image: statistics draw them together
        predicted_crop_px, truth_crop_px          float32 (N, joint, 2), pixels of the test crop, NaN where unknown
        predicted_px, truth_px                    the same in pixels of the image
        torso_px, box_px                          float32 (N,) and (N, 4), pixels of the image
        <task>_error                              float32 (N,), the task's unweighted loss; NaN where nothing that it
                                                  learns is known of the person, who then counts in no mean
        part_maps_predicted, part_maps_true       uint8 (N, part, row, column), probability x 255 for each window; the
                                                  truth is 0 where it is unknown

    Args:
        found: see `EachPerson`.
        people: of the whole pack.
    """
    index = found["row"].numpy()
    arrays: dict[str, np.ndarray] = {"index": index, "person": names_of(people)[index]}
    arrays |= {"shot": people.drawn_together[index]}
    arrays |= {name: found[name].numpy() for name in _AS_FOUND if name in found}
    arrays |= {name: value.float().numpy() for name, value in found.items() if name.endswith("_error")}
    arrays |= {name: bytes_of(found[source]) for source, name in _MAPS.items() if source in found}
    with new_file(path, ".npz") as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]  # numpy's own annotation takes no mapping


def names_of(people: Columns) -> np.ndarray:
    """(person,) where each is annotated, with the names of set and image: the same in all packs of these people."""
    return np.strings.add(np.strings.add(people.image_ids, " "), people.where)


def bytes_of(maps: Tensor) -> np.ndarray:
    """(person, part, window) probabilities, NaN where unknown -> (person, part, row, column) of 0 to 255."""
    side = round(maps.shape[-1] ** 0.5)
    scaled = (maps.nan_to_num() * 255).round().to(torch.uint8)
    return scaled.reshape(*maps.shape[:-1], side, side).numpy()
