"""Write the results of evaluations: records, tables, curves of all methods on a data set, rankings by confidence."""

from __future__ import annotations

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
from hmlpe.evaluate.record import Numbers, Record, check_no_other_record, read_records, write_record
from hmlpe.files import write_bytes_atomic, write_text_atomic
from hmlpe.palette import PART_COLOURS
from hmlpe.report.published import Row, split_by_sides
from hmlpe.runs.metric import MetricInfo, merge_infos
from hmlpe.text_table import csv_text, markdown_lines

EMPTY = "–"
PUBLISHED = "published"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", *PART_COLOURS[:1])
MARKERS = "osD^vP*X"
MAX_PANELS = 8  # the largest number of panels in a figure
MAX_BANDS = 4  # with more curves no intervals are drawn, as they would cover one another


@dataclass(frozen=True)
class TableRow:
    """One row of the table: a method's scores, measured or published."""

    method: str
    boxes: str
    people: str
    scores: Numbers
    detected: str = ""  # how many people are detected, of how many; for the protocol over the detected people


def table_rows(records: Sequence[Record], published: Sequence[Row]) -> list[TableRow]:
    """Return the rows of the table: published scores under the records' convention of sides, then the records.

    Args:
        records: the records of one data set.
        published: published scores on it.

    Raises:
        UserError: the protocols, labels or numbers of annotated people of the records are not the same.
    """
    check_comparable(records)
    found = [
        TableRow(
            str(one["method"]),
            PUBLISHED,
            f"{one['people']}",
            {str(name): [float(value), None, None] for name, value in one["scores"].items()},
        )
        for one in split_by_sides(published, records[0].sides)[0]
    ]
    for record in sorted(records, key=lambda record: (record.people != "whole", record.file_stem)):
        people = f"{record.counted}, {record.people}"
        found.append(
            TableRow(record.method, record.boxes, people, record.scores, f"{record.detected} of {record.counted}")
        )
    return found


def check_comparable(records: Sequence[Record]) -> None:
    """Raise UserError if the records do not share the settings of the protocols, labels and intervals."""
    first: dict[str, tuple[str, Record]] = {}
    for record in records:
        for name, digest in {**record.settings, "annotated people": str(record.annotated)}.items():
            other, owner = first.setdefault(name, (digest, record))
            if other != digest:
                what = f"{name} (sides={record.sides}, sides={owner.sides})" if name == "labels" else name
                raise UserError(
                    f"{record.file_stem}.json and {owner.file_stem}.json differ in {what}, and share a folder; "
                    "evaluate one of them into another (out=...), or move it away"
                )


def render_csv(table_rows: Sequence[TableRow]) -> str:
    """Return the table as CSV text: a line for each method, with all scores and intervals as shares from 0 to 1.

    The names of the columns begin with their protocol.
    """
    names = list(dict.fromkeys(name for line in table_rows for name in line.scores))
    header = ["method", "boxes", "people", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))]
    rows = []
    for line in table_rows:
        values = [value for name in names for value in line.scores.get(name, [None] * 3)]
        rows.append([line.method, line.boxes, line.people, *("" if v is None else f"{v:.6f}" for v in values)])
    return csv_text(header, rows)


def render_markdown(data: str, lines: Sequence[TableRow], notes: Sequence[str], infos: Mapping[str, MetricInfo]) -> str:
    """Return the table as Markdown: a table for each protocol, with the scores that are to be shown, in per cent.

    If none of a protocol's groups is to be shown, as with another skeleton, all of its scores are.

    Args:
        data: the name of the data set.
        lines: the rows.
        notes: remarks below the tables.
        infos: the descriptions of the scores.
    """
    text = [f"# {data}", ""]
    for protocol in dict.fromkeys(info.section for info in infos.values()):
        there = {name: info for name, info in infos.items() if info.section == protocol}
        names = [name for name, info in there.items() if info.shown]
        if all(there[name].label == RATE for name in names):  # another skeleton: it has none of the groups
            names = list(there)
        rows = [line for line in lines if any(name in line.scores for name in names)]
        if not rows:
            continue
        heads = [there[name].heading for name in names]
        detected = any(info.people == "detected" for info in there.values())
        header = ["method", "boxes", "detected" if detected else "people", *heads]
        cells = [
            [
                line.method,
                line.boxes,
                line.detected if detected else line.people,
                *(_format_score(line, name) for name in names),
            ]
            for line in rows
        ]
        shown = ([cell.replace("|", "/") for cell in row] for row in [header, *cells])
        text += [f"## {protocol}", "", *markdown_lines(next(shown), shown, left=(0, 1)), ""]
    return "\n".join([*text, *(f"- {note}" for note in notes)]) + "\n"


