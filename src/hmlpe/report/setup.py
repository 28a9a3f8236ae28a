"""What a run's `config.yaml` says of how its people are measured and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmlpe.runs.folder import CONFIG, not_a_run, read_config
from hmlpe.runs.rules import RULES
from hmlpe.skeleton import Skeleton


@dataclass(frozen=True)
class Setup:
    """Of one run.

    Attributes:
        rule: by which its checkpoint was chosen, one of `RULES`.
        skeleton: the order of joints and parts.
        pack: folder of the crops.
        size_px: side of the test crop.
        windows: origin and side of the grid of windows as it is drawn, each window a tile around its centre, in pixels
            of the test crop.
    """

    rule: str
    skeleton: Skeleton
    pack: Path
    size_px: int
    windows: tuple[float, float]


def read_setup(folder: Path) -> Setup:
    """The setup of the run in `folder`. Raises UserError: no config.yaml, or not that of a training run."""
    try:
        return _setup(read_config(folder))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise not_a_run(folder / CONFIG, error) from error


def _setup(raw: dict[str, Any]) -> Setup:
    rule = raw["select"]
    if rule not in RULES:
        raise ValueError(f"select is {rule!r}")
    skeleton, windows = raw["skeleton"], raw["windows"]
    extent, stride = float(windows["extent_px"]), float(windows["stride_px"])
    return Setup(
        rule=rule,
        skeleton=Skeleton(skeleton["joints"], skeleton["parts"], skeleton["mirror"]),
        pack=Path(raw["data"]["pack"]),
        size_px=int(raw["size_px"]),
        windows=((extent - stride) / 2, stride * int(windows["count"])),
    )
