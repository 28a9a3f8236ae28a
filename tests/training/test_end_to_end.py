"""Whole programs, run as a user runs them: train, kill, resume, test; and a sweep of two rows."""

import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from hmlpe.cli.app import CONFIGS
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton
from hmlpe.training.checkpoint import read_checkpoint
from hmlpe.training.settings import TrainSettings

from ..programs import TINY, Started, finish, of_packs, run

SIX = ["logger=csv", "epochs=6"]


def words(*overrides: str, folder: Path) -> list[str]:
    return [f"paths.data={folder / 'data'}", f"paths.outputs={folder / 'outputs'}", *TINY, *overrides]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("end_to_end")
    finish("prepare", *of_packs(*words(folder=folder)), "prepare.sheet=0")
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "model.ckpt", weights_only=True)["state_dict"]


def people(run: Path, rule: str) -> dict[str, np.ndarray]:
    with np.load(run / "people" / f"{rule}.npz") as found:
        return dict(found)


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


def check_same(whole: Path, run: Path) -> None:
    """Weights, metrics and people of both rules; what only an unfinished run needs is gone."""
    expected, found = weights(whole), weights(run)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    for field in ("metrics", "other_rule", "steps", "best_epoch"):
        assert record(whole)[field] == record(run)[field]
    for rule in ("best", "last"):
        expected, found = people(whole, rule), people(run, rule)
        assert expected.keys() == found.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(values, found[name], err_msg=name)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["model.ckpt"]


@pytest.fixture(scope="module", params=["best", pytest.param("last", marks=pytest.mark.slow)])
def whole(folder: Path, request: pytest.FixtureRequest) -> Path:
    """A run that nothing disturbed, with either checkpoint chosen; its study is named after that."""
    finish("train", *words(f"study={request.param}", *SIX, f"select={request.param}", folder=folder))
    return folder / "outputs" / request.param / "det_0.1_s1"


def test_a_run_killed_twice_goes_on_to_the_identical_result(folder: Path, whole: Path) -> None:
    """As it trains; and as people are written, when only the resumed model holds the last epoch's weights.

    The undisturbed one had no loading processes.
    """
    select = whole.parent.name
    workers = {"best": 1, "last": 2}[select]
    killed_study = [f"study=killed_{select}", f"select={select}", f"trainer.workers={workers}"]
    command = words(*killed_study, *SIX, folder=folder)
    there = folder / "outputs" / f"killed_{select}" / "det_0.1_s1"
    state = there / "checkpoints" / "resume.ckpt"
    process = Started("train", *command)
    deadline = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert record(there)["status"] == "running"

    die = "import os, signal; from hmlpe.training import fit; from hmlpe.cli.train import main; "
    die += "fit.write_people = lambda *_: os.kill(os.getpid(), signal.SIGKILL); main()"
    killed = run("-c", die, *command)
    assert killed.returncode == -signal.SIGKILL and "resuming from" in killed.stdout + killed.stderr

    finish("train", *command)
    check_same(whole, there)
    assert record(there)["steps"] == 6 * 3


def test_the_people_add_up_to_the_metrics_of_each_rule(folder: Path, whole: Path) -> None:
    check_people(folder, whole, whole.parent.name, ("regression", "detection"))
    result = record(whole)
    assert result["checkpoint_rule"].startswith("lowest val/regression_error") == (whole.parent.name == "best")
    assert result["metrics"] != result["other_rule"]["metrics"] or result["best_epoch"] == 6


def test_the_people_of_a_run_without_regression(folder: Path) -> None:
    finish("train", *words("row=detection_only", "study=each", "logger=csv", "epochs=2", folder=folder))
    check_people(folder, folder / "outputs" / "each" / "detection_only_s1", "best", ("detection",))


