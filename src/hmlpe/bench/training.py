"""Measure the training speed of hmlpe-train against bare steps, the machine's peak, and a plain Lightning template."""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from hydra import compose
from torch.utils.flop_counter import FlopCounterMode

from hmlpe.data.batch_augment import batch_augmentation_of
from hmlpe.data.datamodule import PoseDataModule
from hmlpe.data.dataset import Sample
from hmlpe.errors import UserError
from hmlpe.runs.folder import read_result_json
from hmlpe.training.bare_steps import WARM_UP, synchronize, time_bare_steps
from hmlpe.training.build import build_data, build_model, build_tasks, resolve_precision
from hmlpe.training.devices import core_count, threads_per_process
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.settings import TrainSettings

AUGMENTATIONS = ("paper", "strong")
LOADED = 4000  # images that the loader alone is timed on
SIDE, PRODUCTS = {"cpu": 2048, "cuda": 8192}, 8  # of the matrices whose products give the peak
BARE, PRODUCT, TEMPLATE = "bare loop", "hmlpe-train", "plain template"


class Rate(NamedTuple):
    """The speed of one program or loop, which is one line of the benchmark's table.

    Attributes:
        images_per_second: the median over rounds.
        of_peak: the operations per second as a share of the machine's peak in large matrix products; None for a loader,
            whose operations are not counted.
        ratio: the median over rounds of this speed divided by that of `reference`, which ran in the same round.
        reference: the name of the line with which this one is compared; empty if it is compared with none.
    """

    images_per_second: float
    of_peak: float | None = None
    ratio: float | None = None
    reference: str = ""


class TrainingBench(NamedTuple):
    """The results of the training benchmark.

    Attributes:
        peaks: operations per second of large matrix products, by type.
        flops: floating-point operations of a training step per image.
        precision: Lightning's name of the precision of hmlpe-train and the bare steps; the template's is fp32.
        rates: the lines of the table, by name.
    """

    peaks: dict[str, float]
    flops: float
    precision: str
    rates: dict[str, Rate]


def bench_training(
    settings: TrainSettings, overrides: Sequence[str], steps: int, epochs: int, rounds: int
) -> TrainingBench:
    """Measure the training speed of bare steps, of hmlpe-train and of the plain template, and the speed of loading.

    The first three run in turns, once in each round. hmlpe-train runs as a user runs it, in a process of its own, and
    its first epoch is not timed, as it warms up.

    Args:
        settings: the settings of the run that is timed.
        overrides: the same settings as overrides on the command line of hmlpe-train.
        steps: number of bare steps in each round, and of the template's.
        epochs: number of epochs of hmlpe-train in each round.
        rounds: number of rounds.

    Raises:
        UserError: there is no prepared pack, or a process failed.
    """
    torch.set_num_threads(threads_per_process(settings.trainer))
    data = build_data(settings)
    precision = resolve_precision(settings.trainer.precision, settings.trainer.accelerator)
    device = torch.device("cpu" if settings.trainer.accelerator == "cpu" or not torch.cuda.is_available() else "cuda")
    model = build_model(settings, build_tasks(settings, [attribute.name for attribute in data.attributes]))
    batch = next(iter(data.train_dataloader()))
    size, flops = len(batch["image"]), flops_per_image(model, batch)
    peaks = {"fp32": peak_flops(torch.float32, device), "bf16": peak_flops(torch.bfloat16, device)}
    measures: dict[str, Callable[[], float]] = {
        BARE: lambda: size * steps / time_bare_steps(model, batch, steps, precision, device),
        PRODUCT: lambda: hmlpe_train_speed(overrides, epochs),
        TEMPLATE: lambda: template_speed(settings, steps),
    }
    rounds_of = [{name: measure() for name, measure in measures.items()} for _ in range(rounds)]
    median = {name: statistics.median(one[name] for one in rounds_of) for name in measures}
    peak = peaks["bf16" if precision == "bf16-mixed" else "fp32"]
    rates = {BARE: Rate(median[BARE], median[BARE] * flops / peak)}
    for name, reference in ((PRODUCT, BARE), (TEMPLATE, PRODUCT)):
        ratio = statistics.median(one[name] / one[reference] for one in rounds_of)
        share = median[name] * flops / (peak if name == PRODUCT else peaks["fp32"])
        rates[name] = Rate(median[name], share, ratio, reference)
    for name in AUGMENTATIONS:
        rates[f"loader, augment={name}"] = loading_rate(settings_with_augmentation(overrides, name), median[BARE])
    return TrainingBench(peaks, flops, precision, rates)


