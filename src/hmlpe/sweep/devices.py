"""Where jobs run: the slots of a pool, each with GPUs of its own or a share of the CPU."""

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
        name: for people.
        environment: variables that the job's process gets, e.g. which GPUs it sees.
    """

    name: str
    environment: dict[str, str] = field(default_factory=dict)


def visible_gpus(count: int) -> list[str]:
    """The GPUs' names for CUDA_VISIBLE_DEVICES: those that it shows already, else their numbers.

    Args:
        count: how many GPUs torch sees; of several MIG slices a process sees one alone, but each job may have its own.
    """
    shown = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if any(name.startswith("MIG-") for name in shown):
        return shown
    return shown[:count] if shown else [str(number) for number in range(count)]


def cpu_slots(n_jobs: object, threads: int | None, per_job: int) -> list[Slot]:
    """Slots on the CPU.

    Args:
        n_jobs: how many; "auto": as many as there are cores for.
        threads: of each process; None: all cores.
        per_job: processes of each job.

    Raises:
        UserError: several jobs at once, whose threads nobody said.
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
    """Slots on GPUs, which share none of them unless n_jobs asks for more.

    Args:
        n_jobs: how many; "auto": as many as the pool has GPUs for.
        devices: the pool, a list of GPUs; "auto": all visible ones.
        per_job: GPUs of each job.
        visible: names of the GPUs that are there.

    Raises:
        UserError: a GPU of the pool is not there, or the pool is too small for one job.
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
    by_number = dict(enumerate(visible))  # a number is the place among those that are visible
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
