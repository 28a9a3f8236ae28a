"""A table as Markdown, CSV, LaTeX and console text. Nothing but the results goes in: no time, date, path or host."""

import csv
import io
import re
import textwrap

from hmlpe.report.cells import BEST, Cell, cells, headings, notes
from hmlpe.report.summary import Table
from hmlpe.words import filled

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
WIDTH = 80  # characters of a console, at least; wider tables continue in a second block


def render_markdown(table: Table) -> str:
    """A heading, a paragraph on protocol and data, the table with the best means in bold, and the notes."""
    titles = headings(table)
    lines = [f"# {_markdown(table.title)}", "", _markdown(table.about), ""]
    lines.append(_pipes([_markdown(title) for title in titles]))
    lines.append(_pipes([":--", *["--:"] * (len(titles) - 1)]))
    for row in cells(table):
        lines.append(_pipes([f"**{_markdown(cell.text)}**" if cell.best else _markdown(cell.text) for cell in row]))
    lines += ["", *(f"- {_markdown(note)}" for note in notes(table))]
    return "\n".join(lines) + "\n"


def render_csv(table: Table) -> str:
    """One line a configuration: row, weights, n, collapsed seeds, and mean, std and n of every column, unscaled."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    keys = [column.key for column in table.columns]
    parts = [f"{key}_{part}" for key in keys for part in ("mean", "std", "n")]
    writer.writerow(["row", *(f"weight_{task}" for task in table.tasks), *table.facts, "n", "collapsed", *parts])
    for line in table.lines:
        weights = (_digits(line.weights.get(task)) for task in table.tasks)
        facts = (line.facts.get(fact, "") for fact in table.facts)
        values: list[object] = [line.row, *weights, *facts, line.n, line.collapsed]
        for key in keys:
            found = line.stats[key]
            values += [_digits(found.mean), _digits(found.std), found.n] if found else ["", "", 0]
        writer.writerow(values)
    return out.getvalue()


def render_tex(table: Table) -> str:
    r"""A LaTeX table float around a `tabular`, all text escaped; the document needs `\usepackage{booktabs}`."""
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
    """The table for a console of so many characters: aligned, best means starred, in blocks that fit; failed runs with
    their errors."""
    titles = [_wrap(title) for title in headings(table)]
    height = max(map(len, titles))
    # Headings stand at the bottom of their lines, and every text leaves a place for the star.
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
            lines += [line.rstrip()] if line.strip() else []  # no heading of the block is so high
    lines += ["", *(filled(note, width) for note in (f"*: {BEST}.", *notes(table)))]
    lines += [filled(f"  {name} {state}", width, "    ") for name, _, state in table.unfinished]
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*`<])", r"\\\1", text)


def _bold(cell: Cell) -> str:
    return rf"\textbf{{{_tex(cell.text)}}}" if cell.best else _tex(cell.text)


def _wrap(title: str) -> list[str]:
    return textwrap.wrap(title, 11)


def _pipes(texts: list[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _row(texts: list[str]) -> str:
    return f"{' & '.join(texts)} \\\\"


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"
