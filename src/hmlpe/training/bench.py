"""Benchmark of the training speed: Lightning with data loading and logging, against bare training steps.

A bare step is the forward pass, the backward pass and the optimiser's step. The data loader alone (reading crops,
augmenting them and making batches) is timed as well.
"""

from __future__ import annotations

import itertools
import logging
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from hmlpe.data.datamodule import PoseDataModule
from hmlpe.data.dataset import Sample
from hmlpe.training.build import build_data, build_model, build_tasks, resolve_precision
from hmlpe.training.devices import threads_per_process
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.settings import TrainerSettings, TrainSettings

WARM_UP = 2  # steps before the clock starts


class StepTimer(Callback):
    """Lightning callback that records the time at which each training step ends, as `ends` in seconds."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *batch: Any) -> None:
        """Record the time at which the step ends."""
        self.ends.append(time.perf_counter())


def bench(settings: TrainSettings, steps: int, rounds: int) -> dict[str, float]:
    """Return the speed of training steps with and without Lightning, and of data loading.

    In images per second: `bare` steps, steps of Lightning's trainer (`framework`), and the data `loader` alone; `ratio`
    is framework / bare. The values are medians over rounds, each of which times all three in turn.

    Args:
        settings: the settings of the run that is timed.
        steps: number of steps that are timed in each round, after `WARM_UP` steps.
        rounds: number of rounds.

    Raises:
        UserError: there is no prepared pack.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    torch.set_num_threads(threads_per_process(settings.trainer))
    data = build_data(settings)
    precision = resolve_precision(settings.trainer.precision, settings.trainer.accelerator)
    model = build_model(settings, build_tasks(settings, [attribute.name for attribute in data.attributes]))
    device = torch.device("cpu" if settings.trainer.accelerator == "cpu" or not torch.cuda.is_available() else "cuda")
    batch = next(iter(data.train_dataloader()))
    size = len(batch["image"])
    rates: dict[str, list[float]] = {"bare": [], "framework": [], "loader": []}
    for _ in range(rounds):
        rates["bare"].append(size * steps / time_bare_steps(model, batch, steps, precision, device))
        rates["framework"].append(size * steps / time_trainer_steps(settings.trainer, model, data, steps, precision))
        rates["loader"].append(size * steps / time_loading(data, steps))
    ratios = [whole / alone for whole, alone in zip(rates["framework"], rates["bare"], strict=True)]
    return {**{name: statistics.median(found) for name, found in rates.items()}, "ratio": statistics.median(ratios)}


def time_bare_steps(model: MultiTaskPose, batch: Sample, steps: int, precision: str, device: torch.device) -> float:
    """Return the seconds that `steps` forward and backward passes and optimiser steps take on one batch in memory."""
    model.to(device).train()
    batch = {key: value.to(device) for key, value in batch.items()}
    optimizer = model.make_optimizer(model.network, model.balance)
    started = 0.0
    for step in range(steps + WARM_UP):
        if step == WARM_UP:
            _synchronize(device)
            started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            losses, _, _ = model.losses(batch)
            total = model.total_loss(losses)
        optimizer.zero_grad()
        model.backward(total)
        optimizer.step()
    _synchronize(device)
    return time.perf_counter() - started


def time_loading(data: PoseDataModule, steps: int) -> float:
    """Return the seconds that loading `steps` training batches takes; after the last batch of an epoch it restarts."""
    batches = itertools.chain.from_iterable(data.train_dataloader() for _ in itertools.count())
    for _ in range(WARM_UP):
        next(batches)
    started = time.perf_counter()
    for _ in range(steps):
        next(batches)
    return time.perf_counter() - started


def time_trainer_steps(
    trainer: TrainerSettings, model: MultiTaskPose, data: L.LightningDataModule, steps: int, precision: str
) -> float:
    """Return the seconds that `steps` steps of Lightning's trainer take, with loading, augmentation and the CSV log."""
    clock = StepTimer()
    with TemporaryDirectory() as folder:
        lightning = L.Trainer(
            max_steps=steps + WARM_UP,
            limit_val_batches=0,
            precision=precision,  # type: ignore[arg-type]  # checked by Lightning
            accelerator=trainer.accelerator,
            devices=1,
            callbacks=[clock],
            logger=CSVLogger(Path(folder)),
            log_every_n_steps=trainer.log_every_n_steps,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        lightning.fit(model, data)
    return clock.ends[-1] - clock.ends[WARM_UP - 1]


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
