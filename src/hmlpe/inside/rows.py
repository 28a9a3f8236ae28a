"""Comparison of a study's rows: does selectivity grow with the other task's weight, and in which layer?

Runs of several seeds are replicates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from hmlpe.files import write_bytes_atomic, write_text_atomic
from hmlpe.inside import figures
from hmlpe.inside.record import MAPS, Record
from hmlpe.inside.selectivity import SIGNIFICANCE
from hmlpe.pictures import png_bytes
from hmlpe.row_name import FIXED

TABLE, FIGURE, TRENDS = "rows.csv", "rows.png", "trends.csv"
UNTRAINED = "untrained"
MEASURES = {
    "index": "mean selectivity index",
    "selective": "maps beyond chance",
    "bits": "bits about a part beyond place",
    "used": "rank correlation of a map's index\nand the joint error without it",
}
DRAWS = 9999


def rows_table(records: Sequence[Record], base_task: str) -> pd.DataFrame:
    """Return a table with one line for each run and layer, in the order of the records.

    Args:
        records: the records of the inspected runs.
        base_task: the base task, whose weight divides the sum of the other tasks' weights, to give the relative weight.
    """
    lines = []
    for record in records:
        weight = record.weights.get(base_task, 0.0)
        others = sum(one for task, one in record.weights.items() if task != base_task)
        relative = others / weight if weight else math.inf if others else math.nan
        if record.row == UNTRAINED:  # an untrained network has no weight, though its record carries a run's
            relative = math.nan
        for layer in record.layers:
            line: dict[str, object] = {
                "row": record.row,
                "balance": record.balance,
                "seed": record.seed,
                "relative_weight": relative,
                "layer": layer.name,
            }
            lines.append(line | {name: getattr(layer, name) for name in MEASURES})
    return pd.DataFrame(lines)


def weight_trends(table: pd.DataFrame) -> pd.DataFrame:
    """Measure how each layer's measures grow with the relative weight, over the runs with fixed weights.

    Returns:
        A line for each layer and measure: Spearman's correlation rho, and its two-sided p. The p comes from permuting
            the runs' weights within each seed, as runs of one seed share their initial weights.
    """
    rows = table[np.isfinite(table.relative_weight) & (table.row != UNTRAINED) & (table.balance == FIXED)]
    rng, lines = np.random.default_rng(0), []
    for layer, group in rows.groupby("layer", sort=False):
        for measure in MEASURES:
            known = group[group[measure].notna()]
            if known.relative_weight.nunique() < 3 or known[measure].nunique() < 2:
                continue
            weight, value = (rankdata(known[name]) for name in ("relative_weight", measure))
            drawn = np.tile(weight, (1 + DRAWS, 1))  # the first is not permuted
            for seed in known.seed.unique():
                own = np.flatnonzero(known.seed == seed)
                drawn[1:, own] = rng.permuted(drawn[1:, own], axis=1)
            spread = np.std(weight) * np.std(value) * len(value)
            found = (drawn - weight.mean()) @ (value - value.mean()) / spread  # Pearson's correlation of the ranks
            p = (np.abs(found) >= abs(found[0]) - 1e-12).mean()
            lines.append({"layer": layer, "measure": measure, "runs": len(known), "rho": found[0], "p": p})
    return pd.DataFrame(lines, columns=["layer", "measure", "runs", "rho", "p"])


def write_rows(
    folder: Path, records: Sequence[Record], maps: Sequence[pd.DataFrame], base_task: str
) -> tuple[pd.DataFrame, list[Path]]:
    """Write the tables, trends and figure of a study's inspected runs; return the trends, and the files.

    Args:
        folder: the folder to write to.
        records: the records of the inspected runs.
        maps: the table of `record.maps_table` of each record.
        base_task: see `rows_table`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = rows_table(records, base_task)
    found = weight_trends(table)
    every = pd.concat(
        [
            pd.concat([pd.DataFrame({"row": record.row, "seed": record.seed}, index=own.index), own], axis=1)
            for record, own in zip(records, maps, strict=True)
        ]
    )
    for name, one in ((TABLE, table), (TRENDS, found), (MAPS, every)):
        write_text_atomic(folder / name, one.to_csv(index=False, float_format="%.5g", lineterminator="\n"))
    write_bytes_atomic(folder / FIGURE, png_bytes(figures.row_measures_figure(table, MEASURES)))
    return found, [folder / name for name in (TABLE, TRENDS, MAPS, FIGURE)]


def describe_trends(trends: pd.DataFrame) -> str:
    """Return the trends as text, one line each; if there are none, a line that says why."""
    words: Mapping[str, str] = {name: " ".join(text.split()) for name, text in MEASURES.items()}
    lines = [
        f"{line.layer}: {words[str(line.measure)]} "
        f"{'shows no trend' if line.p > SIGNIFICANCE else 'grows' if line.rho > 0 else 'falls'} with the weight, "
        f"rho {line.rho:+.2f}, p {line.p:.4f}, {line.runs} runs"
        for line in trends.itertuples()
    ]
    return "\n".join(lines) or "no trend over the weight: this needs at least three weights and differing measures"
