"""One `result.json` → one `Run`, checked field by field."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmlpe.errors import UserError
from hmlpe.files import read_json
from hmlpe.report.columns import MEAN_POSE

SCHEMA = 2
STATUSES = ("finished", "running", "failed")
# What a finished run must state; a run that failed or still runs may not have got that far.
_FINISHED: dict[str, type] = {
    **dict.fromkeys(("experiment", "protocol", "checkpoint_rule", "recipe", "network"), str),
    **dict.fromkeys(("epochs", "steps"), int),
    **dict.fromkeys(("weights", "people", "metrics", "provenance"), dict),
}
_KINDS = {str: "a text", int: "an integer", dict: "an object"}


@dataclass(frozen=True)
class Run:
    """One run. Metrics are flat, `<split>/<metric>`; a value that a run does not have is None or absent."""

    file: Path
    row: str
    seed: int
    status: str
    weights: Mapping[str, float]
    metrics: Mapping[str, float | None]
    mean_pose: Mapping[str, float | None]
    people: Mapping[str, int | float | None]
    provenance: Mapping[str, Any]
    # All fields as in the file, texts in one line: experiment, protocol, checkpoint_rule, epochs, seconds, error, …
    facts: Mapping[str, Any]
    # The checkpoint rule that was not chosen, and the metrics under it; a run of an older version has neither.
    other_rule: str | None = None
    other_metrics: Mapping[str, float | None] = dataclasses.field(default_factory=dict)

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
    """Read one result. Raises UserError naming file and field: broken, incomplete, of another schema, NaN or infinite.

    A failed run may hold numbers that are not finite, as that may be why it failed.
    """
    raw = read_json(file)
    if not isinstance(raw, dict):
        raise _broken(file, "holds no JSON object")
    if raw.get("schema") != SCHEMA:
        raise _broken(file, f"schema is {raw.get('schema')!r}, and this version reads {SCHEMA}; train it again")
    status = raw.get("status")
    if status not in STATUSES:
        raise _broken(file, f"status is {status!r}, not one of {', '.join(STATUSES)}")
    fields = {"row": str, "seed": int} | (_FINISHED if status == "finished" else {})
    _demand(file, raw, fields)
    if raw["row"] == MEAN_POSE:
        raise UserError(f"{file}: row is {MEAN_POSE!r}, the name of a line of the table's own; rename the row")
    for field in ("weights", "people", "metrics", "mean_pose", "provenance", "other_rule"):
        if raw.get(field) is not None:
            _demand(file, raw, {field: dict})
    if status == "finished":
        _demand(file, raw["provenance"], dict.fromkeys(("data", "code", "config", "settings"), str), "provenance.")
        _demand(file, raw["people"], {"test": int}, "people.")
        _demand(file, raw["metrics"], {"test": dict}, "metrics.")
    lenient = status == "failed"
    other = raw.get("other_rule") or {}
    if other:
        _demand(file, other, {"checkpoint_rule": str, "metrics": dict}, "other_rule.")
    weights = _numbers(file, "weights", raw.get("weights"), lenient)
    return Run(
        file=file,
        row=_line(raw["row"]),
        seed=raw["seed"],
        status=status,
        weights={task: float(weight) for task, weight in weights.items() if weight is not None},
        metrics=_flat(file, "metrics", raw.get("metrics"), lenient),
        mean_pose=_flat(file, "mean_pose", raw.get("mean_pose"), lenient),
        people=_numbers(file, "people", raw.get("people"), lenient),
        provenance=raw.get("provenance") or {},
        facts={key: _line(value) if isinstance(value, str) else value for key, value in raw.items()},
        other_rule=_line(other["checkpoint_rule"]) if other else None,
        other_metrics=_flat(file, "other_rule.metrics", other.get("metrics"), lenient),
    )


def _demand(file: Path, raw: Mapping[str, Any], fields: Mapping[str, type], prefix: str = "") -> None:
    for field, kind in fields.items():
        if field not in raw:
            raise _broken(file, f"field {prefix}{field} is missing")
        if not isinstance(raw[field], kind) or isinstance(raw[field], bool):
            raise _broken(file, f"field {prefix}{field} is not {_KINDS[kind]}")


def _flat(file: Path, where: str, splits: Mapping[str, Any] | None, lenient: bool) -> dict[str, float | None]:
    return {
        f"{split}/{name}": None if value is None else float(value)
        for split, values in (splits or {}).items()
        for name, value in _numbers(file, f"{where}.{split}", values, lenient).items()
    }


def _numbers(file: Path, where: str, values: Any, lenient: bool) -> dict[str, int | float | None]:
    if not isinstance(values, dict | None):
        raise _broken(file, f"field {where} is not an object")
    for name, value in (values or {}).items():
        if not isinstance(value, int | float | None) or isinstance(value, bool):
            raise _broken(file, f"{where}.{name} is not a number")
        if value is not None and not math.isfinite(value) and not lenient:
            raise _broken(file, f"{where}.{name} is {value}")
    return values or {}


def _line(text: str) -> str:
    """A text in one line, so that one run stays one line in every output."""
    return " ".join(text.split())


def _broken(file: Path, what: str) -> UserError:
    return UserError(f"{file}: {what}; rerun this run or remove its folder")
