"""Callbacks that watch a run while it trains: progress, the tasks' gradients at the trunk, and pictures."""

from __future__ import annotations

import logging
import statistics
import sys
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from torch import Tensor, nn

from hmlpe import pictures
from hmlpe.data.dataset import Sample
from hmlpe.runs.metric import GRADIENT, LAYER_GRADIENT
from hmlpe.tracking.gradients import layer_norms_and_cosines, norms_and_cosines, task_gradients
from hmlpe.tracking.mirror import WandbMirror
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.ranks import mean_over_ranks
from hmlpe.training.watch import Progress, get_listener

log = logging.getLogger(__name__)
PEOPLE_DRAWN = 6  # number of people in a picture


class EpochLines(Callback):
    """Logs one line after each epoch: the validation errors, and the time left."""

    def __init__(self, run_name: str) -> None:
        self.name, self.started, self.first = run_name, 0.0, 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the time and the epoch at which training starts, from which the time left is estimated."""
        self.started, self.first = time.monotonic(), trainer.current_epoch

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log a line with the epoch, the validation errors and the estimated seconds left."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        done, total = trainer.current_epoch + 1, trainer.max_epochs or 0
        left = (time.monotonic() - self.started) / (done - self.first) * (total - done)
        errors = [f"{key} {float(v):.4g}" for key, v in trainer.callback_metrics.items() if key.endswith("_error")]
        log.info("%s: epoch %d/%d, %s, %.0f s left", self.name, done, total, ", ".join(errors), left)


class TrainingSpeed(Callback):
    """Measures how many images per second the run trains on: epoch by epoch, from the first step to the last.

    The measured time includes loading, logging and all callbacks, but not validation and checkpoints. In the first
    epoch of a process, libraries also prepare themselves, so that epoch counts only if there is no other.
    """

    def __init__(self) -> None:
        self.started: float | None = None
        self.images, self.rates = 0, list[float]()

    @property
    def images_per_second(self) -> float | None:
        """Return the median over epochs; None if no epoch was trained."""
        return statistics.median(self.rates[1:] or self.rates) if self.rates else None

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self.images, self.started = 0, time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *batch: Any) -> None:
        """Add the number of images in the batches of all processes to the epoch's count."""
        self.images += len(batch[0]["image"]) * trainer.world_size

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock: the epoch's steps are over."""
        if self.started is not None:
            self.rates.append(self.images / (time.perf_counter() - self.started))
            self.started = None


class ProgressReporter(Callback):
    """Reports the run's progress to this process's listener, if it has one.

    It reports at most once in `every_s` seconds, and after each validation.
    """

    def __init__(self, every_s: float = 0.5) -> None:
        self.every_s, self.started, self.first, self.last_report = every_s, 0.0, 0, 0.0
        self.errors: dict[str, float] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the time and the step at which training starts, not 0 if the run was resumed; report the step."""
        self.started, self.first = time.monotonic(), trainer.global_step
        self._report(trainer, 0.0)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *batch: Any) -> None:
        """Report the progress if at least `every_s` seconds have passed since the last report."""
        if time.monotonic() - self.last_report >= self.every_s:
            self._report(trainer, (time.monotonic() - self.started) / max(1, trainer.global_step - self.first))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the validation errors, and report the progress with them during training."""
        found = trainer.callback_metrics
        self.errors = {key: float(value) for key, value in found.items() if key.endswith("_error")}
        if trainer.state.fn == "fit":
            self._report(trainer, (time.monotonic() - self.started) / max(1, trainer.global_step - self.first))

    def _report(self, trainer: L.Trainer, seconds_per_step: float) -> None:
        self.last_report = time.monotonic()
        steps = int(trainer.estimated_stepping_batches)
        report = get_listener()
        if report is not None:
            losses = {key: float(value) for key, value in trainer.callback_metrics.items() if key == "train/total"}
            done = trainer.global_step
            report(Progress(done, steps, losses | self.errors, 1 / seconds_per_step if seconds_per_step else None))


