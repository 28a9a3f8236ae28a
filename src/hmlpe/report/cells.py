"""A table's cells and notes as plain texts, which every output format then dresses in its own way."""

from dataclasses import dataclass

from hmlpe.report.columns import MEAN_POSE, Column
from hmlpe.report.summary import Line, Stat, Table

EMPTY = "–"
BEST = "to the digits shown no row, nor the mean pose, is better in this column"
CUT = "Bars and intervals end where a metric does: at 0 for errors, at 0 and 100 % for shares."


@dataclass(frozen=True)
class Cell:
    """One cell; `best`: no configuration, and not the mean pose either, has a better mean in this column."""

    text: str
    best: bool = False


def headings(table: Table) -> list[str]:
    """The headings, in the order of `cells`."""
    return ["row", *table.symbols, *table.facts, "n", *(column.heading for column in table.columns)]


def cells(table: Table) -> list[list[Cell]]:
    """One list of cells a line: row, weights, n, then `mean ± std` of every column."""
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
    """What a reader must know beside the numbers: their meaning, collapsed rows, and runs that are not in them."""
    several = any(found is not None and found.std is not None for line in table.lines for found in line.stats.values())
    means = "Mean ± sample standard deviation over n seeds" if several else "Of one seed a row"
    found = [f"{means}; errors E are per sample, unweighted; – has no value."]
    if any(line.row == MEAN_POSE for line in table.lines):
        found.append(f"{MEAN_POSE}: the training set's mean pose, predicted for every image.")
    found += unbeaten(table)
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


def unbeaten(table: Table) -> list[str]:
    """A sentence where the mean pose is better than every row, or as good."""
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
    """The best mean as it is shown, so that rows that look equal are treated alike."""
    means = [found.mean for line in table.lines if (found := line.stats[column.key]) is not None]
    if column.better is None or not means:
        return None
    return _shown(max(means) if column.better == "high" else min(means), column)
