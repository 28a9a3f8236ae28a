"""Joint points, the third task: one module and one config, and it stands wherever the other two do."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import onnxruntime
import pytest
import torch
from PIL import Image

from hmlpe.skeleton import Skeleton
from hmlpe.tasks.points import JointPoints, PointAP
from hmlpe.windows import WindowGrid

from ..programs import TINY, finish, of_packs
from ..tracking.records import only, records, values

NAN = float("nan")
THREE = Skeleton(["nose", "left_ear", "right_ear"], {"face": ["nose", "left_ear"]}, [["left_ear", "right_ear"]])


def test_the_target_by_hand() -> None:
    """Windows of 30 pixels every 12: a point at 12 lies in the closed windows that begin at 0 and at 12."""
    task = JointPoints(THREE, WindowGrid(count=2))
    joints = torch.tensor([[[12.0, 0.0], [41.0, 41.0], [NAN, 3.0]], [[29.0, 30.0], [-1.0, 5.0], [100.0, 5.0]]])
    target = task.target({"joints_px": joints})
    inside = target.values.reshape(2, 3, 4).bool().tolist()  # window count * y + x
    assert inside[0] == [[True, True, False, False], [False, False, False, True], [False] * 4]
    assert inside[1] == [[False, False, True, True], [False] * 4, [False] * 4]
    assert target.known.reshape(2, 3, 4).all(-1).tolist() == [[True, True, False], [True, True, True]]
    sure = torch.where(target.values > 0, 9.0, -9.0)
    metric = PointAP(THREE)
    metric.update(**task.decode(sure), **task.truth(target, {}))
    found = metric.compute()
    assert found["point_ap"] == 1 and found["point_ap_right_ear"].isnan() and set(found) == set(metric.infos())


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which rows with and without the task were trained, mirrored to W&B, reported, shown and exported."""
    folder = tmp_path_factory.mktemp("points")
    data = [word for word in TINY if word.startswith("data.")]
    finish("prepare", *of_packs(*data), "prepare.sheet=0", folder=folder)
    common = [*TINY, "+task=joint_points", "study=points", "epochs=1", "trainer.log_every_n_steps=1", "logger=csv"]
    for seed in (1, 2):
        finish("train", *common, f"seed={seed}", "row=regression_only", folder=folder)
        finish("train", *common, f"seed={seed}", "row=det_1", "+row.weights.points=0.5", folder=folder)
    watched = ["logger=wandb", "logger.media_every_epochs=1", "seed=1", "row=regression_only"]
    alone = ["row.weights.regression=0", "+row.weights.points=1", "row.name=points_only"]
    finish("train", *common[:-1], *watched, *alone, folder=folder)
    finish("report", "study=points", folder=folder)
    return folder


def test_it_stands_in_table_figure_and_verdict(study: Path) -> None:
    outputs = study / "outputs" / "points"
    head = next(line for line in (outputs / "table.md").read_text().splitlines() if line.startswith("| row"))
    assert all(f"| {name} " in head for name in ("λ_p", "point AP [%]", "E_p train", "E_p test"))
    table = {line["row"]: line for line in csv.DictReader((outputs / "table.csv").read_text().splitlines())}
    assert table["det_1_points_0.5"]["test/point_ap_n"] == "2" and table["regression_only"]["test/point_ap_n"] == "0"
    paired = list(csv.DictReader((outputs / "paired.csv").read_text().splitlines()))
    (own,) = (
        one for one in paired if one["metric"] == "test/points_error" and one["checkpoint_rule"].startswith("low")
    )
    assert (own["row"], own["base"]) == ("det_1_points_0.5", "points_only")
    page = (outputs / "report.html").read_text()
    assert "points error" in page and "points loss" in page


def test_it_stands_in_wandb(study: Path) -> None:
    run = study / "outputs" / "points" / "points_only_s1"
    rows = [values(record.item) for record in records(only(run))["history"]]
    logged = {name for row in rows for name in row}
    assert {"train/points", "val/points_error", "test/point_ap", "media/point_maps"} <= logged
    finish("dashboard", "study=points", folder=study)
    shown = (study / "outputs" / "points" / "dashboard" / "workspace.json").read_text()
    assert all(name in shown for name in ("val/points_error", "test/point_ap", "media/point_maps", "Joint detectors"))


def test_it_stands_in_export_and_predictions(study: Path) -> None:
    model = "outputs/points/det_1_points_0.5_s1/checkpoints/model.ckpt"
    finish("export", f"checkpoint={model}", "formats=[onnx]", "rounds=0", "out=export", folder=study)
    session = onnxruntime.InferenceSession(str(study / "export" / "model.onnx"))
    assert [one.name for one in session.get_outputs()] == ["joints_px", "confidence", "part_maps", "point_maps"]
    Image.new("RGB", (120, 90), "grey").save(study / "a.png")
    finish("predict", f"checkpoint={model}", "source=a.png", "detector=whole", "out=found", "draw=false", folder=study)
    (person,) = json.loads((study / "found" / "poses.json").read_text())["images"][0]["people"]
    maps = person["answers"]["point_maps"]
    assert len(maps) == 8 and len(maps[0]) == 64 and all(0 <= one <= 1 for joint in maps for one in joint)
