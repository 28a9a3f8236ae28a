"""hmlpe-report: finished runs -> tables, figure and page; or the page served while a sweep runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hmlpe.address import listen
from hmlpe.cli.app import run_app
from hmlpe.report import write_report
from hmlpe.report.published import check_published


def report(config: DictConfig) -> None:
    """Write the study's report and print its table; with `watch`, serve its page until Ctrl-C instead."""
    study = Path(config.paths.outputs) / config.study
    published: Any = OmegaConf.to_container(config.published, resolve=True)
    check_published(published)
    if config.watch:
        from hmlpe.report.live import watch

        with listen("127.0.0.1", config.port) as held:
            watch(study, published, held)
    else:
        print(write_report(study, Path(config.out) if config.out else None, published), end="")


def main() -> None:
    """Entry point."""
    run_app("report", report)


if __name__ == "__main__":
    main()
