"""The numbers of one run as functions of its people, so that people can be drawn anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.report.columns import AVERAGE
from hmlpe.runs.metric import MetricInfo, Reduction
from hmlpe.runs.people import People


@dataclass(frozen=True, eq=False)
class Score:
    """People's errors, and how they become the number."""

    reduction: Reduction
    errors: Float[np.ndarray, "person item"]

    def values(self, counts: Float[np.ndarray, "draw person"]) -> Float[np.ndarray, " draw"]:
        """The score when each person counts so often; NaN where nothing is known."""
        return self.reduction(self.errors, counts)

    @property
    def known(self) -> Bool[np.ndarray, " person"]:
        """Who counts."""
        return self.reduction.known(self.errors)

    def among(self, some: Bool[np.ndarray, " person"]) -> Score:
        """The score of some of the people."""
        return Score(self.reduction, np.where(some[:, None], self.errors, np.nan))


def of_splits(scores: Mapping[str, Score], people: People, splits: Sequence[str]) -> dict[str, Score]:
    """By `<split>/<metric>`: of all test people, and of each set's own, which is the start of their names."""
    found = {f"test/{name}": score for name, score in scores.items()}
    for split in splits:
        if split != AVERAGE:
            own = np.char.startswith(people.person, f"{split.removeprefix('test_')}/")
            found |= {f"{split}/{name}": score.among(own) for name, score in scores.items()}
    return found


def scores_of(people: People, infos: Mapping[str, MetricInfo]) -> dict[str, Score]:
    """The scores of one run by the metric's name; those that its file has no errors for are left out.

    Raises:
        ValueError: its errors are not as the results say.
    """
    found = {}
    for name, info in infos.items():
        if info.shown and info.reduction is not None and info.reduction.errors in people.errors:
            errors = people.errors[info.reduction.errors]
            if errors.ndim != 2 or max(info.reduction.items or (0,)) >= errors.shape[1]:
                raise ValueError(f"errors of {name} have the shape {errors.shape}")
            found[name] = Score(info.reduction, errors)
    return found