def _format_score(line: TableRow, name: str) -> str:
    """Return a score of a table's line as text, in per cent with its interval."""
    value, low, high = line.scores.get(name, [None] * 3)
    if value is None:
        return EMPTY
    interval = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * value:.1f}{interval}"


def draw_curves(data: str, records: Sequence[Record], lines: Sequence[TableRow], path: Path) -> bool:
    """Draw the curves of all records, with a panel for each protocol and group. Return False if there is no curve.

    The records over all people are drawn; if there are none, those over detected people. Seeds of one row share a
    colour, intervals are bands if there are few curves, and published scores are markers.

    Args:
        data: the name of the data set, for the title.
        records: the records.
        lines: the rows of the table, of which the published ones are drawn.
        path: the picture to write.
    """
    shown = [record for record in records if record.people == "whole"] or list(records)
    kinds = list(dict.fromkeys(_legend_label(record) for record in shown))
    axes = {name: words for record in shown for name, words in record.axes.items()}
    panels = list(
        dict.fromkeys((protocol, group) for one in shown for protocol, own in one.curves.items() for group in own)
    )[:MAX_PANELS]
    if not panels:
        return False
    figure = Figure(figsize=(4.4 * len(panels), 4.6), layout="constrained")
    for axis, (protocol, group) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for record in shown:
            colour = COLOURS[kinds.index(_legend_label(record)) % len(COLOURS)]
            _draw_curve(axis, record, protocol, group, colour, band=len(shown) <= MAX_BANDS)
        for index, line in enumerate(line for line in lines if line.boxes == PUBLISHED):
            _draw_published_points(axis, line, f"{protocol}_{group}@", MARKERS[index % len(MARKERS)])
        axis.set(xlabel=axes[protocol][0], ylabel=axes[protocol][1], ylim=(0, 100))
        axis.set_title(f"{protocol}: {group.replace('_', ' ')}", fontsize=10)
        axis.grid(color="0.92")
    entries = {
        label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2, fontsize=8)
    figure.suptitle(data, fontsize=11)
    _save_png(figure, path)
    return True


def draw_ranking(ranking: Mapping[str, Mapping[str, Any]], title: str, path: Path) -> None:
    """Draw, with a panel for each group, the accuracy over the share of joints kept, and that of an oracle's ranking.

    Args:
        ranking: the results of `confidence.selective_accuracy_by_group`.
        title: the title.
        path: the picture to write.
    """
    figure = Figure(figsize=(4.2 * len(ranking), 3.6), layout="constrained")
    for axis, (name, one) in zip(figure.subplots(1, len(ranking), squeeze=False)[0], ranking.items(), strict=True):
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
    _save_png(figure, path)


