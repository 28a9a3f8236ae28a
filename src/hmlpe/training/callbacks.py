"""What one watches while a run trains: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, TQDMProgressBar

from hmlpe.training.watch import Progress, listener

log = logging.getLogger(__name__)


class EpochLines(Callback):
    """A line after each epoch: losses on the validation people, and the time left."""

    def __init__(self, name: str) -> None:
        self.name, self.started, self.first = name, 0.0, 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self.started, self.first = time.monotonic(), trainer.current_epoch

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say how the epoch went."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        done, total = trainer.current_epoch + 1, trainer.max_epochs or 0
        left = (time.monotonic() - self.started) / (done - self.first) * (total - done)
        errors = [f"{key} {float(v):.4g}" for key, v in trainer.callback_metrics.items() if key.endswith("_error")]
        log.info("%s: epoch %d/%d, %s, %.0f s left", self.name, done, total, ", ".join(errors), left)


class Telling(Callback):
    """Tells the process's listener how the run goes, at most once in `every_s` seconds and after each validation."""

    def __init__(self, every_s: float = 0.5) -> None:
        self.every_s, self.started, self.first, self.told = every_s, 0.0, 0, 0.0
        self.errors: dict[str, float] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock; a run that goes on has steps behind it."""
        self.started, self.first = time.monotonic(), trainer.global_step
        self._tell(trainer, 0.0)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *batch: Any) -> None:
        """Tell, if it is time."""
        if time.monotonic() - self.told >= self.every_s:
            self._tell(trainer, (time.monotonic() - self.started) / max(1, trainer.global_step - self.first))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Tell the validation errors."""
        found = trainer.callback_metrics
        self.errors = {key: float(value) for key, value in found.items() if key.endswith("_error")}
        if trainer.state.fn == "fit":
            self._tell(trainer, (time.monotonic() - self.started) / max(1, trainer.global_step - self.first))

    def _tell(self, trainer: L.Trainer, seconds_per_step: float) -> None:
        self.told = time.monotonic()
        steps = int(trainer.estimated_stepping_batches)
        tell = listener()
        if tell is not None:
            losses = {key: float(value) for key, value in trainer.callback_metrics.items() if key == "train/total"}
            done = trainer.global_step
            tell(Progress(done, steps, losses | self.errors, 1 / seconds_per_step if seconds_per_step else None))


def progress(name: str, wanted: str) -> list[Callback]:
    """The callbacks that show progress.

    Args:
        name: of the run.
        wanted: "bar", "lines", "none", or "auto": a bar where stderr is a terminal, else lines.
    """
    if wanted == "auto":
        wanted = "bar" if sys.stderr.isatty() else "lines"
    telling: list[Callback] = [Telling()] if listener() else []
    if wanted == "bar":
        return [TQDMProgressBar(refresh_rate=5), *telling]
    return [EpochLines(name), *telling] if wanted == "lines" else telling
