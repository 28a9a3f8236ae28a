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

from hmlpe.data.pack import FILES, VERSION, PeopleColumns
from hmlpe.files import digest_of_file
from hmlpe.metrics import ModecPDJ, PersonMetric, PixelError, StrictPCPOfJoints

from .conftest import Result, make_result
from .described import PCP, PDJ, SKELETON, infos

SIZE_PX, CROP_PX = 112, 128
ROWS = {"regression_only": (1.0, 0.0), "det_0.1": (1.0, 0.1), "det_1": (1.0, 1.0), "detection_only": (0.0, 1.0)}
NOISE_PX = {"regression_only": 9.0, "det_0.1": 6.0, "det_1": 8.9}
POSE = np.array([[56, 20], [40, 45], [56, 42], [72, 45], [32, 66], [80, 66], [30, 90], [82, 90]], float)
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
        arrays |= {"predicted_crop_px": predicted, "predicted_px": 2 * predicted}
        arrays |= {"errors/regression_error": error.astype(np.float32)[:, None], **errors_of(arrays)}
    if weights[1]:
        true = of_people.random((people, len(SKELETON.parts), 8, 8)) > 0.8
        found = np.clip(0.7 * true + of_run.random(true.shape) * 0.4, 0, 1)
        error = np.abs(found - true).sum((1, 2, 3)).astype(np.float32)[:, None]
        arrays |= {"errors/detection_error": error, "part_maps_true": as_bytes(true)}
        arrays["part_maps_predicted"] = as_bytes(found)
    return arrays


def metrics() -> list[PersonMetric]:
    """The program's own."""
    return [ModecPDJ(SKELETON, PDJ), StrictPCPOfJoints(SKELETON, PCP), PixelError()]


def errors_of(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """People's errors by them."""
    found = {}
    for metric in metrics():
        metric.update(**{key: torch.from_numpy(arrays[key]) for key in metric._update_signature.parameters})
        found[f"errors/{metric.array}"] = metric.all_errors().numpy()
    return found


def as_bytes(maps: np.ndarray) -> np.ndarray:
    return (255 * maps).round().astype(np.uint8)


def metrics_of(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """By the program's own metrics."""
    errors = {key.removeprefix("errors/"): value for key, value in arrays.items() if key.startswith("errors/")}
    found = {
        name: float(np.float32(info.reduction(errors[info.reduction.errors])[0]))
        for name, info in infos().items()
        if info.reduction is not None and info.reduction.errors in errors
    }
    if "detection_error" in found:
        found["window_ap"] = 0.4
    return {"spread": 0.8, **found} if "error_px" in found else found


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
    columns = {field.name: np.zeros(people) for field in fields(PeopleColumns)} | {"image": np.zeros(people, str)}
    columns |= {name: np.zeros(people, np.uint64) for name in ("hash", "crop_hash")}
    columns |= {name: np.full(people, name) for name in ("set", "where", "split", "identity", "shot")}
    columns |= {name: np.zeros((people, 4)) for name in ("box_px", "detection_px", "window_px")}
    joints = np.zeros((people, len(SKELETON.joints), 2))
    columns |= {"joints_px": joints, "occluded": joints[..., 0] > 0, "sticks_px": np.zeros((people, 1, 4))}
    columns |= {"faces_backwards": np.zeros(people, bool)}
    del columns["attributes"]  # nobody has any
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
