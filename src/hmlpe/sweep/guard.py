"""Checks before Hydra makes a folder or starts or queues a job. Heavy packages are imported only when needed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from hmlpe.bad_input import BAD_INPUT
from hmlpe.errors import UserError
from hmlpe.row_name import check_row_name
from hmlpe.runs.folder import read_result_json
from hmlpe.sweep.jobs import Job, compose_jobs, is_training_config
from hmlpe.training.devices import ISOLATED, check_sweep
from hmlpe.training.estimate import estimate_steps, seconds_per_step
from hmlpe.training.settings import RowSettings, SweepSettings, TrainerSettings, TrainSettings
from hmlpe.training.stages import all_stage_settings
from hmlpe.words import count_with_noun

log = logging.getLogger(__name__)


class Guard(Callback):
    """Hydra callback that ends the program if its settings cannot work or, on a dry run, once all has been logged.

    Hydra would turn a callback's error into a warning and go on; here every error ends the program.
    """

    def on_run_start(self, config: DictConfig, config_name: str | None = None, **kwargs: Any) -> None:
        """Check that a single run's row name and seed give a valid folder name."""
        with _exit_on_error():
            if is_training_config(config, config_name):
                check_row_name(RowSettings.from_config(config.row, "row").name, config.seed)

    def on_multirun_start(self, config: DictConfig, config_name: str | None = None, **kwargs: Any) -> None:
        """Check that the launcher can run the sweep and that each run has its own folder; log how long the sweep takes.

        On a dry run, also log what each run's folder holds. (With the launcher `isolated`, only the launcher
        is checked here, as it does the rest itself. In a search, whose jobs are not known yet, nothing is logged.)
        """
        with _exit_on_error():
            check_sweep(TrainerSettings.from_config(config.trainer, "trainer"), config.hydra.launcher._target_)
            if not _is_installed(config.hydra.launcher._target_):
                return  # Hydra itself reports that
            if not is_training_config(config, config_name) or str(config.hydra.launcher._target_).endswith(
                f".{ISOLATED}"
            ):
                return
            sweep = SweepSettings.from_config(config.sweep, "sweep")
            if not str(config.hydra.sweeper.get("_target_")).endswith(".BasicSweeper"):
                if sweep.dry_run:
                    raise UserError("sweep.dry_run: what a search will run is only known as it proceeds")
                return
            jobs = compose_all_jobs(config)
            if sweep.dry_run:
                for job in jobs:
                    log.info("%s: %s", job.folder, _describe_state(job))
            if about := duration_in_words(jobs, Path(config.hydra.sweep.dir)):
                log.info("%s", about)
            if sweep.dry_run:
                raise SystemExit(0)


@contextmanager
def _exit_on_error() -> Iterator[None]:
    """Replace an error inside the `with` block by SystemExit, which Hydra lets through."""
    try:
        yield
    except Exception as error:
        raise SystemExit(error) from error  # run_app turns it into a message


def _is_installed(target: str) -> bool:
    """Return whether the module of a launcher's `_target_` is installed."""
    try:
        return find_spec(target.rpartition(".")[0]) is not None
    except (ImportError, ValueError):  # the parent package is missing, or the name is invalid
        return False


def compose_all_jobs(config: DictConfig) -> list[Job]:
    """Return all jobs of a grid sweep.

    Raises:
        UserError: two jobs would share a folder, or a row name is invalid.
    """
    params, words = (  # not resolved: each job resolves ${...} for itself
        cast(Any, OmegaConf.to_container(node, resolve=False))
        for node in (config.hydra.sweeper.get("params") or OmegaConf.create(), config.hydra.overrides.task)
    )
    assert isinstance(params, dict) and isinstance(words, list)
    given = [f"{key!s}={value}" for key, value in params.items()]
    overrides = OverridesParser.create().parse_overrides([*given, *words])
    batch = BasicSweeper.split_arguments(overrides, max_batch_size=None)[0]
    context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
    jobs = compose_jobs(context, config, batch, 0)
    for job in jobs:
        check_row_name(job.get_setting("row.name"), job.get_setting("seed"))
    return jobs


def _describe_state(job: Job) -> str:
    """Return a text that says what the job's folder holds, or why the job cannot run."""
    from hmlpe.training.run import find_run_state

    try:
        return find_run_state(job.settings, job.folder).describe()
    except BAD_INPUT as error:
        return " ".join(str(error).split())


def _valid_settings(job: Job) -> TrainSettings | None:
    """Return the job's settings, or None if they are invalid."""
    try:
        return job.settings
    except BAD_INPUT:
        return None


def duration_in_words(jobs: Sequence[Job], folder: Path) -> str:
    """Return a text that says how long the sweep into `folder` will take; empty if no job has valid settings.

    Every job is assumed to take as long as the first with valid settings; a job with invalid
    settings reports that itself. The time includes that of runs which are finished already, whose number the text says.
    """
    found = next(((job, settings) for job in jobs if (settings := _valid_settings(job)) is not None), None)
    if found is None:
        return ""
    job, first = found
    stages = all_stage_settings(first, job.overrides)
    steps = sum(estimate_steps(stage) for stage in stages)
    minutes = max(1, round(steps * seconds_per_step(stages[0]) * len(jobs) / 60))
    finished = sum(read_result_json(run).get("status") == "finished" for run in folder.glob("*/"))
    epochs = " + ".join(count_with_noun(stage.epochs, "epoch") for stage in stages)
    there = count_with_noun(finished, "existing run has", "existing runs have")
    done = f", less what {there} done" if finished else ""
    return (
        f"{first.study}: {count_with_noun(len(jobs), 'run')} of {epochs}, one by one: about "
        f"{count_with_noun(minutes, 'minute')} of training on this machine{done}"
    )
