"""The loggers of a run: always a CSV file, which is authoritative, and W&B as a copy of it if wanted.

W&B keeps some lines in memory, which a kill -9 loses; the run's next start sends W&B the CSV rows of earlier steps.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from hmlpe.runs.curves import replace_header, rows_of_earlier_starts
from hmlpe.runs.metric import MetricInfo
from hmlpe.tracking.load import load_wandb
from hmlpe.tracking.mirror import WandbMirror
from hmlpe.training.callbacks import GradientLog, MediaLog
from hmlpe.training.settings import LoggerSettings, TrainSettings

log = logging.getLogger(__name__)
SERVICE_S = 120  # timeout for the start of W&B's own process, on a machine where many start


class LosslessCSVLogger(CSVLogger):
    """A CSVLogger that never loses a written row, even if the process is killed while a column is added.

    (Lightning's own logger empties the file before it rewrites it.)
    """

    @property
    def experiment(self) -> ExperimentWriter:
        """Return the object that writes the CSV file, made at the first call; only rank zero has a logger."""
        if self._experiment is None:
            self._experiment = _CSVWriter(self.log_dir)
        assert isinstance(self._experiment, ExperimentWriter)
        return self._experiment


class _CSVWriter(ExperimentWriter):
    """Lightning's writer of the CSV file, changed so that it replaces the header atomically."""

    def _rewrite_with_new_header(self, fieldnames: Sequence[str]) -> None:
        replace_header(Path(self.metrics_file_path), fieldnames)


class CSVReplay(Callback):
    """Sends the CSV rows of earlier steps to W&B when a run is resumed, so that W&B's new run holds all steps.

    Args:
        folder: the run's folder `csv`.
        current_start: name of the subfolder of `folder` into which the present start of the run writes.
    """

    def __init__(self, folder: Path, current_start: str) -> None:
        self.folder, self.current_start, self.sent = folder, current_start, False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Send the rows up to the step from which the run is resumed; later steps are trained, and logged, again."""
        mirrors = [logger for logger in trainer.loggers if isinstance(logger, WandbMirror)]
        if self.sent or not mirrors:
            return
        self.sent = True
        for step, row in rows_of_earlier_starts(self.folder, self.current_start, trainer.global_step):
            for mirror in mirrors:
                mirror.log_metrics(row, step)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Send W&B the CSV rows of earlier steps also where training does not start again.

        This is so in a run that was killed after its last epoch and now only evaluates.
        """
        self.on_train_start(trainer, pl_module)


def make_loggers(settings: TrainSettings, folder: Path, infos: Mapping[str, MetricInfo]) -> list[Logger]:
    """Return the loggers of a run: the CSV logger, and the W&B logger if it is configured and can start.

    The CSV file is `<folder>/csv/version_<n>/metrics.csv`, one file for each start of the run. W&B, which is offline
    unless set otherwise, writes to `<folder>/wandb`.

    Args:
        settings: the settings of the run.
        folder: folder of the run.
        infos: descriptions of the logged numbers, see `logged_metric_infos`.
    """
    found: list[Logger] = [LosslessCSVLogger(folder, name="csv", flush_logs_every_n_steps=50)]
    if settings.logger.name == "wandb":
        mirror = start_wandb_logger(settings, folder, infos)
        if mirror is not None:
            mirror.log_files("config", folder / "config.yaml")
            mirror.log_files("manifest", Path(settings.data.pack) / "manifest.json")
            found.append(mirror)
    return found


def start_wandb_logger(settings: TrainSettings, folder: Path, infos: Mapping[str, MetricInfo]) -> WandbMirror | None:
    """Return a started W&B logger: offline if the server is unreachable or refuses, None if it cannot start offline."""
    for mode in dict.fromkeys((settings.logger.mode, "offline")):
        try:
            mirror = _make_wandb_logger(settings, folder, infos, mode)
            _ = mirror.experiment
        except Exception as error:  # network, key, disk or package may fail; the CSV has everything
            said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            then = "the CSV has it all" if mode == "offline" else "goes on offline; upload later with wandb sync"
            log.warning("W&B cannot start (%s); %s", said, then)
        else:
            return mirror
    return None


def _make_wandb_logger(
    settings: TrainSettings, folder: Path, infos: Mapping[str, MetricInfo], mode: str
) -> WandbMirror:
    wandb = load_wandb()
    return WandbMirror(
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


def logging_callbacks(settings: LoggerSettings, folder: Path, loggers: list[Logger]) -> list[Callback]:
    """Return the callbacks that log gradients, pictures and, to W&B, the CSV rows of earlier starts, as configured.

    All processes need them.

    Args:
        settings: the settings of the loggers.
        folder: folder of the run.
        loggers: the loggers of this process; only rank zero has any.
    """
    found: list[Callback] = []
    if settings.gradients_every_n_steps:
        found.append(GradientLog(settings.gradients_every_n_steps))
    if settings.media_every_epochs:
        found.append(MediaLog(settings.media_every_epochs))
    if any(isinstance(logger, WandbMirror) for logger in loggers):
        found.append(CSVReplay(folder / "csv", f"version_{loggers[0].version}"))
    return found


def close_loggers(loggers: list[Logger], exit_code: int) -> None:
    """Close the run's loggers, so that the next run of this process gets loggers of its own.

    Args:
        loggers: the loggers.
        exit_code: 0 if the run succeeded; W&B shows any other as a failure.
    """
    for logger in loggers:
        try:
            logger.finalize("success" if exit_code == 0 else "failed")
        except Exception as error:  # a logger's failure must not lose the result
            log.warning("%s could not be closed: %s", type(logger).__name__, error)
        if isinstance(logger, WandbMirror):
            logger.finish(exit_code)


def wandb_failure(settings: LoggerSettings, loggers: list[Logger]) -> str | None:
    """Return why W&B does not hold the whole run; None if it does, or if it was not asked for.

    Args:
        settings: the settings of the loggers.
        loggers: the run's loggers, which must be closed already.
    """
    mirrors = [logger for logger in loggers if isinstance(logger, WandbMirror)]
    if settings.name == "wandb" and not mirrors:
        return "it could not start"
    return next((mirror.failure for mirror in mirrors if mirror.broken), None)
