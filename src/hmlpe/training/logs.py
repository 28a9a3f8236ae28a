"""Where a run's numbers go while it trains: a CSV always, W&B beside it on wish."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from omegaconf import DictConfig

from hmlpe.errors import UserError

log = logging.getLogger(__name__)


def loggers(config: DictConfig, folder: Path, tree: dict[str, Any]) -> list[Logger]:
    """The loggers of a run.

    CSV goes into `<folder>/csv/version_<n>/metrics.csv`, a file for each start of the run; W&B, offline unless told
    otherwise, into `<folder>/wandb`.
    """
    found: list[Logger] = [CSVLogger(folder, name="csv", flush_logs_every_n_steps=50)]
    if config.logger.name == "wandb":
        from wandb import Settings  # seconds to load, and not everyone wants it

        wandb = WandbLogger(
            project=config.logger.project,
            group=config.study,
            name=f"{config.row.name} · {config.seed}",
            tags=[config.data.name, config.optim.name],
            save_dir=folder,
            mode=config.logger.mode,
            config=tree,
            settings=Settings(silent=True),
        )
        found.append(wandb)
    elif config.logger.name != "csv":
        raise UserError(f"logger.name: must be csv or wandb, got {config.logger.name!r}")
    return found


def finish(active: list[Logger], exit_code: int) -> None:
    """Close the run's loggers, so that the next run of this process gets its own."""
    for logger in active:
        try:
            logger.finalize("success" if exit_code == 0 else "failed")
            if isinstance(logger, WandbLogger):
                logger.experiment.finish(exit_code=exit_code)
        except Exception as error:  # a tracker is a mirror: its failure does not cost the result
            log.warning("%s could not be closed: %s", type(logger).__name__, error)
