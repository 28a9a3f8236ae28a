"""A study's table as text: cells and notes are made once, then rendered as Markdown, CSV, LaTeX and console text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from hmlpe.report.columns import MEAN_POSE, Column
from hmlpe.report.runs import in_order
from hmlpe.report.summary import Line, Stat, Table, tasks_of
from hmlpe.runs.result import Run
from hmlpe.text_table import csv_text, escaped, markdown_lines
from hmlpe.words import filled

EMPTY = "–"
BEST_NOTE = "to the digits shown no row, nor the mean pose, is better in this column"
CLIPPING_NOTE = "Bars and intervals end where a metric does: at 0 for errors, at 0 and 100 % for shares."
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
    """One cell of the table; `best`: no row, nor the mean pose, has a better mean in this column."""

    text: str
    best: bool = False


def headings(table: Table) -> list[str]:
    """Return the headings, in the order of `cells`."""
    return ["row", *table.symbols, *table.facts, "n", *(column.heading for column in table.columns)]


def cells(table: Table) -> list[list[Cell]]:
    """Return a list of cells for each line: row, weights, n, then `mean ± std` of every column."""
    best = {column.key: _best(table, column) for column in table.columns}
    rows = []
    for line in table.lines:
        name = f"{line.row} (mean pose: {line.collapsed} of {line.n})" if line.collapsed else line.row
        weights = [f"{line.weights[task]:g}" if task in line.weights else EMPTY for task in table.tasks]
        facts = [line.facts.get(fact, EMPTY) for fact in table.facts]
        row = [Cell(text) for text in (name, *weights, *facts, str(line.n))]
        for column in table.columns:
            found = line.stats[column.key]
            wins = found is not None and line.row != MEAN_POSE and _shown(found.mean, column) == best[column.key]
            row.append(Cell(_number(found, column, line), wins))
        rows.append(row)
    return rows


def notes(table: Table) -> list[str]:
    """Return the notes below the table: what the numbers mean, collapsed rows, and runs that are not included."""
    several = any(found is not None and found.std is not None for line in table.lines for found in line.stats.values())
    means = "Mean ± sample standard deviation over n seeds" if several else "Of one seed a row"
    found = [f"{means}; errors E are per sample, unweighted; – has no value."]
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
        found.append(
            "start: what the weights were before; steps: that the optimiser took, those of the start included."
        )
    if table.unfinished:
        names = ", ".join(f"{name} ({status})" for name, status, _ in table.unfinished)
        found.append(f"Not finished, and in no number above: {len(table.unfinished)} ({names}).")
    if table.absent:
        found.append(f"Without a result, though other rows have this seed: {', '.join(table.absent)}.")
    return found


def mean_pose_notes(table: Table) -> list[str]:
    """Return a sentence that names the columns where no row is better than the mean pose; empty if there are none."""
    pose = next((line for line in table.lines if line.row == MEAN_POSE), None)
    lost = []
    for column in table.columns:
        own = pose.stats[column.key] if pose is not None else None
        means = [stat.mean for line in table.lines if line is not pose and (stat := line.stats[column.key]) is not None]
        if own is None or not means or column.better is None:
            continue
        if max(means) <= own.mean if column.better == "high" else min(means) >= own.mean:
            lost.append(column.heading)
    return [f"No row is better than the mean pose, which looks at no image, in {', '.join(lost)}."] if lost else []


def _number(found: Stat | None, column: Column, line: Line) -> str:
    if found is None:
        return EMPTY
    text = _shown(found.mean, column)
    if found.std is not None:
        text += f" ± {_shown(found.std, column)}"
    return text if found.n == line.n else f"{text} (n={found.n})"


def _shown(value: float, column: Column) -> str:
    return f"{column.scale * value:.{column.digits}f}"


def _best(table: Table, column: Column) -> str | None:
    """Return the best mean, rounded as it is shown, so that rows that look equal are treated alike."""
    means = [found.mean for line in table.lines if (found := line.stats[column.key]) is not None]
    if column.better is None or not means:
        return None
    return _shown(max(means) if column.better == "high" else min(means), column)


def render_runs(runs: Sequence[Run]) -> str:
    """Return the text of `runs.csv`: one line per run of any status; the same runs always give the same columns.

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
    for run in in_order(runs):
        values: list[object] = [run.row, run.seed, run.status, *(run.weights.get(task) for task in tasks)]
        values += [run.metrics.get(key) for key in metrics] + [run.mean_pose.get(key) for key in poses]
        values += [run.people.get(key) for key in people] + [_fact(run, key) for key in _FACTS]
        rows.append([*values, *(run.provenance.get(key) for key in _PROVENANCE), run.result.error])
    return csv_text([*header, *_FACTS, *_PROVENANCE, "error"], rows)


