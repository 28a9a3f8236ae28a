"""The box around a person that the network sees (paper section 4; FACTS 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from hmlpe.data.record import Person
from hmlpe.errors import UserError
from hmlpe.geometry import bounding_box, scale_box

LARGEST_PX = 20_000  # side of a box; larger ones are errors of the annotation, and would not fit into memory


@dataclass(frozen=True)
class BoxRule:
    """Where the box comes from, for each split.

    Attributes:
        train: "detection" scales the detector's box, "truth" holds all known joints.
        test: the same choice for test people; "truth" is an oracle there, and its numbers say so.
        factors: (across, up, down) of `geometry.scale_box` for "detection".
        margin: of `geometry.bounding_box` for "truth".
    """

    train: str
    test: str
    factors: Sequence[float | int]
    margin: float | int

    def __post_init__(self) -> None:
        for split, rule in (("train", self.train), ("test", self.test)):
            if rule not in ("detection", "truth"):
                raise UserError(f"data.boxes.{split}: must be detection or truth, got {rule!r}")
        if len(self.factors) != 3:
            raise UserError(f"data.boxes.factors: must be three numbers (across, up, down), got {list(self.factors)}")

    def as_dict(self) -> dict[str, Any]:
        """Plain containers, for the manifest."""
        return {
            "train": self.train,
            "test": self.test,
            "factors": [float(factor) for factor in self.factors],
            "margin": float(self.margin),
        }

    def box_px(self, person: Person) -> Float[np.ndarray, " 4"]:
        """The person's box in image pixels. Raises UserError, naming the record, if it has no area."""
        rule = self.train if person.split == "train" else self.test
        across, up, down = self.factors
        box = (
            scale_box(person.detection_px, (across, up, down))
            if rule == "detection"
            else bounding_box(person.joints_px, self.margin)
        )
        if not (np.isfinite(box).all() and (box[2:] - box[:2] >= 1).all()):
            raise UserError(f"{person.where}: the person's box ({rule}) has no area: {box.round(1).tolist()}")
        if (box[2:] - box[:2] > LARGEST_PX).any():
            raise UserError(f"{person.where}: the person's box ({rule}) is too large: {box.round(1).tolist()}")
        return box
