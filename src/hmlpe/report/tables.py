"""A study's table as text: cells and notes are made once, then rendered as Markdown, CSV, LaTeX and console text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from hmlpe.report.columns import MEAN_POSE, Column
from hmlpe.report.runs import sorted_runs
from hmlpe.report.summary import Stat, Table, TableLine, tasks_of
from hmlpe.runs.result import Run
from hmlpe.text_table import csv_text, escape_markdown, markdown_lines
from hmlpe.words import wrap_text

EMPTY = "–"
BEST_NOTE = "to the digits shown, neither a row nor the mean pose is better in this column"
CLIPPING_NOTE = "Bars and intervals end at a metric's limits: 0 for errors, 0 and 100 % for shares."
_FACTS = (
    *("experiment", "protocol", "checkpoint_rule", "recipe", "network"),
    *("start", "epochs", "steps_before", "steps", "best_epoch", "seconds", "started"),
)
_PROVENANCE = ("git_revision", "git_dirty", "code", "data", "config", "settings", "device")
_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "λ": r"$\lambda$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    # After the two backslashes that end a line, a bare bracket or star would be read as their argument.
    **{character: f"{{{character}}}" for character in "[]*"},
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
WIDTH = 80  # minimum width of a console, in characters; a wider table continues in a second block


@dataclass(frozen=True)
class Cell:
    """One cell of the table; `best` is true if no row, nor the mean pose, has a better mean in this column."""

    text: str
    best: bool = False


def table_headings(table: Table) -> list[str]:
    """Return the headings of the columns, in the order of `table_cells`."""
    return ["row", *table.symbols, *table.facts, "n", *(column.heading for column in table.columns)]


def table_cells(table: Table) -> list[list[Cell]]:
    """Return the cells of each line: row's name, weights, n, then `mean ± std` of every column."""
    best = {column.key: _best_mean_text(table, column) for column in table.columns}
    rows = []
    for line in table.lines:
        name = f"{line.row} (mean pose: {line.collapsed} of {line.n})" if line.collapsed else line.row
        weights = [f"{line.weights[task]:g}" if task in line.weights else EMPTY for task in table.tasks]
        facts = [line.facts.get(fact, EMPTY) for fact in table.facts]
        row = [Cell(text) for text in (name, *weights, *facts, str(line.n))]
        for column in table.columns:
            found = line.stats[column.key]
            wins = found is not None and line.row != MEAN_POSE and _format_value(found.mean, column) == best[column.key]
            row.append(Cell(_format_stat(found, column, line), wins))
        rows.append(row)
    return rows


def notes_of_table(table: Table) -> list[str]:
    """Return the notes below the table: what the numbers mean, collapsed rows, and runs that are not included."""
    several = any(found is not None and found.std is not None for line in table.lines for found in line.stats.values())
    means = "Mean ± sample standard deviation over n seeds" if several else "One seed per row"
    found = [f"{means}; errors E are per sample, unweighted; – means no value."]
    if any(line.row == MEAN_POSE for line in table.lines):
        found.append(f"{MEAN_POSE}: the training set's mean pose, predicted for every image.")
    found += mean_pose_notes(table)
    marked = [f"{line.row} {line.collapsed} of {line.n}" for line in table.lines if line.collapsed]
    if marked:
        checks = [f"{one.info.title} below {one.info.below:g}" for one in table.columns if one.info.below is not None]
        found.append(
            f"Rows marked (mean pose: k of n) collapsed to about one pose for every image ({', '.join(checks)} of the "
            f"truth's) in k of n seeds: {', '.join(marked)}."
        )
    if table.facts:
        found.append("start: where the weights came from; steps: optimiser steps, including those of the start.")
    if table.unfinished:
        names = ", ".join(f"{name} ({status})" for name, status, _ in table.unfinished)
        found.append(f"Not finished, so not counted above: {len(table.unfinished)} ({names}).")
    if table.absent:
        found.append(f"No result, though other rows have this seed: {', '.join(table.absent)}.")
    return found


