"""The same person in the same box is the same picture to hmlpe-predict as to hmlpe-evaluate, to the bit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from hmlpe.data.boxes import BoxRule
from hmlpe.data.pack import Pack, open_pack
from hmlpe.data.prepare import prepare
from hmlpe.data.selection import DataSet
from hmlpe.data.sources.coco import CocoSource
from hmlpe.detect.given import GivenBoxes
from hmlpe.evaluate.cases import estimate_in_detected_boxes
from hmlpe.evaluate.network import estimate_in_given_boxes, select_test_people, zoom_boxes
from hmlpe.evaluate.people import truth_of
from hmlpe.predict.estimator import ModelCard, Poses
from hmlpe.predict.job import Options, run_job
from hmlpe.predict.people import PosePredictor
from hmlpe.predict.sources import find_sources

from .fakes import SKELETON

FACTORS = (1.75, 0.32, 2.37)
JOINTS = list(SKELETON.joints)
SIDES = (24, 112)  # smaller and larger than the boxes


@dataclass
class Sees:
    """Keeps what it is shown, and answers with what makes up a picture: where it is red, green and blue."""

    size_px: int
    seen: list[np.ndarray] = field(default_factory=list)

    @property
    def card(self) -> ModelCard:
        return ModelCard("study/row_s0", SKELETON, self.size_px, {}, FACTORS, ("joint_regression",), {"data": "d"})

    def __call__(self, crops: np.ndarray) -> Poses:
        self.seen += list(crops)
        weights = crops / crops.sum((1, 2), keepdims=True)
        at = np.arange(self.size_px)
        joints = np.stack([np.einsum("bijc,j->bc", weights, at), np.einsum("bijc,i->bc", weights, at)], axis=-1)
        return Poses(joints.astype(np.float32), np.full((len(crops), 3), np.nan, np.float32), None)


@dataclass(frozen=True)
class Photos:
    """A folder of photos, the annotation file of their people, and where the photos came from, if from a video."""

    folder: Path
    labels: Path
    video: Path | None = None


def noise(seed: int, size: tuple[int, int]) -> np.ndarray:
    """Edges of every width, so that any other way to resize shows."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize(size, Image.Resampling.NEAREST)
    fine = rng.integers(0, 80, (size[1], size[0], 3))
    return np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8)


def labelled(folder: Path, sizes: dict[str, tuple[int, int]]) -> Path:
    """Two people in each image, one partly outside; the second image's test."""
    entries = [{"id": i, "file_name": name} for i, name in enumerate(sizes)]
    people = []
    for i, (width, height) in enumerate(sizes.values()):
        for x, y, side in ((0.3, 0.2, 0.31), (0.8, 0.55, 0.27)):
            box = [x * width - 7.3, y * height + 1.6, side * width, side * width]
            points = [number for step in range(3) for number in (box[0] + 9 * step + 4, box[1] + 8 + step, 2)]
            people.append({"id": len(people), "image_id": i, "category_id": 1, "bbox": box, "keypoints": points})
    path = folder.parent / "labels.json"
    content = {"images": entries, "annotations": people,
               "categories": [{"id": 1, "name": "person", "keypoints": JOINTS}]}  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def still(folder: Path) -> Photos:
    """A JPEG, a PNG larger than its crop by far, and a JPEG that its EXIF data turn."""
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, so that 260 x 180 stored are 180 x 260 upright
    Image.fromarray(noise(1, (320, 240))).save(folder / "a.jpg", quality=80)
    Image.fromarray(noise(2, (1900, 1500))).save(folder / "b.png")
    Image.fromarray(noise(3, (260, 180))).save(folder / "c.jpg", exif=exif)
    return Photos(folder, labelled(folder, {"a.jpg": (320, 240), "b.png": (1900, 1500), "c.jpg": (180, 260)}))


def film(folder: Path) -> Photos:
    """The frames of a video as photos, which is how a set is made of one; and the video."""
    folder.mkdir()
    video = folder.parent / "film.avi"
    out = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (320, 240))
    for number in range(3):
        out.write(noise(number, (320, 240)))
    out.release()
    capture, names = cv2.VideoCapture(str(video)), [f"{number}.png" for number in range(3)]
    for name in names:
        cv2.imwrite(str(folder / name), capture.read()[1])
    return Photos(folder, labelled(folder, dict.fromkeys(names, (320, 240))), video)


