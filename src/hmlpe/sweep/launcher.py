"""The Hydra launcher. Hydra imports it with every program, so the rest of the package is imported only when needed."""

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
    """Runs each job in its own process, several at once, and skips finished jobs.

    Args:
        settings: as in conf/hydra/launcher/isolated.yaml, which explains them.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = {key: _to_plain_containers(value) for key, value in settings.items()}
        self.held = ExitStack()  # the sweep's lock, held until this process ends
        self.jobs: dict[Path, Any] = {}  # jobs of all batches, by folder

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the sweeper gives; the sweeper calls this before `launch`."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run a batch of jobs; called once or, by sweepers that search, once for each batch.

        Returns:
            What each job returned; if a job failed, reading its value raises the error.

        Raises:
            UserError: a setting is invalid, or another process sweeps in this folder.
        """
        from hmlpe.sweep.batch import Batch
        from hmlpe.tracking.load import remove_single_run_variables

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        remove_single_run_variables()  # before processes are started, as they inherit this environment
        batch = Batch(self.settings, self.context, self.task, self.config, self.jobs)
        if initial_job_idx == 0 and not batch.dry:
            batch.lock_folder(self.held)
        return batch.run(job_overrides, initial_job_idx)


def _to_plain_containers(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
