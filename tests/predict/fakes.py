"""A detector and an estimator whose answers are known, and things to show them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from hmlpe.detect.detector import Detections
from hmlpe.errors import UserError
from hmlpe.predict.estimator import ModelCard, Poses
from hmlpe.predict.people import PosePredictor
from hmlpe.skeleton import Skeleton

SKELETON = Skeleton(
    ["head", "left_hand", "right_hand"],
    {"left": ["head", "left_hand"], "right": ["head", "right_hand"]},
    [["left_hand", "right_hand"]],
)
# The first joint is the middle of the crop, so of the window too, as the box grows evenly.
AT = np.array([[0.5, 0.5], [0.75, 0.75], [0.25, 0.75]])
SIDE = 20.0  # of a window


class Beacon:
    """Finds people around the brightest pixel, `count` of the same place, if it is bright at all."""

    def __init__(self, count: int = 1, refuses: Sequence[str] = ()) -> None:
        self.count, self.refuses, self.asked = count, refuses, list[str]()

    def __call__(self, image: np.ndarray, name: str) -> Detections:
        self.asked.append(name)
        if name in self.refuses:
            raise UserError(f"{name}: no boxes are given")
        grey = image.astype(int).sum(axis=2)
        y, x = np.unravel_index(grey.argmax(), grey.shape)
        count = self.count if grey.max() > 300 else 0
        window = np.array([x - SIDE / 2, y - SIDE / 2, x + SIDE / 2, y + SIDE / 2])
        return Detections(np.tile(window, (count, 1)), np.arange(count, 0, -1).astype(float))


class Fixed:
    """Puts the joints where `AT` says; keeps the sizes of its batches."""

    def __init__(self, maps: bool = True, confidence: float = 0.75) -> None:
        windows = {"count": 2.0, "stride_px": 16.0, "extent_px": 15.0, "beta": 0.3}
        tasks = ("joint_regression", *(["part_detection"] if maps else []))
        self.card = ModelCard("study/row_s0", SKELETON, 32, windows, (2.0, 0.5, 0.5), tasks, {"code": "abc"})
        self.maps, self.confidence, self.batches = maps, confidence, list[int]()

    def __call__(self, crops: np.ndarray) -> Poses:
        count = len(crops)
        self.batches.append(count)
        joints = np.tile((AT * 32 - 0.5).astype(np.float32), (count, 1, 1))
        maps = np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 2, 4)
        sure = np.full((count, 3), self.confidence if self.maps else np.nan, np.float32)
        return Poses(joints, sure, np.repeat(maps, count, axis=0) if self.maps else None)


def predictor(detector: Beacon | None = None, estimator: Fixed | None = None) -> PosePredictor:
    return PosePredictor(detector or Beacon(), estimator or Fixed(), batch_size=32)


def lit(x: int, y: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A dark picture, width x height, with one bright spot that survives JPEG."""
    image = np.full((size[1], size[0], 3), 30, np.uint8)
    cv2.circle(image, (x, y), 2, (120, 120, 120), cv2.FILLED)
    image[y, x] = 255
    return image


def write_video(path: Path, frames: int, size: tuple[int, int] = (64, 48), code: str = "MJPG") -> Path:
    """A video whose spot moves one pixel a frame to the right, from x = 10; 10 frames a second."""
    out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 10.0, size)
    assert out.isOpened()
    for number in range(frames):
        out.write(lit(10 + number % (size[0] - 20), 20, size))
    out.release()
    return path
