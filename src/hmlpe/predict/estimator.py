"""The interface of pose estimators, which run a network's file, and the types of what they take and give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.skeleton import Skeleton

Factors = tuple[float, float, float]
IDENTITY_FACTORS: Factors = (1.0, 0.0, 0.0)
"""The factors of `geometry.scale_box` that leave a window as it is."""
POSE_OUTPUTS = ("joints_px", "confidence", "part_maps")
"""The names of the outputs for poses, in the order in which a network gives them; others are of further tasks."""


@dataclass(frozen=True)
class Card:
    """The description of a trained network that its file holds beside the weights.

    Attributes:
        name: study/row_s<seed> of the run that trained the network.
        skeleton: the joints and parts of its outputs.
        size_px: the side in pixels of the crops that it takes.
        windows: count, stride_px, extent_px and beta of the part detectors' window grid (`windows.WindowGrid`).
        factors: (across, up, down) of `geometry.scale_box`, from the window that a person detector gives to the box of
            the crop; None: the data sets that it was trained on have no rule for that, and windows are taken as boxes.
        tasks: the names of the tasks that it was trained for.
        made_by: digests of the code, data and configuration that the run was made with.
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
        """The factors from windows to boxes; those that change nothing if the network has none."""
        return self.factors or IDENTITY_FACTORS

    @property
    def without_rule(self) -> str:
        """A warning for the user of a network without factors; empty if the network has factors."""
        if self.factors is not None:
            return ""
        return (
            f"{self.name}: its data have no rule from a detector's window to the network's box, so windows are taken "
            "as the boxes; give boxes like those of its training (detector=given)"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the card as plain containers, for JSON."""
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
        """Return the card from the result of `as_dict`.

        Raises:
            KeyError, TypeError, ValueError: something is missing or is not of the right type.
        """
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
        confidence: (crop, joint) in [0, 1]: how well the part detectors agree with the joints; NaN for a joint in which
            no part ends, and for all if the network has no part detectors.
        part_maps: (crop, part, window) the probability that the window contains the part; None if the network has no
            part detectors.
        others: (crop, ...) the decoded outputs of further tasks, by the names that they give (`tasks.Task.decode`).
    """

    joints_px: Float[np.ndarray, "crop joint 2"]
    confidence: Float[np.ndarray, "crop joint"]
    part_maps: Float[np.ndarray, "crop part window"] | None
    others: Mapping[str, np.ndarray] = MappingProxyType({})

    @classmethod
    def from_outputs(cls, found: Mapping[str, np.ndarray]) -> Poses:
        """Return the poses from a network's outputs, given by name."""
        others = {name: value for name, value in found.items() if name not in POSE_OUTPUTS}
        return cls(found["joints_px"], found["confidence"], found.get("part_maps"), others)


@runtime_checkable
class Estimator(Protocol):
    """A callable that estimates the poses in a batch of crops, with the card of its network."""

    card: Card

    def __call__(self, crops: UInt8[np.ndarray, "crop size size 3"]) -> Poses:
        """Estimate the poses in RGB crops, whose side is `card.size_px`."""
        ...
