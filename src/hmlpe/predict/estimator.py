"""What estimates poses: a network's file, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.skeleton import Skeleton

Factors = tuple[float, float, float]
AS_GIVEN: Factors = (1.0, 0.0, 0.0)
"""Of `geometry.scale_box`: the window itself is the box."""


@dataclass(frozen=True)
class Card:
    """What a network's file says of itself, beside its weights.

    Attributes:
        name: study/row_s<seed> of the run that trained it.
        skeleton: joints and parts of its outputs.
        size_px: side of the crops that it takes.
        windows: count, stride_px, extent_px and beta of the detectors' grid (`windows.WindowGrid`).
        factors: (across, up, down) of `geometry.scale_box`, from a person's window, as a detector gives it, to the box
            of the crop; None: the sets that it was trained on have no rule for that, a given box is taken as it is.
        tasks: names of the tasks that it was trained for.
        made_by: digests of code, data and configuration.
    """

    name: str
    skeleton: Skeleton
    size_px: int
    windows: Mapping[str, float]
    factors: Factors | None
    tasks: tuple[str, ...]
    made_by: Mapping[str, str]

    @property
    def from_window(self) -> Factors:
        """The factors, or those that change nothing."""
        return self.factors or AS_GIVEN

    @property
    def without_rule(self) -> str:
        """What the user must know of a network without factors; empty if it has some."""
        if self.factors is not None:
            return ""
        return (
            f"{self.name}: its data have no rule from a detector's window to the network's box, so windows are taken "
            "as the boxes; give boxes like those of its training (detector=given)"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain containers, for JSON."""
        return {
            "name": self.name,
            "skeleton": self.skeleton.as_dict(),
            "size_px": self.size_px,
            "windows": dict(self.windows),
            "factors": None if self.factors is None else list(self.factors),
            "tasks": list(self.tasks),
            "made_by": dict(self.made_by),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Card:
        """The inverse of `as_dict`. Raises KeyError, TypeError or ValueError if something is not there."""
        factors = values["factors"]
        if factors is not None:
            across, up, down = map(float, factors)
            factors = (across, up, down)
        return cls(
            name=str(values["name"]),
            skeleton=Skeleton(**values["skeleton"]),
            size_px=int(values["size_px"]),
            windows=dict(values["windows"]),
            factors=factors,
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
        others: (crop, ...) what further tasks answer, by the names of their own (`tasks.Task.decode`).
    """

    joints_px: Float[np.ndarray, "crop joint 2"]
    confidence: Float[np.ndarray, "crop joint"]
    part_maps: Float[np.ndarray, "crop part window"] | None
    others: Mapping[str, np.ndarray] = MappingProxyType({})

    @classmethod
    def of(cls, found: Mapping[str, np.ndarray]) -> Poses:
        """The outputs of a network, by name."""
        others = {name: value for name, value in found.items() if name not in POSE}
        return cls(found["joints_px"], found["confidence"], found.get("part_maps"), others)


POSE = ("joints_px", "confidence", "part_maps")
"""Names of a network's outputs that every program knows."""


@runtime_checkable
class Estimator(Protocol):
    """Estimates the poses in crops."""

    card: Card

    def __call__(self, crops: UInt8[np.ndarray, "crop size size 3"]) -> Poses:
        """The poses in RGB crops of `card.size_px`."""
        ...
