"""hmlpe-train: one run, a chain of stages, or with -m a sweep."""

from __future__ import annotations

import logging
from pathlib import Path

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, open_dict

from hmlpe.cli.app import run_app
from hmlpe.errors import UserError

log = logging.getLogger(__name__)


def train(config: DictConfig) -> None:
    """Train what the configuration says."""
    from hmlpe.training.run import run

    if not config.stages:
        run(config, Path(HydraConfig.get().runtime.output_dir))
        return
    overrides = list(HydraConfig.get().overrides.task)
    for number, stage in enumerate(config.stages, start=1):
        found = stage_config(str(stage), overrides)
        log.info("stage %d of %d: %s, into %s", number, len(config.stages), stage, found.folder)
        run(found, Path(found.folder))


def stage_config(stage: str, overrides: list[str]) -> DictConfig:
    """The configuration of the experiment `stage`, under the same overrides as the chain that it is part of.

    Raises:
        UserError: the stage is a chain itself, or the overrides would run it in the chain's place.
    """
    parsed = OverridesParser.create().parse_overrides(overrides)
    named = [str(one.key_or_group) for one in parsed]
    kept = [text for text, name in zip(overrides, named, strict=True) if name not in ("experiment", "stages")]
    taken = [name for name in named if name in ("study", "folder", "checkpoint")]
    if taken:
        raise UserError(f"{taken[0]}: each stage has its own; set it in the stage's experiment file")
    found = compose("train", [f"experiment={stage}", *kept])
    if found.stages:
        raise UserError(f"stages: {stage} is a chain of stages itself")
    with open_dict(found):
        found.pop("hydra", None)
    return found


def main() -> None:
    """Entry point."""
    run_app("train", train)


if __name__ == "__main__":
    main()
