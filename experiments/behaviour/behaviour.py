"""Whether behaviour stood still between two revisions: a fixed study run by each, and every number compared.

    .venv/bin/python experiments/behaviour/behaviour.py run OUT [FLIC]     in the checkout of each revision
    .venv/bin/python experiments/behaviour/behaviour.py compare OUT1/behaviour.json OUT2/behaviour.json

`run` makes packs of generated people and, given the folder of the data set, of FLIC; trains two rows with two seeds
each for some steps, in exact fp32 on one thread; reports, evaluates, predicts and exports. It writes `behaviour.json`:
logged numbers, digests of weights and of each person's arrays, tables, records, poses. Both runs belong on one machine.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

EXACT = [
    "trainer.threads=1",
    "trainer.precision=32-true",
    "trainer.accelerator=cpu",
    "logger=csv",
    "optim.batch_size=32",
]
SETS = {"embedded": ["data.source.train=300", "data.source.test=60"], "flic": ["data.allow_missing=true"]}
ROWS, SEEDS = ("regression_only", "det_1"), (1, 2)


def main(words: list[str]) -> int:
    """Run one of both commands; 1 if two revisions differ."""
    match words:
        case ["run", out, *roots]:
            run(Path(out).resolve(), roots[0] if roots else None)
            return 0
        case ["compare", one, other]:
            return compare(*(json.loads(Path(path).read_text()) for path in (one, other)))
    print(__doc__)
    return 2


def run(out: Path, flic: str | None) -> None:
    """Run the study in `out`, and write what came."""
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for name, words in SETS.items():
        if name == "flic" and flic is None:
            continue
        data = [f"data={name}", *words, *([f"data.root={flic}"] if name == "flic" else [])]
        call(out, "prepare", *data, "prepare.sheet=0")
        study = [*data, *EXACT, f"study={name}", "data.subset=192"]
        for row in ROWS:
            for seed in SEEDS:
                call(out, "train", *study, f"row={row}", f"seed={seed}", "epochs=2")
        call(out, "report", f"study={name}")
        model = Path("outputs") / name / "det_1_s1" / "checkpoints" / "model.ckpt"
        cut = [] if name == "embedded" else ["data.subset=60"]
        call(out, "evaluate", f"checkpoint={model}", *data, *cut, f"out=evaluation_{name}", "bootstrap.draws=200")
        photos(out / name, out / "data" / name)
        call(
            out,
            "predict",
            f"checkpoint={model}",
            f"source={name}/photos",
            "detector=whole",
            f"out={name}/found",
            "draw=false",
        )
        call(out, "export", f"checkpoint={model}", f"out={name}/export", "rounds=0")
        found[name] = gathered(out, name)
    (out / "behaviour.json").write_text(json.dumps(found, indent=1, sort_keys=True))
    print(f"wrote {out / 'behaviour.json'}")


def call(out: Path, program: str, *words: str) -> None:
    """Run a program of this environment; its failure ends all."""
    done = subprocess.run(
        [sys.executable, "-m", f"hmlpe.cli.{program}", *words], cwd=out, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"hmlpe-{program} {' '.join(words)}\n{done.stdout}{done.stderr}")


def photos(folder: Path, pack: Path) -> None:
    """Some crops of the pack as photos."""
    from PIL import Image

    (folder / "photos").mkdir(parents=True, exist_ok=True)
    crops = np.load(pack / "crops.npy", mmap_mode="r")
    for row in range(0, len(crops), max(1, len(crops) // 8)):
        Image.fromarray(np.asarray(crops[row])).save(folder / "photos" / f"{row:06d}.png")


def gathered(out: Path, name: str) -> dict[str, Any]:
    """All numbers of one data set."""
    import onnxruntime

    study = out / "outputs" / name
    found: dict[str, Any] = {"runs": {}}
    for folder in sorted(study.glob("*_s?")):
        result = json.loads((folder / "result.json").read_text())
        people = np.load(folder / "people" / "best.npz")
        found["runs"][folder.name] = {
            "metrics": result["metrics"],
            "other_rule": result["other_rule"]["metrics"],
            "mean_pose": result["mean_pose"],
            "logged": logged(folder),
            "weights": weights(folder / "checkpoints" / "model.ckpt"),
            "people": {key: digest(people[key]) for key in sorted(people.files)},
        }
    for file in ("table.csv", "table_other_rule.csv", "paired.csv"):
        found[file] = table(study / file)
    records = sorted((out / f"evaluation_{name}").rglob("*.json"))
    found["records"] = {
        path.name: {k: v for k, v in json.loads(path.read_text()).items() if k in KEPT} for path in records
    }
    found["poses.csv"] = (out / name / "found" / "poses.csv").read_text().splitlines()
    session = onnxruntime.InferenceSession(str(out / name / "export" / "model.onnx"))
    crops = np.load(out / "data" / name / "test_crops.npy", mmap_mode="r")[:8].transpose(0, 3, 1, 2)
    outputs = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(crops)})
    names = [one.name for one in session.get_outputs()]
    found["onnx"] = {one: digest(value) for one, value in zip(names, outputs, strict=True)}
    return found


KEPT = ("method", "counted", "detected", "scores", "curves", "ranking", "sides")


def logged(folder: Path) -> dict[str, list[str]]:
    """Metric -> its values as the log has them."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("csv/**/metrics.csv")):
        with path.open(newline="") as file:
            for line in csv.DictReader(file):
                for key, value in line.items():
                    if value:
                        found.setdefault(key, []).append(value)
    return found


