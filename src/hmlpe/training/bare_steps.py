"""Training steps without the framework: forward pass, backward pass and the optimiser's step on a batch in memory."""

from __future__ import annotations

import time

import torch

from hmlpe.data.dataset import Sample
from hmlpe.training.module import MultiTaskPose

WARM_UP = 2  # steps before the clock starts


def time_bare_steps(model: MultiTaskPose, batch: Sample, steps: int, precision: str, device: torch.device) -> float:
    """Return the seconds that `steps` forward and backward passes and optimiser steps take on one batch in memory."""
    model.to(device).train()
    batch = {key: value.to(device) for key, value in batch.items()}
    optimizer = model.make_optimizer(model.network, model.balance)
    started = 0.0
    for step in range(steps + WARM_UP):
        if step == WARM_UP:
            synchronize(device)
            started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            losses, _, _ = model.losses(batch)
            total = model.total_loss(losses)
        optimizer.zero_grad()
        model.backward(total)
        optimizer.step()
    synchronize(device)
    return time.perf_counter() - started


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()
