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
        tasks: the symbol of each task in formulas, by the task's name.
        described: description of each metric, by its name without the split, and of everything else that the run logs.
        pictures: names of the pictures that the run sends to a dashboard.
        protocol: in words: which people are tested and how, which sides the labels follow, and which sets are used.
        balance: balance of the losses; None in results of older versions, which had fixed weights.
        people: number of training, validation and test people.
        counted: number of people with any label that a task learns from, by split and task.
        identity: digests and seed by which a later call recognises the run (`folder.read_run_state`).
        provenance: code, data, packages and machine.
        images_per_second: training speed, without validation and checkpoints.
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
    images_per_second: float | None = None
    error: Line | None = None
    steps: int | None = None
    steps_before: int | None = None
    best_epoch: int | None = None
    metrics: Splits | None = None
    mean_pose: Splits | None = None
    other_rule: OtherRule | None = None
    mirror_lost: Line | None = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Result:
        """Return the validated content of result.json, in which null counts as missing. Raises ValidationError."""
        return cls.model_validate({key: value for key, value in content.items() if value is not None})

    @model_validator(mode="after")
    def _check_complete(self) -> Result:
        """Raise ValueError if a finished run lacks a field, or a run that has not failed has numbers not finite."""
        if self.row == MEAN_POSE:
            raise ValueError(f"row is {MEAN_POSE!r}, a name that the table uses itself; rename the row")
        if self.status == "finished":
            for name in _FINISHED:
                if getattr(self, name) is None:
                    raise ValueError(f"field {name} is missing")
            for name, kind, there in (("provenance", str, PROVENANCE), ("people", int, ("test",))):
                for key in there:
                    _require_key(f"{name}.{key}", getattr(self, name), key, kind)
            _require_key("metrics.test", self.metrics or {}, "test", dict)
        if self.status != "failed":
            for where, value in _named_numbers(self):
                if value is not None and not math.isfinite(value):
                    raise ValueError(f"{where} is {value}")
        return self


def _require_key(field_name: str, mapping: Mapping[str, Any], key: str, required_type: type) -> None:
    if key not in mapping:
        raise ValueError(f"field {field_name} is missing")
    if not isinstance(mapping[key], required_type):
        raise ValueError(f"field {field_name} is not {'a text' if required_type is str else 'an integer'}")


def _named_numbers(result: Result) -> Iterator[tuple[str, float | None]]:
    """Yield each weight and metric of a result, as (its place in the file, its value)."""
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
        """Return the name of the run's row."""
        return self.result.row

    @property
    def seed(self) -> int:
        """Return the run's seed."""
        return self.result.seed

    @property
    def status(self) -> str:
        """Return "finished", "running" or "failed"."""
        return self.result.status

    @property
    def weights(self) -> Mapping[str, float]:
        """Return the loss weights of the run's row, by task."""
        return self.result.weights or {}

    @property
    def people(self) -> Mapping[str, int | None]:
        """Return the number of people in the run's data, by split."""
        return self.result.people or {}

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Return what the run was made with: versions of code, data and packages, and the machine."""
        return self.result.provenance or {}

    @property
    def infos(self) -> Mapping[str, MetricInfo]:
        """Return the descriptions of the run's metrics, by name without split."""
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
    """Read and validate one result.json, and return it as a `Run`.

    Raises:
        UserError: the file is broken, incomplete or of another schema, or holds NaN; the message names file and field.
    """
    raw = read_json(file)
    if not isinstance(raw, dict):
        raise _broken_file_error(file, "holds no JSON object")
    if raw.get("schema") not in (SCHEMA, OLDEST_SCHEMA):
        raise _broken_file_error(
            file, f"schema is {raw.get('schema')!r}, but this version reads {SCHEMA}; train it again"
        )
    try:
        return make_run(file, Result.from_json(raw))
    except ValidationError as error:
        raise _broken_file_error(file, first_problem(error, Result, raw).message_for_file()) from error


def make_run(file: Path, result: Result) -> Run:
    """Return a validated result as a `Run`, under the checkpoint rule that it selected."""
    other = result.other_rule
    return Run(
        file=file,
        result=result,
        rule=result.checkpoint_rule or "",
        metrics=_flatten(result.metrics),
        mean_pose=_flatten(result.mean_pose),
        other_rule=other.checkpoint_rule if other else None,
        other_metrics=_flatten(other.metrics if other else None),
    )


def row_weights(group: Sequence[Run]) -> Mapping[str, float]:
    """Return the loss weights of a row, by task: those of a finished run, or else of the first run that records them.

    Args:
        group: the runs of the row, one per seed.
    """
    return min(group, key=lambda run: (not run.finished, not run.weights, run.seed)).weights


def _flatten(splits: Splits | None) -> dict[str, float | None]:
    """Return the metrics of all splits in one dict, by `<split>/<metric>`."""
    return {f"{split}/{name}": value for split, values in (splits or {}).items() for name, value in values.items()}


def _broken_file_error(file: Path, reason: str) -> UserError:
    """Return the UserError of a result.json that cannot be used."""
    return UserError(f"{file}: {reason}; rerun this run or remove its folder")