def prepared(photos: Photos, size_px: int) -> tuple[Pack, CocoSource]:
    joints = {name: name for name in JOINTS}
    source = CocoSource("mine", SKELETON, str(photos.folder), str(photos.labels), None, joints, test_fraction=0.999)
    pack = photos.folder.parent / f"pack{size_px}"
    boxes = BoxRule("window", "window", FACTORS, 0.1)
    prepare([DataSet(source, boxes)], SKELETON, pack, 128, size_px, near_duplicates=None, workers=1)
    return open_pack(pack, SKELETON), source


def predicted(photos: Photos, out: Path, size_px: int) -> tuple[list[np.ndarray], np.ndarray]:
    """What hmlpe-predict shows its network in the annotated windows, and where it says the joints are."""
    sees = Sees(size_px)
    detector = GivenBoxes(str(photos.labels), category="person")
    items = photos.folder
    if photos.video is not None:  # its frames go by other names than the photos
        content = json.loads(photos.labels.read_text())
        for number, entry in enumerate(content["images"]):
            entry["file_name"] = f"{photos.video.name}#{number}"
        boxes = photos.labels.with_name("frames.json")
        boxes.write_text(json.dumps(content))
        detector, items = GivenBoxes(str(boxes), category="person"), photos.video
    run_job(find_sources([str(items)]), PosePredictor(detector, sees), Options(out, draw=False))
    said: list[Any] = json.loads((out / "poses.json").read_text())["images"]
    joints = [[[one["joints"][name][axis] for axis in "xy"] for name in JOINTS] for i in said for one in i["people"]]
    return sees.seen, np.array(joints)


@pytest.mark.parametrize("make", [still, film])
@pytest.mark.parametrize("size_px", SIDES)
def test_predict_and_evaluate_see_the_same(tmp_path: Path, make: Any, size_px: int) -> None:
    """JPEG, PNG, EXIF, video frames; in the pack's boxes, and in detected ones."""
    photos = make(tmp_path / "photos")
    pack, source = prepared(photos, size_px)
    rows, people = select_test_people(pack, "mine")
    truth = truth_of(people, SKELETON, "person", True)
    assert len(rows) == 6
    given, detected = Sees(size_px), Sees(size_px)
    found = estimate_in_given_boxes(given, pack, rows, truth, 4, progress=False)
    detector = GivenBoxes(str(photos.labels), category="person")
    again = estimate_in_detected_boxes(detected, detector, source, truth, FACTORS, 4, progress=False)
    shown, joints = predicted(photos, tmp_path / "out", size_px)
    np.testing.assert_array_equal(np.stack(given.seen), np.stack(shown))
    np.testing.assert_array_equal(np.stack(given.seen), np.stack(detected.seen))
    assert found.joints_px is not None and again.joints_px is not None
    np.testing.assert_allclose(found.joints_px, joints, atol=0.0051)  # as written into poses.json
    np.testing.assert_allclose(found.joints_px, again.joints_px, atol=1e-6)


@pytest.mark.parametrize("zoom", [0.8, 0.875, 1.3])
def test_another_zoom_is_the_photo_too(tmp_path: Path, zoom: float) -> None:
    """What hmlpe-predict would show in the zoomed box; 1.3 reaches beyond what a pack holds."""
    photos = still(tmp_path / "photos")
    pack, source = prepared(photos, 24)
    rows, people = select_test_people(pack, "mine")
    sees = Sees(24)
    estimate_in_given_boxes(
        sees, pack, rows, truth_of(people, SKELETON, "person", True), 4, zoom, source, progress=False
    )
    boxes = zoom_boxes(people.box_px, zoom)
    windows = tmp_path / "boxes.csv"
    lines = [",".join([str(name), *map(repr, map(float, box))]) for name, box in zip(people.image, boxes, strict=True)]
    windows.write_text("\n".join(["image,x0,y0,x1,y1", *lines, ""]))
    shown = Sees(24)
    straight = PosePredictor(GivenBoxes(str(windows)), shown, box_factors=(1.0, 0.0, 0.0))
    run_job(find_sources([str(photos.folder)]), straight, Options(tmp_path / "out", draw=False))
    np.testing.assert_array_equal(np.stack(sees.seen), np.stack(shown.seen))
