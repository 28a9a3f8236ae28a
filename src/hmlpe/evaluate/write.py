"""A record, and the comparison of all records of its set, as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hmlpe.evaluate.figure import draw_curves, draw_ranking
from hmlpe.evaluate.record import Record, read_records, write_record
from hmlpe.evaluate.table import lines_of, render_csv, render_markdown
from hmlpe.files import write_text_atomic


def write_evaluation(folder: Path, record: Record, overwrite: bool) -> list[Path]:
    """The record, and a figure of its confidence's ranking if it has one. Returns the files."""
    written = [write_record(folder, record, overwrite)]
    if record.ranking:
        picture = folder / f"{record.file}_confidence.png"
        draw_ranking(record.ranking, f"{record.method} on {record.data}, {record.counted} people", picture)
        written.append(picture)
    return written


def write_comparison(folder: Path, data: str, published: Sequence[Mapping[str, Any]]) -> list[Path]:
    """table.csv, table.md and curves.png of all records in the folder, beside the published numbers."""
    records = read_records(folder)
    lines = lines_of(records, published)
    notes = [
        "Intervals: bootstrap over shots, or images where no shots are known, each with all its people. "
        "A column is of one protocol; – is not measured."
    ]
    if any(record.method == "mean pose" for record in records):
        notes.append("mean pose: of the training people of the pack whose people are tested.")
    if not published:
        notes.append("No published numbers of this set under these protocols are known here.")
    lost = {record.without_image for record in records} - {0}
    if lost:
        annotated = max(record.annotated for record in records)
        notes.append(f"{max(lost)} of {annotated} test people have no image here; published rows stand on all.")
    notes += sorted({f"{record.method} ({record.boxes}): {record.notes}." for record in records if record.notes})
    notes += sorted({f"{one['method']}: {one['source']}." for one in published if one.get("source")})
    write_text_atomic(folder / "table.csv", render_csv(lines))
    write_text_atomic(folder / "table.md", render_markdown(data, lines, notes))
    drawn = draw_curves(data, records, lines, folder / "curves.png")
    return [folder / "table.csv", folder / "table.md", *([folder / "curves.png"] if drawn else [])]


def summary(record: Record) -> str:
    """Every number of a record, to the fourth decimal."""
    people = f"{record.counted} of {record.annotated} people count ({record.people}), {record.detected} detected"
    lost = f", {record.without_image} without an image" if record.without_image else ""
    lines = [f"{record.method} on {record.data}, boxes: {record.boxes}; {people}{lost}; sides={record.sides}"]
    width = max(map(len, record.scores), default=0)
    for name, (value, low, high) in record.scores.items():
        interval = "" if low is None or high is None else f"  [{low:.4f}, {high:.4f}]"
        lines.append(f"  {name:<{width}}  {'–' if value is None else f'{value:.4f}'}{interval}")
    if record.people == "whole" and record.detected == record.counted:
        lines.append("  everyone is detected: whole and detected are the same people")
    lines += [f"  {protocol}: does not apply, {reason}" for protocol, reason in record.not_applicable.items()]
    for group, one in record.ranking.items():
        gain, low, high = one["gain_at_half"]
        half = one["accuracy"][one["kept"].index(0.5)]
        lines.append(
            f"  confidence, {group}: {half:.4f} of the surer half are right, {one['overall']:.4f} of all; "
            f"gain {gain:+.4f} [{low:+.4f}, {high:+.4f}]"
        )
    return "\n".join([*lines, *([f"  {record.notes}"] if record.notes else [])])
