"""`result.json`, the record of truth of one run: the model of it, and one run as reports read it.

A run is evaluated by both rules by which a checkpoint is chosen: best on validation, and last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from hmlpe.checked import first_problem
from hmlpe.errors import UserError
from hmlpe.files import read_json
from hmlpe.runs.metric import MetricInfo, TaskInfo

BASE = "regression"  # the task whose rows are compared with, where a study has it
RULES = ("best", "last")  # as `select` names them, and people/<rule>.npz


def in_words(rule: str, base: str = BASE) -> str:
    """The rule for a reader.

    Args:
        base: the task whose validation error chooses.
    """
    if rule == "last":
        return "last epoch"
    return f"lowest val/{base}_error (without {base}: the error of the first trained task)"


def other_than(rule: str) -> str:
    """The other of the two."""
    return RULES[1 - RULES.index(rule)]


SCHEMA = 3
OLDEST = 2  # of the tag faults-1: metrics that do not say what they are (`metrics.before` does)
MEAN_POSE = "mean_pose"  # the name of that line in the tables, so no row may have it

Line = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]
"""A text in one line, so that one run stays one line in every output."""
Splits = dict[str, dict[str, float | None]]
"""Split -> metric -> value; None where there was nothing to measure."""


class OtherRule(BaseModel):
    """The numbers under the checkpoint rule that was not chosen."""

    model_config = ConfigDict(strict=True)

    checkpoint_rule: Line
    metrics: Splits


class BalanceState(BaseModel):
    """The balance of the tasks' losses, and the weights that it gave at the end of training; None before."""

    model_config = ConfigDict(strict=True)

    name: Line
    weights: dict[str, float] | None = None


class Result(BaseModel):
    """One run: what it is, its state, and its numbers.

    A run that is at work, or failed, may not have got as far as most of its fields; a failed one may hold numbers that
    are not finite, as that may be why it failed.

    Attributes:
        experiment: the study.
        weights: the row's, by task.
        base: the task whose rows the others are compared with.
        tasks: what each task is called.
        described: what each metric is, by its name without the split, and all else that the run logs.
        pictures: names of those that the run sends to a dashboard.
        protocol: which people are tested how, in words; by the labels of which sides, and of which sets.
        balance: of the losses; None: fixed weights, in a result of before.
        people: how many train, validate and test.
        counted: of how many of them anything is known that a task learns, by split and task.
        identity: by which a later call knows the run again (`folder.state_of`).
        provenance: code, data, packages, machine.
        mirror_lost: why W&B does not hold all of it.
    """

    model_config = ConfigDict(strict=True, extra="ignore")

    schema_: int = Field(alias="schema")
    status: Literal["finished", "running", "failed"]
    row: Line
    seed: int
    experiment: Line | None = None
    weights: dict[str, float] | None = None
    base: str = BASE
    tasks: dict[str, TaskInfo] = Field(default_factory=dict)
    described: dict[str, Annotated[MetricInfo, Field(strict=False)]] = Field(default_factory=dict)
    balance: BalanceState | None = None
    pictures: list[str] = Field(default_factory=list)
    protocol: Line | None = None
    sets: list[str] = Field(default_factory=list)
    sides: Line | None = None
    checkpoint_rule: Line | None = None
    epochs: int | None = None
    start: Line | None = None
    varies: list[str] = Field(default_factory=list)
    recipe: Line | None = None
    network: Line | None = None
    people: dict[str, int | None] | None = None
    neighbours: Any = None
    counted: dict[str, dict[str, int]] = Field(default_factory=dict)
    identity: dict[str, str] = Field(default_factory=dict)
    provenance: dict[str, Any] | None = None
    started: Line | None = None
    finished: Line | None = None
    seconds: float | None = None
    error: Line | None = None
    steps: int | None = None
    steps_before: int | None = None
    best_epoch: int | None = None
    metrics: Splits | None = None
    mean_pose: Splits | None = None
    other_rule: OtherRule | None = None
    mirror_lost: Line | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Result:
        """The result of a file's content, in which null is as good as nothing. Raises ValidationError."""
        return cls.model_validate({key: value for key, value in raw.items() if value is not None})

    @model_validator(mode="after")
    def _whole(self) -> Result:
        """A finished run states all that makes it one, and no number that is none."""
        if self.row == MEAN_POSE:
            raise ValueError(f"row is {MEAN_POSE!r}, the name of a line of the table's own; rename the row")
        if self.status == "finished":
            for name in _FINISHED:
                if getattr(self, name) is None:
                    raise ValueError(f"field {name} is missing")
            for name, kind, there in (("provenance", str, PROVENANCE), ("people", int, ("test",))):
                for key in there:
                    _demand(f"{name}.{key}", getattr(self, name), key, kind)
            _demand("metrics.test", self.metrics or {}, "test", dict)
        if self.status != "failed":
            for where, value in _numbers(self):
                if value is not None and not math.isfinite(value):
                    raise ValueError(f"{where} is {value}")
        return self