def _fact(run: Run, key: str) -> object:
    return run.rule if key == "checkpoint_rule" else getattr(run.result, key)


def render_markdown(table: Table) -> str:
    """Return the table as Markdown: title, protocol and data, the table with the best means in bold, and notes."""
    rows = [[f"**{escaped(cell.text)}**" if cell.best else escaped(cell.text) for cell in row] for row in cells(table)]
    lines = [f"# {escaped(table.title)}", "", escaped(table.about), ""]
    lines += markdown_lines([escaped(title) for title in headings(table)], rows)
    lines += ["", *(f"- {escaped(note)}" for note in notes(table))]
    return "\n".join(lines) + "\n"


def render_csv(table: Table) -> str:
    """Return the table as CSV, a line per row: weights, n, collapsed seeds; unscaled mean, std, n of each column."""
    keys = [column.key for column in table.columns]
    parts = [f"{key}_{part}" for key in keys for part in ("mean", "std", "n")]
    header = ["row", *(f"weight_{task}" for task in table.tasks), *table.facts, "n", "collapsed", *parts]
    rows = []
    for line in table.lines:
        weights = (_digits(line.weights.get(task)) for task in table.tasks)
        facts = (line.facts.get(fact, "") for fact in table.facts)
        values: list[object] = [line.row, *weights, *facts, line.n, line.collapsed]
        for key in keys:
            found = line.stats[key]
            values += [_digits(found.mean), _digits(found.std), found.n] if found else ["", "", 0]
        rows.append(values)
    return csv_text(header, rows)


def render_tex(table: Table) -> str:
    r"""Return the table as a LaTeX float, all text escaped; the document needs `\usepackage{booktabs}`."""
    titles = headings(table)
    stacks = [r"\\".join(_tex(part) for part in _wrap(title)) for title in titles]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{_tex(f'{table.title}. {table.about}')}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(titles) - 1)}}}",
        r"\toprule",
        _row([rf"\shortstack{{{stack}}}" for stack in stacks]),
        r"\midrule",
        *(_row([_bold(cell) for cell in row]) for row in cells(table)),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par {_tex(note)}" for note in notes(table)),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def render_text(table: Table, width: int = WIDTH) -> str:
    """Return the table for a console: columns aligned, best means starred, and failed runs with their errors.

    Args:
        table: the table.
        width: characters of the console; a wider table is broken into blocks.
    """
    titles = [_wrap(title) for title in headings(table)]
    height = max(map(len, titles))
    # Headings are aligned at the bottom, and every text leaves room for the star.
    texts = [[f"{([''] * height + title)[index - height]} " for title in titles] for index in range(height)]
    texts += [[cell.text + ("*" if cell.best else " ") for cell in row] for row in cells(table)]
    columns = [[row[index] for row in texts] for index in range(len(texts[0]))]
    widths = [max(map(len, column)) for column in columns]
    blocks: list[list[int]] = [[]]
    for index in range(1, len(columns)):
        taken = widths[0] + sum(2 + widths[other] for other in blocks[-1])
        if blocks[-1] and taken + 2 + widths[index] > width:
            blocks.append([])
        blocks[-1].append(index)
    lines = [table.title, filled(table.about, width)]
    for block in blocks:
        lines.append("")
        for row in texts:
            line = row[0].ljust(widths[0]) + "".join(f"  {row[index].rjust(widths[index])}" for index in block)
            lines += [line.rstrip()] if line.strip() else []  # no heading of this block has so many lines
    lines += ["", *(filled(note, width) for note in (f"*: {BEST_NOTE}.", *notes(table)))]
    lines += [filled(f"  {name} {state}", width, "    ") for name, _, state in table.unfinished]
    return "\n".join(lines) + "\n"


def _bold(cell: Cell) -> str:
    return rf"\textbf{{{_tex(cell.text)}}}" if cell.best else _tex(cell.text)


def _wrap(title: str) -> list[str]:
    return textwrap.wrap(title, 11)


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _row(texts: list[str]) -> str:
    return f"{' & '.join(texts)} \\\\"


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"
