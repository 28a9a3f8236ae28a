"""The bounding box around a person that the network sees, and how its factors are fitted (paper section 4; FACTS 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.record import Person
from hmlpe.errors import UserError
from hmlpe.geometry import bounding_box, scale_box, union

RULES = {  # name of a box rule -> why a person may have no such box
    "detection": "no detection of this person",
    "window": "no window of this person",
    "truth": "too few joints are known for a box",
}
LARGEST_PX = 20_000  # largest side of a box; larger ones are annotation errors, and would not fit into memory
SHARES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)  # shares of the joints for which factors are fitted
STEPS = 60  # number of positions tried for the sides, and for the top


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class BoxRule:
    """How a person's box is made, for each split.

    Attributes:
        train: "detection" scales the detector's box; "window" scales the one that was made from the ground truth or
            drawn by the annotator (`record.Person.window_px`); "truth" is the box around all known joints, with the
            margin.
        test: the same choice for test people; all but "detection" are oracles there, and the protocol says so.
        factors: (across, up, down) of `geometry.scale_box`, for "detection" and "window".
        window_factors: the same for windows, those of `record.Person.window_px` and those that a person detector gives
            at prediction, where `detection` is a different kind of box; None: `factors`, if "window" is the rule of a
            split.
        margin: margin of `geometry.bounding_box`, for "truth" and for `cover`.
        aspect: height over width of a scaled box, measured from its top; None: as scaled.
        cover: enlarge a training box until all known joints lie inside with the margin (paper section 4).
    """

    train: str
    test: str
    factors: Sequence[float | int]
    margin: float | int
    aspect: float | int | None = None
    cover: bool = False
    window_factors: Sequence[float | int] | None = None

    def __post_init__(self) -> None:
        for split, rule in (("train", self.train), ("test", self.test)):
            if rule not in RULES:
                raise UserError(f"data.boxes.{split}: must be one of {', '.join(RULES)}, got {rule!r}")
        for name, factors in (("factors", self.factors), ("window_factors", self.window_factors)):
            if name == "window_factors" and factors is None:
                continue
            if not isinstance(factors, Sequence) or len(factors) != 3 or not all(map(_is_number, factors)):
                raise UserError(f"data.boxes.{name}: must be three numbers (across, up, down), got {factors}")
        if not (_is_number(self.margin) and self.margin >= 0):
            raise UserError(f"data.boxes.margin: must be a number of at least 0, got {self.margin!r}")
        if not (self.aspect is None or (_is_number(self.aspect) and self.aspect > 0)):
            raise UserError(f"data.boxes.aspect: must be above 0, or null, got {self.aspect!r}")
        if self.aspect is not None and {self.train, self.test} == {"truth"}:
            raise UserError(
                "data.boxes.aspect: is of a scaled box, and all boxes are around the true joints; leave it null"
            )
        if self.cover not in (True, False):
            raise UserError(f"data.boxes.cover: must be true or false, got {self.cover!r}")

    def as_dict(self) -> dict[str, Any]:
        """Return plain containers, for the manifest."""
        return {
            "train": self.train,
            "test": self.test,
            "factors": [float(factor) for factor in self.factors],
            "margin": float(self.margin),
            "aspect": None if self.aspect is None else float(self.aspect),
            "cover": self.cover,
            "window_factors": None if self.window_factors is None else [float(one) for one in self.window_factors],
        }

    def of(self, split: str) -> str:
        """Return the rule of a split."""
        return self.train if split == "train" else self.test

    @property
    def from_window(self) -> tuple[float, float, float] | None:
        """Return (across, up, down) from a person's window to the box, or None if the set has no rule for windows."""
        if self.window_factors is None and "window" not in (self.train, self.test):
            return None
        across, up, down = (float(factor) for factor in self.window_factors or self.factors)
        return across, up, down

    def box_px(self, person: Person) -> Float[np.ndarray, " 4"] | None:
        """Return the person's box in image pixels, or None if there is nothing to make it from.

        That is the case without a detection, without a window, or with too few known joints, as `RULES` says for each
        rule.

        Raises:
            UserError: the box has no area or is too large; the message names the record.
        """
        rule = self.of(person.split)
        around = bounding_box(person.joints_px, self.margin)
        given = around if rule == "truth" else getattr(person, f"{rule}_px")
        if np.isnan(given).any() or (rule == "truth" and not (given[2:] - given[:2] >= 1).all()):
            return None
        box = self._checked(given if rule == "truth" else self._scaled(given, rule), person, rule)
        if self.cover and person.split == "train":
            box = self._checked(union(box, around), person, rule)
        return box

    def _scaled(self, given_px: Float[np.ndarray, " 4"], rule: str) -> Float[np.ndarray, " 4"]:
        own = self.from_window if rule == "window" else None
        across, up, down = own or (float(factor) for factor in self.factors)
        box = scale_box(given_px, (across, up, down))
        if self.aspect is not None:
            box[3] = box[1] + self.aspect * (box[2] - box[0])
        return box

    @staticmethod
    def _checked(box: Float[np.ndarray, " 4"], person: Person, rule: str) -> Float[np.ndarray, " 4"]:
        if not (np.isfinite(box).all() and (box[2:] - box[:2] >= 1).all()):
            raise UserError(f"{person.where}: the person's box ({rule}) has no area: {box.round(1).tolist()}")
        if (box[2:] - box[:2] > LARGEST_PX).any():
            raise UserError(f"{person.where}: the person's box ({rule}) is too large: {box.round(1).tolist()}")
        return box


