"""A network and a detector that know nothing, and answer always the same."""

from collections.abc import Sequence

import numpy as np
from hydra.utils import instantiate
from omegaconf import OmegaConf

from hmlpe.cli.app import CONFIGS
from hmlpe.detect.detector import Detections
from hmlpe.predict.estimator import ModelCard, Poses

SKELETON = instantiate(OmegaConf.load(CONFIGS / "skeleton" / "upper_body.yaml"))
SIZE_PX = 112
FACTORS = (1.5, 0.25, 1.75)  # across, up, down


def card() -> ModelCard:
    windows = {"count": 8.0, "stride_px": 12.0, "extent_px": 29.0, "beta": 0.3}
    return ModelCard("study/fake_s1", SKELETON, SIZE_PX, windows, FACTORS, ("joint_regression", "part_detection"), {})


class FakeEstimator:
    """One stick figure for everybody, and maps that fire at one window a part."""

    def __init__(self, detects: bool = True) -> None:
        self.card, self.detects = card(), detects

    def __call__(self, crops: np.ndarray) -> Poses:
        assert crops.shape[1:] == (SIZE_PX, SIZE_PX, 3)
        joints = [(56, 20), (72, 45), (56, 42), (40, 45), (80, 70), (32, 70), (84, 95), (28, 95)]
        several = np.tile(np.array(joints, dtype=np.float64), (len(crops), 1, 1))
        if not self.detects:
            return Poses(several, np.full((len(crops), 8), np.nan), None)
        maps = np.tile(np.eye(64)[np.arange(7) * 9], (len(crops), 1, 1))
        return Poses(several, np.tile(np.linspace(0.2, 0.9, 8), (len(crops), 1)), maps)


class FakeDetector:
    """Finds these windows in every image."""

    def __init__(self, *windows_px: Sequence[float]) -> None:
        self.windows_px = np.array(windows_px, dtype=np.float64).reshape(-1, 4)

    def __call__(self, image: np.ndarray, name: str) -> Detections:
        return Detections(self.windows_px, np.linspace(2.0, 1.0, len(self.windows_px)))
