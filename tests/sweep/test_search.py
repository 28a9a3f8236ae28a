"""A search by Optuna, as docs/sweeps.md types it: its trials are runs, and the same command finds them again."""

import importlib.util
import json
from pathlib import Path

import pytest

from .programs import call, finish, record

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper") is None, reason="needs the extra optuna"
    ),
]


def test_a_search_for_the_weight_asks_and_goes_on(data: Path, tmp_path: Path) -> None:
    words = ["experiment=weight_search", "hydra.sweeper.n_trials=4", "epochs=1", "logger=csv"]
    command = call("train -m", *words, f"paths.outputs={tmp_path}", data=data)
    said = finish(command)
    study = tmp_path / "weight_search"
    jobs = record(study)
    assert len(jobs) == 4 and {job["outcome"] for job in jobs.values()} == {"finished"}  # of two batches
    results = {path: (path.stat().st_mtime_ns, json.loads(path.read_text())) for path in study.glob("*/result.json")}
    assert {path.parent.name for path in results} == set(jobs)
    weights = [result["weights"]["detection"] for _, result in results.values()]
    assert len(set(weights)) == 4 and all(1e-4 <= weight <= 10 for weight in weights)
    best = min(results.values(), key=lambda found: found[1]["metrics"]["val"]["regression_error"])[1]
    assert f"'row.weights.detection': {best['weights']['detection']}" in said.replace('"', "'")

    finish(command)
    assert {path: path.stat().st_mtime_ns for path in study.glob("*/result.json")} == {
        path: time for path, (time, _) in results.items()
    }
    assert {job["found"] for job in record(study).values()} == {"finished"}


def test_a_misspelt_objective_is_one_line_before_any_trial(data: Path, tmp_path: Path) -> None:
    command = call("train -m", "experiment=weight_search", f"paths.outputs={tmp_path}", data=data)
    said = finish([*command, "objective=val/regresion_error"], 2)
    assert said.strip().splitlines()[-1] == (
        "error: objective: 'val/regresion_error': no such task; there are regression, detection"
    )
    assert not list(tmp_path.rglob("result.json"))
