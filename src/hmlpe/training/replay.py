"""W&B gets what earlier, killed starts of a run had logged: W&B keeps some in memory, and a kill -9 loses that."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

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


def rows_before(folder: Path, current: str, step: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Steps and their numbers, growing: of each step, what the last start that reached it logged."""
    starts = [path for path in folder.glob("version_*/metrics.csv") if path.parent.name != current]
    starts.sort(key=lambda path: int(path.parent.name.removeprefix("version_")), reverse=True)
    kept: list[tuple[int, dict[str, float]]] = []
    end = step
    for path in starts:
        rows = [row for row in _rows(path) if row[0] < end]
        kept, end = [*rows, *kept], min([end, *(number for number, _ in rows)])
    yield from kept


def _rows(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """A line that a kill has cut has too few fields, or a torn number: it is left out. A broken file ends early."""
    with suppress(OSError, csv.Error), path.open(newline="", encoding="utf-8", errors="replace") as file:
        for line in csv.DictReader(file):
            try:
                numbers = {key: float(value) for key, value in line.items() if value not in ("", None)}
                yield int(numbers.pop("step")), numbers
            except (KeyError, TypeError, ValueError):
                continue