def mean_pose_notes(table: Table) -> list[str]:
    """Return, as a list, a sentence on the columns where no row is better than the mean pose; empty if none."""
    pose = next((line for line in table.lines if line.row == MEAN_POSE), None)
    lost = []
    for column in table.columns:
        own = pose.stats[column.key] if pose is not None else None
        means = [stat.mean for line in table.lines if line is not pose and (stat := line.stats[column.key]) is not None]
        if own is None or not means or column.better is None:
            continue
        if max(means) <= own.mean if column.better == "high" else min(means) >= own.mean:
            lost.append(column.heading)
    return [f"No row is better than the mean pose, which ignores the image, in {', '.join(lost)}."] if lost else []


def _format_stat(stat: Stat | None, column: Column, line: TableLine) -> str:
    """Return `mean ± std` as the column shows it, with n if it is not that of the line; a dash if there is none."""
    if stat is None:
        return EMPTY
    text = _format_value(stat.mean, column)
    if stat.std is not None:
        text += f" ± {_format_value(stat.std, column)}"
    return text if stat.n == line.n else f"{text} (n={stat.n})"


def _format_value(value: float, column: Column) -> str:
    """Return a value as text, scaled and rounded as the column shows it."""
    return f"{column.scale * value:.{column.digits}f}"


def _best_mean_text(table: Table, column: Column) -> str | None:
    """Return the column's best mean as it is shown, so that rows that look equal are treated alike."""
    means = [found.mean for line in table.lines if (found := line.stats[column.key]) is not None]
    if column.better is None or not means:
        return None
    return _format_value(max(means) if column.better == "high" else min(means), column)


def render_runs(runs: Sequence[Run]) -> str:
    """Return the content of runs.csv: one line per run of any status; the same runs always give the same columns.

    Metrics are unscaled and named `<split>/<metric>`; those of the mean pose, as the run scored it, have the prefix
    `mean_pose/`.
    """
    tasks = tasks_of(runs)
    metrics = sorted({key for run in runs for key in run.metrics})
    poses = sorted({key for run in runs for key in run.mean_pose})
    people = sorted({key for run in runs for key in run.people})
    header = ["row", "seed", "status", *(f"weight_{task}" for task in tasks), *metrics]
    header += [*(f"mean_pose/{key}" for key in poses), *(f"people_{key}" for key in people)]
    rows = []
    for run in sorted_runs(runs):
        values: list[object] = [run.row, run.seed, run.status, *(run.weights.get(task) for task in tasks)]
        values += [run.metrics.get(key) for key in metrics] + [run.mean_pose.get(key) for key in poses]
        values += [run.people.get(key) for key in people] + [_run_fact(run, key) for key in _FACTS]
        rows.append([*values, *(run.provenance.get(key) for key in _PROVENANCE), run.result.error])
    return csv_text([*header, *_FACTS, *_PROVENANCE, "error"], rows)


def _run_fact(run: Run, key: str) -> object:
    """Return the run's value for one column of runs.csv, which `_FACTS` names."""
    return run.rule if key == "checkpoint_rule" else getattr(run.result, key)


def render_markdown(table: Table) -> str:
    """Return the table as Markdown: title, protocol and data, the table with the best means in bold, and notes."""
    rows = [
        [f"**{escape_markdown(cell.text)}**" if cell.best else escape_markdown(cell.text) for cell in row]
        for row in table_cells(table)
    ]
    lines = [f"# {escape_markdown(table.title)}", "", escape_markdown(table.about), ""]
    lines += markdown_lines([escape_markdown(title) for title in table_headings(table)], rows)
    lines += ["", *(f"- {escape_markdown(note)}" for note in notes_of_table(table))]
    return "\n".join(lines) + "\n"


