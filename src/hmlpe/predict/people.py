"""Images -> people with their poses: detect, crop by the box rule, estimate, back to the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.detect.detector import Detections, Detector
from hmlpe.geometry import crop_resized, crop_to_image, scale_box
from hmlpe.predict.estimator import Estimator, Factors, Poses

Image = UInt8[np.ndarray, "_ _ 3"]  # several need not be of one size


@dataclass(frozen=True, eq=False)
class FoundPerson:
    """One person in one image. Coordinates are image pixels, pixel centres at integers.

    Attributes:
        window_px: (4,) the detector's upper-body window, x0 y0 x1 y1.
        score: the detector's.
        box_px: (4,) what the network saw.
        joints_px: (joint, 2).
        confidence: (joint,) in [0, 1], NaN where the network has no part detectors.
        part_maps: (part, window), None where the network has no part detectors.
        others: what further tasks answer, by name.
    """

    window_px: Float[np.ndarray, " 4"]
    score: float
    box_px: Float[np.ndarray, " 4"]
    joints_px: Float[np.ndarray, "joint 2"]
    confidence: Float[np.ndarray, " joint"]
    part_maps: Float[np.ndarray, "part window"] | None
    others: Mapping[str, np.ndarray] = field(default_factory=dict)


class PosePredictor:
    """Finds people and their poses.

    Args:
        detector: finds the people.
        estimator: finds their joints.
        batch_size: crops that the network sees at once.
        factors: from a person's window to the box of the crop (`geometry.scale_box`); None: the network's own, or if it
            has none the window as it is.
    """

    def __init__(
        self,
        detector: Detector,
        estimator: Estimator,
        batch_size: int = 32,
        factors: Factors | None = None,
    ) -> None:
        self.detector, self.estimator, self.batch_size = detector, estimator, batch_size
        self.factors = factors or estimator.card.from_window

    def poses_of(self, images: Sequence[Image], found: Sequence[Detections]) -> list[list[FoundPerson]]:
        """The people of each image, in the order in which they were found; the crops of all images share batches."""
        size = self.estimator.card.size_px
        boxes = [[scale_box(window, self.factors) for window in one.windows_px] for one in found]
        crops = [crop_resized(image, box, size) for image, own in zip(images, boxes, strict=True) for box in own]
        people = iter(self._people(crops))
        return [
            [
                self._placed(next(people), window, float(score), box)
                for window, score, box in zip(*one, own, strict=True)
            ]
            for one, own in zip(found, boxes, strict=True)
        ]

    def _people(self, crops: Sequence[Image]) -> list[Poses]:
        """The pose in each crop, still in its pixels."""
        found = []
        for start in range(0, len(crops), self.batch_size):
            poses = self.estimator(np.stack(crops[start : start + self.batch_size]))
            for row in range(len(poses.joints_px)):
                maps = None if poses.part_maps is None else poses.part_maps[row : row + 1]
                others = {name: values[row : row + 1] for name, values in poses.others.items()}
                found.append(Poses(poses.joints_px[row : row + 1], poses.confidence[row : row + 1], maps, others))
        return found

    def _placed(
        self, pose: Poses, window: Float[np.ndarray, " 4"], score: float, box: Float[np.ndarray, " 4"]
    ) -> FoundPerson:
        return FoundPerson(
            window_px=window,
            score=score,
            box_px=box,
            joints_px=crop_to_image(pose.joints_px[0].astype(np.float64), box, self.estimator.card.size_px),
            confidence=pose.confidence[0],
            part_maps=None if pose.part_maps is None else pose.part_maps[0],
            others={name: values[0] for name, values in pose.others.items()},
        )
