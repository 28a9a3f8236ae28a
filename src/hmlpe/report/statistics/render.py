"""Render the paired differences under each checkpoint rule as CSV, Markdown and console text."""

from collections.abc import Sequence
from itertools import groupby

from hmlpe.report.columns import Column
from hmlpe.report.statistics.outcome import DRAWS, VERDICT_RULE, Difference, Interval, Statistics
from hmlpe.text_table import csv_text, escaped, markdown_lines
from hmlpe.words import filled

_HEADER = ("row", "minus", "seeds", "difference", "95 % over people", "over seeds and people", "verdict")
NO_SHOTS = "Who shares a shot is not in these files of an older version, so the intervals over people are too narrow."


def render_paired_csv(by_rule: Sequence[Statistics]) -> str:
    """Return CSV with a line per rule, metric and row; numbers are unscaled, those of seeds as `seed:difference`."""
    bounds = [f"{over}_{end}" for over in ("people", "seeds_and_people") for end in ("low", "high")]
    header = [
        "checkpoint_rule",
        "metric",
        "row",
        "base",
        "seeds",
        "people",
        "difference",
        *bounds,
        "each_seed",
        "verdict",
    ]
    rows = []
    for statistics in by_rule:
        for found in statistics.differences:
            each = " ".join(f"{seed}:{value:.8g}" for seed, value in zip(found.seeds, found.each, strict=True))
            ends = [f"{end:.8g}" for over in (found.over_people, found.over_both) for end in over or ()]
            people = statistics.people if found.over_people else ""
            ends += [""] * (4 - len(ends))
            line = [statistics.rule, found.column.key, found.row, found.base, len(found.seeds), people]
            rows.append([*line, f"{found.mean:.8g}", *ends, each, found.verdict])
    return csv_text(header, rows)


def render_paired_markdown(title: str, by_rule: Sequence[Statistics]) -> str:
    """Return Markdown with a section for each rule, and in it a table for each metric."""
    lines = [f"# {title}: paired differences", "", VERDICT_RULE]
    for statistics in by_rule:
        lines += ["", f"## Checkpoint: {statistics.rule}", "", about(statistics)]
        for column, found in by_column(statistics):
            rows = [[escaped(cell) for cell in cells(one)] for one in found]
            lines += ["", f"### {column.heading}", "", *markdown_lines(_HEADER, rows, left=(0, 1, 6))]
        lines += ["", *(f"- {note}" for note in statistics.notes)] if statistics.notes else []
    return "\n".join(lines) + "\n"


def render_paired_text(statistics: Statistics, width: int) -> str:
    """Return text for a console of `width` characters: only the first metric; empty if nothing is paired."""
    lines = []
    for column, found in by_column(statistics)[:1]:
        lines.append(f"{column.heading}, paired with {found[0].base} (other metrics: paired.md)")
        longest = max(len(one.row) for one in found)
        for one in found:
            over = _interval(one.over_both or one.over_people, column)
            line = f"  {one.row.ljust(longest)}  {_signed(one.mean, column)}  {over}  {one.verdict}"
            lines.append(filled(line, width, " " * (longest + 4)))
    notes = [NO_SHOTS] if lines and statistics.people and statistics.shots is None else []
    lines += [filled(note, width) for note in (*notes, *statistics.notes)]
    return "\n".join(lines) + "\n" if lines else ""


def about(statistics: Statistics) -> str:
    """Describe in a sentence how the intervals were computed."""
    if not statistics.people:
        return "Differences of the same seeds. Without people's files there are no intervals."
    seeds = "; over seeds by Student's t" if statistics.seeds > 1 else ""
    if statistics.shots is None:
        drawn = "people drawn anew"
        more = f" {NO_SHOTS}"
    else:
        drawn = (
            f"their {statistics.shots} shots (or images, where no shots are known) drawn anew, each with its people,"
        )
        more = ""
    return (
        f"Differences of the same seeds on the same {statistics.people} test people. 95 % intervals of the mean "
        f"difference: {drawn} {DRAWS} times{seeds}.{more}"
    )


def by_column(statistics: Statistics) -> list[tuple[Column, list[Difference]]]:
    """Group the differences by metric."""
    return [(column, list(found)) for column, found in groupby(statistics.differences, lambda found: found.column)]


def cells(found: Difference) -> list[str]:
    """Return the cells of one line of a table, in the order of its headings."""
    column = found.column
    intervals = [_interval(over, column) for over in (found.over_people, found.over_both)]
    return [found.row, found.base, str(len(found.seeds)), _signed(found.mean, column), *intervals, found.verdict]


def _interval(found: Interval | None, column: Column) -> str:
    return f"{_signed(found[0], column)} to {_signed(found[1], column)}" if found else "–"


def _signed(value: float, column: Column) -> str:
    text = f"{column.scale * value:+.{column.digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")
