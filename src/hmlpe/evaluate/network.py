"""Estimate the poses of the people of a pack by a network, in the boxes that the pack gives."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from tqdm import tqdm

from hmlpe.data.pack import Pack, PeopleColumns
from hmlpe.data.record import Source
from hmlpe.errors import UserError
from hmlpe.evaluate.people import Estimates, Truth, estimates_from_joints
from hmlpe.geometry import crop_resized, crop_to_image
from hmlpe.predict.estimator import Estimator, Poses
from hmlpe.skeleton import Skeleton

Rows = Int[np.ndarray, " row"]


def check_skeleton(estimator: Estimator, skeleton: Skeleton) -> None:
    """Raise UserError unless the network has the same joints and parts as the data."""
    if estimator.card.skeleton != skeleton:
        raise UserError(
            f"checkpoint: {estimator.card.name} has a different skeleton (joints "
            f"{', '.join(estimator.card.skeleton.joints)}) from the data; give the skeleton it was trained with"
        )


def zoom_boxes(box_px: Float[np.ndarray, "*box 4"], zoom: float | int) -> Float[np.ndarray, "*box 4"]:
    """Return boxes with the same centres, and sides of `zoom` times the length.

    >>> zoom_boxes(np.array([0.0, 0.0, 10.0, 20.0]), 2).tolist()
    [-5.0, -10.0, 15.0, 30.0]
    """
    centre, half = (box_px[..., :2] + box_px[..., 2:]) / 2, (box_px[..., 2:] - box_px[..., :2]) / 2
    return np.concatenate([centre - zoom * half, centre + zoom * half], axis=-1)


def select_test_people(pack: Pack, name: str) -> tuple[Rows, PeopleColumns]:
    """Return the test people of a data set in a pack.

    Args:
        pack: the pack.
        name: the name of the data set.

    Returns:
        The rows in the pack of the test people who have a crop; and the records of these people, followed by those of
        the people without a crop, whom the detector missed.
    """
    rows = np.flatnonzero((pack.people.split == "test") & (pack.people.set == name))
    missed = np.flatnonzero((pack.missed.split == "test") & (pack.missed.set == name))
    return rows, pack.people.select_rows(rows).concatenate(pack.missed.select_rows(missed))


def estimate_in_given_boxes(
    estimator: Estimator,
    pack: Pack,
    rows: Rows,
    truth: Truth,
    batch_size: int,
    zoom: float | int = 1,
    source: Source | None = None,
    progress: bool = True,
) -> Estimates:
    """Estimate the poses of the people who have a crop; people without a crop count as not detected.

    The crops are equal, to the bit, to those that `PosePredictor` makes of the same box in the same image.

    Args:
        estimator: the network.
        pack: the pack.
        rows: the rows in the pack of the people who have a crop.
        truth: the ground truth of these people, followed by that of people without a crop.
        batch_size: the number of crops in a batch.
        zoom: the factor by which the boxes' sides are multiplied. 1 is the test-crop rule (FACTS 4), whose crops are in
            the pack; with 112/128 people are as large as in training, where random crops are 112 of 128 pixels wide.
        source: reads the people's images; only needed for a zoom other than 1, as the pack does not hold such crops.
        progress: whether to show a progress bar.

    Raises:
        UserError: the network takes crops of another size than the pack's; or an image is missing or broken.
    """
    pack.check_size(estimator.card.size_px)
    if zoom != 1 and source is None:
        raise ValueError("another zoom needs the images")
    poses = list(_estimate_batches(estimator, pack, rows, batch_size, zoom, source, progress))
    boxes = zoom_boxes(pack.people.box_px[rows], zoom)
    crop_px = np.concatenate([found.joints_px for found in poses]).astype(np.float64)
    joints = crop_to_image(crop_px, boxes[:, None], estimator.card.size_px)
    confidence = np.concatenate([found.confidence for found in poses]).astype(np.float64)
    sure = _append_nan_for_missed(confidence, truth) if np.isfinite(confidence).any() else None
    return estimates_from_joints(
        truth, _append_nan_for_missed(joints, truth), _has_crop(rows, truth), sure, by_detector=len(rows) < len(truth)
    )


def estimate_mean_pose(pose_px: Float[np.ndarray, "joint 2"], pack: Pack, rows: Rows, truth: Truth) -> Estimates:
    """Return the predictions of a method that learns nothing: the same pose in every person's box.

    Args:
        pose_px: (joint, 2) the pose, in pixels of the test crop.
        pack, rows, truth: see `estimate_in_given_boxes`.
    """
    boxes = pack.people.box_px[rows]
    joints = crop_to_image(np.broadcast_to(pose_px, (len(rows), *pose_px.shape)), boxes[:, None], pack.size_px)
    return estimates_from_joints(
        truth, _append_nan_for_missed(joints, truth), _has_crop(rows, truth), by_detector=len(rows) < len(truth)
    )


def _estimate_batches(
    estimator: Estimator,
    pack: Pack,
    rows: Rows,
    batch_size: int,
    zoom: float | int,
    source: Source | None,
    progress: bool,
) -> Iterator[Poses]:
    """Yield the network's poses of each batch of people in turn; the next batch is read while the network runs."""
    starts = range(0, len(rows), batch_size)
    with (
        ThreadPoolExecutor(1) as reader,
        tqdm(total=len(rows), unit="people", disable=None if progress else True) as bar,
    ):
        waiting = [reader.submit(_read_crops, pack, rows[:batch_size], zoom, source)]
        for start in starts:
            crops = waiting.pop().result()
            if start + batch_size < len(rows):
                following = rows[start + batch_size : start + 2 * batch_size]
                waiting.append(reader.submit(_read_crops, pack, following, zoom, source))
            yield estimator(crops)
            bar.update(len(crops))


def _read_crops(
    pack: Pack, rows: Rows, zoom: float | int, source: Source | None
) -> UInt8[np.ndarray, "crop size size 3"]:
    """Return the crops of these rows: those in the pack, or for another zoom than 1, new ones cut out of the images."""
    if zoom == 1 or source is None:
        return np.asarray(pack.test_crops[rows])
    boxes = zoom_boxes(pack.people.box_px[rows], zoom)
    images = (source.image(str(name)) for name in pack.people.image[rows])
    return np.stack([crop_resized(image, box, pack.size_px) for image, box in zip(images, boxes, strict=True)])


def _append_nan_for_missed(values: Float[np.ndarray, row * rest], truth: Truth) -> Float[np.ndarray, person * rest]:
    """Return the values of the people with a crop, followed by NaN for the people of `truth` without a crop."""
    nothing = np.full((len(truth) - len(values), *values.shape[1:]), np.nan)
    return np.concatenate([values, nothing])


def _has_crop(rows: Rows, truth: Truth) -> Bool[np.ndarray, " person"]:
    """Return a mask of the people of `truth` who have a crop, who come first."""
    return np.arange(len(truth)) < len(rows)
