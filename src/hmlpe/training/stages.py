"""A chain of stages: experiments that are run one after another (paper section 4). Heavy imports wait."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser

from hmlpe.errors import UserError
from hmlpe.training.settings import TrainSettings

STAGE_SETTINGS = ("study", "folder", "checkpoint", "row.name", "data.train_sets", "data.test_sets")  # of each stage


def stages_of(settings: TrainSettings, overrides: Sequence[str]) -> list[TrainSettings]:
    """The settings of a chain's stages; of a single run its own.

    Args:
        overrides: the words that made `settings`.

    Raises:
        UserError: see `stage_settings`.
    """
    if not settings.stages:
        return [settings]
    return [stage_settings(stage, overrides) for stage in settings.stages]


def stage_settings(stage: str | int | float, overrides: Sequence[str]) -> TrainSettings:
    """The settings of the experiment `stage`, under the same overrides as the chain that it is part of.

    Raises:
        UserError: the stage is a chain itself, or an override would take all stages to one place.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    named = [str(one.key_or_group) for one in parsed]
    kept = [text for text, name in zip(overrides, named, strict=True) if name not in ("experiment", "stages")]
    taken = [name for name in named if name in STAGE_SETTINGS]
    if taken:
        raise UserError(f"{taken[0]}: each stage has its own; set it in the stage's experiment file")
    found = TrainSettings.of(compose("train", [f"experiment={stage}", *kept]))
    if found.stages:
        raise UserError(f"stages: {stage} is a chain of stages itself")
    return found
