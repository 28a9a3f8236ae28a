"""Helpers for a process (rank) of a run over several devices: its rank, and what rank zero decides for all ranks.

Without a process group, a run's only process is rank zero of one, and every function here costs nothing.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import lightning as L
import torch
from jaxtyping import Float
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch import distributed as dist

from hmlpe.training.checkpoint import AtomicCheckpointIO
from hmlpe.training.devices import gpu_count, threads_per_process
from hmlpe.training.settings import TrainerSettings

TIMEOUT = timedelta(minutes=10)  # of one rank waiting for another; what rank zero does alone never takes as long

T = TypeVar("T")


def rank_and_world() -> tuple[int, int]:
    """Return this process's rank and the number of ranks (the world size); (0, 1) without a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def is_rank_zero() -> bool:
    """Return whether this process is rank zero, which alone writes the run's files and prints its messages."""
    return rank_and_world()[0] == 0


def on_rank_zero(function: Callable[[], T]) -> T:
    """Call `function` on rank zero alone, and return its result, or raise its error, on all ranks.

    This keeps the ranks from writing the same file at once.
    """
    if rank_and_world()[1] == 1:
        return function()
    box: list[Any] = [None, None]
    if is_rank_zero():
        try:
            box[0] = function()
        except Exception as error:
            box[1] = error
    dist.broadcast_object_list(box, src=0)
    if box[1] is not None:
        raise box[1]
    found: T = box[0]
    return found


def mean_over_ranks(values: Float[Tensor, " value"]) -> Float[Tensor, " value"]:
    """Return the elementwise mean of a vector over all ranks, without its autograd graph.

    It is a mean over samples, too, as all ranks have the same number of them.
    """
    world, total = rank_and_world()[1], values.detach().clone()
    if world > 1:
        dist.all_reduce(total)
    return total / world


@contextmanager
def process_group(trainer: TrainerSettings) -> Iterator[None]:
    """Make this process a rank of its run inside the `with` block.

    The rank is in the process group, it is silent unless it is rank zero, and Ctrl-C and SIGTERM interrupt it. The
    group lasts until the process ends, as the next stage of a chain uses it again.
    """
    atexit.unregister(dist.destroy_process_group)
    local = int(os.environ["LOCAL_RANK"])
    threads = threads_per_process(trainer)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning sets another number
    torch.set_num_threads(threads)
    on_gpu = gpu_count(trainer.accelerator) > 0
    if on_gpu:
        torch.cuda.set_device(local)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=TIMEOUT)
    if not is_rank_zero():  # all ranks would print the same messages
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")
    yield
    dist.barrier()  # the files that rank zero has written are there before any rank continues
    atexit.register(dist.destroy_process_group)


def _interrupt(signum: int, frame: object) -> None:
    """Raise KeyboardInterrupt, and ignore further signals, so that the interruption can be recorded undisturbed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not SIG_IGN: with it, Python complains of a signal that has already arrived.
        signal.signal(number, _ignore_signal)
    raise KeyboardInterrupt


def _ignore_signal(signum: int, frame: object) -> None:
    pass


class SignalHandlers(Callback):
    """Lightning callback that replaces Lightning's SIGTERM handler, which waits for ranks that may be gone."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make SIGTERM raise KeyboardInterrupt during training."""
        signal.signal(signal.SIGTERM, _interrupt)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make SIGTERM raise KeyboardInterrupt during evaluation."""
        self.on_train_start(trainer, pl_module)


def trainer_options(trainer: TrainerSettings) -> dict[str, Any]:
    """Return the arguments of `L.Trainer` for the run's devices, which also keep it from detecting a cluster itself.

    Gradients are averaged over the ranks, whose batches have the same size. No trainable parameter is ever unused;
    `find_unused_parameters` is set because without it DDP regroups the gradients after its first step, and three or
    more ranks then add them up in another order: a resumed run would not end with the weights of an undisturbed one.
    """
    world = rank_and_world()[1]
    if world == 1:
        return {
            "accelerator": trainer.accelerator,
            "devices": 1,
            "plugins": [LightningEnvironment(), AtomicCheckpointIO()],
        }
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    return {
        "accelerator": "cuda" if gpu_count(trainer.accelerator) else "cpu",
        "devices": local,
        "num_nodes": world // local,
        "strategy": DDPStrategy(find_unused_parameters=True),
        "plugins": [TorchElasticEnvironment(), AtomicCheckpointIO()],
    }
