"""A study's folder as a sweep leaves it, with people's files, curves and a pack, out of made-up numbers."""

from __future__ import annotations

import csv
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from hmlpe.data.pack import FILES, VERSION, Columns
from hmlpe.files import digest_of_file
from hmlpe.metrics import ModecPDJ, PixelError, StrictPCPOfJoints
from hmlpe.skeleton import Skeleton

from .conftest import Result, make_result

SIZE_PX, CROP_PX = 112, 128
ROWS = {"regression_only": (1.0, 0.0), "det_0.1": (1.0, 0.1), "det_1": (1.0, 1.0), "detection_only": (0.0, 1.0)}
NOISE_PX = {"regression_only": 9.0, "det_0.1": 6.0, "det_1": 8.9}
SKELETON = Skeleton(
    ["head", "left_shoulder", "neck", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"],
    {
        "head_neck": ["head", "neck"],
        "left_upper_arm": ["left_shoulder", "left_elbow"],
        "left_lower_arm": ["left_elbow", "left_wrist"],
        "right_upper_arm": ["right_shoulder", "right_elbow"],
        "right_lower_arm": ["right_elbow", "right_wrist"],
    },
    [["left_shoulder", "right_shoulder"], ["left_elbow", "right_elbow"], ["left_wrist", "right_wrist"]],
)
POSE = np.array([[56, 20], [40, 45], [56, 42], [72, 45], [32, 66], [80, 66], [30, 90], [82, 90]], float)
PDJ = {name: [f"left_{name}", f"right_{name}"] for name in ("elbow", "wrist")}
PCP = {name: [f"left_{name}", f"right_{name}"] for name in ("upper_arm", "lower_arm")}
EPOCHS = 4
RULES = {"best": "lowest val/regression_error", "last": "last epoch"}


def write_study(root: Path, rows: dict[str, tuple[float, float]] = ROWS, seeds: int = 3, people: int = 40) -> Path:
    """A study `weight_ablation` in `root`, and its pack."""
    study = root / "outputs" / "weight_ablation"
    digest = write_pack(root / "data" / "fake", people)
    for index, (row, weights) in enumerate(rows.items()):
        for seed in range(1, seeds + 1):
            write_run(study / f"{row}_s{seed}", row, seed, weights, people, digest, root, index)
    return study


def write_run(
    folder: Path,
    row: str,
    seed: int,
    weights: tuple[float, float],
    people: int,
    digest: str,
    root: Path,
    number: int,
) -> None:
    """One finished run, whose numbers are those of `hmlpe.metrics`."""
    (folder / "people").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config(root / "data" / "fake")))
    result: Result = make_result(row, seed, *weights) | {
        "epochs": EPOCHS,
        "checkpoint_rule": RULES["best"],
        "finished": "2026-11-22T08:02:03+00:00",
        "best_epoch": 3,
        "protocol": "flic: pdj_modec, pcp_strict; sides=image, test boxes=detection",
    }
    result["provenance"] |= {"data": digest}
    result["people"] |= {"test": people, "test_annotated": people, "test_missing_images": 0}
    for rule in ("last", "best"):
        arrays = people_arrays(row, weights, people, seed + 100 * number + 50 * (rule == "last"))
        np.savez_compressed(folder / "people" / f"{rule}.npz", **arrays)
        test = metrics_of(arrays)
        found = {"train": {key: test[key] * 0.9 for key in test if key.endswith("_error")}, "val": {}, "test": test}
        if rule == "last":
            result["other_rule"] = {"checkpoint_rule": RULES["last"], "metrics": found}
        else:
            result["metrics"] = found
    (folder / "result.json").write_text(json.dumps(result))
    write_curves(folder, weights, seed)


def config(pack: Path) -> dict[str, Any]:
    """The parts of a run's config.yaml that the report reads."""
    return {
        "select": "best",
        "size_px": SIZE_PX,
        "epochs": EPOCHS,
        "data": {"name": "flic", "pack": str(pack)},
        "skeleton": SKELETON.as_dict(),
        "windows": {"count": 8, "stride_px": 12, "extent_px": 29},
        "metrics": {
            "regression": {
                "pdj": {"_target_": "hmlpe.metrics.ModecPDJ", "groups": PDJ},
                "pcp": {"_target_": "hmlpe.metrics.StrictPCPOfJoints", "groups": PCP},
                "error": {"_target_": "hmlpe.metrics.PixelError"},
            },
        },
    }


