"""hmlpe-report: finished runs -> tables and figure."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from hmlpe.cli.app import run_app
from hmlpe.report import write_report


def report(config: DictConfig) -> None:
    """Write the study's tables and figure, and print the table."""
    print(write_report(Path(config.paths.outputs) / config.study, Path(config.out) if config.out else None))


def main() -> None:
    """Entry point."""
    run_app("report", report)


if __name__ == "__main__":
    main()
