"""Where a run's numbers go while it trains: a CSV always, which is the record, and W&B beside it on wish.

W&B keeps some lines in memory, which a kill -9 loses; the next start sends it what the CSV has of earlier ones.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from hmlpe.runs.curves import earlier_rows, replace_header
from hmlpe.runs.metric import MetricInfo
from hmlpe.tracking.load import load_wandb
from hmlpe.tracking.mirror import Mirror
from hmlpe.training.callbacks import GradientLog, MediaLog
from hmlpe.training.settings import LoggerSettings, TrainSettings


class WholeCSV(CSVLogger):
    """A CSVLogger whose file loses no row that was written, whenever a kill comes. (Its own empties the file first.)"""

    @property
    def experiment(self) -> ExperimentWriter:
        """What writes the file; the first process of a run alone has a logger."""
        if self._experiment is None:
            self._experiment = _Writer(self.log_dir)
        assert isinstance(self._experiment, ExperimentWriter)
        return self._experiment


class _Writer(ExperimentWriter):
    def _rewrite_with_new_header(self, fieldnames: Sequence[str]) -> None:
        replace_header(Path(self.metrics_file_path), fieldnames)


class Replay(Callback):
    """As a run goes on, sends the CSV rows of its steps before to W&B, whose new run then holds all of them.

    Args:
        folder: the run's `csv`.
        current: the folder within of this start.
    """

    def __init__(self, folder: Path, current: str) -> None:
        self.folder, self.current, self.sent = folder, current, False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Send them; what follows the step to go on from is done once more."""
        mirrors = [logger for logger in trainer.loggers if isinstance(logger, Mirror)]
        if self.sent or not mirrors:
            return
        self.sent = True
        for step, row in earlier_rows(self.folder, self.current, trainer.global_step):
            for mirror in mirrors:
                mirror.log_metrics(row, step)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Of a run that was killed after its last epoch, which does not train any more."""
        self.on_train_start(trainer, pl_module)


log = logging.getLogger(__name__)

SERVICE_S = 120  # for W&B's own process to start, on a machine where many do


def loggers(settings: TrainSettings, folder: Path, infos: Mapping[str, MetricInfo]) -> list[Logger]:
    """The loggers of a run.

    CSV goes into `<folder>/csv/version_<n>/metrics.csv`, a file for each start of the run; W&B, offline unless told
    otherwise, into `<folder>/wandb`.

    Args:
        infos: what the run logs, see `described`.
    """
    found: list[Logger] = [WholeCSV(folder, name="csv", flush_logs_every_n_steps=50)]
    if settings.logger.name == "wandb":
        mirror = start_mirror(settings, folder, infos)
        if mirror is not None:
            mirror.log_files("config", folder / "config.yaml")
            mirror.log_files("manifest", Path(settings.data.pack) / "manifest.json")
            found.append(mirror)
    return found


def start_mirror(settings: TrainSettings, folder: Path, infos: Mapping[str, MetricInfo]) -> Mirror | None:
    """W&B's run of this run. Where the server cannot be reached or refuses, an offline one; None if that fails too."""
    for mode in dict.fromkeys((settings.logger.mode, "offline")):
        try:
            mirror = _mirror(settings, folder, infos, mode)
            _ = mirror.experiment
        except Exception as error:  # of the network, the key, the disk or the package: the CSV has all
            said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            then = "the CSV has all" if mode == "offline" else "goes on offline, to be sent later: wandb sync"
            log.warning("W&B cannot start (%s); %s", said, then)
        else:
            return mirror
    return None


def _mirror(settings: TrainSettings, folder: Path, infos: Mapping[str, MetricInfo], mode: str) -> Mirror:
    wandb = load_wandb()
    return Mirror(
        infos,
        project=settings.logger.project,
        entity=settings.logger.entity,
        group=settings.study,
        name=f"{settings.row.name} · seed {settings.seed}",
        tags=[settings.data.name, settings.optim.name],
        save_dir=folder,
        mode=mode,
        config=settings.tree,
        settings=wandb.Settings(
            silent=True,
            init_timeout=settings.logger.timeout_s,
            x_service_wait=max(SERVICE_S, settings.logger.timeout_s),
            finish_timeout=settings.logger.timeout_s,
            finish_timeout_raises=True,
        ),
    )


def watchers(settings: LoggerSettings, folder: Path, active: list[Logger]) -> list[Callback]:
    """The callbacks that log more than the model does, on all processes, of which only the first has loggers."""
    found: list[Callback] = []
    if settings.gradients_every_n_steps:
        found.append(GradientLog(settings.gradients_every_n_steps))
    if settings.media_every_epochs:
        found.append(MediaLog(settings.media_every_epochs))
    if any(isinstance(logger, Mirror) for logger in active):
        found.append(Replay(folder / "csv", f"version_{active[0].version}"))
    return found


def finish(active: list[Logger], exit_code: int) -> None:
    """Close the run's loggers, so that the next run of this process gets its own."""
    for logger in active:
        try:
            logger.finalize("success" if exit_code == 0 else "failed")
        except Exception as error:  # their failure does not cost the result
            log.warning("%s could not be closed: %s", type(logger).__name__, error)
        if isinstance(logger, Mirror):
            logger.finish(exit_code)


def mirror_lost(settings: LoggerSettings, active: list[Logger]) -> str | None:
    """Why W&B does not hold all of the run, whose loggers are closed; None: it does, or was not to."""
    mirrors = [logger for logger in active if isinstance(logger, Mirror)]
    if settings.name == "wandb" and not mirrors:
        return "it could not start"
    return next((mirror.failure for mirror in mirrors if mirror.broken), None)
