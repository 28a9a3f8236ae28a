"""The slots that jobs run on: each has its own GPUs of the pool or a share of the CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from hmlpe.errors import UserError
from hmlpe.training.devices import core_count


@dataclass(frozen=True)
class Slot:
    """A place on the machine that runs one job at a time: its own GPUs, or a share of the CPU.

    Attributes:
        name: its name in messages.
        environment: environment variables of the job's process, e.g. which GPUs it sees.
    """

    name: str
    environment: dict[str, str] = field(default_factory=dict)


def visible_gpus(torch_count: int) -> list[str]:
    """Return the names of the visible GPUs: those that CUDA_VISIBLE_DEVICES lists, or 0, 1, … if it lists none.

    Args:
        torch_count: number of GPUs that torch sees, to which the names are limited. MIG slices are not: a process
            sees only one of them, but each job may have another.
    """
    listed = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if any(name.startswith("MIG-") for name in listed):
        return listed
    return listed[:torch_count] if listed else [str(number) for number in range(torch_count)]


def cpu_slots(n_jobs: object, threads: int | None, processes_per_job: int) -> list[Slot]:
    """Return the slots on the CPU.

    Args:
        n_jobs: how many slots; "auto": as many as there are cores for.
        threads: threads of each process; None: all cores.
        processes_per_job: processes of each job.

    Raises:
        UserError: several jobs are to run at once, but the number of threads is not set.
    """
    if n_jobs == "auto":
        return [Slot("cpu")] * max(1, core_count() // (threads * processes_per_job) if threads else 1)
    if _checked_count(n_jobs) > 1 and threads is None:
        raise UserError(
            f"hydra.launcher.n_jobs: {n_jobs} runs at once would each take all cores; set how many each run gets: "
            "trainer.threads=1 (it affects a run's numbers, so it is not derived from n_jobs)"
        )
    return [Slot("cpu")] * _checked_count(n_jobs)


def gpu_slots(n_jobs: object, pool_setting: object, gpus_per_job: int, visible_names: Sequence[str]) -> list[Slot]:
    """Return the slots on GPUs. Two slots share a GPU only if n_jobs asks for more slots than the pool has room for.

    Args:
        n_jobs: how many slots; "auto": as many as the pool has GPUs for.
        pool_setting: the pool, a list of GPUs; "auto": all visible ones.
        gpus_per_job: GPUs of each job.
        visible_names: names of the visible GPUs.

    Raises:
        UserError: a GPU of the pool is not visible, or the pool is too small for one job.
    """
    pool = list(visible_names) if pool_setting == "auto" else _checked_pool(pool_setting, visible_names)
    groups = [pool[i : i + gpus_per_job] for i in range(0, len(pool) - gpus_per_job + 1, gpus_per_job)]
    if not groups:
        raise UserError(
            f"trainer.devices: a run takes {gpus_per_job} GPUs, but the pool has {len(pool)} ({', '.join(pool)}); see "
            "hydra.launcher.devices"
        )
    count = len(groups) if n_jobs == "auto" else _checked_count(n_jobs)
    chosen = [groups[i % len(groups)] for i in range(count)]
    return [Slot(f"gpu {'+'.join(group)}", {"CUDA_VISIBLE_DEVICES": ",".join(group)}) for group in chosen]


def _checked_pool(pool_setting: object, visible_names: Sequence[str]) -> list[str]:
    if not isinstance(pool_setting, Sequence) or isinstance(pool_setting, str) or not pool_setting:
        raise UserError(f"hydra.launcher.devices: must be auto or a list of GPUs, e.g. [0,1], got {pool_setting!r}")
    by_number = dict(enumerate(visible_names))  # a number is an index into the visible GPUs
    pool = [by_number.get(device) if isinstance(device, int) else str(device) for device in pool_setting]
    if not set(pool) <= set(visible_names) or len(set(pool)) != len(pool):
        raise UserError(
            f"hydra.launcher.devices: {pool_setting!r}: there are {', '.join(visible_names) or 'no GPUs'}; "
            "name each only once"
        )
    return [str(device) for device in pool]


def _checked_count(n_jobs: object) -> int:
    if not isinstance(n_jobs, int) or isinstance(n_jobs, bool) or n_jobs < 1:
        raise UserError(f"hydra.launcher.n_jobs: must be auto or a whole number of at least 1, got {n_jobs!r}")
    return n_jobs
