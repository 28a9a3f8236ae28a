"""An evaluation on disk: one JSON for each method, its boxes and its people."""

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

SCHEMA = 3  # 1: another length of MODEC's, another test crop, people drawn one by one; 2: scores that say nothing
Numbers = dict[str, list[float | None]]


@dataclass(frozen=True)
class Record:
    """What was measured of one method on one set.

    Attributes:
        method: its name in the table.
        data: the set.
        boxes: where the boxes of the people come from.
        people: whole or detected: who counts, of those with an image.
        counted, detected, annotated, without_image: how many people.
        sides: the convention of left and right.
        scores: name -> value, low, high, in [0, 1]; None where there was nothing to measure.
        curves: protocol -> group -> threshold -> value, low, high.
        not_applicable: protocol -> why.
        ranking: of the confidence, by group.
        notes: what a reader must know beside the numbers.
        identity: what was scored, on what, in which boxes: another identity does not replace this record.
        settings: digests of what all records of a table must share (`settings.settings_of`).
        described: what each score is (`runs.metric.MetricInfo`).
        axes: of the curves, by protocol: what the threshold is, and what the share.
        warnings: why the numbers may not be what they seem (`plausible.doubts`).
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
        """What each score is."""
        return {name: MetricInfo(**info) for name, info in self.described.items()}

    @property
    def file(self) -> str:
        """Its file's name, without the ending."""
        return "__".join(
            re.sub(r"[^A-Za-z0-9._+-]+", "-", part).strip("-.") for part in (self.method, self.boxes, self.people)
        )


def numbers(scores: Mapping[Any, Score]) -> Numbers:
    """Scores as JSON takes them, keys as texts."""
    return {_key(key): [None if math.isnan(v) else v for v in score] for key, score in scores.items()}


def _key(key: Any) -> str:
    return f"{key:.2f}" if isinstance(key, float) else str(key)


def check_name(folder: Path, record: Record) -> None:
    """Raise UserError if there is an evaluation of something else under the record's name."""
    path = folder / f"{record.file}.json"
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
    """Write it as `<folder>/<file>.json`.

    Raises:
        UserError: there is one of something else under that name, and it must not be overwritten.
    """
    if not overwrite:
        check_name(folder, record)
    path = folder / f"{record.file}.json"
    write_json_atomic(path, asdict(record))
    return path


def read_record(path: Path) -> Record:
    """One evaluation. Raises UserError if the file is none of this version."""
    content = read_json(path)
    try:
        record = Record(**content)
        if record.schema != SCHEMA or record.file != path.stem:
            raise ValueError("another version")
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: not an evaluation of this version; move it away, and evaluate again") from error
    return record


def read_records(folder: Path) -> list[Record]:
    """Every evaluation in a folder, by name. Raises UserError at a file that is no evaluation of this version."""
    return [read_record(path) for path in sorted(folder.glob("*.json"))]
