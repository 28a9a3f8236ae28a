"""hmlpe-report: finished runs -> tables, figure and page; or the page served while a sweep runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hmlpe.address import listen
from hmlpe.cli.app import run_app
from hmlpe.report import write_report
from hmlpe.report.published import check_published
from hmlpe.settings import Name, PathSettings, Settings, Text


class ReportSettings(Settings, extra="forbid"):
    """The settings of hmlpe-report, as in conf/report.yaml, which explains them."""

    paths: PathSettings
    study: Name
    out: Text | None
    watch: bool
    port: Any  # `listen` says what it may be
    published: Any  # as `check_published` wants it


def report(config: DictConfig) -> None:
    """Write the study's report and print its table; with the setting `watch`, serve its page until Ctrl-C instead."""
    settings = ReportSettings.from_config(config)
    study = Path(str(settings.paths.outputs)) / str(settings.study)
    check_published(settings.published)
    if settings.watch:
        from hmlpe.report.live import watch

        with listen("127.0.0.1", settings.port) as held:
            watch(study, settings.published, held)
    else:
        print(write_report(study, Path(settings.out) if settings.out else None, settings.published), end="")


def main() -> None:
    """Run the console script hmlpe-report."""
    run_app("report", report)


if __name__ == "__main__":
    main()
