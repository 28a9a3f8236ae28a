"""What a run logs beside its losses and errors: gradients of the tasks at the trunk, and pictures."""

from __future__ import annotations

import logging

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from hmlpe import pictures
from hmlpe.data.dataset import Sample
from hmlpe.runs.metric import GRADIENT, LAYERS
from hmlpe.tracking.gradients import diagnose, diagnose_layers, gradients_at
from hmlpe.tracking.mirror import Mirror
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.ranks import mean_of_all

log = logging.getLogger(__name__)

PEOPLE = 6  # in a picture


class GradientLog(Callback):
    """Logs norms and cosine of the unweighted losses' gradients at the trunk, as a whole and layer by layer, of every
    `every`-th step.

    They are read off the step's own graph, so that training goes on to the same bits as without. All processes take
    part, as the global normalisation's way back needs them all, and what is logged is of the global batch.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    def on_before_backward(self, trainer: L.Trainer, pl_module: MultiTaskPose, loss: Tensor) -> None:  # type: ignore[override]
        """Log, if it is time."""
        if trainer.global_step % self.every:
            return
        parameters = {name: p for name, p in pl_module.network.trunk.named_parameters() if p.requires_grad}
        found = gradients_at(pl_module.step_losses, list(parameters.values()))
        means = {task: mean_of_all(gradient) for task, gradient in found.items()}
        named = {f"{GRADIENT}{name}": value for name, value in diagnose(means).items()}
        named |= {f"{LAYERS}{name}": value for name, value in diagnose_layers(means, parameters).items()}
        for logger in trainer.loggers:
            logger.log_metrics(named | {"epoch": trainer.current_epoch}, trainer.global_step)


class MediaLog(Callback):
    """Sends pictures of the first validation people to W&B, every `every` epochs and after the last."""

    def __init__(self, every: int) -> None:
        self.every = every

    def on_validation_batch_end(  # type: ignore[override]
        self, trainer: L.Trainer, pl_module: MultiTaskPose, outputs: dict[str, Tensor], batch: Sample, batch_idx: int
    ) -> None:
        """Draw, if it is time."""
        mirrors = [logger for logger in trainer.loggers if isinstance(logger, Mirror) and not logger.broken]
        epoch = trainer.current_epoch + 1
        if batch_idx or not mirrors or (epoch % self.every and epoch != trainer.max_epochs):
            return
        step = trainer.global_step - 1  # the number of the last one, as Lightning counts
        try:
            drawn = draw(outputs, batch, pl_module)
        except Exception as error:  # a network or task of one's own, which the run does not need drawn
            log.warning("no pictures (%s); training goes on", " ".join(f"{type(error).__name__}: {error}".split()))
            drawn = {}
        for name, picture in drawn.items():
            for mirror in mirrors:
                mirror.log_picture(name, picture, step)


def draw(found: dict[str, Tensor], batch: Sample, model: MultiTaskPose) -> dict[str, pictures.Picture]:
    """Pictures by name: of each trained task's answers, and of the first layer.

    Args:
        found: see `MultiTaskPose.validation_step`.
    """
    crops = batch["image"][:PEOPLE].permute(0, 2, 3, 1).cpu().numpy()
    first = {name: value[:PEOPLE].float().cpu().numpy() for name, value in found.items()}
    drawn: dict[str, pictures.Picture] = {}
    for task in model.balance.active:
        drawn |= model.tasks[task].draw(crops, first)
    layers = [layer for layer in model.network.trunk.modules() if isinstance(layer, nn.Conv2d)]
    if layers:
        drawn[pictures.FILTERS] = pictures.as_picture(pictures.filters(layers[0].weight.detach().float().cpu().numpy()))
    return drawn
