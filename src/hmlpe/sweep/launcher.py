"""Hydra's side of the isolated jobs. Hydra imports this module with every program: the rest of the package waits."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class Isolated(Launcher):
    """Runs each job in a process of its own, several at once, and skips those that are finished.

    Args:
        settings: as in conf/hydra/launcher/isolated.yaml, which explains them.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = {key: _plain(value) for key, value in settings.items()}
        self.held = ExitStack()  # the sweep's lock, held until this process ends
        self.jobs: dict[Path, Any] = {}  # of all batches, by folder

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by the sweeper."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run a batch; called once or, by sweepers that search, again and again.

        Returns:
            What each job returned, or the error that it raises when the sweeper asks for it.

        Raises:
            UserError: settings that cannot work, or another process sweeps in this folder.
        """
        from hmlpe.sweep.batch import Batch
        from hmlpe.tracking.load import forget_one_run

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        forget_one_run()  # before the processes that get this environment
        batch = Batch(self.settings, self.context, self.task, self.config, self.jobs)
        if initial_job_idx == 0 and not batch.dry:
            batch.lock(self.held)
        return batch.run(job_overrides, initial_job_idx)


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
