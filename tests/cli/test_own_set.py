"""docs/data.md's set of one's own: its very file, run by prepare and train, on photos that are made here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ..programs import finish, run

DOCS = Path(__file__).parents[2] / "docs" / "data.md"
KEYPOINTS = ["tail", "nose", "left_ear_base", "left_ear_tip", "right_ear_base", "right_ear_tip"]  # not our order
MINE = ["--config-dir=.", "experiment=mine"]
TINY = ["network.head.hidden=[16,16]", "network.trunk.stages=[{maps: 2, kernel: 9, relu: true}]", "epochs=1"]


def documented() -> str:
    (found,) = re.findall(r"^```yaml\n(# @package _global_\n.*?)^```", DOCS.read_text(encoding="utf-8"), re.M | re.S)
    return str(found)


def annotation(number: int, rng: np.random.Generator) -> dict[str, Any]:
    points = rng.uniform(10, 90, (len(KEYPOINTS), 2)).round(1)
    visibility = [
        0 if number % 10 == 0 else 2,
        2,
        2,
        2,
        2,
        1,
    ]  # every tenth tail is unknown, a tip hidden
    flat = [value for (x, y), v in zip(points.tolist(), visibility, strict=True) for value in (x, y, v)]
    return {"id": number, "image_id": number, "category_id": 1, "keypoints": flat, "iscrowd": 0, "bbox": [5, 5, 90, 90]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the page supposes: experiment/mine.yaml, photos/ and labels.json."""
    rng = np.random.default_rng(0)
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(documented(), encoding="utf-8")
    (tmp_path / "photos").mkdir()
    names = [f"dog {number}.png" for number in range(60)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (100, 100, 3), dtype=np.uint8)).save(tmp_path / "photos" / name)
    content = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "categories": [{"id": 1, "name": "dog", "keypoints": KEYPOINTS}],
        "annotations": [annotation(number, rng) for number in range(60)],
    }
    (tmp_path / "labels.json").write_text(json.dumps(content))
    return tmp_path


def test_a_foreign_set_trains_by_its_config_file_alone(folder: Path) -> None:
    printed = finish("prepare", *MINE, folder=folder)
    manifest = json.loads((folder / "data" / "dogs" / "manifest.json").read_text())
    counts = manifest["counts"]
    assert counts["train"] + counts["test"] == 60 and 2 <= counts["test"] <= 25
    assert f"{counts['train']} train and {counts['test']} test people" in printed
    assert manifest["skeleton"]["joints"] == ["nose", "left_ear", "right_ear", "tail"]
    with np.load(folder / "data" / "dogs" / "people.npz") as people:
        assert np.isnan(people["joints_px"][:, 3, 0]).sum() == 6  # the unknown tails
        assert people["occluded"].all(axis=0).tolist() == [False, False, True, False]
    assert (folder / "data" / "dogs" / "sheet.png").stat().st_size > 10_000

    finish("train", *MINE, "logger=csv", "trainer.threads=1", *TINY, folder=folder)
    result = json.loads((folder / "outputs" / "mine" / "det_0.1_s1" / "result.json").read_text())
    assert result["status"] == "finished" and result["people"]["test"] == counts["test"]
    found = result["metrics"]["test"]
    assert {"regression_error", "detection_error", "error_px", "window_ap_back", "window_ap_face"} <= set(found)
    assert not any("pdj" in key or "pcp" in key for key in found)
    assert "truth" in result["protocol"]

    network = "checkpoint=outputs/mine/det_0.1_s1/checkpoints/model.ckpt"
    few = ["logger=csv", "bootstrap.draws=5"]
    for words in ([], ["confidence=null"]):  # elbows are asked of nobody who has none
        said = finish("evaluate", *MINE, network, *few, *words, folder=folder)
        left_out = [line for line in said.splitlines() if "does not apply" in line]
        assert len(left_out) == 2 and all("pdj_modec" in line and "no torso length" in line for line in left_out)
        assert "pcp_strict_face " in said and "mean pose on dogs" in said and "joint 'left_elbow'" not in said
    table = (folder / "outputs" / "evaluation" / "dogs" / "table.md").read_text()
    assert "| method | boxes | people | face | back |" in table and "| mine/det_0.1_s1 | true joints |" in table


def test_a_skeleton_without_parts_regresses_and_says_what_detection_needs(folder: Path) -> None:
    mine = folder / "experiment" / "mine.yaml"
    mine.write_text(re.sub("  parts: .*\n", "", mine.read_text()))  # conf/skeleton/own.yaml's default: none
    words = [*MINE, "logger=csv", "trainer.threads=1", *TINY]
    finish("prepare", *MINE, "prepare.sheet=4", folder=folder)
    for call in (["train", *words], ["train", *words, "row=det_10"]):
        refused = run(*call, folder=folder)
        lines = refused.stderr.splitlines()
        assert refused.returncode == 2 and len(lines) == 1 and lines[0].startswith("error: skeleton.parts: ")
        assert "row=regression_only" in lines[0]
    assert not [path for path in (folder / "outputs").rglob("*") if path.is_file()]
    finish("train", *words, "row=regression_only", folder=folder)
    result = json.loads((folder / "outputs" / "mine" / "regression_only_s1" / "result.json").read_text())
    assert result["status"] == "finished" and result["metrics"]["test"]["error_px"] > 0
    network = "checkpoint=outputs/mine/regression_only_s1/checkpoints/model.ckpt"
    nothing = run("evaluate", *MINE, network, "logger=csv", "bootstrap.draws=5", folder=folder)
    assert (
        nothing.returncode == 2 and "the skeleton has no parts" in nothing.stdout and "skeleton.parts" in nothing.stderr
    )
    assert "Traceback" not in nothing.stderr and not list((folder / "outputs").glob("evaluation/*/*"))
