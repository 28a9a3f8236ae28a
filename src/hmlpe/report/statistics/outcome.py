"""What the comparison of a study's rows gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hmlpe.report.columns import Column
from hmlpe.report.statistics.intervals import Interval
from hmlpe.report.statistics.verdict import FEWEST_SEEDS, verdict


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
