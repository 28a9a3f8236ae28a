"""What the comparison of a study's rows gives: differences, their intervals, and what they say in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from hmlpe.report.columns import Column
from hmlpe.resample import bootstrap_interval

DRAWS, LEVEL, SEED = 2000, 0.95, 0  # as hmlpe-evaluate draws

Interval = tuple[float, float]


def over_people(values: Float[np.ndarray, "seed draw"], shots: int) -> Interval:
    """Of the mean over these very seeds: the people drawn anew, shot by shot.

    Args:
        values: of each seed, of the people themselves first, then of each draw of people.
        shots: that were drawn.
    """
    return bootstrap_interval(values[:, 1:].mean(0), LEVEL, shots)


def over_both(values: Float[np.ndarray, "seed draw"], shots: int) -> Interval:
    """Of the mean over all seeds there could be, of two at least: the half widths over people and over seeds in one.

    That over seeds is Student's (1908), t * s / sqrt(seeds), as a bootstrap over few seeds cannot leave their range.
    """
    seeds = values[:, 0].astype(float)
    mean, (low, high) = float(seeds.mean()), over_people(values, shots)
    quantile = float(stdtrit(len(seeds) - 1, (1 + LEVEL) / 2))
    half = quantile * float(seeds.std(ddof=1)) / math.sqrt(len(seeds))
    return mean - math.hypot(max(mean - low, 0.0), half), mean + math.hypot(max(high - mean, 0.0), half)


FEWEST_SEEDS = 3  # with which a row may be called better or worse
RULE = (
    "Verdict: in how many seeds the row's difference has the sign of the mean difference; “no difference seen” "
    "where the 95 % interval (over seeds and people; with one seed over people) holds 0, and “no interval” where "
    "people's files are missing. With one seed nothing is known of other seeds, and two are too few to tell, so below "
    "three no row is called better or worse. Nothing is corrected for the number of comparisons."
)


def verdict(differences: Sequence[float], interval: tuple[float, float] | None) -> str:
    """The words.

    Args:
        differences: row minus base, of each paired seed.
        interval: of the mean difference: over seeds and people, or with one seed over people; None: not known.
    """
    count = len(differences)
    mean = sum(differences) / count
    if mean == 0:
        side, share = "equal in the mean", ""
    else:
        same = sum(each * mean > 0 for each in differences)
        side = "lower" if mean < 0 else "higher"
        share = f" in {_share(same, count)}"
    words = [side + share]
    if interval is None:
        words.append("no interval")
    elif interval[0] <= 0 <= interval[1]:
        words.append("the interval holds 0: no difference seen")
    elif share and same < count:
        words.append("the interval leaves 0 out: a difference in the mean")
    if count == 1:
        words.append("nothing is known of other seeds")
    elif count < FEWEST_SEEDS:
        words.append("too few seeds to tell")
    return "; ".join(words)


def _share(same: int, count: int) -> str:
    if count == 1:
        return "the one seed"
    if same < count:
        return f"{same} of {count} seeds"
    return "both seeds" if count == 2 else f"all {count} seeds"


@dataclass(frozen=True)
class Difference:
    """A row minus its base in one metric, unscaled.

    Attributes:
        seeds: that both rows have.
        each: the difference of each of them.
        over_people: interval of the mean difference for these seeds, people drawn anew; None: not known.
        over_both: for other seeds too; None with one seed.
    """

    row: str
    base: str
    column: Column
    seeds: tuple[int, ...]
    each: tuple[float, ...]
    over_people: Interval | None
    over_both: Interval | None

    @property
    def mean(self) -> float:
        """The mean difference."""
        return float(np.mean(self.each))

    @property
    def verdict(self) -> str:
        """In words."""
        return verdict(self.each, self.over_both or self.over_people)

    @property
    def better(self) -> bool | None:
        """Whether the row is better than its base; None: the interval holds 0 or is not known, or seeds are too few."""
        few = len(self.seeds) < FEWEST_SEEDS
        if few or self.over_both is None or self.over_both[0] <= 0 <= self.over_both[1]:
            return None
        return (self.mean > 0) == (self.column.better == "high")


@dataclass(frozen=True)
class Statistics:
    """Of a study, under one checkpoint rule.

    Attributes:
        rule: in words.
        people: that were drawn from; 0 without people's files.
        shots: in which they are, and which were drawn with all their people; None: people were drawn one by one, as
            their files are of an older version.
        differences: by metric, then row, in the tables' order.
        intervals: of each (row, metric's key): of the row's own mean, over seeds and people, or with one seed people.
        notes: what is lacking, and what a reader must know beside the numbers.
    """

    rule: str
    people: int
    shots: int | None
    differences: tuple[Difference, ...]
    intervals: Mapping[tuple[str, str], Interval]
    notes: tuple[str, ...]

    @property
    def seeds(self) -> int:
        """The most that a row is paired by; 0 where nothing is paired."""
        return max((len(found.seeds) for found in self.differences), default=0)
