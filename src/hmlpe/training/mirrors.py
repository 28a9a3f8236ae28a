"""The warning at a sweep's end about runs that W&B does not hold completely. Every program loads this module."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from hmlpe.runs.folder import incomplete_wandb_runs

log = logging.getLogger(__name__)


def warn_of_incomplete_wandb_runs(folders: Iterable[Path], finished_since: str = "") -> None:
    """Log one warning that names the finished runs whose metrics are not all in W&B; log nothing if there are none.

    Args:
        folders: folders of the runs.
        finished_since: time in UTC, in ISO format; only runs that finished then or later are named. Empty: all runs.
    """
    incomplete = incomplete_wandb_runs(folders, finished_since)
    if incomplete:
        log.warning("incomplete in W&B, complete in the CSV: %s", "; ".join(incomplete))


class SweepMirrors(Callback):
    """Hydra callback that warns, at the end of a sweep, of runs whose metrics are not all in W&B.

    (The isolated launcher gives this warning itself, after failures as well.)
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the time at which the sweep starts."""
        self.since = datetime.now(UTC).isoformat(timespec="seconds")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Warn of the runs that finished during this sweep, unless the isolated launcher does."""
        if "Isolated" not in str(config.hydra.launcher.get("_target_")):
            warn_of_incomplete_wandb_runs(sorted(Path(config.hydra.sweep.dir).glob("*/")), self.since)