def check_people(folder: Path, run: Path, select: str, tasks: Sequence[str]) -> None:
    """In the pack's order, and each rule's people have the rule's errors."""
    chosen, other = record(run), record(run)["other_rule"]
    assert other["checkpoint_rule"] != chosen["checkpoint_rule"]
    assert other["metrics"].keys() == chosen["metrics"].keys()
    with np.load(folder / "data" / "embedded" / "people.npz") as pack:
        tested = np.flatnonzero(pack["split"] == "test")
    for rule in ("best", "last"):
        metrics = (chosen if rule == select else other)["metrics"]["test"]
        found = people(run, rule)
        np.testing.assert_array_equal(found["index"], tested)
        assert len(set(found["person"])) == 12 and found["box_px"].shape == (12, 4)
        for task in tasks:
            assert found[f"errors/{task}_error"].mean() == pytest.approx(metrics[f"{task}_error"], rel=1e-5)
        maps, truth = found["part_maps_predicted"], found["part_maps_true"]
        assert maps.shape == truth.shape == (12, 7, 8, 8) and maps.dtype == np.uint8
        assert set(np.unique(truth)) == {0, 255}
        assert ("predicted_px" in found) == ("errors/regression_error" in found) == ("regression" in tasks)
        if "regression" in tasks:
            distance = np.linalg.norm(found["predicted_crop_px"] - found["truth_crop_px"], axis=-1)
            assert np.nanmean(distance) == pytest.approx(metrics["error_px"], rel=1e-5)


def test_a_sweep_of_two_rows_fails_alone_skips_and_reports(folder: Path) -> None:
    """Row det_1 has a result of something else in its way; it fails, the other row does not."""
    study = folder / "outputs" / "weight_ablation"
    sweep = words(
        "experiment=weight_ablation",
        "row=regression_only,det_1",
        "seed=0",
        "epochs=1",
        "hydra/launcher=basic",
        folder=folder,
    )
    blocked = study / "det_1_s0" / "result.json"
    blocked.parent.mkdir(parents=True)
    blocked.write_text(json.dumps({"schema": 2, "status": "finished", "identity": {"code": "other"}}))
    looked = run("train", "-m", *sweep, "sweep.dry_run=true")
    assert looked.returncode == 0 and not (study / "regression_only_s0").exists()
    said = looked.stdout + looked.stderr
    assert (
        "regression_only_s0: missing" in said
        and "det_1_s0: stale (made with different code" in said
        and ": about" in said
    )

    first = run("train", "-m", *sweep)
    assert first.returncode == 2
    assert "2 runs of 1 epoch, one by one: about" in first.stdout + first.stderr
    assert "det_1_s0/result.json: was made with different" in first.stderr
    assert "Traceback" not in first.stderr
    assert json.loads((study / "regression_only_s0" / "result.json").read_text())["status"] == "finished"
    assert list((study / "regression_only_s0" / "wandb").glob("offline-run-*/*.wandb"))

    blocked.unlink()
    assert "regression_only · seed 0: already finished" in finish("train", "-m", *sweep)
    result = json.loads(blocked.read_text())
    assert result["weights"] == {"regression": 1.0, "detection": 1.0}
    assert result["people"]["test"] == 12
    assert set(result["metrics"]) == {"train", "val", "test"}

    assert "regression_only" in finish("report", "study=weight_ablation", f"paths.outputs={folder / 'outputs'}")
    for name in ("runs.csv", "table.csv", "table.md", "table.tex", "figure.png"):
        assert (study / name).stat().st_size > 0


def test_bad_weights_are_one_line(folder: Path) -> None:
    for row in (
        ["row.weights.detection=-1"],
        ["row.weights.detection=.nan"],
        ["row.weights={regression: 0, detection: 0}"],
    ):
        done = run("train", *words(*row, "logger=csv", folder=folder))
        assert done.returncode == 2
        lines = done.stderr.strip().splitlines()
        assert lines[-1].startswith("error: row.weights")
        assert "Traceback" not in done.stderr


