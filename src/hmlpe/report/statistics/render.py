"""Render the paired differences under each checkpoint rule as CSV, Markdown and console text."""

from collections.abc import Sequence
from itertools import groupby

from hmlpe.report.columns import Column
from hmlpe.report.statistics.outcome import DRAWS, VERDICT_RULE, Difference, Interval, Statistics
from hmlpe.text_table import csv_text, escape_markdown, markdown_lines
from hmlpe.words import wrap_text

_HEADER = ("row", "minus", "seeds", "difference", "95 % over people", "over seeds and people", "verdict")
NO_SHOTS = "These files of an older version do not say who shares a shot, so the intervals over people are too narrow."


def render_paired_csv(by_rule: Sequence[Statistics]) -> str:
    """Return CSV text with a line per checkpoint rule, metric and row.

    Numbers are unscaled; the differences of single seeds are given as `seed:difference`.
    """
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
    """Return Markdown with a section for each checkpoint rule, and in it a table for each metric."""
    lines = [f"# {title}: paired differences", "", VERDICT_RULE]
    for statistics in by_rule:
        lines += ["", f"## Checkpoint: {statistics.rule}", "", describe_intervals(statistics)]
        for column, found in group_by_column(statistics):
            rows = [[escape_markdown(cell) for cell in difference_cells(one)] for one in found]
            lines += ["", f"### {column.heading}", "", *markdown_lines(_HEADER, rows, left=(0, 1, 6))]
        lines += ["", *(f"- {note}" for note in statistics.notes)] if statistics.notes else []
    return "\n".join(lines) + "\n"


def render_paired_text(statistics: Statistics, width: int) -> str:
    """Return text for a console of `width` characters, of the first metric only; empty if no rows are paired."""
    lines = []
    for column, found in group_by_column(statistics)[:1]:
        lines.append(f"{column.heading}, paired with {found[0].base} (other metrics: paired.md)")
        longest = max(len(one.row) for one in found)
        for one in found:
            over = _format_interval(one.over_both or one.over_people, column)
            line = f"  {one.row.ljust(longest)}  {_format_signed(one.mean, column)}  {over}  {one.verdict}"
            lines.append(wrap_text(line, width, " " * (longest + 4)))
    notes = [NO_SHOTS] if lines and statistics.people and statistics.shots is None else []
    lines += [wrap_text(note, width) for note in (*notes, *statistics.notes)]
    return "\n".join(lines) + "\n" if lines else ""


def describe_intervals(statistics: Statistics) -> str:
    """Return a sentence that says how the intervals were computed."""
    if not statistics.people:
        return "Differences between equal seeds. Without people's files there are no intervals."
    seeds = "; over seeds by Student's t" if statistics.seeds > 1 else ""
    if statistics.shots is None:
        drawn = "people resampled"
        more = f" {NO_SHOTS}"
    else:
        drawn = f"their {statistics.shots} shots (or images, where no shots are known) resampled, each with its people,"
        more = ""
    return (
        f"Differences between equal seeds on the same {statistics.people} test people. 95 % intervals of the mean "
        f"difference: {drawn} {DRAWS} times{seeds}.{more}"
    )


def group_by_column(statistics: Statistics) -> list[tuple[Column, list[Difference]]]:
    """Group the differences by metric, in their order."""
    return [(column, list(found)) for column, found in groupby(statistics.differences, lambda found: found.column)]


def difference_cells(difference: Difference) -> list[str]:
    """Return the cells of a difference's line in a table, in the order of `_HEADER`."""
    column = difference.column
    intervals = [_format_interval(over, column) for over in (difference.over_people, difference.over_both)]
    return [
        difference.row,
        difference.base,
        str(len(difference.seeds)),
        _format_signed(difference.mean, column),
        *intervals,
        difference.verdict,
    ]


def _format_interval(found: Interval | None, column: Column) -> str:
    """Return an interval as text; a dash if there is none."""
    return f"{_format_signed(found[0], column)} to {_format_signed(found[1], column)}" if found else "–"


def _format_signed(value: float, column: Column) -> str:
    """Return a value, scaled as the column shows it, as text with a sign."""
    text = f"{column.scale * value:+.{column.digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")
