"""A chain of stages: experiments that are run one after another (paper section 4). Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser

from hmlpe.errors import UserError
from hmlpe.training.settings import TrainSettings

# Settings that each stage sets itself.
STAGE_SETTINGS = ("study", "folder", "init_from", "row.name", "data.train_sets", "data.test_sets")


def all_stage_settings(settings: TrainSettings, overrides: Sequence[str]) -> list[TrainSettings]:
    """Return the settings of each stage of a chain; for a single run, a list of its own settings.

    Args:
        settings: the settings of the chain or run.
        overrides: the command line's overrides from which `settings` were composed.

    Raises:
        UserError: see `stage_settings`.
    """
    if not settings.stages:
        return [settings]
    return [stage_settings(stage, overrides) for stage in settings.stages]


def stage_settings(experiment: str | int | float, overrides: Sequence[str]) -> TrainSettings:
    """Return the settings of one stage of a chain: those of its experiment, with the overrides of the chain.

    Args:
        experiment: name of the experiment that the stage runs, as in `conf/experiment/`.
        overrides: the overrides of the chain.

    Raises:
        UserError: the stage is a chain itself, or an override sets something that each stage sets itself
            (`STAGE_SETTINGS`), such as the folder.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    named = [str(one.key_or_group) for one in parsed]
    kept = [text for text, name in zip(overrides, named, strict=True) if name not in ("experiment", "stages")]
    taken = [name for name in named if name in STAGE_SETTINGS]
    if taken:
        raise UserError(f"{taken[0]}: each stage has its own; set it in the stage's experiment file")
    found = TrainSettings.from_config(compose("train", [f"experiment={experiment}", *kept]))
    if found.stages:
        raise UserError(f"stages: {experiment} is a chain of stages itself")
    return found
