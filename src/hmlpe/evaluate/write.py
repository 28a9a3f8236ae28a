"""What an evaluation writes: the table, the curves of all methods on one set, and how a method's confidence ranks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmlpe.errors import UserError
from hmlpe.evaluate.protocols import RATE
from hmlpe.evaluate.record import Numbers, Record, check_name, read_records, write_record
from hmlpe.files import write_bytes_atomic, write_text_atomic
from hmlpe.palette import PART_COLOURS
from hmlpe.report.published import Row, beside
from hmlpe.runs.metric import MetricInfo, merge_infos

EMPTY = "–"
PUBLISHED = "published"


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    method: str
    boxes: str
    people: str
    scores: Numbers
    detected: str = ""  # of how many people, for the protocol that looks at the detected alone


def lines_of(records: Sequence[Record], published: Sequence[Row]) -> list[Line]:
    """The rows: published numbers of the records' sides first, then what was measured.

    Raises:
        UserError: the records' protocols, labels or annotated people are not the same.
    """
    check_comparable(records)
    found = [
        Line(
            str(one["method"]),
            PUBLISHED,
            f"{one['people']}",
            {str(name): [float(value), None, None] for name, value in one["scores"].items()},
        )
        for one in beside(published, records[0].sides)[0]
    ]
    for record in sorted(records, key=lambda record: (record.people != "whole", record.file)):
        people = f"{record.counted}, {record.people}"
        found.append(Line(record.method, record.boxes, people, record.scores, f"{record.detected} of {record.counted}"))
    return found


def check_comparable(records: Sequence[Record]) -> None:
    """Raise UserError if two records of a folder were made with other settings of a protocol or of the labels."""
    first: dict[str, tuple[str, Record]] = {}
    for record in records:
        for name, digest in {**record.settings, "annotated people": str(record.annotated)}.items():
            other, owner = first.setdefault(name, (digest, record))
            if other != digest:
                what = f"{name} (sides={record.sides}, sides={owner.sides})" if name == "labels" else name
                raise UserError(
                    f"{record.file}.json and {owner.file}.json differ in {what}, and share a folder; evaluate one of "
                    "them into another (out=...), or move it away"
                )


def render_csv(lines: Sequence[Line]) -> str:
    """Every score with its interval, as shares, one row a method; a column's name begins with its protocol."""
    names = list(dict.fromkeys(name for line in lines for name in line.scores))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "boxes", "people", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))])
    for line in lines:
        values = [value for name in names for value in line.scores.get(name, [None] * 3)]
        writer.writerow([line.method, line.boxes, line.people, *("" if v is None else f"{v:.6f}" for v in values)])
    return out.getvalue()


def render_markdown(data: str, lines: Sequence[Line], notes: Sequence[str], infos: Mapping[str, MetricInfo]) -> str:
    """The shown scores in per cent, a table for each protocol; all of a skeleton of which none is shown.

    Args:
        infos: what the scores are.
    """
    text = [f"# {data}", ""]
    for protocol in dict.fromkeys(info.section for info in infos.values()):
        there = {name: info for name, info in infos.items() if info.section == protocol}
        names = [name for name, info in there.items() if info.shown]
        if all(there[name].label == RATE for name in names):  # another skeleton: none of the groups
            names = list(there)
        rows = [line for line in lines if any(name in line.scores for name in names)]
        if not rows:
            continue
        heads = [there[name].heading for name in names]
        detected = any(info.people == "detected" for info in there.values())
        text += [f"## {protocol}", "", _pipes(["method", "boxes", "detected" if detected else "people", *heads])]
        text.append(_pipes([":--", ":--", "--:", *["--:"] * len(heads)]))
        for line in rows:
            people = line.detected if detected else line.people
            text.append(_pipes([line.method, line.boxes, people, *(_cell(line, name) for name in names)]))
        text.append("")
    return "\n".join([*text, *(f"- {note}" for note in notes)]) + "\n"


def _cell(line: Line, name: str) -> str:
    value, low, high = line.scores.get(name, [None] * 3)
    if value is None:
        return EMPTY
    interval = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * value:.1f}{interval}"


