"""The warning at a sweep's end about runs that W&B does not hold completely. Every program loads this module."""

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


def warn_of_incomplete_mirrors(folders: Iterable[Path], since: str = "") -> None:
    """Warn, in one line, of the runs that W&B does not hold completely; see `incomplete_mirrors`."""
    lost = incomplete_mirrors(folders, since)
    if lost:
        log.warning("not whole in W&B, whole in the CSV: %s", "; ".join(lost))


class SweepMirrors(Callback):
    """Hydra callback that warns of incomplete runs at a sweep's end.

    (The isolated launcher gives this warning itself, after failures as well.)
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the time at which the sweep starts."""
        self.since = datetime.now(UTC).isoformat(timespec="seconds")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Warn, unless the isolated launcher does."""
        if "Isolated" not in str(config.hydra.launcher.get("_target_")):
            warn_of_incomplete_mirrors(sorted(Path(config.hydra.sweep.dir).glob("*/")), self.since)
