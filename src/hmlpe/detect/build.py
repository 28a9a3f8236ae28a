"""From a detector's configuration to the detector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from hmlpe.detect.detector import Detector
from hmlpe.detect.settings import wrong_settings
from hmlpe.errors import UserError

MISSING = "???"


def build_detector(config: DictConfig | None, factors: Sequence[float | int] | None = None) -> Detector:
    """The configured detector.

    Args:
        config: a file of conf/detector, with overrides; it is not changed.
        factors: (across, up, down), the network's own box rule (`geometry.scale_box`), for a detector that has a
            setting `factors` and leaves it open; None: there is no network.

    Raises:
        UserError: no detector, or a setting that is not given, or of no use; the message names the setting.
    """
    values: Any = None if config is None else OmegaConf.to_container(config, resolve=True)
    if not isinstance(values, dict) or not values.get("_target_"):
        raise UserError("detector: is not given; for example detector=cascade")
    if factors is not None and values.get("factors", factors) in (None, MISSING):
        values["factors"] = [float(factor) for factor in factors]
    for setting in _open("detector", values):
        raise UserError(f"{setting}: is not given")
    for wrong in wrong_settings("detector", values):
        raise UserError(wrong)
    try:
        detector = instantiate(OmegaConf.create({"detector": values})).detector  # so that Hydra names the whole setting
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        raise UserError(_line(error)) from error
    if not isinstance(detector, Detector):
        raise UserError(f"detector._target_: {values['_target_']} makes no person detector")
    return detector


def _open(name: str, value: Any) -> Iterator[str]:
    """The settings below this one that nobody has given."""
    if value == MISSING:
        yield name
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _open(f"{name}.{key}", child)


def _line(error: InstantiationException) -> str:
    """Hydra's several lines as one: the part of the configuration, and what went wrong in it."""
    message, _, key = str(error).partition("full_key: ")
    reason = " ".join(str(message if error.__cause__ is None else error.__cause__).split())
    return f"{key.strip() or 'detector'}: cannot be made of these settings: {reason}"
