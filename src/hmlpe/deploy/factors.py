"""From a person's upper-body window to the box that a network was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Factors = tuple[float, float, float]

DEFAULT: Factors = (1.75, 0.32, 2.37)
"""FLIC's (`conf/set/flic.yaml`), for sets that have no window rule."""
WINDOW_SOURCES = ("BuffySource", "EthzSource", "ActivitiesSource", "FamilySource")
"""Sets whose boxes are upper-body windows scaled: their `factors` are the answer (FACTS 5)."""


def factors_of(data: Mapping[str, Any]) -> Factors:
    """(across, up, down) of `geometry.scale_box` for the crops of a network trained on this data configuration.

    With several sets it is the mean over the training sets that have such factors; if none has, `DEFAULT`.
    """
    if "known" not in data:
        return _of_set(data) or DEFAULT
    chosen = data.get("train_sets") or data.get("sets") or list(data["known"])
    names = [chosen] if isinstance(chosen, str) else chosen
    found = [one for one in (_of_set(data["known"][name]) for name in names if name in data["known"]) if one]
    if not found:
        return DEFAULT
    across, up, down = (sum(values) / len(found) for values in zip(*found, strict=True))
    return across, up, down


def _of_set(config: Mapping[str, Any]) -> Factors | None:
    """The factors of one set; None if its boxes say nothing about upper-body windows."""
    boxes, source = config["boxes"], str(config["source"]["_target_"]).rpartition(".")[2]
    if boxes.get("window_factors") is not None:
        across, up, down = boxes["window_factors"]
    elif source in WINDOW_SOURCES:
        across, up, down = boxes["factors"]
    elif source == "FlicSource":  # trained before its configuration had window_factors
        return DEFAULT
    else:
        return None
    return float(across), float(up), float(down)
