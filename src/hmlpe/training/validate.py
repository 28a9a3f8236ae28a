"""Settings that cannot work are refused before anything is read or written."""

from __future__ import annotations

from typing import Any

import torch
from omegaconf import DictConfig, ListConfig

from hmlpe.data.split import check_fraction
from hmlpe.errors import UserError
from hmlpe.row_name import check_row_name
from hmlpe.training.devices import world_size
from hmlpe.training.precision import PRECISIONS

LARGEST_SEED = 2**32 - 1  # NumPy's
VARIES = ("checkpoint", "heads", "epochs")  # what the table shows of rows that differ beside their weights


def validate(config: DictConfig) -> None:
    """Raise UserError, naming the setting, if one cannot work."""
    check_row_name(config.row.name, config.seed)
    check_numbers(config)
    choices_of = {
        "select": ("best", "last"),
        "heads": ("keep", "renew"),
        "trainer.precision": PRECISIONS,
        "sweep.redo": ("missing", "stale"),
        "logger.name": ("csv", "wandb"),
        "logger.mode": ("online", "offline", "disabled"),
    }
    for name, choices in choices_of.items():
        if _value(config, name) not in choices:
            raise UserError(f"{name}: must be one of {', '.join(choices)}, got {_value(config, name)!r}")
    if config.size_px > config.data.crop_px:
        raise UserError(
            f"size_px: {config.size_px} is larger than the pack's crops (data.crop_px: {config.data.crop_px})"
        )
    devices = world_size(config)
    if config.optim.batch_size % devices:
        raise UserError(
            f"optim.batch_size: {config.optim.batch_size} people do not divide over trainer.devices: {devices}"
        )
    if config.trainer.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError("trainer.accelerator: no GPU is available here; use cpu or auto")
    if not isinstance(config.varies, ListConfig) or not set(config.varies) <= set(VARIES):
        raise UserError(f"varies: must be a list of some of {', '.join(VARIES)}, got {config.varies!r}")
    _objective(str(config.objective), list(map(str, config.tasks)))
    if config.data.balanced not in (True, False):
        raise UserError(f"data.balanced: must be true or false, got {config.data.balanced!r}")
    if not config.fit and config.checkpoint is None:
        raise UserError("fit: false needs checkpoint=PATH, the weights to evaluate")


def check_numbers(config: DictConfig) -> None:
    """Raise UserError, naming the setting, if one that is counted with is no such number."""
    smallest_of = {"epochs": 1, "optim.batch_size": 1, "size_px": 1, "trainer.workers": 0, "logger.timeout_s": 1}
    for name, smallest in (smallest_of | {"data.validation.seed": 0}).items():
        _whole(config, name, smallest)
    _whole(config, "seed", 0, LARGEST_SEED)
    optional = ("data.subset", "trainer.threads", "logger.gradients_every_n_steps", "logger.media_every_epochs")
    for name in optional:
        if _value(config, name) is not None:
            _whole(config, name, 1)
    check_fraction(_value(config, "data.validation.fraction"))


def _objective(name: str, tasks: list[str]) -> None:
    split, _, metric = name.partition("/")
    if split not in ("train", "val") or not metric:
        raise UserError(f"objective: must be val/<metric> or train/<metric>, got {name!r}; test people choose nothing")
    if metric.endswith("_error") and metric.removesuffix("_error") not in tasks:
        raise UserError(f"objective: {name!r}: no such task; there are {', '.join(tasks)}")


def _value(config: DictConfig, name: str) -> object:
    value: object = config
    for part in name.split("."):
        if not isinstance(value, DictConfig):
            raise UserError(f"{name.rpartition('.')[0]}: must hold settings, among them {part}, got {value!r}")
        value = value[part]
    return value


def _whole(config: DictConfig, name: str, smallest: int, largest: int | None = None) -> None:
    value: Any = _value(config, name)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < smallest or (largest is not None and value > largest):
        bounds = f"of at least {smallest}" if largest is None else f"from {smallest} to {largest}"
        raise UserError(f"{name}: must be a whole number {bounds}, got {value!r}")
