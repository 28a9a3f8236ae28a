"""Run jobs one after another in one process, without a launcher: the baseline of `make bench` for sweeps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hmlpe.allocator import keep_pages

keep_pages()  # before torch loads


def main(configs: str, jobs: list[list[str]]) -> None:
    """Train once for each list of overrides, as `hmlpe-train` would; `configs` is the folder of the configurations."""
    from hydra import compose, initialize_config_dir

    from hmlpe.training.run import run
    from hmlpe.training.settings import TrainSettings

    with initialize_config_dir(configs, version_base="1.3"):
        found = [TrainSettings.of(compose("train", words)) for words in jobs]
    for settings in found:
        run(settings, Path(settings.folder))


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
