"""Do stacked rows of a sweep train faster in one process than in processes side by side? Prints images per second.

    .venv/bin/python experiments/bench/stacked.py [NETWORK] [BATCH]

A row is a network of its own; stacked, all have one more axis in their parameters (torch.func.vmap, which makes grouped
convolutions of them) and see the same batch. Side by side, each process has its share of the threads, as in a sweep.
The optimiser, the same work either way, is left out. All ways run in turns; medians.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from hmlpe.allocator import keep_freed_memory
from hmlpe.data.dataset import random_batch
from hmlpe.network import HeterogeneousNet
from hmlpe.training.build import build_model, build_tasks
from hmlpe.training.devices import core_count
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.settings import TrainSettings

CONF = str(Path(__file__).parents[2] / "conf")
STEPS, ROUNDS, ROWS = 6, 3, (2, 4)


class Plain(nn.Module):
    """The network without its memory format, which vmap does not know."""

    def __init__(self, network: HeterogeneousNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the outputs of all heads."""
        x = (image.float() - self.network.mean_image) * self.network.scale
        return self.network.head_outputs(self.network.trunk(x).flatten(1))


def model_of(network: str, seed: int) -> MultiTaskPose:
    """Return a module without dropout and batch normalisation: vmap wants a generator a row, and fp32, for them."""
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", [f"network={network}", f"seed={seed}", "network.trunk.norm=none"])
    settings = TrainSettings.from_config(config)
    model = build_model(settings, build_tasks(settings)).train()
    for name in model.network.heads:
        model.network.head(name).dropout = nn.Identity()
    return model


def bf16() -> bool:
    """Return whether this machine multiplies bf16."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def steps_alone(network: str, batch: int, threads: int, steps: int) -> float:
    """Return the seconds that the steps of one row take in this process."""
    torch.set_num_threads(threads)
    model, people = model_of(network, 1), random_batch(batch, 8, 0, 112)
    for step in range(steps + 2):
        if step == 2:
            started = time.perf_counter()
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16()):
            losses, _, _ = model.losses(people)
        sum(losses.values()).backward()
    return time.perf_counter() - started


def steps_stacked(network: str, batch: int, rows: int, threads: int, steps: int) -> float:
    """Return the seconds that the steps of stacked rows take."""
    torch.set_num_threads(threads)
    models = [model_of(network, seed) for seed in range(rows)]
    people, first = random_batch(batch, 8, 0, 112), models[0]
    parameters, buffers = stack_module_state([Plain(model.network) for model in models])
    targets = {name: task.target(people) for name, task in first.tasks.items()}

    def loss(own: dict[str, torch.Tensor], of_row: dict[str, torch.Tensor]) -> torch.Tensor:
        outputs = functional_call(Plain(first.network), (own, of_row), (people["image"],))
        return sum(first.tasks[name].loss(outputs[name], target) for name, target in targets.items())

    step_of = vmap(grad(loss), randomness="different")
    for step in range(steps + 2):
        if step == 2:
            started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16()):
            step_of(parameters, buffers)
    return time.perf_counter() - started


def main(network: str = "slim", batch: int = 64) -> None:
    """Print a line for each number of rows."""
    keep_freed_memory()
    cores = core_count()
    spawn = multiprocessing.get_context("spawn")
    print(f"{network}, batch {batch}, {cores} cores, {'bf16' if bf16() else 'fp32'}")
    with spawn.Pool(cores, initializer=keep_freed_memory) as processes:
        for rows in ROWS:
            found: dict[str, list[float]] = {"stacked": [], "side by side": []}
            for _ in range(ROUNDS):
                seconds = steps_stacked(network, batch, rows, cores, STEPS)
                found["stacked"].append(rows * STEPS * batch / seconds)
                one = [(network, batch, 1, STEPS)] * cores
                slowest = max(processes.starmap(steps_alone, one, chunksize=1))
                found["side by side"].append(cores * STEPS * batch / slowest)
            stacked, beside = (statistics.median(rates) for rates in found.values())
            print(f"{rows} rows: stacked {stacked:.0f}, side by side {beside:.0f} images/s: {stacked / beside:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
