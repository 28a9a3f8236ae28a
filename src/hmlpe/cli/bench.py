"""hmlpe-bench: speed of training, evaluation and sweeps, against the bare computation."""

from __future__ import annotations

from typing import Annotated

from omegaconf import DictConfig
from pydantic import Field

from hmlpe.cli.app import run_app
from hmlpe.settings import NonNegativeInt, PositiveInt, Settings


class SweepsSettings(Settings, extra="forbid"):
    """The settings of the timed sweeps: number of jobs (0: no sweeps) and approximate seconds per job."""

    jobs: NonNegativeInt
    seconds: Annotated[float, Field(gt=0)]


class BenchSettings(Settings, extra="forbid"):
    """The settings under `bench`, as in conf/bench.yaml, which explains them."""

    steps: PositiveInt
    rounds: PositiveInt
    sweep: SweepsSettings


def print_benchmark(config: DictConfig) -> None:
    """Measure training, evaluation and, if configured, sweeps.

    Print images per second, the ratios to the bare computation, and the latency of one crop.
    """
    import torch

    from hmlpe.evaluate.bench import bench_evaluation
    from hmlpe.training.bench import bench
    from hmlpe.training.provenance import device_name
    from hmlpe.training.settings import TrainSettings

    settings, of = TrainSettings.from_config(config), BenchSettings.from_config(config.bench, "bench")
    found = bench(settings, of.steps, of.rounds)
    evaluation = bench_evaluation(settings, of.rounds)
    device, threads = device_name(settings.trainer.accelerator), torch.get_num_threads()
    print(f"{settings.network_name} net, batch {settings.optim.batch_size}, {device}, {threads} threads")
    print("training")
    print(f"bare loop   {found['bare']:8.1f} images/s")
    print(f"framework   {found['framework']:8.1f} images/s")
    print(f"ratio       {found['ratio']:8.3f}")
    print(f"loader      {found['loader']:8.1f} images/s, alone, {settings.trainer.workers} loading processes")
    print("evaluation, in fp32")
    print(f"forward     {evaluation.bare:8.1f} images/s")
    print(f"evaluate    {evaluation.evaluate:8.1f} images/s: {evaluation.people} people in {evaluation.seconds:.2f} s")
    print(f"ratio       {evaluation.ratio:8.3f}")
    one = evaluation.crop_latency
    print(f"one crop    {one.torch_ms:8.2f} ms by torch, {one.onnx_ms:.2f} ms by onnxruntime, ratio {one.ratio:.2f}")
    if of.sweep.jobs:
        print_sweep_overhead(of.sweep.jobs, of.sweep.seconds)


def print_sweep_overhead(jobs: int, seconds: float) -> None:
    """Run the same jobs with each launcher, and print how much longer the sweep takes than its jobs alone."""
    from hmlpe.sweep.overhead import IN_A_ROW, time_launchers

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
