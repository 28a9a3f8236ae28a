"""The processes of one run over several devices, seen from within: who is first, and what is decided once for all.

Without a process group, a run's only process is the first of one, and every function here costs nothing.
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
from hmlpe.training.devices import gpus, threads_of
from hmlpe.training.settings import TrainerSettings

TIMEOUT = timedelta(minutes=10)  # nobody waits longer for another; the first rank alone does nothing that takes as long

T = TypeVar("T")


def rank_and_world() -> tuple[int, int]:
    """This process's number among those of the run, and how many they are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def is_rank_zero() -> bool:
    """Whether this process writes the run's files and speaks for it."""
    return rank_and_world()[0] == 0


def on_rank_zero(function: Callable[[], T]) -> T:
    """What `function` gives, or raises, in the first process: called there alone, so that nobody races for a file."""
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
    """Mean over all processes, none of which has more samples than another."""
    world, total = rank_and_world()[1], values.detach().clone()
    if world > 1:
        dist.all_reduce(total)
    return total / world


@contextmanager
def process_group(trainer: TrainerSettings) -> Iterator[None]:
    """Within, this process is a rank of its run: in the process group, quiet unless it is the first, interruptible.

    The group stays until the process ends, as the next stage of a chain goes on in it.
    """
    atexit.unregister(dist.destroy_process_group)
    local = int(os.environ["LOCAL_RANK"])
    threads = threads_of(trainer)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # Lightning sets another number where there is none
    torch.set_num_threads(threads)
    on_gpu = gpus(trainer.accelerator) > 0
    if on_gpu:
        torch.cuda.set_device(local)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=TIMEOUT)
    if not is_rank_zero():  # all say the same
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")
    yield
    dist.barrier()  # what the first has written is there before anybody goes on
    atexit.register(dist.destroy_process_group)


def _interrupt(signum: int, frame: object) -> None:
    """As Ctrl-C, once: what is written of the interruption is not interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignore_signal)  # not SIG_IGN: Python complains of one that has come already
    raise KeyboardInterrupt


def _ignore_signal(signum: int, frame: object) -> None:
    pass


class SignalHandlers(Callback):
    """Takes SIGTERM back from Lightning, whose handler waits for an answer of ranks that may be gone."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take it."""
        signal.signal(signal.SIGTERM, _interrupt)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """As above."""
        self.on_train_start(trainer, pl_module)


def trainer_options(trainer: TrainerSettings) -> dict[str, Any]:
    """The arguments of Lightning's trainer that say where it runs; it detects no cluster by itself.

    Gradients are averaged over the ranks, whose batches are equally large. No parameter that learns is ever unused, but
    DDP that does not look for such ones regroups the gradients after its first step, and three ranks or more then add
    them up in another order: a resumed run would not end where an undisturbed one does.
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
        "accelerator": "cuda" if gpus(trainer.accelerator) else "cpu",
        "devices": local,
        "num_nodes": world // local,
        "strategy": DDPStrategy(find_unused_parameters=True),
        "plugins": [TorchElasticEnvironment(), AtomicCheckpointIO()],
    }