@dataclass(frozen=True)
class Fit:
    """One choice of factors and what it cuts off.

    Attributes:
        factors: (across, up, down) of `geometry.scale_box`.
        joints_cut: number of known joints outside the box.
        joints: number of known joints.
        people_cut: number of people with a joint outside.
        people: number of people.
        area: area of the box over that of the detection.
    """

    factors: tuple[float, float, float]
    joints_cut: int
    joints: int
    people_cut: int
    people: int
    area: float


@dataclass(frozen=True, eq=False)
class NormalisedJoints:
    """Joints in units of their person's detection: (0, 0) is its centre, (±1, ±1) are its corners; NaN where unknown.

    Attributes:
        rule: the kind of box that stands for the detection: "detection" or "window".
        points: (person, joint, 2) coordinates.
    """

    rule: str
    points: Float[np.ndarray, "person joint 2"]

    @property
    def known(self) -> Bool[np.ndarray, "person joint"]:
        """Return which joints are known."""
        return np.asarray(np.isfinite(self.points).all(axis=-1))

    def evaluate(self, factors: Sequence[float | int]) -> Fit:
        """Return what a choice of factors cuts off."""
        across, up, down = (float(factor) for factor in factors)
        x, y = self.points[..., 0], self.points[..., 1]
        inside = (np.abs(x) <= across) & (y >= -1 - up) & (y <= 1 + down)
        cut = self.known & ~inside
        return Fit(
            factors=(across, up, down),
            joints_cut=int(cut.sum()),
            joints=int(self.known.sum()),
            people_cut=int(cut.any(axis=1).sum()),
            people=len(cut),
            area=across * (2 + up + down) / 2,
        )


def normalised_joints(people: Sequence[Person], boxes: BoxRule) -> NormalisedJoints:
    """Return the joints of the training people in units of their detection, or of their window if none has a detection.

    People without such a box are left out.

    Raises:
        UserError: no training person has either.
    """
    train = [person for person in people if person.split == "train"]
    for rule, given in (("detection", [p.detection_px for p in train]), ("window", [p.window_px for p in train])):
        rows = [row for row, box in enumerate(given) if np.isfinite(box).all() and (box[2:] > box[:2]).all()]
        if rows:
            box = np.stack([given[row] for row in rows])[:, None]
            joints = np.stack([train[row].joints_px for row in rows])
            return NormalisedJoints(
                rule, (joints - (box[..., :2] + box[..., 2:]) / 2) / ((box[..., 2:] - box[..., :2]) / 2)
            )
    raise UserError(f"no training person has a box to scale: boxes are made by rule {boxes.train!r}")


def fit_factors(training: NormalisedJoints, share: float) -> Fit:
    """Find the smallest box that holds at least `share` of the known joints; factors are rounded up to hundredths."""
    x, y = np.abs(training.points[training.known]).T[0], training.points[training.known][:, 1]
    wanted = int(np.ceil(share * len(x)))
    best: Fit | None = None
    for across in np.unique(_rounded_up(np.quantile(x, np.linspace(max(share - 0.05, 0), 1, STEPS)))):
        for up in np.unique(_rounded_up(np.quantile(-1 - y, np.linspace(max(share - 0.05, 0), 1, STEPS)))):
            below = y[(x <= across) & (-1 - y <= up)]
            if len(below) < wanted:
                continue
            down = _rounded_up(np.partition(below, wanted - 1)[wanted - 1] - 1)
            if best is None or across * (2 + up + down) / 2 < best.area:
                best = training.evaluate((across, up, float(down)))
    assert best is not None  # the largest candidate holds all joints
    return best


def _rounded_up(values: np.ndarray | np.floating) -> np.ndarray:
    return np.asarray(np.ceil(values * 100 - 1e-9) / 100)
