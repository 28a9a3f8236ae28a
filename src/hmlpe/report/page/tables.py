"""The page's tables: the study's own with the intervals of its means, the paired differences, the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hmlpe.report.cells import BEST, CUT, EMPTY, cells, headings, notes
from hmlpe.report.columns import possible
from hmlpe.report.comparable import describe_unfinished
from hmlpe.report.statistics import Statistics
from hmlpe.report.statistics.render import by_column
from hmlpe.report.statistics.render import cells as difference_cells
from hmlpe.report.study import Findings, Study
from hmlpe.report.summary import short_digest
from hmlpe.runs.result import Run

DASH = "–"
_SIGNS = {"better": "✓", "worse": "✗"}  # no arrows: what is lower may be better


class Cell(NamedTuple):
    """Text, a smaller text below it, and a class: best, better, worse, none (no value)."""

    text: str
    below: str = ""
    kind: str = ""


class HtmlTable(NamedTuple):
    """A table; the first cell of a row heads it."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def main_table(findings: Findings) -> HtmlTable:
    """Mean ± std of each row, and below it the interval of the mean where people's files give one."""
    table, intervals = findings.table, findings.statistics.intervals
    first = len(headings(table)) - len(table.columns)
    rows = []
    for line, texts in zip(table.lines, cells(table), strict=True):
        row = [Cell(text.text, kind="none" if text.text == EMPTY else "") for text in texts[:first]]
        for column, text in zip(table.columns, texts[first:], strict=True):
            found = intervals.get((line.row, column.key))
            shown = [possible(column.scale * end, column.scale) for end in found or ()]
            ends = [f"{end:.{column.digits}f}" for end in shown]
            kind = "best" if text.best else "none" if text.text == EMPTY else ""
            row.append(Cell(text.text, f"{ends[0]} to {ends[1]}" if ends else "", kind))
        rows.append(row)
    return HtmlTable(f"Bold: {BEST}.", headings(table), rows)


def main_notes(study: Study) -> list[str]:
    """What a reader must know beside the numbers; what does not hold under both rules names its own."""
    under = {findings.rule: notes(findings.table) for findings in study.under}
    everywhere = set.intersection(*map(set, under.values()))
    found = [
        note if note in everywhere else f"Checkpoint {rule}: {note}" for rule, own in under.items() for note in own
    ]
    of_seeds = [
        line.n
        for findings in study.under
        for line in findings.table.lines
        if any((line.row, column.key) in findings.statistics.intervals for column in findings.table.columns)
    ]
    if of_seeds:
        found.append(f"Below a mean: its 95 % interval over {'seeds and people' if max(of_seeds) > 1 else 'people'}.")
        found.append(CUT)
    return list(dict.fromkeys(found))


def paired_tables(statistics: Statistics) -> list[HtmlTable]:
    """One table a metric: every row minus its base."""
    head = ["row", "verdict", "difference", "95 % over people", "over seeds and people", "seeds", "minus"]
    tables = []
    for column, found in by_column(statistics):
        rows = []
        for one in found:
            kind = "" if one.better is None else "better" if one.better else "worse"
            row, base, seeds, *numbers, words = difference_cells(one)
            said = f"{_SIGNS[kind]} {kind}: {words}" if kind else words
            rows.append([Cell(row), Cell(said, kind=kind), *map(Cell, (*numbers, seeds, base))])
        better = "lower" if column.better == "low" else "higher"
        tables.append(HtmlTable(f"{column.heading} ({better} is better)", head, rows))
    return tables


def run_table(runs: Sequence[Run]) -> HtmlTable:
    """Which runs there are, when they were made, and on what."""
    head = ["run", "state", "epochs", "best epoch", "started (UTC)", "seconds", "machine"]
    rows = []
    for run in runs:
        result = run.result
        values: list[object] = [result.epochs, result.best_epoch, result.started, result.seconds]
        values[2] = str(values[2] or DASH).replace("T", " ").removesuffix("+00:00")
        texts = [DASH if value is None else f"{value}" for value in values]
        machine = run.provenance.get("device") or DASH
        rows.append([Cell(text) for text in (run.name, describe_unfinished(run), *texts, f"{machine}")])
    return HtmlTable("The runs of the study", head, rows)


def what_was_run(findings: Findings) -> Mapping[str, str]:
    """Protocol, data and code, as all finished runs state them."""
    done = [run for run in findings.runs if run.finished]
    run = done[0]

    def all_of(key: str) -> str:
        values = sorted({f"{run.provenance.get(key)}" for run in done if run.provenance.get(key) is not None})
        return ", ".join(values) or "not recorded"

    dirty = any(run.provenance.get("git_dirty") for run in done)
    packages: Mapping[str, Any] = run.provenance.get("packages") or {}
    return {
        "Protocol": str(run.result.protocol),
        "People": ", ".join(f"{value:g} {key.replace('_', ' ')}" for key, value in run.people.items() if value),
        "Checkpoint": findings.rule,
        "Recipe and network": f"{run.result.recipe}, {run.result.network}",
        "Data digest": short_digest(run.provenance["data"]),
        "Code": f"revision {all_of('git_revision')}{', with changes' if dirty else ''}; digest {all_of('code')}",
        "Machine": f"{all_of('device')}; threads {all_of('threads')}; precision {all_of('precision')}",
        "Software": ", ".join([f"Python {all_of('python')}", *(f"{k} {v}" for k, v in sorted(packages.items()))]),
    }
