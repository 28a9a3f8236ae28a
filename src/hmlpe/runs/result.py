"""`result.json`, the record of truth of one run: its data model, and the view of one run that reports use.

A run is evaluated under two rules for choosing the checkpoint: best on validation, and last.
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
from hmlpe.runs.rules import BASE

SCHEMA = 3
OLDEST_SCHEMA = 2  # of the tag faults-1, whose metrics carry no descriptions (`metrics.before` supplies them)
MEAN_POSE = "mean_pose"  # name of the mean pose's line in the tables; no row may have it

Line = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]
"""A text whose line breaks are replaced by spaces, so that one run stays one line in every output."""
Splits = dict[str, dict[str, float | None]]
"""Split -> metric -> value; None where nothing could be measured."""
_FINISHED = (
    *("experiment", "protocol", "checkpoint_rule", "recipe", "network", "epochs", "steps"),
    *("weights", "people", "metrics", "provenance"),
)
PROVENANCE = ("data", "code", "config", "settings")


class OtherRule(BaseModel):
    """The metrics under the checkpoint rule that was not chosen."""

    model_config = ConfigDict(strict=True)

    checkpoint_rule: Line
    metrics: Splits


class BalanceState(BaseModel):
    """The balance of the tasks' losses, and its weights at the end of training (None until then)."""

    model_config = ConfigDict(strict=True)

    name: Line
    weights: dict[str, float] | None = None


class Result(BaseModel):
    """The content of result.json: what the run is, its status, and its metrics.

    A run that is running or failed may lack most fields. A failed one may hold values that are not finite, as that may
    be why it failed.

    Attributes:
        experiment: name of the study.
        weights: weights of the row, by task.
        base: the task whose rows the others are compared with.
        tasks: how each task is named.
        described: description of each metric, by its name without the split, and of everything else that the run logs.
        pictures: names of the pictures that the run sends to a dashboard.
        protocol: in words: which people are tested and how, which sides the labels follow, and which sets are used.
        balance: balance of the losses; None in results of older versions, which had fixed weights.
        people: number of training, validation and test people.
        counted: number of people with any label that a task learns from, by split and task.
        identity: digests and seed by which a later call recognises the run (`folder.state_of`).
        provenance: code, data, packages and machine.
        mirror_lost: why W&B does not hold all metrics of the run.
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
        """Validate the content of a file, in which null counts as missing. Raises ValidationError."""
        return cls.model_validate({key: value for key, value in raw.items() if value is not None})

    @model_validator(mode="after")
    def _check_complete(self) -> Result:
        """Require all fields of a finished run, and finite values unless the run failed."""
        if self.row == MEAN_POSE:
            raise ValueError(f"row is {MEAN_POSE!r}, the name of a line of the table's own; rename the row")
        if self.status == "finished":
            for name in _FINISHED:
                if getattr(self, name) is None:
                    raise ValueError(f"field {name} is missing")
            for name, kind, there in (("provenance", str, PROVENANCE), ("people", int, ("test",))):
                for key in there:
                    _require(f"{name}.{key}", getattr(self, name), key, kind)
            _require("metrics.test", self.metrics or {}, "test", dict)
        if self.status != "failed":
            for where, value in _numbers(self):
                if value is not None and not math.isfinite(value):
                    raise ValueError(f"{where} is {value}")
        return self


def _require(where: str, mapping: Mapping[str, Any], key: str, kind: type) -> None:
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
        result: content of result.json.
        rule: description of the rule by which the checkpoint was chosen.
        metrics, mean_pose: metrics of the run, and of the mean pose.
        other_rule, other_metrics: the same for the other checkpoint rule; a run without training has neither.
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
        """Return the name of its row."""
        return self.result.row

    @property
    def seed(self) -> int:
        """Return its seed."""
        return self.result.seed

    @property
    def status(self) -> str:
        """Return "finished", "running" or "failed"."""
        return self.result.status

    @property
    def weights(self) -> Mapping[str, float]:
        """Return the weights of its row, by task."""
        return self.result.weights or {}

    @property
    def people(self) -> Mapping[str, int | None]:
        """Return the number of people, by split."""
        return self.result.people or {}

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Return what the run was made with: versions of code, data and packages, and the machine."""
        return self.result.provenance or {}

    @property
    def infos(self) -> Mapping[str, MetricInfo]:
        """Return the descriptions of its metrics."""
        return self.result.described

    @property
    def name(self) -> str:
        """Return `<row>_s<seed>`, by which the run is named everywhere."""
        return f"{self.row}_s{self.seed}"

    @property
    def finished(self) -> bool:
        """Return whether the run is finished, and so counts in the statistics."""
        return self.status == "finished"

    def error_without_folder(self, error: Exception) -> str:
        """Return an error's message without the study's folder, as reports must not depend on where it lies."""
        return str(error).replace(f"{self.file.parent.parent}/", "")


def read_run(file: Path) -> Run:
    """Read one result.

    Raises:
        UserError: the file is broken, incomplete or of another schema, or holds NaN; the message names file and field.
    """
    raw = read_json(file)
    if not isinstance(raw, dict):
        raise _broken(file, "holds no JSON object")
    if raw.get("schema") not in (SCHEMA, OLDEST_SCHEMA):
        raise _broken(file, f"schema is {raw.get('schema')!r}, and this version reads {SCHEMA}; train it again")
    try:
        return run_of(file, Result.of(raw))
    except ValidationError as error:
        raise _broken(file, first_problem(error, Result, raw).file_message()) from error


def run_of(file: Path, result: Result) -> Run:
    """Return the run of a result, under the checkpoint rule that it chose."""
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
    """Return the weights of a row: those of a finished run, or else of the first run that records them."""
    return min(group, key=lambda run: (not run.finished, not run.weights, run.seed)).weights


def _flat(splits: Splits | None) -> dict[str, float | None]:
    return {f"{split}/{name}": value for split, values in (splits or {}).items() for name, value in values.items()}


def _broken(file: Path, what: str) -> UserError:
    return UserError(f"{file}: {what}; rerun this run or remove its folder")