def render_csv(table: Table) -> str:
    """Return the table as CSV text, with a line per row: weights, n, number of collapsed seeds.

    Then follow mean, std and n of each column, unscaled.
    """
    keys = [column.key for column in table.columns]
    parts = [f"{key}_{part}" for key in keys for part in ("mean", "std", "n")]
    header = ["row", *(f"weight_{task}" for task in table.tasks), *table.facts, "n", "collapsed", *parts]
    rows = []
    for line in table.lines:
        weights = (_csv_number(line.weights.get(task)) for task in table.tasks)
        facts = (line.facts.get(fact, "") for fact in table.facts)
        values: list[object] = [line.row, *weights, *facts, line.n, line.collapsed]
        for key in keys:
            found = line.stats[key]
            values += [_csv_number(found.mean), _csv_number(found.std), found.n] if found else ["", "", 0]
        rows.append(values)
    return csv_text(header, rows)


def render_tex(table: Table) -> str:
    r"""Return the table as a LaTeX float, all text escaped; the document needs `\usepackage{booktabs}`."""
    titles = table_headings(table)
    stacks = [r"\\".join(_escape_tex(part) for part in _wrap_heading(title)) for title in titles]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{_escape_tex(f'{table.title}. {table.about}')}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(titles) - 1)}}}",
        r"\toprule",
        _tex_row([rf"\shortstack{{{stack}}}" for stack in stacks]),
        r"\midrule",
        *(_tex_row([_tex_cell(cell) for cell in row]) for row in table_cells(table)),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par {_escape_tex(note)}" for note in notes_of_table(table)),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def render_text(table: Table, width: int = WIDTH) -> str:
    """Return the table for a console: columns aligned, best means starred, and failed runs with their errors.

    Args:
        table: the table.
        width: characters of the console; a wider table is broken into blocks.
    """
    titles = [_wrap_heading(title) for title in table_headings(table)]
    height = max(map(len, titles))
    # Headings are aligned at the bottom, and every text leaves room for the star.
    texts = [[f"{([''] * height + title)[index - height]} " for title in titles] for index in range(height)]
    texts += [[cell.text + ("*" if cell.best else " ") for cell in row] for row in table_cells(table)]
    columns = [[row[index] for row in texts] for index in range(len(texts[0]))]
    widths = [max(map(len, column)) for column in columns]
    blocks: list[list[int]] = [[]]
    for index in range(1, len(columns)):
        taken = widths[0] + sum(2 + widths[other] for other in blocks[-1])
        if blocks[-1] and taken + 2 + widths[index] > width:
            blocks.append([])
        blocks[-1].append(index)
    lines = [table.title, wrap_text(table.about, width)]
    for block in blocks:
        lines.append("")
        for row in texts:
            line = row[0].ljust(widths[0]) + "".join(f"  {row[index].rjust(widths[index])}" for index in block)
            lines += [line.rstrip()] if line.strip() else []  # no heading of this block has so many lines
    lines += ["", *(wrap_text(note, width) for note in (f"*: {BEST_NOTE}.", *notes_of_table(table)))]
    lines += [wrap_text(f"  {name} {state}", width, "    ") for name, _, state in table.unfinished]
    return "\n".join(lines) + "\n"


def _tex_cell(cell: Cell) -> str:
    """Return the cell as LaTeX, in bold if it is the best."""
    return rf"\textbf{{{_escape_tex(cell.text)}}}" if cell.best else _escape_tex(cell.text)


def _wrap_heading(title: str) -> list[str]:
    """Return the heading broken into lines of at most 11 characters."""
    return textwrap.wrap(title, 11)


def _escape_tex(text: str) -> str:
    """Return the text with LaTeX's special characters escaped."""
    return "".join(_TEX.get(character, character) for character in text)


def _tex_row(texts: list[str]) -> str:
    """Return the cells as a line of a LaTeX table."""
    return f"{' & '.join(texts)} \\\\"


def _csv_number(value: float | None) -> str:
    """Return a number as text with eight digits; empty for None."""
    return "" if value is None else f"{value:.8g}"
