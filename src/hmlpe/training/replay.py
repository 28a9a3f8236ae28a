"""W&B gets what earlier, killed starts of a run had logged: W&B keeps some in memory, and a kill -9 loses that."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from hmlpe.runs.curves import rows_before
from hmlpe.tracking.mirror import Mirror


class Replay(Callback):
    """As a run goes on, sends the CSV rows of its steps before to W&B, whose new run then holds all of them.

    Args:
        folder: the run's `csv`.
        current: the folder within of this start.
    """

    def __init__(self, folder: Path, current: str) -> None:
        self.folder, self.current, self.sent = folder, current, False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Send them; what follows the step to go on from is done once more."""
        mirrors = [logger for logger in trainer.loggers if isinstance(logger, Mirror)]
        if self.sent or not mirrors:
            return
        self.sent = True
        for step, row in rows_before(self.folder, self.current, trainer.global_step):
            for mirror in mirrors:
                mirror.log_metrics(row, step)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Of a run that was killed after its last epoch, which does not train any more."""
        self.on_train_start(trainer, pl_module)
