"""Estimate the poses of detected people: scale and crop their boxes, run the network, map joints to image pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.detect.detector import Detections, Detector
from hmlpe.geometry import crop_resized, crop_to_image, scale_box
from hmlpe.predict.estimator import BoxFactors, Estimator, Poses

Image = UInt8[np.ndarray, "_ _ 3"]  # unnamed dimensions, as the images of one call need not be of the same size


@dataclass(frozen=True, eq=False)
class FoundPerson:
    """A person found in an image, with the pose. Coordinates are image pixels, with pixel centres at integers.

    Attributes:
        window_px: (4,) the upper-body box that the person detector gave, x0 y0 x1 y1.
        score: the person detector's score.
        box_px: (4,) the box whose crop the network saw, x0 y0 x1 y1.
        joints_px: (joint, 2) the predicted joints.
        confidence: (joint,) in [0, 1], as in `Poses`.
        part_maps: (part, window) the probability that a window of the crop's grid contains the part; None if the
            network has no part detectors.
        others: the decoded outputs of further tasks, by name.
    """

    window_px: Float[np.ndarray, " 4"]
    score: float
    box_px: Float[np.ndarray, " 4"]
    joints_px: Float[np.ndarray, "joint 2"]
    confidence: Float[np.ndarray, " joint"]
    part_maps: Float[np.ndarray, "part window"] | None
    others: Mapping[str, np.ndarray] = field(default_factory=dict)


class PosePredictor:
    """A person detector with a pose estimator, and the factors by which detected boxes become the boxes of crops.

    Args:
        detector: finds the people in an image.
        estimator: estimates the pose in each crop.
        batch_size: the number of crops in a batch.
        box_factors: (across, up, down) of `geometry.scale_box`, from a detected upper-body box to the box of the crop;
            None: those of the network, or if it has none, detected boxes are taken as they are.
    """

    def __init__(
        self,
        detector: Detector,
        estimator: Estimator,
        batch_size: int = 32,
        box_factors: BoxFactors | None = None,
    ) -> None:
        self.detector, self.estimator, self.batch_size = detector, estimator, batch_size
        self.box_factors = box_factors or estimator.card.factors_or_identity

    def poses_of(self, images: Sequence[Image], detections: Sequence[Detections]) -> list[list[FoundPerson]]:
        """Estimate the poses of the detected people of each image; the crops of all images share batches.

        Args:
            images: the images, in RGB.
            detections: the people detected in each image.

        Returns:
            The people of each image with their poses, in the order of its detections.
        """
        size = self.estimator.card.size_px
        boxes = [[scale_box(window, self.box_factors) for window in one.windows_px] for one in detections]
        crops = [crop_resized(image, box, size) for image, own in zip(images, boxes, strict=True) for box in own]
        people = iter(self._estimate(crops))
        return [
            [
                self._in_image_pixels(next(people), window, float(score), box)
                for window, score, box in zip(*one, own, strict=True)
            ]
            for one, own in zip(detections, boxes, strict=True)
        ]

    def _estimate(self, crops: Sequence[Image]) -> list[Poses]:
        """Return for each crop its pose, as `Poses` of one crop."""
        found = []
        for start in range(0, len(crops), self.batch_size):
            poses = self.estimator(np.stack(crops[start : start + self.batch_size]))
            for row in range(len(poses.joints_px)):
                maps = None if poses.part_maps is None else poses.part_maps[row : row + 1]
                others = {name: values[row : row + 1] for name, values in poses.others.items()}
                found.append(Poses(poses.joints_px[row : row + 1], poses.confidence[row : row + 1], maps, others))
        return found

    def _in_image_pixels(
        self, pose: Poses, window: Float[np.ndarray, " 4"], score: float, box: Float[np.ndarray, " 4"]
    ) -> FoundPerson:
        """Build a person from the pose in their crop, with the joints mapped to image pixels."""
        return FoundPerson(
            window_px=window,
            score=score,
            box_px=box,
            joints_px=crop_to_image(pose.joints_px[0].astype(np.float64), box, self.estimator.card.size_px),
            confidence=pose.confidence[0],
            part_maps=None if pose.part_maps is None else pose.part_maps[0],
            others={name: values[0] for name, values in pose.others.items()},
        )