def progress_callbacks(run_name: str, setting: str) -> list[Callback]:
    """Return the callbacks that show the run's progress, and report it to the process's listener if there is one.

    Args:
        run_name: name of the run.
        setting: `trainer.progress`: "bar", "lines", "none", or "auto", i.e. a bar if stderr is a terminal, else lines.
    """
    if setting == "auto":
        setting = "bar" if sys.stderr.isatty() else "lines"
    reporters: list[Callback] = [ProgressReporter()] if get_listener() else []
    if setting == "bar":
        return [TQDMProgressBar(refresh_rate=5), *reporters]
    return [EpochLines(run_name), *reporters] if setting == "lines" else reporters


class GradientLog(Callback):
    """Logs the norms and cosines of the unweighted losses' gradients at the trunk, in every `every`-th step.

    They are logged for the whole trunk and layer by layer. The gradients are taken from the step's own graph, so that
    training gives the same bits with and without this callback. All processes take part, because the backward pass of
    the global batch normalisation needs them all; what is logged are the gradients of the global batch.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    def on_before_backward(self, trainer: L.Trainer, pl_module: MultiTaskPose, loss: Tensor) -> None:  # type: ignore[override]
        """Log the norms and cosines of the gradients if the step's number is a multiple of `every`."""
        if trainer.global_step % self.every:
            return
        parameters = {name: p for name, p in pl_module.network.trunk.named_parameters() if p.requires_grad}
        found = task_gradients(pl_module.step_losses, list(parameters.values()))
        means = {task: mean_over_ranks(gradient) for task, gradient in found.items()}
        named = {f"{GRADIENT}{name}": value for name, value in norms_and_cosines(means).items()}
        named |= {
            f"{LAYER_GRADIENT}{name}": value for name, value in layer_norms_and_cosines(means, parameters).items()
        }
        for logger in trainer.loggers:
            logger.log_metrics(named | {"epoch": trainer.current_epoch}, trainer.global_step)


class MediaLog(Callback):
    """Sends pictures of the first validation people to W&B, every `every` epochs and after the last."""

    def __init__(self, every: int) -> None:
        self.every = every

    def on_validation_batch_end(  # type: ignore[override]
        self, trainer: L.Trainer, pl_module: MultiTaskPose, outputs: dict[str, Tensor], batch: Sample, batch_idx: int
    ) -> None:
        """Draw the people of the first batch and send the pictures to W&B, in the epochs in which this is due."""
        mirrors = [logger for logger in trainer.loggers if isinstance(logger, WandbMirror) and not logger.broken]
        epoch = trainer.current_epoch + 1
        if batch_idx or not mirrors or (epoch % self.every and epoch != trainer.max_epochs):
            return
        step = trainer.global_step - 1  # the number of the last step, as Lightning counts
        try:
            drawn = draw_pictures(outputs, batch, pl_module)
        except Exception as error:  # a user's own network or task may fail to draw; the run does not need pictures
            log.warning("no pictures (%s); training goes on", " ".join(f"{type(error).__name__}: {error}".split()))
            drawn = {}
        for name, picture in drawn.items():
            for mirror in mirrors:
                mirror.log_picture(name, picture, step)


def draw_pictures(outputs: dict[str, Tensor], batch: Sample, model: MultiTaskPose) -> dict[str, pictures.Picture]:
    """Return pictures by name: the predictions of each trained task, and the filters of the first layer.

    Args:
        outputs: what `MultiTaskPose.validation_step` returned for the batch.
        batch: the batch.
        model: the module.
    """
    crops = batch["image"][:PEOPLE_DRAWN].permute(0, 2, 3, 1).cpu().numpy()
    first = {name: value[:PEOPLE_DRAWN].float().cpu().numpy() for name, value in outputs.items()}
    drawn: dict[str, pictures.Picture] = {}
    for task in model.balance.active:
        drawn |= model.tasks[task].draw(crops, first)
    layers = [layer for layer in model.network.trunk.modules() if isinstance(layer, nn.Conv2d)]
    if layers:
        drawn[pictures.FILTERS] = pictures.render_rgb(
            pictures.draw_filters(layers[0].weight.detach().float().cpu().numpy())
        )
    return drawn