def _save_png(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_bytes_atomic(path, buffer.getvalue())


def _legend_label(record: Record) -> str:
    """Return the legend's label of a record, which is the same for all seeds of a row."""
    method = re.sub(r"_s\d+$", "", record.method)
    return f"{method} ({record.boxes}; {record.counted} people, {record.people})"


def _draw_curve(axis: Axes, record: Record, protocol: str, group: str, colour: str, band: bool) -> None:
    """Draw one curve of a record over the thresholds, with its interval as a band if `band` is true."""
    curve = record.curves.get(protocol, {}).get(group)
    if curve is None:
        return
    points = sorted((float(threshold), values) for threshold, values in curve.items())
    shares = 100 * np.array([[np.nan if v is None else v for v in values] for _, values in points])
    at = [threshold for threshold, _ in points]
    axis.plot(at, shares[:, 0], color=colour, lw=1.8, label=_legend_label(record))
    if band:
        axis.fill_between(at, shares[:, 1], shares[:, 2], color=colour, alpha=0.15, lw=0)


def _draw_published_points(axis: Axes, line: TableRow, prefix: str, marker: str) -> None:
    """Draw a published method's scores over the thresholds, as markers.

    Args:
        axis: where to draw.
        line: the method's row of the table.
        prefix: the start of the scores' names, which the threshold follows.
        marker: the shape of the markers.
    """
    found = {float(name.removeprefix(prefix)): v for name, (v, *_) in line.scores.items() if name.startswith(prefix)}
    if found:
        values = [100 * value for value in found.values() if value is not None]
        axis.plot(list(found), values, marker, color="0.35", mfc="none", ms=6, label=f"{line.method} ({line.people})")


def check_record_fits(folder: Path, record: Record, overwrite: bool) -> None:
    """Raise UserError if the record must not be written into the folder.

    That is so if it differs from the other records in shared settings, or would replace a record of something else
    although `overwrite` is False. The scores are not needed, so that this can be checked before anything is scored.
    """
    if not overwrite:
        check_no_other_record(folder, record)
    check_comparable([*(one for one in read_records(folder) if one.file_stem != record.file_stem), record])


def write_evaluation(folder: Path, record: Record, overwrite: bool) -> list[Path]:
    """Write the record, and a figure of its ranking by confidence if it has one. Return the paths of the files."""
    check_record_fits(folder, record, overwrite)  # once written, one that does not fit would make every later one fail
    written = [write_record(folder, record, overwrite)]
    if record.ranking:
        picture = folder / f"{record.file_stem}_confidence.png"
        draw_ranking(record.ranking, f"{record.method} on {record.data}, {record.counted} people", picture)
        written.append(picture)
    return written


def write_comparison(folder: Path, data: str, published: Sequence[Row]) -> list[Path]:
    """Write table.csv, table.md and curves.png of all records in the folder, and return the paths of the files.

    Args:
        folder: the folder.
        data: the name of the data set.
        published: published scores on it; those under the records' convention of sides are in the table.
    """
    records = read_records(folder)
    lines = table_rows(records, published)
    notes = [
        "Intervals: bootstrap over shots, or images where no shots are known, each with all its people. "
        "Each column is of one protocol; – means not measured."
    ]
    if any(record.method == "mean pose" for record in records):
        notes.append("mean pose: of the training people of the pack whose people are tested.")
    sides = records[0].sides
    shown, others = split_by_sides(published, sides)
    notes.append(f"Left and right: sides={sides}.")
    if others:
        methods = ", ".join(dict.fromkeys(str(one["method"]) for one in others))
        notes.append(f"Published under sides={others[0]['sides']}, so not in a table of sides={sides}: {methods}.")
    if not shown:
        notes.append("No published numbers of this set under these protocols and sides are known here.")
    lost = {record.without_image for record in records} - {0}
    if lost:
        annotated = max(record.annotated for record in records)
        notes.append(f"{max(lost)} of {annotated} test people have no image here; published rows include all.")
    notes += sorted({f"{record.method} ({record.boxes}): {record.notes}." for record in records if record.notes})
    notes += sorted({f"**{one.method} ({one.boxes}): {doubt}.**" for one in records for doubt in one.warnings})
    notes += sorted({f"{one['method']}: {one['source']}." for one in shown if one.get("source")})
    write_text_atomic(folder / "table.csv", render_csv(lines))
    write_text_atomic(
        folder / "table.md", render_markdown(data, lines, notes, merge_infos(record.infos for record in records))
    )
    drawn = draw_curves(data, records, lines, folder / "curves.png")
    return [folder / "table.csv", folder / "table.md", *([folder / "curves.png"] if drawn else [])]


def record_summary(record: Record) -> str:
    """Return a text for the console with all scores of a record, to four decimals."""
    people = f"{record.counted} of {record.annotated} people count ({record.people}), {record.detected} detected"
    lost = f", {record.without_image} without an image" if record.without_image else ""
    lines = [f"{record.method} on {record.data}, boxes: {record.boxes}; {people}{lost}; sides={record.sides}"]
    width = max(map(len, record.scores), default=0)
    for name, (value, low, high) in record.scores.items():
        interval = "" if low is None or high is None else f"  [{low:.4f}, {high:.4f}]"
        lines.append(f"  {name:<{width}}  {'–' if value is None else f'{value:.4f}'}{interval}")
    if record.people == "whole" and record.detected == record.counted:
        lines.append("  everyone is detected: whole and detected are the same people")
    lines += [f"  {_not_applicable_line(record.not_applicable)}"] if record.not_applicable else []
    for group, one in record.ranking.items():
        gain, low, high = one["gain_at_half"]
        half = one["accuracy"][one["kept"].index(0.5)]
        lines.append(
            f"  confidence, {group}: {half:.4f} of the surer half are right, {one['overall']:.4f} of all; "
            f"gain {gain:+.4f} [{low:+.4f}, {high:+.4f}]"
        )
    lines += [f"  {record.notes}"] if record.notes else []
    return "\n".join([*lines, *(f"  warning: {doubt}" for doubt in record.warnings)])


def _not_applicable_line(reasons: Mapping[str, str]) -> str:
    """Return one line that names the protocols and groups that do not apply, with the reasons."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(own)}: does not apply, {reason}" for reason, own in names.items())
