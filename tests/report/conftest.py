"""Results of runs that never ran, written as a study's folder."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .described import DESCRIBED, TASKS

Result = dict[str, Any]


def make_result(row: str = "det_0.1", seed: int = 1, regression: float = 1.0, detection: float = 0.1) -> Result:
    """A finished run's result; a task of weight zero has no metrics, as in a real one."""
    test: dict[str, float] = {}
    if regression:
        test |= {"regression_error": 0.2, "pdj_modec_elbow@0.20": 0.6, "pdj_modec_wrist@0.20": 0.4, "spread": 0.7}
    if detection:
        test |= {"detection_error": 54.0, "window_ap": 0.4}
    return {
        "schema": 3,
        "status": "finished",
        "tasks": {task: {"symbol": symbol} for task, (symbol, _) in TASKS.items()},
        "described": DESCRIBED,
        "sets": ["flic"],
        "sides": "image",
        "experiment": "weight_ablation",
        "row": row,
        "seed": seed,
        "weights": {"regression": regression, "detection": detection},
        "protocol": "pdj_modec sides=image boxes=detection",
        "checkpoint_rule": "best val/regression",
        "epochs": 12,
        "steps": 336,
        "recipe": "modern",
        "network": "slim",
        "people": {"train": 3588, "val": 399, "test": 766, "test_annotated": 1016, "test_missing_images": 250},
        "metrics": {"train": {key: value for key, value in test.items() if "error" in key}, "val": {}, "test": test},
        "mean_pose": {"test": {"regression_error": 0.26, "pdj_modec_elbow@0.20": 0.573, "spread": 0.0}},
        "provenance": {
            "git_revision": "4bc1f00d",
            "git_dirty": False,
            "code": "c0de",
            "data": "sha256:0123456789abcdef",
            "config": f"config of {row}",
            "settings": "settings of all rows",
            "packages": {"numpy": "2.0"},
            "device": "cpu on host17",
            "threads": 2,
            "python": "3.11.7",
        },
        "started": "2026-11-22T08:00:00+00:00",
        "seconds": 123.4,
    }


def write_results(study: Path, results: list[Result]) -> Path:
    """Write results under `<row>_s<seed>`."""
    for result in results:
        folder = study / f"{result['row']}_s{result['seed']}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return study


def changed(result: Result, where: str, value: Any) -> Result:
    """A copy with the field at the dotted path `where` set; `...` deletes it."""
    result = copy.deepcopy(result)
    *parents, last = where.split("/")
    inner = result
    for parent in parents:
        inner = inner[parent]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return result


@pytest.fixture
def ablation() -> list[Result]:
    """Four rows in a mixed order; reg_only collapsed in one of two seeds, det_1 failed once."""
    results = [make_result(row, seed, *weights) for row, weights in _ROWS.items() for seed in (1, 2)]
    for result in results:
        if "pdj_modec_elbow@0.20" in result["metrics"]["test"]:
            result["metrics"]["test"]["pdj_modec_elbow@0.20"] += 0.02 * result["seed"]
        if result["row"] == "reg_only" and result["seed"] == 2:
            result["metrics"]["test"]["spread"] = 0.03
        if result["row"] == "det_1" and result["seed"] == 2:
            result |= {
                "status": "failed",
                "error": "E_r is NaN\nat step 12",
                "metrics": {"test": {"spread": float("nan")}},
            }
    return results


_ROWS = {"det_only": (0.0, 1.0), "det_1": (1.0, 1.0), "det_0.01": (1.0, 0.01), "reg_only": (1.0, 0.0)}


@pytest.fixture
def study(tmp_path: Path) -> Callable[[list[Result]], Path]:
    """Writes results as a new study's folder."""
    numbers = iter(range(1000))
    return lambda results: write_results(tmp_path / str(next(numbers)) / "weight_ablation", results)
