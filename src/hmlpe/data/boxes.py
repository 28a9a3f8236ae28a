"""The rule for the person box that the network sees, and the fit of its scale factors (paper section 4; FACTS 5)."""

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
    """The rule by which a data set's person boxes are made, for each split.

    Attributes:
        train: rule for training people. "detection" scales the detector's box (`record.Person.detection_px`); "window"
            scales the box that was made from the ground truth or drawn by the annotator (`record.Person.window_px`);
            "truth" takes the box around all known joints, with the margin.
        test: the same choice for test people. All rules but "detection" use the ground truth of the test people there
            (an oracle); the evaluation's records say so in their `boxes`.
        factors: (across, up, down) of `geometry.scale_box`, by which "detection" and "window" scale the box.
        window_factors: (across, up, down) by which upper-body windows are scaled: `record.Person.window_px`, and at
            prediction the windows of a person detector. To be set where the set's own detections are another kind of
            box. None: `factors` are used if "window" is the rule of a split.
        margin: margin of `geometry.bounding_box`, for "truth" and for `cover`.
        aspect: height over width that a scaled box is given by moving its lower edge; None: the box stays as scaled.
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
                "data.boxes.aspect: is for scaled boxes, but all boxes are around the true joints; leave it null"
            )
        if self.cover not in (True, False):
            raise UserError(f"data.boxes.cover: must be true or false, got {self.cover!r}")

    def as_dict(self) -> dict[str, Any]:
        """Return the rule as a dictionary of JSON values, for the manifest."""
        return {
            "train": self.train,
            "test": self.test,
            "factors": [float(factor) for factor in self.factors],
            "margin": float(self.margin),
            "aspect": None if self.aspect is None else float(self.aspect),
            "cover": self.cover,
            "window_factors": None if self.window_factors is None else [float(one) for one in self.window_factors],
        }

    def rule_of(self, split: str) -> str:
        """Return the rule for a split's people: "detection", "window" or "truth"."""
        return self.train if split == "train" else self.test

    @property
    def factors_from_window(self) -> tuple[float, float, float] | None:
        """Return the factors (across, up, down) that scale an upper-body window to the box; None if none are set."""
        if self.window_factors is None and "window" not in (self.train, self.test):
            return None
        across, up, down = (float(factor) for factor in self.window_factors or self.factors)
        return across, up, down

    def box_px(self, person: Person) -> Float[np.ndarray, " 4"] | None:
        """Return the person's box x0 y0 x1 y1 in image pixels, or None if the rule cannot be applied to this person.

        The person then has no detection, no window, or too few known joints, depending on the rule (see `RULES`).

        Raises:
            UserError: the box has no area or is too large; the message names the record.
        """
        rule = self.rule_of(person.split)
        around = bounding_box(person.joints_px, self.margin)
        given = around if rule == "truth" else getattr(person, f"{rule}_px")
        if np.isnan(given).any() or (rule == "truth" and not (given[2:] - given[:2] >= 1).all()):
            return None
        box = self._checked_box(given if rule == "truth" else self._scaled_box(given, rule), person, rule)
        if self.cover and person.split == "train":
            box = self._checked_box(union(box, around), person, rule)
        return box

    def _scaled_box(self, given_px: Float[np.ndarray, " 4"], rule: str) -> Float[np.ndarray, " 4"]:
        """Return the detection or window `given_px`, scaled by the factors, with the height that `aspect` requires."""
        own = self.factors_from_window if rule == "window" else None
        across, up, down = own or (float(factor) for factor in self.factors)
        box = scale_box(given_px, (across, up, down))
        if self.aspect is not None:
            box[3] = box[1] + self.aspect * (box[2] - box[0])
        return box

    @staticmethod
    def _checked_box(box: Float[np.ndarray, " 4"], person: Person, rule: str) -> Float[np.ndarray, " 4"]:
        """Return the box. Raises UserError if it has no area or is too large."""
        if not (np.isfinite(box).all() and (box[2:] - box[:2] >= 1).all()):
            raise UserError(f"{person.where}: the person's box ({rule}) has no area: {box.round(1).tolist()}")
        if (box[2:] - box[:2] > LARGEST_PX).any():
            raise UserError(f"{person.where}: the person's box ({rule}) is too large: {box.round(1).tolist()}")
        return box


@dataclass(frozen=True)
class FactorFit:
    """Scale factors, and how many joints and people are cut off by boxes that are scaled by them.

    Attributes:
        factors: (across, up, down) of `geometry.scale_box`.
        joints_cut: number of known joints outside the box.
        joints: number of known joints.
        people_cut: number of people with a known joint outside the box.
        people: number of people.
        area: area of the scaled box over that of the detection.
    """

    factors: tuple[float, float, float]
    joints_cut: int
    joints: int
    people_cut: int
    people: int
    area: float


@dataclass(frozen=True, eq=False)
class NormalisedJoints:
    """Joint positions relative to the person's detection: (0, 0) is the centre of its box, (±1, ±1) are the corners.

    Attributes:
        rule: the kind of box that stands for the detection: "detection" or "window".
        points: (person, joint, 2) relative coordinates, NaN where unknown.
    """

    rule: str
    points: Float[np.ndarray, "person joint 2"]

    @property
    def is_known(self) -> Bool[np.ndarray, "person joint"]:
        """Return a mask (person, joint) of the joints that are known."""
        return np.asarray(np.isfinite(self.points).all(axis=-1))

    def evaluate(self, factors: Sequence[float | int]) -> FactorFit:
        """Return the size of boxes that are scaled by these factors, and how many joints and people they cut off."""
        across, up, down = (float(factor) for factor in factors)
        x, y = self.points[..., 0], self.points[..., 1]
        inside = (np.abs(x) <= across) & (y >= -1 - up) & (y <= 1 + down)
        cut = self.is_known & ~inside
        return FactorFit(
            factors=(across, up, down),
            joints_cut=int(cut.sum()),
            joints=int(self.is_known.sum()),
            people_cut=int(cut.any(axis=1).sum()),
            people=len(cut),
            area=across * (2 + up + down) / 2,
        )


def normalised_joints(people: Sequence[Person], boxes: BoxRule) -> NormalisedJoints:
    """Return the training people's joints relative to their detections, or to their windows if none has a detection.

    People without such a box are left out.

    Raises:
        UserError: no training person has a detection or a window.
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


def fit_factors(training: NormalisedJoints, share: float) -> FactorFit:
    """Return the factors of the smallest box that contains at least `share` of the known joints.

    The factors are rounded up to hundredths.
    """
    x, y = np.abs(training.points[training.is_known]).T[0], training.points[training.is_known][:, 1]
    wanted = int(np.ceil(share * len(x)))
    best: FactorFit | None = None
    for across in np.unique(_round_up_to_hundredths(np.quantile(x, np.linspace(max(share - 0.05, 0), 1, STEPS)))):
        for up in np.unique(_round_up_to_hundredths(np.quantile(-1 - y, np.linspace(max(share - 0.05, 0), 1, STEPS)))):
            below = y[(x <= across) & (-1 - y <= up)]
            if len(below) < wanted:
                continue
            down = _round_up_to_hundredths(np.partition(below, wanted - 1)[wanted - 1] - 1)
            if best is None or across * (2 + up + down) / 2 < best.area:
                best = training.evaluate((across, up, float(down)))
    assert best is not None  # the largest candidate holds all joints
    return best


def _round_up_to_hundredths(values: np.ndarray | np.floating) -> np.ndarray:
    return np.asarray(np.ceil(values * 100 - 1e-9) / 100)
