"""Methods side by side on one set: our networks, other methods' files and published numbers, by protocol."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from hmlpe.errors import UserError
from hmlpe.evaluate.record import Numbers, Record
from hmlpe.report.published import Row, beside

EMPTY = "–"
PUBLISHED = "published"

PARTS = ("upper_arm", "lower_arm", "six_parts")
SHOWN = (  # beginnings and ends of the scores in the table's Markdown; the CSV has all
    *(f"pdj_modec_{group}{end}" for group in ("elbow", "wrist") for end in ("@0.05", "@0.10", "@0.20", "_auc")),
    *(f"pcp_strict_{group}" for group in PARTS),
    *(f"pcp_official_{group}" for group in ("detection_rate", *PARTS, *(f"total_{part}" for part in PARTS))),
)


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


def render_markdown(data: str, lines: Sequence[Line], notes: Sequence[str]) -> str:
    """The shown scores in per cent, a table for each protocol; all of a skeleton that has none of them."""
    text = [f"# {data}", ""]
    for protocol in ("pdj_modec", "pcp_strict", "pcp_official"):
        there = dict.fromkeys(name for line in lines for name in line.scores if name.startswith(protocol))
        names = [name for name in SHOWN if name in there]
        if set(names) <= {"pcp_official_detection_rate"}:  # another skeleton: no arms
            names = list(there)
        rows = [line for line in lines if any(name in line.scores for name in names)]
        if not rows:
            continue
        heads = [name.removeprefix(f"{protocol}_").replace("_", " ").replace("@", " @") for name in names]
        official = protocol == "pcp_official"  # which looks at the detected people, whoever counts elsewhere
        text += [f"## {protocol}", "", _pipes(["method", "boxes", "detected" if official else "people", *heads])]
        text.append(_pipes([":--", ":--", "--:", *["--:"] * len(heads)]))
        for line in rows:
            people = line.detected if official else line.people
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