_FINISHED = (
    *("experiment", "protocol", "checkpoint_rule", "recipe", "network", "epochs", "steps"),
    *("weights", "people", "metrics", "provenance"),
)
PROVENANCE = ("data", "code", "config", "settings")


def _demand(where: str, mapping: Mapping[str, Any], key: str, kind: type) -> None:
    if key not in mapping:
        raise ValueError(f"field {where} is missing")
    if not isinstance(mapping[key], kind):
        raise ValueError(f"field {where} is not {'a text' if kind is str else 'an integer'}")


def _numbers(result: Result) -> Iterator[tuple[str, float | None]]:
    other = result.other_rule.metrics if result.other_rule else {}
    yield from ((f"weights.{task}", weight) for task, weight in (result.weights or {}).items())
    for name, splits in (("metrics", result.metrics), ("mean_pose", result.mean_pose), ("other_rule.metrics", other)):
        for split, values in (splits or {}).items():
            yield from ((f"{name}.{split}.{metric}", value) for metric, value in values.items())


@dataclass(frozen=True)
class Run:
    """One run, under one of the two checkpoint rules. Metrics are flat, `<split>/<metric>`.

    Attributes:
        result: as in the file.
        rule: by which the checkpoint was chosen, in words.
        other_rule, other_metrics: of the other rule; a run without training has neither.
    """

    file: Path
    result: Result
    rule: str
    metrics: Mapping[str, float | None]
    mean_pose: Mapping[str, float | None]
    other_rule: str | None = None
    other_metrics: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def row(self) -> str:
        """Its row."""
        return self.result.row

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.result.seed

    @property
    def status(self) -> str:
        """Finished, running or failed."""
        return self.result.status

    @property
    def weights(self) -> Mapping[str, float]:
        """The row's, by task."""
        return self.result.weights or {}

    @property
    def people(self) -> Mapping[str, int | None]:
        """How many people."""
        return self.result.people or {}

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What it was made by."""
        return self.result.provenance or {}

    @property
    def infos(self) -> Mapping[str, MetricInfo]:
        """What its metrics are."""
        return self.result.described

    @property
    def name(self) -> str:
        """`<row>_s<seed>`: what the run is called everywhere."""
        return f"{self.row}_s{self.seed}"

    @property
    def finished(self) -> bool:
        """Whether the run counts in the statistics."""
        return self.status == "finished"

    def told(self, error: Exception) -> str:
        """An error of this run's files without the study's folder, as reports do not depend on where it lies."""
        return str(error).replace(f"{self.file.parent.parent}/", "")


def read_run(file: Path) -> Run:
    """Read one result. Raises UserError naming file and field: broken, incomplete, of another schema, NaN."""
    raw = read_json(file)
    if not isinstance(raw, dict):
        raise _broken(file, "holds no JSON object")
    if raw.get("schema") not in (SCHEMA, OLDEST):
        raise _broken(file, f"schema is {raw.get('schema')!r}, and this version reads {SCHEMA}; train it again")
    try:
        return run_of(file, Result.of(raw))
    except ValidationError as error:
        raise _broken(file, first_problem(error, Result, raw).of_file()) from error


def run_of(file: Path, result: Result) -> Run:
    """The run of a result, under the rule that it chose."""
    other = result.other_rule
    return Run(
        file=file,
        result=result,
        rule=result.checkpoint_rule or "",
        metrics=_flat(result.metrics),
        mean_pose=_flat(result.mean_pose),
        other_rule=other.checkpoint_rule if other else None,
        other_metrics=_flat(other.metrics if other else None),
    )


def row_weights(group: Sequence[Run]) -> Mapping[str, float]:
    """The weights of one row: those of its finished runs, else the first that are stated."""
    return min(group, key=lambda run: (not run.finished, not run.weights, run.seed)).weights


def _flat(splits: Splits | None) -> dict[str, float | None]:
    return {f"{split}/{name}": value for split, values in (splits or {}).items() for name, value in values.items()}


def _broken(file: Path, what: str) -> UserError:
    return UserError(f"{file}: {what}; rerun this run or remove its folder")
