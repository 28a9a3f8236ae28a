"""Estimate of a run's duration: the number of its steps, and the time of one step.

Every program loads this module, so it imports heavy packages only where they are needed.
"""

from __future__ import annotations

from pathlib import Path

from hmlpe.settings import build_component
from hmlpe.training.devices import gpu_count, threads_per_process, world_size
from hmlpe.training.settings import TrainSettings

STEPS = 2  # number of steps that are timed


def estimate_steps(settings: TrainSettings) -> float:
    """Return the approximate number of optimiser steps of a run, from the pack's people and the configured epochs.

    Raises:
        UserError: there is no such pack.
    """
    import numpy as np

    from hmlpe.data.pack import open_pack
    from hmlpe.data.selection import parse_set_names

    data = settings.data
    pack = open_pack(Path(data.pack), build_component("skeleton", settings.skeleton))
    train = pack.people.set[pack.rows_of_split("train")]
    if data.train_sets is not None:
        train = train[np.isin(train, parse_set_names(data.train_sets, "data.train_sets"))]
    people = round(len(train) * (1 - data.validation.fraction))
    return float(min(people, data.subset or people) * settings.epochs / settings.optim.batch_size)


def seconds_per_step(settings: TrainSettings) -> float:
    """Return the seconds that one training step of the configured network takes on the run's device, timed on noise."""
    import torch

    from hmlpe.data.dataset import random_batch
    from hmlpe.data.pack import open_pack
    from hmlpe.training.bare_steps import time_bare_steps
    from hmlpe.training.build import build_model, build_tasks, resolve_precision

    before = torch.get_num_threads()
    trainer = settings.trainer
    torch.set_num_threads(threads_per_process(trainer))
    skeleton = build_component("skeleton", settings.skeleton)
    pack = open_pack(Path(settings.data.pack), skeleton)
    model = build_model(settings, build_tasks(settings, [attribute.name for attribute in pack.attributes]))
    people, joints = settings.optim.batch_size // world_size(trainer), len(skeleton.joints)
    batch = random_batch(people, joints, len(pack.attributes), settings.size_px)
    precision = resolve_precision(trainer.precision, trainer.accelerator)
    device = torch.device("cuda" if gpu_count(trainer.accelerator) else "cpu")
    taken = time_bare_steps(model, batch, STEPS, precision, device)
    torch.set_num_threads(before)
    return taken / STEPS
