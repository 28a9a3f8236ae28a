"""hmlpe-dashboard: a study's W&B workspace and report."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from hmlpe.cli.app import run_app
from hmlpe.dashboard import write_dashboard


def dashboard(config: DictConfig) -> None:
    """Write the study's dashboard, send it on wish, and say where it is."""
    logger = config.logger
    print(write_dashboard(Path(config.paths.outputs), config.study, logger.project, logger.entity, logger.mode))


def main() -> None:
    """Entry point."""
    run_app("dashboard", dashboard)


if __name__ == "__main__":
    main()
