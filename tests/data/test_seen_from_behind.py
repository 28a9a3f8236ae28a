"""MODEC's length of a person seen from behind, whatever form the person is annotated in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from hmlpe.data.boxes import BoxRule
from hmlpe.data.pack import Labels, columns_of, labels_of
from hmlpe.data.record import Source
from hmlpe.data.selection import DataSet, SelectedPerson
from hmlpe.data.sources.coco import CocoSource
from hmlpe.data.sources.flic import FlicSource
from hmlpe.data.sources.lsp import JOINTS, LspSource
from hmlpe.data.sources.table import TableSource
from hmlpe.metrics import ModecPDJ
from hmlpe.skeleton import Skeleton

from .conftest import person, write_mat

POINTS = {  # FACTS 6: left and right are the person's own
    "right_shoulder": (100, 50), "left_shoulder": (40, 50), "left_hip": (50, 150), "right_hip": (90, 150),
    "left_elbow": (30, 80), "right_elbow": (110, 80), "left_wrist": (30, 110), "right_wrist": (110, 110),
}  # fmt: skip
SKELETON = Skeleton(list(POINTS), {}, [(f"left_{name}", f"right_{name}") for name in ("shoulder", "elbow", "wrist")])
LENGTHS = {"image": np.hypot(10, 100), "person": np.hypot(50, 100)}  # of own right shoulder, own left one; right hip


def flic(folder: Path) -> Source:
    slots = {"left_shoulder": 1, "left_elbow": 2, "left_wrist": 3, "right_shoulder": 4, "right_elbow": 5,
             "right_wrist": 6, "left_hip": 7, "right_hip": 10}  # fmt: skip
    coords = np.full((2, 29), np.nan)
    for name, slot in slots.items():
        coords[:, slot - 1] = np.array(POINTS[name]) + 1
    write_mat(folder / "examples.mat", [person(coords=coords)])
    return FlicSource(str(folder), SKELETON)


def lsp(folder: Path) -> Source:
    points = np.array([(*np.array(POINTS.get(name, (60, 60))) + 1, 0) for name in JOINTS], dtype=float)
    scipy.io.savemat(folder / "joints.mat", {"joints": points.T[:, :, None]})
    return LspSource(str(folder), SKELETON)


def table(folder: Path) -> Source:
    lines = [f"a.png,1,{name},{x},{y},1" for name, (x, y) in POINTS.items()]
    (folder / "joints.csv").write_text("\n".join(["image,person,joint,x,y,visible", *lines, ""]))
    return TableSource("mine", SKELETON, str(folder), str(folder / "joints.csv"), test_fraction=0.5)


def coco(folder: Path) -> Source:
    keypoints = [number for point in POINTS.values() for number in (*point, 2)]
    record = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 200, 200], "keypoints": keypoints}
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [record],
               "categories": [{"id": 1, "name": "person", "keypoints": list(POINTS)}]}  # fmt: skip
    (folder / "train.json").write_text(json.dumps(content))
    torsos = {"torso": ["left_shoulder", "right_hip"], "torso_swapped": ["right_shoulder", "right_hip"]}
    joints = {name: name for name in POINTS}
    file = str(folder / "train.json")
    return CocoSource("mine", SKELETON, str(folder), file, None, joints, test_fraction=0.5, **torsos)


def labels(source: Source, sides: str) -> Labels:
    one = DataSet(source, BoxRule("truth", "truth", (1, 0, 0), 0.1))
    (only,) = source.people()
    columns = columns_of([SelectedPerson(one, only, np.array([0.0, 0, 200, 200]))], np.zeros(1, np.uint64))
    return labels_of(columns, SKELETON, sides, True)


@pytest.mark.parametrize("read", [flic, lsp, table, coco])
@pytest.mark.parametrize(("sides", "hits"), [("image", 0), ("person", 1)])
def test_hips_do_not_change_places(tmp_path: Path, read: Callable[[Path], Source], sides: str, hits: int) -> None:
    """21 px are 0.209 of MODEC's length, and wrong at 0.20; of the person's own diagonal they are 0.188."""
    (tmp_path / "images").mkdir()
    truth = labels(read(tmp_path), sides)
    assert truth.torso_px == pytest.approx([LENGTHS[sides]])
    left = SKELETON.joints.index("left_elbow")
    assert tuple(truth.joints_px[0, left]) == POINTS["right_elbow" if sides == "image" else "left_elbow"]
    predicted = truth.joints_px.copy()
    predicted[0, left, 0] += 21
    metric = ModecPDJ(SKELETON, {"elbow": ["left_elbow"]})
    metric.update(*(torch.from_numpy(of) for of in (predicted, truth.joints_px, truth.torso_px)))
    assert float(metric.compute()["pdj_modec_elbow@0.20"]) == hits
    assert float(metric.all_errors()[0, left]) == pytest.approx(21 / LENGTHS[sides])
