"""Where the time goes: views one by one and as a batch, and a profile of bare steps.

    .venv/bin/python experiments/bench/step.py data=flic network=faithful optim.batch_size=128

Takes the settings of hmlpe-train, whose pack must be there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from torch.profiler import ProfilerActivity, profile

from hmlpe.allocator import keep_freed_memory
from hmlpe.data.dataset import PeopleDataset, collate
from hmlpe.training.bare_steps import time_bare_steps
from hmlpe.training.build import build_data, build_model, build_tasks, resolve_precision
from hmlpe.training.devices import threads_per_process
from hmlpe.training.settings import TrainSettings

CONF = str(Path(__file__).parents[2] / "conf")
SECONDS, STEPS = 3.0, 10
Keys = list[tuple[int, int]]


def rate(people: PeopleDataset, batch: int, load: Callable[[Keys], object]) -> float:
    """Return the views per second that `load` makes of batches of keys (epoch, index)."""
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        first = count * batch % (len(people) - batch)
        load([(count, first + i) for i in range(batch)])
        count += 1
    return count * batch / (time.perf_counter() - started)


def main(words: list[str]) -> None:
    """Print the rates of both augmentations, and the profile."""
    keep_freed_memory()
    with initialize_config_dir(CONF, version_base="1.3"):
        for name in ("paper", "strong"):
            settings = TrainSettings.from_config(compose("train", [*words, f"augment={name}"]))
            torch.set_num_threads(threads_per_process(settings.trainer))
            people = build_data(settings).augmented
            alone = rate(people, 64, lambda keys, of=people: collate([of[key] for key in keys]))
            print(f"{name}: {alone:.0f} views/s one by one, {rate(people, 64, people.__getitems__):.0f} as a batch")
        settings = TrainSettings.from_config(compose("train", words))
    data = build_data(settings)
    model = build_model(settings, build_tasks(settings, [attribute.name for attribute in data.attributes]))
    batch, device = next(iter(data.train_dataloader())), torch.device("cpu")
    precision = resolve_precision(settings.trainer.precision, "cpu")
    seconds = time_bare_steps(model, batch, STEPS, precision, device)
    print(f"bare steps: {STEPS * len(batch['image']) / seconds:.0f} images/s")
    with profile(activities=[ProfilerActivity.CPU]) as found:
        time_bare_steps(model, batch, STEPS, precision, device)
    print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=16, max_name_column_width=45))


if __name__ == "__main__":
    main(sys.argv[1:])
