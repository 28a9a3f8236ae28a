"""Why does the second task help? Reads the runs of experiment=why and why_transplant, and says what the arms differ in.

    .venv/bin/python experiments/why/why.py OUTPUTS/why OUT data=flic

Writes OUT/runs.csv (a line a run), OUT/arms.csv (each arm minus its control, paired by seed, with Student's 95 %
interval) and OUT/why.png (validation error over training, and the tasks' gradients at the trunk), and prints what
follows. The words after OUT say where the prepared people are, as for hmlpe-train: of them the mean pose's error is
computed. `off` and `on` switch the detection half way; `from_joint` trains the regression alone from the trunk of
`joint` after a few epochs, `from_alone` both tasks from that of `alone`; their controls, `alone_anew` and `joint_anew`,
go on from their own trunks, with new heads too. Runs of fewer epochs than the longest, which only leave trunks, are not
compared.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import t

import hmlpe
from hmlpe.errors import UserError
from hmlpe.report.runs import collect_runs
from hmlpe.runs.curves import read_curves
from hmlpe.runs.metric import GRADIENT
from hmlpe.runs.result import Run
from hmlpe.training.build import mean_pose_metrics
from hmlpe.training.settings import TrainSettings

ARMS = ("alone", "joint", "off", "on", "from_joint", "from_alone", "alone_anew", "joint_anew")
CONTROLS = {"from_joint": "alone_anew", "from_alone": "joint_anew"}  # new heads too, and as many epochs
LEFT = 0.9  # the mean pose is left when the validation error is below so much of its error
NUMBERS = {
    "left": "epochs until the mean pose is left",
    "train": "E_r train",
    "val": "E_r validation",
    "test": "E_r test",
}
COLOURS = dict(
    zip(ARMS, ("#000000", "#0072B2", "#56B4E9", "#009E73", "#D55E00", "#E69F00", "#777777", "#CC79A7"), strict=True)
)


def main(words: list[str]) -> int:
    """Read, write, say."""
    if len(words) < 3:
        print(__doc__)
        return 2
    study, out = map(Path, words[:2])
    runs = [run for run in collect_runs(study) if run.finished and run.row in ARMS]
    if not runs:
        sys.exit(f"{study}: no finished run of an arm of experiment=why or why_transplant")
    longest = max(int(run.result.epochs or 0) for run in runs)
    runs = [run for run in runs if run.result.epochs == longest]
    out.mkdir(parents=True, exist_ok=True)
    poses = {seed: mean_pose([*words[2:], f"seed={seed}"]) for seed in sorted({run.seed for run in runs})}
    table = pd.DataFrame([line_of(run, poses[run.seed]) for run in runs])
    table.to_csv(out / "runs.csv", index=False, float_format="%.5g")
    pairs = [(arm, CONTROLS.get(arm, "alone")) for arm in ARMS[1:]] + [("off", "joint"), ("from_joint", "joint")]
    arms = pd.DataFrame([difference(table, *pair, number) for pair in pairs for number in NUMBERS]).dropna(subset="n")
    arms.to_csv(out / "arms.csv", index=False, float_format="%.5g")
    draw(runs, poses, out / "why.png")
    print(table.groupby("arm", sort=False)[list(NUMBERS)].mean().round(4).to_string())
    print(sentence(arms))
    return 0


def mean_pose(overrides: list[str]) -> float:
    """E_r of the training people's mean pose on the validation people."""
    config = hmlpe.compose(*overrides)
    data, model = hmlpe.build(config)
    return mean_pose_metrics(TrainSettings.from_config(config), model, data, "val")["regression_error"]


def line_of(run: Run, pose: float) -> dict[str, object]:
    """The run's numbers; the cosine of the tasks' gradients at the trunk over its first and its last third."""
    curves = read_curves(run.file.parent, run.result.epochs)
    val = curves["val/regression_error"]
    line: dict[str, object] = {"arm": run.row, "seed": run.seed, "epochs": run.result.epochs, "steps": run.result.steps}
    never = int(run.result.epochs or 0) + 1  # counts as one epoch more than there were
    line["left"] = next((epoch for epoch, error in val.items() if error < LEFT * pose), never)
    for split in ("train", "val", "test"):
        line[split] = run.metrics[f"{split}/regression_error"]
    cosine = list(curves.get(f"{GRADIENT}cosine", {}).values())
    third = max(1, len(cosine) // 3)
    line |= {"cosine_first": np.mean(cosine[:third]) if cosine else None}
    return line | {"cosine_last": np.mean(cosine[-third:]) if cosine else None}


def difference(table: pd.DataFrame, arm: str, control: str, number: str) -> dict[str, object]:
    """An arm minus its control, over the seeds that both have."""
    both = table.pivot(index="seed", columns="arm", values=number)
    found = (both[arm] - both[control]).dropna() if {arm, control} <= set(both) else pd.Series(dtype=float)
    n = len(found)
    half = t.ppf(0.975, n - 1) * found.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    mean = found.mean() if n else np.nan
    line = {"arm": arm, "minus": control, "number": number, "n": n or np.nan, "difference": mean}
    return line | {"low": mean - half, "high": mean + half}


def draw(runs: list[Run], poses: Mapping[int, float], path: Path) -> None:
    """Curves over the epochs, each run thin, each arm's mean thick: E_r of validation people; norm and cosine.

    The mean pose is dashed.
    """
    figure = Figure(figsize=(13, 4.4), dpi=120, layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for ax, name, label in (
        (left, "val/regression_error", "E_r, validation"),
        (middle, f"{GRADIENT}norm_regression", "norm of the regression's gradient at the trunk"),
        (right, f"{GRADIENT}cosine", "cosine of both tasks' gradients at the trunk"),
    ):
        for arm in ARMS:
            read = [read_curves(one.file.parent, one.result.epochs).get(name, {}) for one in runs if one.row == arm]
            curves = [curve for curve in read if curve]
            for curve in curves:
                ax.plot(list(curve), list(curve.values()), color=COLOURS[arm], lw=0.5, alpha=0.5)
            if curves:
                epochs = sorted(set.intersection(*(set(curve) for curve in curves)))
                mean = [np.mean([curve[epoch] for curve in curves]) for epoch in epochs]
                ax.plot(epochs, mean, color=COLOURS[arm], lw=2, label=f"{arm} ({len(curves)})")
        ax.set(xlabel="epoch", ylabel=label)
    for ax in (left, middle):
        ax.set_yscale("log")
    left.axhline(float(np.mean(list(poses.values()))), color="#777777", ls="--", lw=1, label="mean pose")
    right.axhline(0, color="#777777", lw=0.8)
    left.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Software": None})


def sentence(arms: pd.DataFrame) -> str:
    """What the arms say, number by number."""
    lines = []
    for line in arms.itertuples():
        sure = "" if line.n > 2 and line.low * line.high > 0 else " (no difference is shown)"
        lines.append(
            f"{line.arm} - {line.minus}, {NUMBERS[str(line.number)]}: {line.difference:+.4g} "
            f"[{line.low:+.4g}, {line.high:+.4g}], {line.n:.0f} seeds{sure}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(str(error))
