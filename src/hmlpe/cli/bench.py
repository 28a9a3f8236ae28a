"""hmlpe-bench: speed of training, evaluation and sweeps, against the bare computation and the machine's peak."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from pydantic import Field

from hmlpe.cli.app import run_app
from hmlpe.settings import NonNegativeInt, PositiveInt, Settings

if TYPE_CHECKING:
    from hmlpe.bench.evaluation import EvaluationSpeed
    from hmlpe.bench.training import TrainingBench


class SweepsSettings(Settings, extra="forbid"):
    """The settings of the timed sweeps: number of jobs (0: no sweeps) and approximate seconds per job."""

    jobs: NonNegativeInt
    seconds: Annotated[float, Field(gt=0)]


class BenchSettings(Settings, extra="forbid"):
    """The settings under `bench`, as in conf/bench.yaml, which explains them."""

    steps: PositiveInt
    epochs: PositiveInt
    rounds: PositiveInt
    out: str | None
    sweep: SweepsSettings


def print_benchmark(config: DictConfig) -> None:
    """Measure training, loading, evaluation and, if configured, sweeps; print tables, and write JSON if asked."""
    import torch

    from hmlpe.bench.evaluation import bench_evaluation
    from hmlpe.bench.training import bench_training
    from hmlpe.files import write_json_atomic
    from hmlpe.training.provenance import device_name
    from hmlpe.training.settings import TrainSettings

    settings = TrainSettings.from_config(config)
    bench_settings = BenchSettings.from_config(config.bench, "bench")
    words = [word for word in HydraConfig.get().overrides.task if not word.startswith("bench.")]
    words = [f"network={settings.network_name}", *words]  # this program's default is another than hmlpe-train's
    training = bench_training(settings, words, bench_settings.steps, bench_settings.epochs, bench_settings.rounds)
    evaluation = bench_evaluation(settings, bench_settings.rounds)
    device, threads = device_name(settings.trainer.accelerator), torch.get_num_threads()
    machine = f"{settings.network_name} net, batch {settings.optim.batch_size}, {device}, {threads} threads"
    print(f"{machine}\n{training_table(training)}\n{evaluation_table(evaluation)}")
    if bench_settings.out is not None:
        record: dict[str, Any] = {"machine": machine, **training._asdict(), "evaluation": evaluation._asdict()}
        record["rates"] = {name: rate._asdict() for name, rate in training.rates.items()}
        record["evaluation"]["crop_latency"] = evaluation.crop_latency._asdict()
        write_json_atomic(Path(bench_settings.out), json.loads(json.dumps(record)))
        print(f"wrote {bench_settings.out}")
    if bench_settings.sweep.jobs:
        print_sweep_overhead(bench_settings.sweep.jobs, bench_settings.sweep.seconds)


def training_table(training: TrainingBench) -> str:
    """Return the training speeds as text: images per second, share of the machine's peak, ratio to a reference."""
    peaks = ", ".join(f"{name} {flops / 1e9:.0f}" for name, flops in training.peaks.items())
    lines = [
        f"matrix products: {peaks} GFLOP/s; a training step: {training.flops / 1e9:.3f} GFLOP per image; "
        f"{training.precision}, the template in fp32"
    ]
    lines.append(f"{'training':24}{'images/s':>10}{'of peak':>9}  ratio")
    for name, rate in training.rates.items():
        share = "" if rate.of_peak is None else f"{rate.of_peak:.0%}"
        ratio = "" if rate.ratio is None else f"{rate.ratio:.3f} of {rate.reference}"
        lines.append(f"{name:24}{rate.images_per_second:10.0f}{share:>9}  {ratio}".rstrip())
    return "\n".join(lines)


def evaluation_table(evaluation: EvaluationSpeed) -> str:
    """Return the evaluation speeds as text: images per second, ratio to the forward pass, latency of one crop."""
    one = evaluation.crop_latency
    return (
        f"{'evaluation, in fp32':24}{'images/s':>10}\n"
        f"{'forward pass':24}{evaluation.bare:10.0f}\n"
        f"{'hmlpe-evaluate':24}{evaluation.evaluate:10.0f}{'':11}{evaluation.ratio:.3f} of forward pass; "
        f"{evaluation.people} people in {evaluation.seconds:.2f} s\n"
        f"one crop: {one.torch_ms:.2f} ms by torch, {one.onnx_ms:.2f} ms by onnxruntime, ratio {one.ratio:.2f}"
    )


def print_sweep_overhead(jobs: int, seconds: float) -> None:
    """Run the same jobs with each launcher, and print how much longer the sweep takes than its jobs alone."""
    from hmlpe.bench.sweeps import IN_A_ROW, time_launchers

    print(f"sweeps: {jobs} jobs of about {seconds} s by each launcher, about {6 * jobs * seconds / 60:.0f} minutes ...")
    found = time_launchers(jobs, seconds)
    print(f"{'':24}{'wall':>9} {'of jobs':>9} {'overhead':>9} {'vs in a row':>12} {'start of a job':>15}")
    for name, cost in found.items():
        start = f"{max(cost.start_seconds):.2f} s" if cost.start_seconds else ""
        ratio = cost.wall / found[IN_A_ROW].wall
        print(f"{name:24}{cost.wall:7.1f} s {cost.job_seconds:7.1f} s {cost.overhead:9.1%} {ratio:12.3f} {start:>15}")


def main() -> None:
    """Run the console script hmlpe-bench."""
    run_app("bench", print_benchmark)


if __name__ == "__main__":
    main()
