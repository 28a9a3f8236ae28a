"""The slots that jobs run on: each has its own GPUs of the pool or a share of the CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from hmlpe.errors import UserError
from hmlpe.training.devices import cores


@dataclass(frozen=True)
class Slot:
    """Room for one job at a time.

    Attributes:
        name: its name in messages.
        environment: environment variables of the job's process, e.g. which GPUs it sees.
    """

    name: str
    environment: dict[str, str] = field(default_factory=dict)


def visible_gpus(count: int) -> list[str]:
    """Return the names of the GPUs, as in CUDA_VISIBLE_DEVICES: those that it lists already, else 0, 1, ….

    Args:
        count: how many GPUs torch sees. It does not limit MIG slices: a process sees only one of them, but each job may
            have another.
    """
    shown = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if any(name.startswith("MIG-") for name in shown):
        return shown
    return shown[:count] if shown else [str(number) for number in range(count)]


def cpu_slots(n_jobs: object, threads: int | None, per_job: int) -> list[Slot]:
    """Return the slots on the CPU.

    Args:
        n_jobs: how many slots; "auto": as many as there are cores for.
        threads: threads of each process; None: all cores.
        per_job: processes of each job.

    Raises:
        UserError: several jobs are to run at once, but the number of threads is not set.
    """
    if n_jobs == "auto":
        return [Slot("cpu")] * max(1, cores() // (threads * per_job) if threads else 1)
    if _count(n_jobs) > 1 and threads is None:
        raise UserError(
            f"hydra.launcher.n_jobs: {n_jobs} runs at once would each take all cores; say how many are a run's own: "
            "trainer.threads=1 (it belongs to what a run computes, so it does not follow n_jobs by itself)"
        )
    return [Slot("cpu")] * _count(n_jobs)


def gpu_slots(n_jobs: object, devices: object, per_job: int, visible: Sequence[str]) -> list[Slot]:
    """Return the slots on GPUs. Two slots share a GPU only if n_jobs asks for more slots than the pool has room for.

    Args:
        n_jobs: how many slots; "auto": as many as the pool has GPUs for.
        devices: the pool, a list of GPUs; "auto": all visible ones.
        per_job: GPUs of each job.
        visible: names of the visible GPUs.

    Raises:
        UserError: a GPU of the pool is not visible, or the pool is too small for one job.
    """
    pool = list(visible) if devices == "auto" else _pool(devices, visible)
    groups = [pool[i : i + per_job] for i in range(0, len(pool) - per_job + 1, per_job)]
    if not groups:
        raise UserError(
            f"trainer.devices: a run takes {per_job} GPUs, and the pool has {len(pool)} ({', '.join(pool)}); see "
            "hydra.launcher.devices"
        )
    count = len(groups) if n_jobs == "auto" else _count(n_jobs)
    chosen = [groups[i % len(groups)] for i in range(count)]
    return [Slot(f"gpu {'+'.join(group)}", {"CUDA_VISIBLE_DEVICES": ",".join(group)}) for group in chosen]


def _pool(devices: object, visible: Sequence[str]) -> list[str]:
    if not isinstance(devices, Sequence) or isinstance(devices, str) or not devices:
        raise UserError(f"hydra.launcher.devices: must be auto or a list of GPUs, e.g. [0,1], got {devices!r}")
    by_number = dict(enumerate(visible))  # a number is an index into the visible GPUs
    pool = [by_number.get(device) if isinstance(device, int) else str(device) for device in devices]
    if not set(pool) <= set(visible) or len(set(pool)) != len(pool):
        raise UserError(
            f"hydra.launcher.devices: {devices!r}: there are {', '.join(visible) or 'no GPUs'}, each to be named once"
        )
    return [str(device) for device in pool]


def _count(n_jobs: object) -> int:
    if not isinstance(n_jobs, int) or isinstance(n_jobs, bool) or n_jobs < 1:
        raise UserError(f"hydra.launcher.n_jobs: must be auto or a whole number of at least 1, got {n_jobs!r}")
    return n_jobs
