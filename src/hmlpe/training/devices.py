"""On how many devices a run is trained, and which sweeps may do so. Every program loads this module: torch waits."""

from __future__ import annotations

import os
from functools import cache

from hmlpe.control_group import cpu_quota
from hmlpe.errors import UserError
from hmlpe.training.settings import TrainerSettings

# What a process is told that is one of several of a run: by torchrun, or by `launch`.
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
ISOLATED = "IsolatedLauncher"  # of hydra/launcher=isolated, which runs each job in a process of its own
CPU_PROCESSES = 2


def is_rank() -> bool:
    """Whether this process is one of those of a run, started by torchrun or by `launch`."""
    return all(name in os.environ for name in RANK_VARIABLES)


def world_size(trainer: TrainerSettings) -> int:
    """How many processes train the run, each on a device of its own.

    A rank is told so by its environment, whatever `trainer.devices` is. "auto" is all GPUs that are visible, or two
    processes where the run is on the CPU, which has no number of its own.

    Raises:
        UserError: `trainer.devices` is more than there are GPUs.
    """
    if is_rank():
        wanted: int | str = int(os.environ["LOCAL_WORLD_SIZE"])
    else:
        wanted = trainer.devices
    if wanted == 1:
        return int(os.environ["WORLD_SIZE"]) if is_rank() else 1
    there = gpus(trainer.accelerator)
    if wanted == "auto":
        return there or CPU_PROCESSES
    assert isinstance(wanted, int)
    if there and wanted > there:
        raise UserError(f"trainer.devices: {wanted} GPUs are wanted on this machine, which shows {there}")
    return int(os.environ["WORLD_SIZE"]) if is_rank() else wanted


def cores() -> int:
    """How many CPU cores this process may use: by its affinity, and by what its container grants it."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return there if quota is None else max(1, min(there, int(quota)))


def threads_of(trainer: TrainerSettings) -> int:
    """How many CPU threads each process of a run has: what `trainer.threads` says, else all that it may use."""
    own = _default_threads()  # asked before anybody sets another number
    if trainer.threads is not None:
        return trainer.threads
    here = int(os.environ["LOCAL_WORLD_SIZE"]) if is_rank() else world_size(trainer)
    # torchrun tells each of its processes to take one; over several processes there is one way, however they start.
    return max(1, cores() // here) if is_rank() or here > 1 else min(own, cores())


@cache
def _default_threads() -> int:
    """How many torch takes by itself: one for each physical core of its affinity, or what OMP_NUM_THREADS says."""
    import torch

    return torch.get_num_threads()


def gpus(accelerator: str) -> int:
    """How many GPUs a run of this accelerator setting may use; 0: it is on the CPU."""
    import torch

    return 0 if accelerator == "cpu" or not torch.cuda.is_available() else torch.cuda.device_count()


def check_devices(trainer: TrainerSettings, batch_size: int) -> None:
    """Raise UserError if this machine cannot train as the settings say."""
    if batch_size % (devices := world_size(trainer)):
        raise UserError(f"optim.batch_size: {batch_size} people do not divide over trainer.devices: {devices}")
    if trainer.accelerator in ("gpu", "cuda") and not gpus(trainer.accelerator):
        raise UserError("trainer.accelerator: no GPU is available here; use cpu or auto")


def check_sweep(trainer: TrainerSettings, launcher: str) -> None:
    """Raise UserError if a sweep's runs would be on several devices without a process of their own.

    Args:
        launcher: the `_target_` of Hydra's launcher.
    """
    if is_rank():
        raise UserError(
            "-m: under torchrun every process would sweep on its own; start the sweep without torchrun, with "
            "hydra/launcher=isolated trainer.devices=N"
        )
    name = launcher.rpartition(".")[2]
    if name == ISOLATED:
        return
    devices = world_size(trainer)
    if devices > 1:
        raise UserError(
            f"trainer.devices: a run on {devices} devices within a sweep needs a process of its own, which {name} does "
            "not give it; add hydra/launcher=isolated, or use trainer.devices=1"
        )
