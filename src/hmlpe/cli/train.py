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

    Returns:
        The objective (of the last stage), i.e. the metric that sweepers such as Optuna optimise; None on a dry run, or
        if it has no value.
    """
    from hmlpe.tracking.load import remove_single_run_variables
    from hmlpe.training.build import build_data
    from hmlpe.training.devices import check_devices, check_sweep
    from hmlpe.training.settings import TrainSettings
    from hmlpe.training.stages import all_stage_settings

    hydra, settings = HydraConfig.get(), TrainSettings.from_config(config)
    if hydra.mode == RunMode.MULTIRUN:  # a swept trainer.devices: this row fails
        check_sweep(settings.trainer, hydra.launcher._target_)
    if hydra.mode == RunMode.MULTIRUN or settings.stages:
        remove_single_run_variables()
    if not settings.stages:
        return train_one(settings, Path(hydra.runtime.output_dir))
    words: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    stages, found = all_stage_settings(settings, words), None
    for stage in stages:  # what cannot work is said before the first one has run for hours
        check_devices(stage.trainer, stage.optim.batch_size)
        build_data(stage)
    for number, (name, stage) in enumerate(zip(settings.stages, stages, strict=True), start=1):
        log.info("stage %d of %d: %s, into %s", number, len(stages), name, stage.folder)
        found = train_one(stage, Path(stage.folder))
    return found


def train_one(settings: TrainSettings, folder: Path) -> float | None:
    """Train and evaluate one run in its folder, and return its objective; None if the objective has no value.

    On a dry run, only log what would be done and return None.
    """
    from hmlpe.runs.folder import RESULT, objective_value
    from hmlpe.training.run import find_run_state, run

    if settings.sweep.dry_run:
        log.info("%s: %s; nothing is run (sweep.dry_run)", folder, find_run_state(settings, folder).describe())
        return None
    result = run(settings, folder)
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        log.info("the numbers of the run: %s", folder / RESULT)
    return objective_value(result, settings.objective)


def main() -> None:
    """Run the console script hmlpe-train."""
    run_app("train", train)


if __name__ == "__main__":
    main()
