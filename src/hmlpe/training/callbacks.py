"""What one watches while a run trains: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import logging
import sys
import time

import lightning as L
from lightning.pytorch.callbacks import Callback, TQDMProgressBar

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


def progress(name: str, wanted: str) -> list[Callback]:
    """The callbacks that show progress.

    Args:
        name: of the run.
        wanted: "bar", "lines", "none", or "auto": a bar where stderr is a terminal, else lines.
    """
    if wanted == "auto":
        wanted = "bar" if sys.stderr.isatty() else "lines"
    if wanted == "bar":
        return [TQDMProgressBar(refresh_rate=5)]
    return [EpochLines(name)] if wanted == "lines" else []