def _pipes(texts: Sequence[str]) -> str:
    return f"| {' | '.join(text.replace('|', '/') for text in texts)} |"


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", *PART_COLOURS[:1])
MARKERS = "osD^vP*X"
PANELS = 8  # at most
BANDS = 4  # with more curves, intervals would cover one another


def draw_curves(data: str, records: Sequence[Record], lines: Sequence[Line], path: Path) -> bool:
    """A panel for each curve that a record of the whole has (of the detected, if none has). False: there is no curve.

    Seeds of one row share a colour; intervals are bands where curves are few; published points are markers.
    """
    shown = [record for record in records if record.people == "whole"] or list(records)
    kinds = list(dict.fromkeys(_kind(record) for record in shown))
    axes = {name: words for record in shown for name, words in record.axes.items()}
    panels = list(
        dict.fromkeys((protocol, group) for one in shown for protocol, own in one.curves.items() for group in own)
    )[:PANELS]
    if not panels:
        return False
    figure = Figure(figsize=(4.4 * len(panels), 4.6), layout="constrained")
    for axis, (protocol, group) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for record in shown:
            colour = COLOURS[kinds.index(_kind(record)) % len(COLOURS)]
            _curve(axis, record, protocol, group, colour, band=len(shown) <= BANDS)
        for index, line in enumerate(line for line in lines if line.boxes == PUBLISHED):
            _points(axis, line, f"{protocol}_{group}@", MARKERS[index % len(MARKERS)])
        axis.set(xlabel=axes[protocol][0], ylabel=axes[protocol][1], ylim=(0, 100))
        axis.set_title(f"{protocol}: {group.replace('_', ' ')}", fontsize=10)
        axis.grid(color="0.92")
    entries = {
        label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2, fontsize=8)
    figure.suptitle(data, fontsize=11)
    _save(figure, path)
    return True


def draw_ranking(found: Mapping[str, Mapping[str, Any]], title: str, path: Path) -> None:
    """One panel a group: accuracy over the share kept, between an oracle's ranking and none."""
    figure = Figure(figsize=(4.2 * len(found), 3.6), layout="constrained")
    for axis, (name, one) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        share = 100 * np.array(one["kept"])
        axis.plot(share, 100 * np.array(one["oracle"]), color="0.7", lw=1.2, label="an oracle's ranking")
        axis.plot(share, 100 * np.array(one["accuracy"]), color=COLOURS[0], marker="o", ms=3.5, label="by confidence")
        axis.axhline(100 * one["overall"], color="0.4", ls="--", lw=1, label="no ranking")
        axis.set(xlabel="joints kept, the surest first [%]", ylabel=f"right at {one['threshold']:.2f} torso [%]")
        axis.set_ylim(0, 103)
        axis.set_title(name, fontsize=10)
        axis.grid(color="0.92")
    figure.axes[0].legend(fontsize=8, loc="lower left")
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_bytes_atomic(path, buffer.getvalue())


def _kind(record: Record) -> str:
    """What the legend says of a curve: seeds of one row are one kind."""
    method = re.sub(r"_s\d+$", "", record.method)
    return f"{method} ({record.boxes}; {record.counted} people, {record.people})"


def _curve(axis: Axes, record: Record, protocol: str, group: str, colour: str, band: bool) -> None:
    curve = record.curves.get(protocol, {}).get(group)
    if curve is None:
        return
    points = sorted((float(threshold), values) for threshold, values in curve.items())
    shares = 100 * np.array([[np.nan if v is None else v for v in values] for _, values in points])
    at = [threshold for threshold, _ in points]
    axis.plot(at, shares[:, 0], color=colour, lw=1.8, label=_kind(record))
    if band:
        axis.fill_between(at, shares[:, 1], shares[:, 2], color=colour, alpha=0.15, lw=0)


def _points(axis: Axes, line: Line, beginning: str, marker: str) -> None:
    found = {
        float(name.removeprefix(beginning)): v for name, (v, *_) in line.scores.items() if name.startswith(beginning)
    }
    if found:
        values = [100 * value for value in found.values() if value is not None]
        axis.plot(list(found), values, marker, color="0.35", mfc="none", ms=6, label=f"{line.method} ({line.people})")


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
        folder / "table.md", render_markdown(data, lines, notes, merge_infos(record.infos for record in records))
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