def peak_flops(dtype: torch.dtype, device: torch.device) -> float:
    """Return the floating-point operations per second of the fastest of several products of large square matrices."""
    side = SIDE[device.type]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(PRODUCTS):
        synchronize(device)
        started = time.perf_counter()
        a @ b
        synchronize(device)
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds)


def flops_per_image(model: MultiTaskPose, batch: Sample) -> float:
    """Return the operations per image of a forward and a backward pass; only convolutions and matrix products count."""
    with FlopCounterMode(display=False) as counter:
        losses, _, _ = model.losses(batch)
        model.backward(model.total_loss(losses))
    model.zero_grad()
    return float(counter.get_total_flops() / len(batch["image"]))


def settings_with_augmentation(overrides: Sequence[str], augment: str) -> TrainSettings:
    """Return the settings of hmlpe-train with these overrides and this augmentation."""
    kept = [word for word in overrides if not word.startswith("augment=")]
    return TrainSettings.from_config(compose("train", [*kept, f"augment={augment}"]))


def loading_rate(settings: TrainSettings, bare: float) -> Rate:
    """Return the speed of the loader alone, with its ratio to `bare`, the images per second of the bare steps."""
    data = build_data(settings)
    augmentation = data.augmented.augmentation
    assert augmentation is None or batch_augmentation_of(augmentation) is not None, (
        "this package's own augmentations are batched"
    )
    rate = LOADED / time_loading(data, LOADED // data.batch_size)
    return Rate(rate, None, rate / bare, BARE)


def time_loading(data: PoseDataModule, steps: int) -> float:
    """Return the seconds that loading `steps` training batches takes, over as many epochs as that needs."""
    batches = itertools.chain.from_iterable(data.train_dataloader() for _ in itertools.count())
    for _ in range(WARM_UP):
        next(batches)
    started = time.perf_counter()
    for _ in range(steps):
        next(batches)
    return time.perf_counter() - started


def hmlpe_train_speed(overrides: Sequence[str], epochs: int) -> float:
    """Run hmlpe-train in a process of its own, and return the images per second that its result.json states."""
    with TemporaryDirectory() as folder:
        own = [f"epochs={epochs}", "study=bench", f"paths.outputs={folder}", "trainer.progress=none", "logger=csv"]
        _run_python(["-m", "hmlpe.cli.train", *overrides, *own])
        (run,) = (Path(folder) / "bench").glob("*_s*")
        return float(read_result_json(run)["images_per_second"])


def template_speed(settings: TrainSettings, steps: int) -> float:
    """Run the plain template with a loading process for each core, and return its images per second of training."""
    augment = "strong" if "Affine" in str(settings.augment) else "paper"
    numbers = (settings.optim.batch_size, steps, core_count(), threads_per_process(settings.trainer))
    network = json.dumps(settings.tree["network"])
    done = _run_python(["-m", "hmlpe.bench.template", settings.data.pack, network, augment, *map(str, numbers)])
    return float(json.loads(done.splitlines()[-1])["images_per_second"])


def _run_python(arguments: Sequence[str]) -> str:
    """Run Python with these arguments, and return its output. If it fails, raise UserError with its last error line."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{' '.join(arguments[:2])}: ended with {done.returncode}: {last}")
    return done.stdout