def test_a_checkpoint_is_tested_from_its_path(folder: Path) -> None:
    """The same weights give the same test metrics; one of another network or no checkpoint at all is one line."""
    finish("train", *words("study=first", "epochs=1", "logger=csv", folder=folder))
    first = folder / "outputs" / "first" / "det_0.1_s1"
    checkpoint = f"init_from={first / 'checkpoints' / 'model.ckpt'}"
    finish("train", *words("study=again", "fit=false", checkpoint, "logger=csv", folder=folder))
    again = json.loads((folder / "outputs" / "again" / "det_0.1_s1" / "result.json").read_text())
    assert again["metrics"] == json.loads((first / "result.json").read_text())["metrics"]
    assert again["steps"] == 0

    no_checkpoint = f"init_from={first / 'result.json'}"
    for bad, message in (
        ([checkpoint, "network.head.hidden=[8,8]"], "checkpoint of another network"),
        ([no_checkpoint], "not a checkpoint from hmlpe-train"),
    ):
        command = words("study=bad", "fit=false", "logger=csv", "overwrite=true", *bad, folder=folder)
        done = run("train", *command)
        assert done.returncode == 2
        assert message in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


def test_settings_that_cannot_work_are_one_line() -> None:
    for bad in ("seed=-1", "seed=x", "epochs=0", "optim.batch_size=0", "data.subset=-5", "select=bset", "size_px=200",
                "trainer.precision=foo", "sweep.redo=all", "objective=test/regression_error",
                "objective=val/regresion_error", "trainer.devices=0", "fit=false", "trainer.threads=0"):  # fmt: skip
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            config = compose("train", overrides=[bad])
        with pytest.raises(UserError, match=bad.split("=")[0]) as raised:
            TrainSettings.from_config(config)
        assert "\n" not in str(raised.value)


def test_a_checkpoint_of_another_skeleton_is_refused(folder: Path) -> None:
    checkpoint = folder / "skeleton.ckpt"
    upper = Skeleton(["head", "neck"], {"head_neck": ["head", "neck"]})
    torch.save({"state_dict": {}, "hmlpe": {"config": {"skeleton": upper.as_dict()}}}, checkpoint)
    assert read_checkpoint(checkpoint, upper)["state_dict"] == {}
    with pytest.raises(UserError, match=r"another skeleton \(joints head, neck\)"):
        read_checkpoint(checkpoint, Skeleton(["nose", "tail"], {}))


@pytest.mark.slow  # four runs
def test_weights_are_switched_and_trunks_transplanted(folder: Path) -> None:
    """A detection that is never on changes nothing, one that is switched off does; a kept epoch is a start."""
    few = ["logger=csv", "epochs=2", "study=arms", "row=det_1"]

    def trained(name: str, *own: str) -> Path:
        finish("train", *words(*few, f"row.name={name}", *own, folder=folder))
        return folder / "outputs" / "arms" / f"{name}_s1"

    alone = trained("alone", "row=regression_only", "row.name=alone", "keep_epochs=[1]")
    never = trained("never", "balance=scheduled", "balance.factors=[[detection,0,0]]")
    halfway = trained("off", "balance=scheduled", "balance.factors=[[detection,1,0]]", "trainer.log_every_n_steps=1")
    for name, value in weights(alone).items():
        if name.startswith(("network.trunk.", "network.heads.regression.")):
            assert (torch.equal(value, weights(never)[name]) and not torch.equal(value, weights(halfway)[name])) or (
                "num_batches" in name
            ), name
    assert record(halfway)["balance"] == {"name": "scheduled", "weights": {"regression": 1, "detection": 0}}
    (curves,) = halfway.glob("csv/*/metrics.csv")
    logged = [line.split(",") for line in curves.read_text().splitlines()]
    column = logged[0].index("train/weight/detection")
    assert {float(line[column]) for line in logged[1:] if line[column]} == {0, 1}

    start = f"init_from={alone / 'checkpoints' / 'epoch_1.ckpt'}"
    renewed = trained("from_alone", start, "heads=renew", "varies=[init_from,heads]")
    assert record(renewed)["start"] == "arms/alone after epoch 1, new heads"
    asked = words(*few, "row=regression_only", "row.name=never", "keep_epochs=[1]", folder=folder)
    once = [word for word in asked if not word.startswith(("row.name=", "keep_epochs=", "row="))]
    once = [*once, "row=regression_only"]
    assert run("train", *once, "row.name=alone", "keep_epochs=[2]").stderr.startswith("error: keep_epochs: ")
    assert run("train", *once, "row.name=never", "keep_epochs=[3]").stderr == (
        "error: keep_epochs: 3 is beyond the 2 epochs of the run\n"
    )
