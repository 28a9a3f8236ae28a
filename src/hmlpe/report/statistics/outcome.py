"""The results of comparing a study's rows: paired differences, their confidence intervals, and verdicts in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from hmlpe.report.columns import Column
from hmlpe.resample import bootstrap_interval

DRAWS, LEVEL, SEED = 2000, 0.95, 0  # the same values as in hmlpe-evaluate

Interval = tuple[float, float]
MIN_SEEDS = 3  # number of seeds from which a row may be called better or worse
VERDICT_RULE = (
    "Verdict: in how many seeds the row's difference has the sign of the mean difference; “no difference seen” "
    "where the 95 % interval (over seeds and people; with one seed over people) holds 0, and “no interval” where "
    "people's files are missing. With one seed nothing is known of other seeds, and two are too few to tell, so below "
    "three no row is called better or worse. Nothing is corrected for the number of comparisons."
)


def people_interval(values: Float[np.ndarray, "seed draw"], shots: int) -> Interval:
    """Return the bootstrap interval, over people, of the mean over these seeds; whole shots are drawn.

    Args:
        values: for each seed, the value on the people themselves, then on each bootstrap draw of people.
        shots: number of shots that were drawn from.
    """
    return bootstrap_interval(values[:, 1:].mean(0), LEVEL, shots)


def seeds_and_people_interval(values: Float[np.ndarray, "seed draw"], shots: int) -> Interval:
    """Return the interval, over seeds and people, of the mean over all possible seeds.

    It needs at least two seeds.

    The half widths over people and over seeds are combined as the root of their sum of squares. The half width over
    seeds is Student's (1908), t * s / sqrt(seeds), as a bootstrap over few seeds cannot leave their range of values.

    Args:
        values: see `people_interval`.
        shots: number of shots that were drawn from.
    """
    seeds = values[:, 0].astype(float)
    mean, (low, high) = float(seeds.mean()), people_interval(values, shots)
    quantile = float(stdtrit(len(seeds) - 1, (1 + LEVEL) / 2))
    half = quantile * float(seeds.std(ddof=1)) / math.sqrt(len(seeds))
    return mean - math.hypot(max(mean - low, 0.0), half), mean + math.hypot(max(high - mean, 0.0), half)


def verdict(differences: Sequence[float], interval: tuple[float, float] | None) -> str:
    """Return in words whether a row differs from its base, as `VERDICT_RULE` explains.

    >>> verdict([-0.2, -0.1, -0.3], (-0.5, -0.1))
    'lower in all 3 seeds'

    Args:
        differences: row minus base, for each paired seed.
        interval: of the mean difference, over seeds and people, or with one seed over people; None: unknown.
    """
    count = len(differences)
    mean = sum(differences) / count
    if mean == 0:
        side, share = "equal in the mean", ""
    else:
        same = sum(each * mean > 0 for each in differences)
        side = "lower" if mean < 0 else "higher"
        share = f" in {_count_seeds_in_words(same, count)}"
    words = [side + share]
    if interval is None:
        words.append("no interval")
    elif interval[0] <= 0 <= interval[1]:
        words.append("the interval holds 0: no difference seen")
    elif share and same < count:
        words.append("the interval leaves 0 out: a difference in the mean")
    if count == 1:
        words.append("nothing is known of other seeds")
    elif count < MIN_SEEDS:
        words.append("too few seeds to tell")
    return "; ".join(words)


def _count_seeds_in_words(same: int, count: int) -> str:
    """Return words for `same` of `count` seeds, e.g. both seeds."""
    if count == 1:
        return "the one seed"
    if same < count:
        return f"{same} of {count} seeds"
    return "both seeds" if count == 2 else f"all {count} seeds"


@dataclass(frozen=True)
class Difference:
    """The difference between a row and its base row in one metric: row minus base.

    It is in the stored unit (before the column's `scale`, so a percentage is a fraction).

    Attributes:
        row, base: names of the two rows.
        column: the metric.
        seeds: the seeds that both rows have.
        each: the difference for each of these seeds.
        over_people: interval of the mean difference when people are resampled and these seeds are kept; None: unknown.
        over_both: interval over seeds and people; None: unknown, or only one seed.
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
        """Return the mean difference over the seeds."""
        return float(np.mean(self.each))

    @property
    def verdict(self) -> str:
        """Return in words whether the row differs from its base."""
        return verdict(self.each, self.over_both or self.over_people)

    @property
    def better(self) -> bool | None:
        """Return whether the row is better than its base.

        It is None if the interval holds 0 or is unknown, or if the seeds are too few.
        """
        few = len(self.seeds) < MIN_SEEDS
        if few or self.over_both is None or self.over_both[0] <= 0 <= self.over_both[1]:
            return None
        return (self.mean > 0) == (self.column.better == "high")


@dataclass(frozen=True)
class Statistics:
    """The comparison of a study's rows under one checkpoint rule.

    Attributes:
        rule: the checkpoint rule, in words.
        people: number of test people that the bootstrap draws from; 0 without files of people.
        shots: number of shots of these people, which are drawn as a whole; None: people are drawn one by one, as their
            files are of an older version.
        differences: the differences by metric, then row, in the tables' order.
        intervals: interval of a row's own mean, by (row, key of the metric): over seeds and people, or with one seed
            over people.
        notes: what is missing, and what a reader must know to read the numbers.
    """

    rule: str
    people: int
    shots: int | None
    differences: tuple[Difference, ...]
    intervals: Mapping[tuple[str, str], Interval]
    notes: tuple[str, ...]

    @property
    def seeds(self) -> int:
        """Return the largest number of seeds by which a row is paired with its base; 0 if no row is."""
        return max((len(found.seeds) for found in self.differences), default=0)
