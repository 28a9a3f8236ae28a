"""When does each row of a weight ablation leave the mean pose? Also of runs that are at work or broken off.

    .venv/bin/python experiments/why/leaving.py OUTPUTS/flic_100 OUT data=flic

Writes OUT/leaving.csv, a line a run: the first epoch whose validation error is below 0.9 of the mean pose's (empty:
none so far), and how many epochs the run has; and prints Spearman's correlation with the detection weight, p by
permuting the weights within each seed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from why import LEFT, mean_pose

from hmlpe.report.runs import collect_runs
from hmlpe.runs.curves import read_curves


def main(words: list[str]) -> int:
    """Read, write, say."""
    if len(words) < 3:
        print(__doc__)
        return 2
    study, out = map(Path, words[:2])
    lines = []
    for run in collect_runs(study):
        curve = read_curves(run.file.parent, None).get("val/regression_error", {})
        if not run.weights.get("regression") or not curve:
            continue
        pose = mean_pose([*words[2:], f"seed={run.seed}"])
        left = next((epoch for epoch, error in curve.items() if error < LEFT * pose), None)
        lines.append(
            {"row": run.row, "weight": run.weights["detection"], "seed": run.seed, "left": left, "of": max(curve)}
        )
    table = pd.DataFrame(lines).astype({"left": "Int64"}).sort_values(["weight", "seed"])
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "leaving.csv", index=False)
    print(table.to_string(index=False))
    known = table.dropna()
    left, rng = known.left.to_numpy(float), np.random.default_rng(0)
    weights = [known.weight.to_numpy()]
    for _ in range(9999):
        weights.append(known.groupby("seed").weight.transform(rng.permutation).to_numpy())
    rho = np.array([spearmanr(weight, left).statistic for weight in weights])
    print(f"rho {rho[0]:+.2f}, p {(np.abs(rho) >= abs(rho[0]) - 1e-12).mean():.4f}, {len(known)} runs")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