def weights(path: Path) -> dict[str, str]:
    """Name -> digest of each tensor of a checkpoint."""
    import torch

    state = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
    return {key: digest(value.numpy()) for key, value in state.items()}


def digest(array: np.ndarray) -> str:
    """Of type, shape and values."""
    whole = np.ascontiguousarray(array)
    return f"{whole.dtype}{whole.shape} {hashlib.sha256(whole.tobytes()).hexdigest()[:16]}"


def table(path: Path) -> dict[str, dict[str, str]]:
    """Row (and metric) -> column -> cell."""
    with path.open(newline="") as file:
        return {" ".join(line[key] for key in ("metric", "row") if key in line): line for line in csv.DictReader(file)}


def compare(one: Any, other: Any) -> int:
    """Say where both differ; of numbers whose last digits alone do, how many and by how much."""
    different = list(differences(one, other, ""))
    close = [found for found in different if found.apart <= LAST_DIGITS]
    for found in different:
        if found.apart > LAST_DIGITS:
            print(found.text)
    if close:
        print(f"{len(close)} numbers differ in their last digits, by at most {max(f.apart for f in close):.1e}; e.g.")
        print("\n".join(found.text for found in close[:5]))
    print("" if different else "the same, to the last digit")
    return 1 if len(close) < len(different) else 0


LAST_DIGITS = 1e-5  # relative; of differences of numbers, that of the numbers


class Found(NamedTuple):
    """A difference, in words, and how far apart numbers are."""

    text: str
    apart: float


def differences(one: Any, other: Any, where: str) -> Iterator[Found]:
    """A line for each place."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if key not in one or key not in other:
                yield Found(f"{where}/{key}: only {'after' if key in other else 'before'}", math.inf)
            else:
                yield from differences(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from differences(a, b, f"{where}[{index}]")
    elif one != other:
        yield Found(f"{where}: {short(one)} -> {short(other)}", apart(one, other))


def apart(one: Any, other: Any) -> float:
    """The relative distance of two numbers, or of texts that are numbers; infinite of anything else."""
    try:
        a, b = float(one), float(other)
    except (TypeError, ValueError):
        return math.inf
    return abs(a - b) / max(abs(a), abs(b), 1e-2)


def short(value: Any) -> str:
    """At most so many signs."""
    return str(value)[:120]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
