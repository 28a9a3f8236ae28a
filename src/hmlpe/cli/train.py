"""hmlpe-train: one run, or with -m a sweep."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hmlpe.cli.app import run_app


def train(config: DictConfig) -> None:
    """Train what the configuration says."""
    from hmlpe.training.run import run

    run(config, Path(HydraConfig.get().runtime.output_dir))


def main() -> None:
    """Entry point."""
    run_app("train", train)


if __name__ == "__main__":
    main()
