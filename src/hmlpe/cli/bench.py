"""hmlpe-bench: how much of the time is training."""

from __future__ import annotations

from omegaconf import DictConfig

from hmlpe.cli.app import run_app


def report(config: DictConfig) -> None:
    """Measure, and print the rates and their ratio."""
    import torch

    from hmlpe.training.bench import bench
    from hmlpe.training.provenance import device_name

    found = bench(config)
    device, threads = device_name(config.trainer.accelerator), torch.get_num_threads()
    print(f"{config.network_name} net, batch {config.optim.batch_size}, {device}, {threads} threads")
    print(f"bare loop   {found['bare']:8.1f} images/s")
    print(f"framework   {found['framework']:8.1f} images/s")
    print(f"ratio       {found['ratio']:8.3f}")
    print(f"loader      {found['loader']:8.1f} images/s, alone, {config.trainer.workers} loading processes")


def main() -> None:
    """Entry point."""
    run_app("bench", report)


if __name__ == "__main__":
    main()
