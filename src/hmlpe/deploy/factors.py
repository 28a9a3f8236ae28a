"""From a person's window to the box that a network was trained on: what the rules of its sets say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hmlpe.data.boxes import BoxRule
from hmlpe.predict.estimator import Factors
from hmlpe.training.trusted import arguments


def factors_of(data: Mapping[str, Any]) -> Factors | None:
    """(across, up, down) of `geometry.scale_box` for the crops of a network trained on this data configuration.

    With several sets it is the mean over the training sets that have a rule for windows; None if none has.

    Raises:
        UserError: a rule of boxes is none.
    """
    if "known" not in data:
        return _of_set(data)
    chosen = data.get("train_sets") or data.get("sets") or list(data["known"])
    names = [chosen] if isinstance(chosen, str) else chosen
    found = [one for one in (_of_set(data["known"][name]) for name in names if name in data["known"]) if one]
    if not found:
        return None
    across, up, down = (sum(values) / len(found) for values in zip(*found, strict=True))
    return across, up, down


def _of_set(config: Mapping[str, Any]) -> Factors | None:
    """The factors of one set; None if it has none, or makes its boxes by a class of its user's own."""
    boxes = config["boxes"]
    if boxes["_target_"] != f"{BoxRule.__module__}.{BoxRule.__qualname__}":
        return None
    return BoxRule(**arguments(boxes)).from_window
