"""How long a run will take: its steps, and the time of one. Every program loads this module: heavy imports wait."""

from __future__ import annotations

from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from hmlpe.training.devices import gpus, threads_of, world_size

STEPS = 2


def steps_of(config: DictConfig) -> float:
    """Steps of one run, by the pack's people and the configured epochs. Raises UserError where they are no numbers."""
    import numpy as np

    from hmlpe.data.pack import open_pack
    from hmlpe.data.selection import set_names
    from hmlpe.training.validate import check_numbers

    check_numbers(config)
    pack = open_pack(Path(config.data.pack), instantiate(config.skeleton))
    train = pack.people.set[pack.indices("train")]
    if config.data.train_sets is not None:
        train = train[np.isin(train, set_names(config.data.train_sets, "data.train_sets"))]
    people = round(len(train) * (1 - config.data.validation.fraction))
    return float(min(people, config.data.subset or people) * config.epochs / config.optim.batch_size)


def seconds_per_step(config: DictConfig) -> float:
    """Time of a training step of the configured net, on noise, on the device that the run would use."""
    import torch

    from hmlpe.data.dataset import noise_batch
    from hmlpe.data.pack import open_pack
    from hmlpe.training.bench import bare
    from hmlpe.training.build import build_model, build_tasks
    from hmlpe.training.precision import resolve_precision

    before = torch.get_num_threads()
    torch.set_num_threads(threads_of(config))
    pack = open_pack(Path(config.data.pack), instantiate(config.skeleton))
    model = build_model(config, build_tasks(config, [attribute.name for attribute in pack.attributes]))
    people, joints = config.optim.batch_size // world_size(config), len(config.skeleton.joints)
    batch = noise_batch(people, joints, len(pack.attributes), int(config.size_px))
    precision = resolve_precision(config.trainer.precision, config.trainer.accelerator)
    device = torch.device("cuda" if gpus(config.trainer.accelerator) else "cpu")
    taken = bare(model, batch, STEPS, precision, device)
    torch.set_num_threads(before)
    return taken / STEPS
