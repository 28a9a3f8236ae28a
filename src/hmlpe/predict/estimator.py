"""What estimates poses: a network's file, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.skeleton import Skeleton


@dataclass(frozen=True)
class Card:
    """What a network's file says of itself, beside its weights.

    Attributes:
        name: study/row_s<seed> of the run that trained it.
        skeleton: joints and parts of its outputs.
        size_px: side of the crops that it takes.
        windows: count, stride_px, extent_px and beta of the detectors' grid (`windows.WindowGrid`).
        factors: (across, up, down) of `geometry.scale_box`, from a person's upper-body window to the box of the crop.
        tasks: names of the tasks that it was trained for.
        made_by: digests of code, data and configuration.
    """

    name: str
    skeleton: Skeleton
    size_px: int
    windows: Mapping[str, float]
    factors: tuple[float, float, float]
    tasks: tuple[str, ...]
    made_by: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain containers, for JSON."""
        return {
            "name": self.name,
            "skeleton": self.skeleton.as_dict(),
            "size_px": self.size_px,
            "windows": dict(self.windows),
            "factors": list(self.factors),
            "tasks": list(self.tasks),
            "made_by": dict(self.made_by),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Card:
        """The inverse of `as_dict`. Raises KeyError, TypeError or ValueError if something is not there."""
        across, up, down = values["factors"]
        return cls(
            name=str(values["name"]),
            skeleton=Skeleton(**values["skeleton"]),
            size_px=int(values["size_px"]),
            windows=dict(values["windows"]),
            factors=(float(across), float(up), float(down)),
            tasks=tuple(values["tasks"]),
            made_by=dict(values["made_by"]),
        )


class Poses(NamedTuple):
    """The poses in a batch of crops.

    Attributes:
        joints_px: (crop, joint, 2) in pixels of the crop, pixel centres at integers.
        confidence: (crop, joint) in [0, 1]: how well the part detectors agree with the joints; NaN where the net has
            no part detectors.
        part_maps: (crop, part, window) the probability that the window contains the part; None without detectors.
    """

    joints_px: Float[np.ndarray, "crop joint 2"]
    confidence: Float[np.ndarray, "crop joint"]
    part_maps: Float[np.ndarray, "crop part window"] | None


@runtime_checkable
class Estimator(Protocol):
    """Estimates the poses in crops."""

    card: Card

    def __call__(self, crops: UInt8[np.ndarray, "crop size size 3"]) -> Poses:
        """The poses in RGB crops of `card.size_px`."""
        ...
