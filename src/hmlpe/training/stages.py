"""A chain of stages: experiments that are run one after another (paper section 4). Heavy imports wait."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, ListConfig, open_dict

from hmlpe.errors import UserError

OWN = ("study", "folder", "checkpoint", "row.name", "data.train_sets", "data.test_sets")  # of each stage


def stages_of(config: DictConfig, overrides: Sequence[str]) -> list[DictConfig]:
    """The configurations of a chain's stages; of a single run its own.

    Args:
        overrides: the words that made `config`.

    Raises:
        UserError: see `stage_config`.
    """
    if not config.stages:
        return [config]
    if not isinstance(config.stages, ListConfig):
        raise UserError(f"stages: must be a list of experiments, got {config.stages!r}")
    return [stage_config(str(stage), overrides) for stage in config.stages]


def stage_config(stage: str, overrides: Sequence[str]) -> DictConfig:
    """The configuration of the experiment `stage`, under the same overrides as the chain that it is part of.

    Raises:
        UserError: the stage is a chain itself, or an override would take all stages to one place.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    named = [str(one.key_or_group) for one in parsed]
    kept = [text for text, name in zip(overrides, named, strict=True) if name not in ("experiment", "stages")]
    taken = [name for name in named if name in OWN]
    if taken:
        raise UserError(f"{taken[0]}: each stage has its own; set it in the stage's experiment file")
    found = compose("train", [f"experiment={stage}", *kept])
    if found.stages:
        raise UserError(f"stages: {stage} is a chain of stages itself")
    with open_dict(found):
        found.pop("hydra", None)
    return found
