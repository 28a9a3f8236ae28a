"""From a detector's configuration to the detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hmlpe.checked import MISSING
from hmlpe.detect.detector import Detector
from hmlpe.detect.settings import wrong_settings
from hmlpe.errors import UserError
from hmlpe.settings import make, open_settings


def build_detector(settings: Mapping[str, Any] | None, factors: Sequence[float | int] | None = None) -> Detector:
    """The configured detector.

    Args:
        settings: a file of conf/detector, with overrides; they are not changed.
        factors: (across, up, down), the network's own box rule (`geometry.scale_box`), for a detector that has a
            setting `factors` and leaves it open; None: there is no network.

    Raises:
        UserError: no detector, or a setting that is not given, or of no use; the message names the setting.
    """
    if not isinstance(settings, Mapping) or not settings.get("_target_"):
        raise UserError("detector: is not given; for example detector=cascade")
    values = dict(settings)
    if factors is not None and values.get("factors", factors) in (None, MISSING):
        values["factors"] = [float(factor) for factor in factors]
    for setting in open_settings("detector", values):
        raise UserError(f"{setting}: is not given")
    for wrong in wrong_settings("detector", values):
        raise UserError(wrong)
    detector = make("detector", values)
    if not isinstance(detector, Detector):
        raise UserError(f"detector._target_: {values['_target_']} makes no person detector")
    return detector