def people_arrays(row: str, weights: tuple[float, float], people: int, seed: int) -> dict[str, np.ndarray]:
    """What people/<rule>.npz holds; the same people in every run, one joint unknown, one person without a torso."""
    of_people, of_run = np.random.default_rng(0), np.random.default_rng(seed)
    truth = (POSE + of_people.normal(0, 6, (people, *POSE.shape))).astype(np.float32)
    truth[3, 6] = np.nan
    hard = of_people.gamma(2, 0.5, (people, 1, 1))
    arrays: dict[str, np.ndarray] = {
        "index": np.arange(people),
        "person": np.array([f"fake/{number:03d}.jpg person" for number in range(people)]),
        "shot": np.array([f"fake/{number:03d}.jpg" for number in range(people)]),
        "truth_crop_px": truth,
        "truth_px": 2 * truth,
        "torso_px": np.where(np.arange(people) == 5, np.nan, 110).astype(np.float32),
        "box_px": np.tile(np.array([0, 0, 224, 224], np.float32), (people, 1)),
    }
    if weights[0]:
        predicted = (truth + hard * of_run.normal(0, NOISE_PX[row], truth.shape)).astype(np.float32)
        predicted[3, 6] = 30
        error = (np.nan_to_num(predicted - truth) ** 2).sum((1, 2)) / 1e4
        arrays |= {"predicted_crop_px": predicted, "predicted_px": 2 * predicted, "regression_error": error}
    if weights[1]:
        true = of_people.random((people, len(SKELETON.parts), 8, 8)) > 0.8
        found = np.clip(0.7 * true + of_run.random(true.shape) * 0.4, 0, 1)
        arrays |= {"detection_error": np.abs(found - true).sum((1, 2, 3)), "part_maps_true": as_bytes(true)}
        arrays["part_maps_predicted"] = as_bytes(found)
    return {key: value.astype(np.float32) if key.endswith("_error") else value for key, value in arrays.items()}


def as_bytes(maps: np.ndarray) -> np.ndarray:
    return (255 * maps).round().astype(np.uint8)


def metrics_of(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """By the program's own metrics."""
    found = {key: float(value.mean()) for key, value in arrays.items() if key.endswith("_error")}
    if "detection_error" in found:
        found["window_ap"] = 0.4
    if "predicted_px" not in arrays:
        return found
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items() if value.dtype == np.float32}
    pdj, pcp, error = ModecPDJ(SKELETON, PDJ), StrictPCPOfJoints(SKELETON, PCP), PixelError()
    pdj.update(tensors["predicted_px"], tensors["truth_px"], tensors["torso_px"])
    pcp.update(tensors["predicted_px"], tensors["truth_px"])
    error.update(tensors["predicted_crop_px"], tensors["truth_crop_px"])
    counted = {**pdj.compute(), **pcp.compute(), **error.compute()}
    return {"spread": 0.8, **found, **{key: float(value) for key, value in counted.items()}}


def write_curves(folder: Path, weights: tuple[float, float], seed: int, epochs: int = EPOCHS) -> Path:
    """The curves of a run that has done so many epochs, as Lightning writes them."""
    tasks = [task for task, weight in zip(("regression", "detection"), weights, strict=True) if weight]
    lines = []
    for epoch in range(epochs):
        value = 1 / (1 + epoch) + 0.01 * seed
        both = {"train/gradient/cosine": 0.1 * value} if len(tasks) == 2 else {}
        gradients = {f"train/gradient/norm_{task}": 2 * value for task in tasks} | both
        losses = {f"train/{task}": value for task in tasks}
        lines.append({"epoch": epoch, "step": 10 * epoch + 4, **losses, **gradients})
        lines.append({"epoch": epoch, "step": 10 * epoch + 9, **{f"val/{task}_error": 1.1 * value for task in tasks}})
    lines.append({"epoch": epochs, "step": 10 * epochs, **{f"test/{task}_error": 0.5 for task in tasks}})
    path = folder / "csv" / "version_0" / "metrics.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted({key for line in lines for key in line}))
        writer.writeheader()
        writer.writerows(lines)
    return path


def write_pack(folder: Path, people: int) -> str:
    """A pack of grey crops, one shade a person. Returns its digest."""
    folder.mkdir(parents=True)
    shades = np.linspace(40, 200, people).astype(np.uint8)
    for name, side in (("crops", CROP_PX), ("test_crops", SIZE_PX)):
        np.save(folder / f"{name}.npy", np.broadcast_to(shades[:, None, None, None], (people, side, side, 3)))
    columns = {field.name: np.zeros(people) for field in fields(Columns)} | {"image": np.zeros(people, str)}
    columns |= {name: np.zeros(people, np.uint64) for name in ("hash", "crop_hash")}
    columns |= {name: np.full(people, name) for name in ("set", "where", "split", "identity", "shot")}
    columns |= {name: np.zeros((people, 4)) for name in ("box_px", "detection_px", "window_px")}
    joints = np.zeros((people, len(SKELETON.joints), 2))
    columns |= {"joints_px": joints, "occluded": joints[..., 0] > 0, "sticks_px": np.zeros((people, 1, 4))}
    columns |= {"faces_backwards": np.zeros(people, bool)}
    for name in ("people.npz", "missed.npz"):
        np.savez(folder / name, **columns)
    manifest = {
        "version": VERSION,
        "digest": f"sha256:{people:064d}",
        "skeleton": SKELETON.as_dict(),
        "counts": {"people": people},
        "files": {name: digest_of_file(folder / name) for name in FILES if name != "manifest.json"},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return str(manifest["digest"])
