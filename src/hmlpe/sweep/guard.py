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
from hmlpe.runs.folder import read_record
from hmlpe.sweep.jobs import Job, compose, is_training_config
from hmlpe.training.devices import ISOLATED, check_sweep
from hmlpe.training.estimate import seconds_per_step, steps_of
from hmlpe.training.settings import RowSettings, SweepSettings, TrainerSettings, TrainSettings
from hmlpe.training.stages import stages_of
from hmlpe.words import number

log = logging.getLogger(__name__)


class Guard(Callback):
    """Hydra callback that ends the program if its settings cannot work, and on a dry run after all is logged.

    Hydra would turn a callback's error into a warning and go on; here every error ends the program.
    """

    def on_run_start(self, config: DictConfig, config_name: str | None = None, **kwargs: Any) -> None:
        """Check that a single run's name and seed make a folder name that can be created, and found later."""
        with _leaving():
            if is_training_config(config, config_name):
                check_row_name(RowSettings.of(config.row, "row").name, config.seed)

    def on_multirun_start(self, config: DictConfig, config_name: str | None = None, **kwargs: Any) -> None:
        """Check that the launcher can run the sweep and that each run has its own folder; log how long the sweep takes.

        On a dry run, also log what each run's folder holds. (Of all this, the launcher `isolated` does all but the
        first itself.)
        """
        with _leaving():
            check_sweep(TrainerSettings.of(config.trainer, "trainer"), config.hydra.launcher._target_)
            if not _installed(config.hydra.launcher._target_):
                return  # Hydra itself reports that
            if not is_training_config(config, config_name) or str(config.hydra.launcher._target_).endswith(
                f".{ISOLATED}"
            ):
                return
            sweep = SweepSettings.of(config.sweep, "sweep")
            if not str(config.hydra.sweeper.get("_target_")).endswith(".BasicSweeper"):
                if sweep.dry_run:
                    raise UserError("sweep.dry_run: what a search runs is known only as it goes on")
                return
            jobs = jobs_of(config)
            if sweep.dry_run:
                for job in jobs:
                    log.info("%s: %s", job.folder, _state(job))
            if about := duration_in_words(jobs, Path(config.hydra.sweep.dir)):
                log.info("%s", about)
            if sweep.dry_run:
                raise SystemExit(0)


@contextmanager
def _leaving() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise SystemExit(error) from error  # run_app turns it into a message


def _installed(target: str) -> bool:
    try:
        return find_spec(target.rpartition(".")[0]) is not None
    except (ImportError, ValueError):  # the parent package is missing, or the name is invalid
        return False


def jobs_of(config: DictConfig) -> list[Job]:
    """Return all jobs of a sweep over given values. Raises UserError: two would share a folder, or a name is bad."""
    params, words = (  # not resolved: each job resolves ${...} for itself
        cast(Any, OmegaConf.to_container(node, resolve=False))
        for node in (config.hydra.sweeper.get("params") or OmegaConf.create(), config.hydra.overrides.task)
    )
    assert isinstance(params, dict) and isinstance(words, list)
    given = [f"{key!s}={value}" for key, value in params.items()]
    overrides = OverridesParser.create().parse_overrides([*given, *words])
    batch = BasicSweeper.split_arguments(overrides, max_batch_size=None)[0]
    context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
    jobs = compose(context, config, batch, 0)
    for job in jobs:
        check_row_name(job.setting("row.name"), job.setting("seed"))
    return jobs


def _state(job: Job) -> str:
    """Return what the job's folder holds, or why the job cannot run, in words."""
    from hmlpe.training.run import look

    try:
        return look(job.settings, job.folder).describe()
    except BAD_INPUT as error:
        return " ".join(str(error).split())


def _settings(job: Job) -> TrainSettings | None:
    try:
        return job.settings
    except BAD_INPUT:
        return None


def duration_in_words(jobs: Sequence[Job], folder: Path) -> str:
    """Return how long the sweep into `folder` takes, in words; empty if no job has valid settings.

    Every job is assumed to take as long as the first with valid settings; jobs with invalid ones report that
    themselves. Finished runs count as work here, until their folders say otherwise; the text names their number.
    """
    found = next(((job, settings) for job in jobs if (settings := _settings(job)) is not None), None)
    if found is None:
        return ""
    job, first = found
    stages = stages_of(first, job.overrides)
    steps = sum(steps_of(stage) for stage in stages)
    minutes = max(1, round(steps * seconds_per_step(stages[0]) * len(jobs) / 60))
    finished = sum(read_record(run).get("status") == "finished" for run in folder.glob("*/"))
    epochs = " + ".join(number(stage.epochs, "epoch") for stage in stages)
    there = number(finished, "run that is there has", "runs that are there have")
    done = f", less what {there} done" if finished else ""
    return (
        f"{first.study}: {number(len(jobs), 'run')} of {epochs}, one by one: about {number(minutes, 'minute')} of "
        f"training on this machine{done}"
    )
