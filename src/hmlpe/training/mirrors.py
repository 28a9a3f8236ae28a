"""What a sweep says last: of which of its runs W&B does not hold all. Every program loads this module."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from hmlpe.runs.folder import incomplete_mirrors

log = logging.getLogger(__name__)


def say_lost(folders: Iterable[Path], since: str = "") -> None:
    """Name them, in one line; see `incomplete_mirrors`."""
    lost = incomplete_mirrors(folders, since)
    if lost:
        log.warning("not whole in W&B, whole in the CSV: %s", "; ".join(lost))


class SweepMirrors(Callback):
    """Hydra callback: says it at a sweep's end. (The isolated launcher says so itself, after failures too.)"""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the time."""
        self.since = datetime.now(UTC).isoformat(timespec="seconds")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Say it."""
        if "Isolated" not in str(config.hydra.launcher.get("_target_")):
            say_lost(sorted(Path(config.hydra.sweep.dir).glob("*/")), self.since)
