"""The example package as a user has it: installed by pip, its configs in a folder of his, beside a data set of his."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLE = Path(__file__).parents[2] / "examples" / "facing"
EXPERIMENT = """# @package _global_
defaults:
  - override /data: csv
  - override /skeleton: own
  - override /metrics: any
  - override /logger: csv
  - override /network: slim
skeleton:
  joints: [head, neck, left_wrist, right_wrist]
  parts: {trunk: [head, neck], arm: [neck, left_wrist]}
  mirror: [[left_wrist, right_wrist]]
data:
  name: mine
  near_duplicates: null
  source:
    images: photos
    table: labels.csv
    test_fraction: 0.3
    attributes: {facing: {field: facing, classes: [left, right]}}
network:
  head: {hidden: [16, 16]}
  trunk: {stages: [{maps: 2, kernel: 9, relu: true}, {maps: 2, kernel: 5, relu: true}]}
optim: {batch_size: 8}
trainer: {threads: 1, log_every_n_steps: 1}
epochs: 2
seed: 1
"""
OWN = ["--config-dir=conf", "experiment=mine"]
SWEEP = [*OWN, "+task=facing", "study=own", "+row.weights.facing=0,0.5", "balance=warming"]
RUNS = ["det_0.1_facing_0.5_warming_s1", "det_0.1_warming_s1"]
POINTS = {"head": (20, 12), "neck": (20, 20), "left_wrist": (12, 34), "right_wrist": (28, 34)}


def write_set(folder: Path, count: int = 30) -> None:
    """People of noise whose points move; who faces left is brighter on the left."""
    shutil.copytree(EXAMPLE / "conf", folder / "conf")
    (folder / "conf" / "experiment").mkdir()
    (folder / "conf" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    (folder / "photos").mkdir()
    rng, lines = np.random.default_rng(0), ["image,person,joint,x,y,visible,facing"]
    for number in range(count):
        left = number % 2 == 0
        pixels = rng.integers(0, 120, (64, 64, 3), dtype=np.uint8)
        pixels[:, slice(0, 32) if left else slice(32, 64)] += 100
        Image.fromarray(pixels).save(folder / "photos" / f"{number:02d}.png")
        dx, dy = rng.integers(0, 16, 2)
        facing = "" if number % 4 == 3 else "left" if left else "right"
        lines += [f"{number:02d}.png,1,{joint},{x + dx},{y + dy},1,{facing}" for joint, (x, y) in POINTS.items()]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def install(folder: Path) -> Path:
    """Where pip has put the package, below `folder`."""
    source, target = folder / "source", folder / "site"
    shutil.copytree(EXAMPLE, source)  # beside which pip builds
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, timeout=120)
    return target
