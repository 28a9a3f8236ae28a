"""What a run's `config.yaml` says of how its people are measured and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmlpe.errors import UserError
from hmlpe.report.rules import RULES
from hmlpe.skeleton import Skeleton


@dataclass(frozen=True)
class Setup:
    """Of one run.

    Attributes:
        rule: by which its checkpoint was chosen, one of `RULES`.
        skeleton: the order of joints and parts.
        groups: metric's prefix -> group's name -> joints or parts, of the metrics that count them.
        pack: folder of the crops.
        size_px: side of the test crop.
        windows: origin and side of the grid of windows as it is drawn, each window a tile around its centre, in pixels
            of the test crop.
    """

    rule: str
    skeleton: Skeleton
    groups: Mapping[str, Mapping[str, list[str]]]
    pack: Path
    size_px: int
    windows: tuple[float, float]


# The metrics that people's own numbers can be counted anew from, by the class that the config names.
_COUNTED = {"hmlpe.metrics.ModecPDJ": "pdj_modec", "hmlpe.metrics.StrictPCPOfJoints": "pcp_strict"}


def read_setup(folder: Path) -> Setup:
    """The setup of the run in `folder`. Raises UserError: no config.yaml, or not that of a training run."""
    import yaml  # not needed for the tables alone

    path = folder / "config.yaml"
    try:
        # The loader in C, where PyYAML has it, is ten times as fast.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return _setup(yaml.load(path.read_text(encoding="utf-8"), loader))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not the configuration of a run ({' '.join(str(error).split())})") from error


def _setup(raw: dict[str, Any]) -> Setup:
    rule = raw["select"]
    if rule not in RULES:
        raise ValueError(f"select is {rule!r}")
    skeleton, windows = raw["skeleton"], raw["windows"]
    named = [metric for of_task in raw["metrics"].values() for metric in of_task.values()]
    extent, stride = float(windows["extent_px"]), float(windows["stride_px"])
    return Setup(
        rule=rule,
        skeleton=Skeleton(skeleton["joints"], skeleton["parts"], skeleton["mirror"]),
        groups={_COUNTED[m["_target_"]]: m["groups"] for m in named if m["_target_"] in _COUNTED},
        pack=Path(raw["data"]["pack"]),
        size_px=int(raw["size_px"]),
        windows=((extent - stride) / 2, stride * int(windows["count"])),
    )
