"""Run jobs one after another in one process, without a launcher: the baseline of `make bench` for sweeps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hmlpe.allocator import keep_freed_memory

keep_freed_memory()  # before torch loads


def main(config_folder: str, job_overrides: list[list[str]]) -> None:
    """Train once for each list of overrides, as `hmlpe-train` would.

    Args:
        config_folder: folder of the configurations.
        job_overrides: for each job, its overrides of the configuration.
    """
    from hydra import compose, initialize_config_dir

    from hmlpe.training.run import run
    from hmlpe.training.settings import TrainSettings

    with initialize_config_dir(config_folder, version_base="1.3"):
        found = [TrainSettings.from_config(compose("train", overrides)) for overrides in job_overrides]
    for settings in found:
        run(settings, Path(settings.folder))


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
