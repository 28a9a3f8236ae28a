"""Finding the fixed factors by which a detection's box is scaled, on training people (paper section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.boxes import BoxRule
from hmlpe.data.record import Person
from hmlpe.errors import UserError

SHARES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)  # of the joints that a choice is to hold
STEPS = 60  # positions that are tried for the sides and for the top


@dataclass(frozen=True)
class Fit:
    """One choice of factors and what it cuts off.

    Attributes:
        factors: (across, up, down) of `geometry.scale_box`.
        joints_cut: known joints outside the box.
        joints: known joints.
        people_cut: people with a joint outside.
        people: people.
        area: of the box, in areas of the detection.
    """

    factors: tuple[float, float, float]
    joints_cut: int
    joints: int
    people_cut: int
    people: int
    area: float


@dataclass(frozen=True, eq=False)
class Training:
    """Joints in units of their person's detection: (0, 0) its centre, (±1, ±1) its corners; NaN where unknown."""

    rule: str
    points: Float[np.ndarray, "person joint 2"]

    @property
    def known(self) -> Bool[np.ndarray, "person joint"]:
        """Which joints are known."""
        return np.asarray(np.isfinite(self.points).all(axis=-1))

    def judge(self, factors: Sequence[float | int]) -> Fit:
        """What a choice of factors cuts off."""
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


def training_of(people: Sequence[Person], boxes: BoxRule) -> Training:
    """The training people in units of the box that is scaled: the detection, or the window where none has a detection.

    Raises:
        UserError: no training person has either.
    """
    train = [person for person in people if person.split == "train"]
    for rule, given in (("detection", [p.detection_px for p in train]), ("window", [p.window_px for p in train])):
        rows = [row for row, box in enumerate(given) if np.isfinite(box).all() and (box[2:] > box[:2]).all()]
        if rows:
            box = np.stack([given[row] for row in rows])[:, None]
            joints = np.stack([train[row].joints_px for row in rows])
            return Training(rule, (joints - (box[..., :2] + box[..., 2:]) / 2) / ((box[..., 2:] - box[..., :2]) / 2))
    raise UserError(f"no training person has a box to scale: boxes are made by rule {boxes.train!r}")


def fit_factors(training: Training, share: float) -> Fit:
    """The smallest box that holds at least `share` of the known joints; factors are rounded up to hundredths."""
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
                best = training.judge((across, up, float(down)))
    assert best is not None  # the largest of each holds everything
    return best


def _rounded_up(values: np.ndarray | np.floating) -> np.ndarray:
    return np.asarray(np.ceil(values * 100 - 1e-9) / 100)
