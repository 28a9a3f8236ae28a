"""The number of devices and CPU threads of a run, and which sweeps may use several devices.

Every program loads this module, so it imports torch only where it is needed.
"""

from __future__ import annotations

import os
from functools import cache

from hmlpe.control_group import cpu_quota
from hmlpe.errors import UserError
from hmlpe.training.settings import TrainerSettings

# Environment variables of a rank, i.e. of one of several processes of a run; set by torchrun or by `launch`.
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
ISOLATED = "IsolatedLauncher"  # the class of hydra/launcher=isolated, which runs each job in a process of its own
CPU_PROCESSES = 2  # of a run with trainer.devices=auto on the CPU


def is_rank() -> bool:
    """Return whether this process is a rank: one of several processes of a run, started by torchrun or `launch`."""
    return all(name in os.environ for name in RANK_VARIABLES)


def world_size(trainer: TrainerSettings) -> int:
    """Return the number of processes that train the run (the world size), each on a device of its own.

    In a rank it is read from the environment, whatever `trainer.devices` is. "auto" means all visible GPUs. On the
    CPU, which has no number of devices, it means two processes.

    Raises:
        UserError: `trainer.devices` is larger than the number of GPUs.
    """
    if is_rank():
        wanted: int | str = int(os.environ["LOCAL_WORLD_SIZE"])
    else:
        wanted = trainer.devices
    if wanted == 1:
        return int(os.environ["WORLD_SIZE"]) if is_rank() else 1
    there = gpu_count(trainer.accelerator)
    if wanted == "auto":
        return there or CPU_PROCESSES
    assert isinstance(wanted, int)
    if there and wanted > there:
        raise UserError(f"trainer.devices: {wanted} GPUs requested, but this machine shows {there}")
    return int(os.environ["WORLD_SIZE"]) if is_rank() else wanted


def core_count() -> int:
    """Return the number of CPU cores that this process may use, by its affinity and its container's quota."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return there if quota is None else max(1, min(there, int(quota)))


def threads_per_process(trainer: TrainerSettings) -> int:
    """Return the number of CPU threads of each process of a run: `trainer.threads`, else its share of all cores."""
    own = _default_threads()  # read before anything sets another number
    if trainer.threads is not None:
        return trainer.threads
    here = int(os.environ["LOCAL_WORLD_SIZE"]) if is_rank() else world_size(trainer)
    # torchrun sets OMP_NUM_THREADS to 1; several processes get the same number, however they were started.
    return max(1, core_count() // here) if is_rank() or here > 1 else min(own, core_count())


@cache
def _default_threads() -> int:
    """Return torch's default number of threads: OMP_NUM_THREADS, else the physical cores this process may use."""
    import torch

    return torch.get_num_threads()


def gpu_count(accelerator: str) -> int:
    """Return the number of GPUs that a run with this accelerator setting may use; 0 if it uses the CPU."""
    import torch

    return 0 if accelerator == "cpu" or not torch.cuda.is_available() else torch.cuda.device_count()


def check_devices(trainer: TrainerSettings, batch_size: int) -> None:
    """Raise UserError if the machine lacks the configured GPUs, or the batch does not divide over the run's devices."""
    if batch_size % (devices := world_size(trainer)):
        raise UserError(f"optim.batch_size: {batch_size} people do not divide evenly over trainer.devices: {devices}")
    if trainer.accelerator in ("gpu", "cuda") and not gpu_count(trainer.accelerator):
        raise UserError("trainer.accelerator: no GPU is available here; use cpu or auto")


def check_sweep(trainer: TrainerSettings, launcher: str) -> None:
    """Raise UserError if a sweep cannot be run with these settings and this launcher.

    It cannot be run under torchrun, nor with runs on several devices unless the launcher gives each run a process.

    Args:
        trainer: the settings of the trainer.
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
