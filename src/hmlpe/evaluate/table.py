"""Methods side by side on one set: our networks, other methods' files and published numbers, by protocol."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hmlpe.errors import UserError
from hmlpe.evaluate.protocols import RATE
from hmlpe.evaluate.record import Numbers, Record
from hmlpe.report.published import Row, beside
from hmlpe.runs.metric import MetricInfo

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
