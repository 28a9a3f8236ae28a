"""The Hydra launcher. Hydra imports it with every program, so the rest of the package is imported only when needed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

_COMPOSED: dict[tuple[int, tuple[str, ...]], tuple[DictConfig, DictConfig]] = {}


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
        """Store Hydra's context, task function and configuration; the sweeper calls this before `launch`."""
        self.context, self.task, self.config = hydra_context, task_function, config
        _compose_jobs_once(type(hydra_context.config_loader))

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
        try:
            return batch.run(job_overrides, initial_job_idx)
        finally:
            _COMPOSED.clear()  # a sweeper that does not check its jobs first would get the last batch's


def _compose_jobs_once(loader: type[ConfigLoader]) -> None:
    """Make config loaders of this class compose each job once: what the sweeper composed to check it is used again.

    Otherwise Hydra's sweeper would compose all jobs to check them, and then the launcher would compose them again.

    The class is changed, not the loader, which is sent to the jobs' processes.
    """
    compose = loader.load_sweep_config
    if compose.__name__ == "load_sweep_config_once":
        return

    def load_sweep_config_once(self: ConfigLoader, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        key = (id(master_config), tuple(sweep_overrides))
        if key in _COMPOSED:
            return _COMPOSED.pop(key)[1]
        config = compose(self, master_config, sweep_overrides)
        _COMPOSED[key] = (master_config, config)  # held with it, so that its id stays its own
        return config

    loader.load_sweep_config = load_sweep_config_once  # type: ignore[method-assign]


def _to_plain_containers(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
