"""The settings of an evaluation; those that cannot work are refused before anything is read."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from hmlpe.errors import UserError

PEOPLE = ("whole", "detected")
SPLITS = ("test", "val")


def people_of(config: DictConfig) -> list[str]:
    """The words of the setting `people`, each once. Raises UserError if one is unknown."""
    words = [config.people] if isinstance(config.people, str) else list(config.people or [])
    if not words or not set(words) <= set(PEOPLE):
        raise UserError(f"people: must be {' or '.join(PEOPLE)}, or a list of both, got {config.people!r}")
    return list(dict.fromkeys(words))


def validate(config: DictConfig) -> None:
    """Raise UserError, naming the setting, if one cannot work."""
    if (config.checkpoint is None) == (config.predictions is None):
        raise UserError("give either checkpoint=PATH, a network, or predictions=FILE, another method's answers")
    if config.predictions is not None and config.get("detector") is not None:
        raise UserError("detector: is for a network; a predictions file brings its own people")
    people_of(config)
    if config.split not in SPLITS:
        raise UserError(f"split: must be one of {', '.join(SPLITS)}, got {config.split!r}")
    if config.split == "val" and (config.predictions is not None or config.get("detector") is not None):
        raise UserError("split: val is for a network in the pack's boxes alone")
    zoom = config.zoom
    if isinstance(zoom, bool) or not isinstance(zoom, int | float) or not 0.1 <= zoom <= 1:
        raise UserError(f"zoom: must be a number from 0.1 to 1, as the pack holds no more than the box, got {zoom!r}")
    if zoom != 1 and (config.predictions is not None or config.get("detector") is not None):
        raise UserError("zoom: is for a network in the pack's boxes alone")
    if not config.get("protocol"):
        raise UserError("protocol: name at least one, e.g. protocol=[pcp_strict,pcp_official]")
    level = config.bootstrap.level
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise UserError(f"bootstrap.level: must be a share between 0 and 1, got {level!r}")
    for name in ("batch_size", "bootstrap.draws"):
        value: Any = config.bootstrap.draws if "." in name else config.batch_size
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{name}: must be a whole number of at least 1, got {value!r}")
