"""A network's estimates of people whom a person detector found: nothing but the image is given."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from hmlpe.data.record import Source
from hmlpe.data.selection import record_of
from hmlpe.detect.detector import Detections, Detector
from hmlpe.detect.match import assign
from hmlpe.evaluate.estimates import Estimates, of_joints
from hmlpe.evaluate.truth import Truth
from hmlpe.predict.estimator import Estimator
from hmlpe.predict.people import PosePredictor

CHUNK = 32  # images that are in memory at once


def in_detected_boxes(
    estimator: Estimator,
    detector: Detector,
    source: Source,
    truth: Truth,
    factors: tuple[float, float, float],
    batch_size: int,
    progress: bool = True,
) -> Estimates:
    """Detect in every image; whose detection is whose: `detect.match.assign`.

    Args:
        factors: from a window to the box that the network sees (`geometry.scale_box`).

    Raises:
        UserError: an image is missing or broken.
    """
    predictor = PosePredictor(detector, estimator, batch_size, factors)
    joints, confidence = np.full_like(truth.joints_px, np.nan), np.full(truth.joints_px.shape[:2], np.nan)
    detected = np.zeros(len(truth), dtype=bool)
    names = list(dict.fromkeys(truth.images))
    people_of = {name: [i for i, image in enumerate(truth.images) if image == name] for name in names}
    extra = 0
    with tqdm(total=len(names), unit="images", disable=None if progress else True) as bar:
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            images = [source.image(name) for name in chunk]
            found = [detector(image, name) for image, name in zip(images, chunk, strict=True)]
            matches = [_matches(one, truth, people_of[name]) for one, name in zip(found, chunk, strict=True)]
            extra += sum(len(one.scores) - len(set(own.values())) for one, own in zip(found, matches, strict=True))
            chosen = [_only(one, list(own.values())) for one, own in zip(found, matches, strict=True)]
            poses = predictor.poses_of(images, chosen)
            for own, people in zip(matches, poses, strict=True):
                for person, pose in zip(own, people, strict=True):
                    joints[person], confidence[person], detected[person] = pose.joints_px, pose.confidence, True
            bar.update(len(chunk))
    known = np.isfinite(confidence).any()
    missing = f"{extra} windows of nobody in {len(names)} images"
    return of_joints(truth, joints, detected, confidence if known else None, missing)


def present(source: Source, wheres: tuple[str, ...]) -> np.ndarray:
    """(person,) which of the test people of these records have an image."""
    missing = set(source.missing_images())
    lost = {record_of(person) for person in source.people() if person.image in missing}
    return np.array([where not in lost for where in wheres])


def _matches(found: Detections, truth: Truth, people: list[int]) -> dict[int, int]:
    """Person -> detection, for the people of one image who are found."""
    matches = assign(list(truth.window_px[people]), list(found.windows_px))
    return {people[index]: box for index, box in matches.items()}


def _only(found: Detections, indices: list[int]) -> Detections:
    return Detections(found.windows_px[indices], found.scores[indices])
