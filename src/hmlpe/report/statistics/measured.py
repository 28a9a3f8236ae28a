"""The scores of a study's runs, person by person, as far as their files give them, and what is lacking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hmlpe.errors import UserError
from hmlpe.report.columns import test_sets
from hmlpe.report.runs import people_of
from hmlpe.report.setup import read_setup
from hmlpe.report.statistics.scores import Score, of_splits, scores_of
from hmlpe.runs.people import People
from hmlpe.runs.result import OLDEST, Run
from hmlpe.runs.rules import other_than

TOLERANCE = (1e-6, 1e-4)  # of today's results, and of those that had summed in float32


@dataclass(frozen=True)
class Measured:
    """Attributes:
    scores: by the run's name, then the metric's key; of the runs whose files are whole and of the same people.
    people: how many; 0 without any file.
    shot: (person,) the same for people who are drawn together; None: no file, or one of an older version.
    lacking: the other finished runs by name, and why.
    rule: the checkpoint rule by its name, one of `RULES`; empty where no run's config says it.
    """

    scores: Mapping[str, Mapping[str, Score]]
    people: int
    shot: np.ndarray | None
    lacking: Mapping[str, str]
    rule: str

    @property
    def shots(self) -> int:
        """How many are drawn from: shots, or people where nobody knows of shots."""
        return self.people if self.shot is None else len(np.unique(self.shot))


def measure(runs: Sequence[Run], chosen: bool) -> Measured:
    """The scores of the finished runs.

    Args:
        chosen: under the rule that the study chose its checkpoints by; else under the other one, which the metrics of
            the runs must be of already (see `rules.under_other_rule`).
    """
    scores: dict[str, Mapping[str, Score]] = {}
    lacking: dict[str, str] = {}
    rule = ""
    first: tuple[str, People] | None = None
    for run in runs:
        if not run.finished:
            continue
        try:
            setup = read_setup(run.file.parent)
            rule = setup.rule if chosen else other_than(setup.rule)
            people = people_of(run, rule)
            splits = test_sets(key.partition("/")[0] for key in run.metrics)
            found = of_splits(scores_of(people, run.infos), people, splits)
            _check_same_people(people, first)
            _check_same_numbers(run, found)
            found = {name: score for name, score in found.items() if run.metrics.get(name) is not None}
        except (UserError, LookupError, TypeError, ValueError) as error:
            lacking[run.name] = run.told(error)
            continue
        first = first or (run.name, people)
        scores[run.name] = found
    return Measured(scores, len(first[1]) if first else 0, first[1].shot if first else None, lacking, rule)


def _check_same_people(people: People, first: tuple[str, People] | None) -> None:
    if first is None:
        return
    if not np.array_equal(people.person, first[1].person):
        raise UserError(f"its test people are not those of {first[0]}; rerun it")
    one, other = ([] if shot is None else shot.tolist() for shot in (people.shot, first[1].shot))
    if one != other:
        raise UserError(f"its test people's shots are not those of {first[0]}; rerun it")


def _check_same_numbers(run: Run, scores: Mapping[str, Score]) -> None:
    """The file must give the numbers of result.json, which are rounded to float32."""
    for name, score in scores.items():
        stated = run.metrics.get(name)
        if stated is None:
            continue
        found = float(score.values(np.ones((1, len(score.errors))))[0])
        if not math.isclose(found, stated, rel_tol=TOLERANCE[run.result.schema_ == OLDEST], abs_tol=1e-7):
            raise UserError(f"its people's file gives {found:.6g} for {name}, its result.json {stated:.6g}; rerun it")
