"""The example package, installed by pip, composed through --config-dir: nothing in src/ knows it, all of it shows."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest

from hmlpe.errors import UserError
from hmlpe.training.module import MultiTaskPose

from ..programs import finish, run
from .own import OWN, RUNS, SWEEP, install, write_set


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which a sweep of the isolated launcher has run: with the task and without, under the own balance."""
    folder, installed = tmp_path_factory.mktemp("study"), install(tmp_path_factory.mktemp("installed"))
    write_set(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(installed))
        patch.syspath_prepend(str(installed))
        finish("prepare", *OWN, "prepare.sheet=0", folder=folder)
        finish("train", "-m", "hydra/launcher=isolated", *SWEEP, folder=folder)
        finish("report", "study=own", folder=folder)
        yield folder


def test_it_stands_in_results_table_curves_and_checkpoint(study: Path) -> None:
    runs = {path.name: json.loads((path / "result.json").read_text()) for path in (study / "outputs/own").glob("*_s1")}
    assert sorted(runs) == RUNS
    own = runs["det_0.1_facing_0.5_warming_s1"]
    assert own["counted"]["test"]["facing"] < own["counted"]["test"]["regression"], "of some nothing is known"
    assert 0 <= own["metrics"]["test"]["facing_accuracy"] <= 1 and own["tasks"]["facing"] == {"symbol": "f"}
    assert own["balance"]["name"] == "warming" and own["balance"]["weights"]["facing"] <= 0.5
    table = list(csv.DictReader((study / "outputs/own/table.csv").read_text().splitlines()))
    assert [line["test/facing_accuracy_mean"] != "" for line in table if line["row"] != "mean_pose"] == [False, True]
    assert [line["weight_facing"] for line in table][-1] == "0.5"
    text = (study / "outputs/own/table.md").read_text()
    assert "λ_f" in text and "facing, right [%]" in text and "E_f test" in text
    page = (study / "outputs/own/report.html").read_text()
    assert "facing loss" in page and "weight of facing" in page and "test facing [%]" in page
    log = (study / "outputs/own/det_0.1_facing_0.5_warming_s1/csv/version_0/metrics.csv").read_text()
    assert "train/weight/facing" in log.splitlines()[0]


def test_evaluated_by_an_own_protocol_exported_and_predicted_once_it_is_trusted(study: Path) -> None:
    model = "outputs/own/det_0.1_facing_0.5_warming_s1/checkpoints/model.ckpt"
    refused = run("export", f"checkpoint={model}", "rounds=0", folder=study)
    assert refused.returncode == 2 and "trust=[facing]" in refused.stderr and len(refused.stderr.splitlines()) == 1
    own = ["protocol=[pck_extent]", "bootstrap.draws=20", "trust=[facing]"]
    said = finish("evaluate", *OWN, f"checkpoint={model}", *own, folder=study)
    assert "pck_extent@0.20" in said
    assert "## pck_extent" in (study / "outputs/evaluation/mine/table.md").read_text()
    finish("export", f"checkpoint={model}", "rounds=0", "trust=[facing]", f"out={study / 'export'}", folder=study)
    session = onnxruntime.InferenceSession(str(study / "export" / "model.onnx"))
    assert [one.name for one in session.get_outputs()] == ["joints_px", "confidence", "part_maps", "facing"]
    for network, more in ((model, ["trust=[facing]"]), ("export/model.onnx", [])):
        given = [f"checkpoint={network}", "source=photos/00.png", "detector=whole", "out=found", "draw=false", *more]
        finish("predict", *given, folder=study)
        (person,) = json.loads((study / "found" / "poses.json").read_text())["images"][0]["people"]
        assert sum(person["answers"]["facing"]) == pytest.approx(1, abs=1e-3)
    with pytest.raises(UserError, match=r"trust=\[facing\]"):
        MultiTaskPose.load_from_checkpoint(study / model)
    module = MultiTaskPose.load_from_checkpoint(study / model, trust=["facing"])
    assert module.balance.active == ["regression", "detection", "facing"]
    assert float(module.balance.share) > 0, "the balance's state is in the checkpoint"  # type: ignore[arg-type]


def test_what_does_not_fit_is_one_line(study: Path) -> None:
    base = [*OWN, "+task=facing", "+row.weights.facing=1", "sweep.dry_run=true"]
    for more, said in (
        (["tasks.facing.attribute=age"], "tasks.facing: the data's people have no 'age'; they have facing"),
        (["tasks.facing._target_=nowhere.Task"], "nowhere"),
        (["balance=warming", "~balance.steps"], "balance"),
    ):
        done = run("train", *base, *more, folder=study)
        assert done.returncode == 2 and said in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr, more
