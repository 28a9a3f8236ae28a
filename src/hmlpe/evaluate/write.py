"""A record, and the comparison of all records of its set, as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hmlpe.evaluate.figure import draw_curves, draw_ranking
from hmlpe.evaluate.record import Record, check_name, read_records, write_record
from hmlpe.evaluate.table import check_comparable, lines_of, render_csv, render_markdown
from hmlpe.files import write_text_atomic
from hmlpe.report.published import Row, beside
from hmlpe.runs.metric import merged


def check_place(folder: Path, record: Record, overwrite: bool) -> None:
    """Raise UserError if the record could not stand in the folder beside the others, or in the place of one.

    What its scores are says nothing here, so that it is asked before anything is scored.
    """
    if not overwrite:
        check_name(folder, record)
    check_comparable([*(one for one in read_records(folder) if one.file != record.file), record])


def write_evaluation(folder: Path, record: Record, overwrite: bool) -> list[Path]:
    """The record, and a figure of its confidence's ranking if it has one. Returns the files."""
    check_place(folder, record, overwrite)  # one that does not fit would keep every later one out
    written = [write_record(folder, record, overwrite)]
    if record.ranking:
        picture = folder / f"{record.file}_confidence.png"
        draw_ranking(record.ranking, f"{record.method} on {record.data}, {record.counted} people", picture)
        written.append(picture)
    return written


def write_comparison(folder: Path, data: str, published: Sequence[Row]) -> list[Path]:
    """table.csv, table.md and curves.png of all records in the folder, beside the published numbers of their sides."""
    records = read_records(folder)
    lines = lines_of(records, published)
    notes = [
        "Intervals: bootstrap over shots, or images where no shots are known, each with all its people. "
        "A column is of one protocol; – is not measured."
    ]
    if any(record.method == "mean pose" for record in records):
        notes.append("mean pose: of the training people of the pack whose people are tested.")
    sides = records[0].sides
    shown, others = beside(published, sides)
    notes.append(f"Left and right: sides={sides}.")
    if others:
        methods = ", ".join(dict.fromkeys(str(one["method"]) for one in others))
        notes.append(f"Published under sides={others[0]['sides']}, and so in no table of sides={sides}: {methods}.")
    if not shown:
        notes.append("No published numbers of this set under these protocols and sides are known here.")
    lost = {record.without_image for record in records} - {0}
    if lost:
        annotated = max(record.annotated for record in records)
        notes.append(f"{max(lost)} of {annotated} test people have no image here; published rows stand on all.")
    notes += sorted({f"{record.method} ({record.boxes}): {record.notes}." for record in records if record.notes})
    notes += sorted({f"**{one.method} ({one.boxes}): {doubt}.**" for one in records for doubt in one.warnings})
    notes += sorted({f"{one['method']}: {one['source']}." for one in shown if one.get("source")})
    write_text_atomic(folder / "table.csv", render_csv(lines))
    write_text_atomic(
        folder / "table.md", render_markdown(data, lines, notes, merged(record.infos for record in records))
    )
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
    lines += [f"  {_left_out(record.not_applicable)}"] if record.not_applicable else []
    for group, one in record.ranking.items():
        gain, low, high = one["gain_at_half"]
        half = one["accuracy"][one["kept"].index(0.5)]
        lines.append(
            f"  confidence, {group}: {half:.4f} of the surer half are right, {one['overall']:.4f} of all; "
            f"gain {gain:+.4f} [{low:+.4f}, {high:+.4f}]"
        )
    lines += [f"  {record.notes}"] if record.notes else []
    return "\n".join([*lines, *(f"  warning: {doubt}" for doubt in record.warnings)])


def _left_out(reasons: Mapping[str, str]) -> str:
    """What does not apply, by its reason, in one line."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(own)}: does not apply, {reason}" for reason, own in names.items())
