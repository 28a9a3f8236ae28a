"""hmlpe-train: one run, a chain of stages, or with -m a sweep."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from hmlpe.cli.app import run_app

if TYPE_CHECKING:
    from hmlpe.training.settings import TrainSettings

log = logging.getLogger(__name__)


def train(config: DictConfig) -> float | None:
    """Run the configured training, or its stages in order.

    Returns the objective (of the last stage), which sweepers such as Optuna optimise; None if nothing is run, or if it
    has no value.
    """
    from hmlpe.tracking.load import forget_one_run
    from hmlpe.training.build import build_data
    from hmlpe.training.devices import check_devices, check_sweep
    from hmlpe.training.settings import TrainSettings
    from hmlpe.training.stages import stages_of

    hydra, settings = HydraConfig.get(), TrainSettings.of(config)
    if hydra.mode == RunMode.MULTIRUN:  # a swept trainer.devices: this row fails
        check_sweep(settings.trainer, hydra.launcher._target_)
    if hydra.mode == RunMode.MULTIRUN or settings.stages:
        forget_one_run()
    if not settings.stages:
        return train_one(settings, Path(hydra.runtime.output_dir))
    words: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    stages, found = stages_of(settings, words), None
    for stage in stages:  # what cannot work is said before the first one has run for hours
        check_devices(stage.trainer, stage.optim.batch_size)
        build_data(stage)
    for number, (name, stage) in enumerate(zip(settings.stages, stages, strict=True), start=1):
        log.info("stage %d of %d: %s, into %s", number, len(stages), name, stage.folder)
        found = train_one(stage, Path(stage.folder))
    return found


def train_one(settings: TrainSettings, folder: Path) -> float | None:
    """Train and evaluate one run and return its objective; None if that has no value.

    On a dry run, only log what would be done and return None.
    """
    from hmlpe.runs.folder import objective_of
    from hmlpe.training.run import look, run

    if settings.sweep.dry_run:
        log.info("%s: %s; nothing is run (sweep.dry_run)", folder, look(settings, folder).describe())
        return None
    return objective_of(run(settings, folder), settings.objective)


def main() -> None:
    """Entry point."""
    run_app("train", train)


if __name__ == "__main__":
    main()
