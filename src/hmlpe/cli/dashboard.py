"""hmlpe-dashboard: a study's W&B workspace and report."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from hmlpe.cli.app import run_app
from hmlpe.dashboard import write_dashboard
from hmlpe.settings import Name, PathSettings, Settings


class DashboardSettings(Settings, extra="forbid"):
    """The settings of hmlpe-dashboard, as in conf/dashboard.yaml, which explains them."""

    paths: PathSettings
    study: Name
    publish: bool
    project: Name
    entity: Name | None


def dashboard(config: DictConfig) -> None:
    """Write the study's dashboard, send it to W&B where `publish` says so, and print where it is."""
    settings = DashboardSettings.from_config(config)
    entity = None if settings.entity is None else str(settings.entity)
    mode = "online" if settings.publish else "offline"
    print(write_dashboard(Path(str(settings.paths.outputs)), str(settings.study), str(settings.project), entity, mode))


def main() -> None:
    """Run the console script hmlpe-dashboard."""
    run_app("dashboard", dashboard)


if __name__ == "__main__":
    main()
