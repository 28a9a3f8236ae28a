"""Records of evaluations as files: a JSON for each combination of method, boxes and people who count."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hmlpe.errors import UserError
from hmlpe.evaluate.bootstrap import Score
from hmlpe.files import read_json, write_json_atomic
from hmlpe.runs.metric import MetricInfo

SCHEMA = 3  # 1: another MODEC torso length and test crop, no bootstrap by shots; 2: scores without `described`
Numbers = dict[str, list[float | None]]


@dataclass(frozen=True)
class Record:
    """The results of one method on one data set.

    Attributes:
        method: the method's name in the table.
        data: the data set's name.
        boxes: where the boxes of the people come from.
        people: who counts of the people with an image: whole (all of them) or detected.
        counted, detected, annotated, without_image: the numbers of people who count, are detected, are annotated, and
            have no image.
        sides: the convention of left and right.
        scores: name -> value, low, high, in [0, 1]; None where there was nothing to measure.
        curves: protocol -> group -> threshold -> value, low, high.
        not_applicable: protocol -> the reason why it was not applied.
        ranking: how well the confidence ranks the errors, by group (`confidence.selective_accuracy_by_group`).
        notes: remarks that a reader of the numbers needs.
        identity: digests and names of what was scored, on which data, in which boxes; a record is not replaced by one
            of another identity unless overwriting is allowed.
        settings: digests of the settings that all records of a table must share (`settings.shared_settings_digests`).
        described: score -> its description, the fields of a `runs.metric.MetricInfo`.
        axes: protocol -> the labels of its curves' axes: the threshold's, and the share's.
        warnings: warnings about likely mistakes in the predictions (`plausible.plausibility_warnings`).
    """

    method: str
    data: str
    boxes: str
    people: str
    counted: int
    detected: int
    annotated: int
    without_image: int
    sides: str
    scores: Numbers
    curves: dict[str, dict[str, Numbers]]
    not_applicable: dict[str, str]
    ranking: dict[str, dict[str, Any]]
    notes: str
    identity: dict[str, str]
    settings: dict[str, str]
    warnings: list[str] = field(default_factory=list)
    described: dict[str, dict[str, Any]] = field(default_factory=dict)
    axes: dict[str, list[str]] = field(default_factory=dict)
    schema: int = field(default=SCHEMA)

    @property
    def infos(self) -> dict[str, MetricInfo]:
        """Return the description of each score, by the score's name."""
        return {name: MetricInfo(**info) for name, info in self.described.items()}

    @property
    def file_stem(self) -> str:
        """Return the name of the record's file without its suffix, made of method, boxes and people."""
        return "__".join(
            re.sub(r"[^A-Za-z0-9._+-]+", "-", part).strip("-.") for part in (self.method, self.boxes, self.people)
        )


def scores_for_json(scores: Mapping[Any, Score]) -> Numbers:
    """Convert scores to lists (value, low, high) for JSON: keys become text, and NaN becomes None.

    >>> scores_for_json({"pcp": Score(0.5, float("nan"), float("nan")), 0.2: Score(1.0, 0.9, 1.0)})
    {'pcp': [0.5, None, None], '0.20': [1.0, 0.9, 1.0]}
    """
    return {_json_key(key): [None if math.isnan(v) else v for v in score] for key, score in scores.items()}


def _json_key(key: Any) -> str:
    """Return a key as text; a threshold gets two decimals."""
    return f"{key:.2f}" if isinstance(key, float) else str(key)


def check_no_other_record(folder: Path, record: Record) -> None:
    """Raise UserError if the folder has a record of the same file name, but of other settings or another identity."""
    path = folder / f"{record.file_stem}.json"
    if not path.is_file():
        return
    there = read_record(path)
    old, new = {**there.identity, **there.settings}, {**record.identity, **record.settings}
    shared = there.settings.keys() & record.settings.keys() | there.identity.keys() | record.identity.keys()
    other = sorted(name for name in shared if old.get(name) != new.get(name))
    if other:
        raise UserError(
            f"{path}: is an evaluation of another {' and '.join(other)}; give this one a name of its own "
            "(method=...) or another folder (out=...), or let it be replaced: overwrite=true"
        )


def write_record(folder: Path, record: Record, overwrite: bool) -> Path:
    """Write the record as `<folder>/<file_stem>.json`, and return that path.

    Raises:
        UserError: there is a record of something else under that name, and `overwrite` is False.
    """
    if not overwrite:
        check_no_other_record(folder, record)
    path = folder / f"{record.file_stem}.json"
    write_json_atomic(path, asdict(record))
    return path


def read_record(path: Path) -> Record:
    """Read a record. Raises UserError if the file is not a record of this version."""
    content = read_json(path)
    try:
        record = Record(**content)
        if record.schema != SCHEMA or record.file_stem != path.stem:
            raise ValueError("another version")
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: not an evaluation of this version; move it away, and evaluate again") from error
    return record


def read_records(folder: Path) -> list[Record]:
    """Read all records in a folder, sorted by file name. Raises UserError if one is not a record of this version."""
    return [read_record(path) for path in sorted(folder.glob("*.json"))]
