"""Define the interface of pose estimators, which run a network's file, and the types of their inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.skeleton import Skeleton

BoxFactors = tuple[float, float, float]
IDENTITY_FACTORS: BoxFactors = (1.0, 0.0, 0.0)
"""The factors of `geometry.scale_box` that leave a box as it is."""
POSE_OUTPUTS = ("joints_px", "confidence", "part_maps")
"""The names of the outputs for poses, in the order in which a network gives them; others are of further tasks."""


@dataclass(frozen=True)
class ModelCard:
    """The description of a trained network, which is stored in its file beside the weights.

    Attributes:
        name: study/row_s<seed> of the run that trained the network.
        skeleton: the joints and parts of its outputs.
        size_px: the side in pixels of the crops that it takes.
        windows: count, stride_px, extent_px and beta of the part detectors' window grid (`windows.WindowGrid`).
        factors: (across, up, down) of `geometry.scale_box`, by which the upper-body box of a person detector becomes
            the box of the crop; None: its training data have no rule for that, and detected boxes stay as they are.
        tasks: the names of the tasks that it was trained for.
        made_by: digests of the code, data and configuration that the run was made with.
    """

    name: str
    skeleton: Skeleton
    size_px: int
    windows: Mapping[str, float]
    factors: BoxFactors | None
    tasks: tuple[str, ...]
    made_by: Mapping[str, str]

    @property
    def factors_or_identity(self) -> BoxFactors:
        """Return `factors`, or if they are None the identity: (1, 0, 0), by which boxes stay as they are."""
        return self.factors or IDENTITY_FACTORS

    @property
    def no_factors_warning(self) -> str:
        """Return a warning for the user that the network has no `factors`; empty if it has them."""
        if self.factors is not None:
            return ""
        return (
            f"{self.name}: its data have no rule to turn a detector's window into the network's box, so windows are "
            "used as boxes; give boxes like those it was trained on (detector=given)"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the card as dicts and lists, for JSON."""
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
    def from_dict(cls, values: Mapping[str, Any]) -> ModelCard:
        """Build the card from the result of `as_dict`.

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
    def from_outputs(cls, outputs: Mapping[str, np.ndarray]) -> Poses:
        """Build the poses from a network's outputs by name: those of `POSE_OUTPUTS`, and those of further tasks."""
        others = {name: value for name, value in outputs.items() if name not in POSE_OUTPUTS}
        return cls(outputs["joints_px"], outputs["confidence"], outputs.get("part_maps"), others)


@runtime_checkable
class Estimator(Protocol):
    """A callable that estimates the poses in a batch of crops, with the model card of its network."""

    card: ModelCard

    def __call__(self, crops: UInt8[np.ndarray, "crop size size 3"]) -> Poses:
        """Estimate the poses in RGB crops, whose side is `card.size_px`."""
        ...
