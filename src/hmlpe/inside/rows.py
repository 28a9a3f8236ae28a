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
from hmlpe.pictures import png
from hmlpe.row_name import FIXED

TABLE, FIGURE, TRENDS = "rows.csv", "rows.png", "trends.csv"
UNTRAINED = "untrained"
MEASURES = {
    "index": "mean selectivity index",
    "selective": "maps beyond chance",
    "bits": "bits on a part beyond place",
    "used": "rank correlation of a map's index\nand what its absence costs joints",
}
DRAWS = 9999


def rows_table(records: Sequence[Record], base: str) -> pd.DataFrame:
    """Return a table with one line for each run and layer, in the order of the records.

    Args:
        records: the records of the inspected runs.
        base: the task whose weight divides the sum of the other tasks' weights, to give the relative weight.
    """
    lines = []
    for record in records:
        weight = record.weights.get(base, 0.0)
        others = sum(one for task, one in record.weights.items() if task != base)
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


def trends(table: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's correlation with the relative weight, for each layer and measure, over runs of fixed weights.

    p is two-sided. It comes from permuting the runs' weights within each seed, as runs of one seed share their initial
    weights.
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
    folder: Path, records: Sequence[Record], maps: Sequence[pd.DataFrame], base: str
) -> tuple[pd.DataFrame, list[Path]]:
    """Write the tables, trends and figure of a study's inspected runs; return the trends, and the files.

    Args:
        folder: the folder to write to.
        records: the records of the inspected runs.
        maps: the table of `record.maps_table` of each record.
        base: see `rows_table`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = rows_table(records, base)
    found = trends(table)
    every = pd.concat(
        [
            pd.concat([pd.DataFrame({"row": record.row, "seed": record.seed}, index=own.index), own], axis=1)
            for record, own in zip(records, maps, strict=True)
        ]
    )
    for name, one in ((TABLE, table), (TRENDS, found), (MAPS, every)):
        write_text_atomic(folder / name, one.to_csv(index=False, float_format="%.5g", lineterminator="\n"))
    write_bytes_atomic(folder / FIGURE, png(figures.rows_figure(table, MEASURES)))
    return found, [folder / name for name in (TABLE, TRENDS, MAPS, FIGURE)]


def in_words(found: pd.DataFrame) -> str:
    """Return the trends in words, one line each; or why there are none."""
    words: Mapping[str, str] = {name: " ".join(text.split()) for name, text in MEASURES.items()}
    lines = [
        f"{line.layer}: {words[str(line.measure)]} "
        f"{'shows no trend' if line.p > SIGNIFICANCE else 'grows' if line.rho > 0 else 'falls'} with the weight, "
        f"rho {line.rho:+.2f}, p {line.p:.4f}, {line.runs} runs"
        for line in found.itertuples()
    ]
    return "\n".join(lines) or "no trend over the weight: that takes at least three weights and measures that differ"
