"""A network's estimates of a pack's test people, in the boxes that the pack gives them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from tqdm import tqdm

from hmlpe.data.pack import Columns, Pack
from hmlpe.errors import UserError
from hmlpe.evaluate.estimates import Estimates, of_joints
from hmlpe.evaluate.truth import Truth
from hmlpe.geometry import crop_resized, crop_to_image, resized
from hmlpe.predict.estimator import Estimator, Poses
from hmlpe.skeleton import Skeleton

Rows = Int[np.ndarray, " row"]


def check_skeleton(estimator: Estimator, skeleton: Skeleton) -> None:
    """Raise UserError unless the network's joints and parts are the data's."""
    if estimator.card.skeleton != skeleton:
        raise UserError(
            f"checkpoint: {estimator.card.name} has another skeleton (joints "
            f"{', '.join(estimator.card.skeleton.joints)}) than the data; give the skeleton it was trained with"
        )


def zoomed(box_px: Float[np.ndarray, "*box 4"], zoom: float | int) -> Float[np.ndarray, "*box 4"]:
    """Boxes with their sides times `zoom`, about their centres."""
    centre, half = (box_px[..., :2] + box_px[..., 2:]) / 2, (box_px[..., 2:] - box_px[..., :2]) / 2
    return np.concatenate([centre - zoom * half, centre + zoom * half], axis=-1)


def people_tested(pack: Pack, name: str) -> tuple[Rows, Columns]:
    """Rows of a set's test people who have a crop; and the columns of them, and after them of the missed ones."""
    rows = np.flatnonzero((pack.people.split == "test") & (pack.people.set == name))
    missed = np.flatnonzero((pack.missed.split == "test") & (pack.missed.set == name))
    return rows, pack.people.rows(rows).followed_by(pack.missed.rows(missed))


def in_given_boxes(
    estimator: Estimator,
    pack: Pack,
    rows: Rows,
    truth: Truth,
    batch_size: int,
    zoom: float | int = 1,
    progress: bool = True,
) -> Estimates:
    """What the network says of the people with a crop; the others of the truth, after them, are undetected.

    Args:
        zoom: the network sees the box times this. 1 is the test-crop rule (FACTS 4); with 112/128 people are as large
            as in training, whose random crops are 112 of 128.
    """
    poses = list(_poses(estimator, pack, rows, batch_size, zoom, progress))
    boxes = zoomed(pack.people.box_px[rows], zoom)
    crop_px = np.concatenate([found.joints_px for found in poses]).astype(np.float64)
    joints = crop_to_image(crop_px, boxes[:, None], estimator.card.size_px)
    confidence = np.concatenate([found.confidence for found in poses]).astype(np.float64)
    sure = _padded(confidence, truth) if np.isfinite(confidence).any() else None
    return of_joints(truth, _padded(joints, truth), _first(rows, truth), sure, by_detector=len(rows) < len(truth))


def mean_pose(pose_px: Float[np.ndarray, "joint 2"], size_px: int, pack: Pack, rows: Rows, truth: Truth) -> Estimates:
    """What learning nothing gives: one pose, in pixels of a crop of `size_px`, in everyone's box."""
    boxes = pack.people.box_px[rows]
    joints = crop_to_image(np.broadcast_to(pose_px, (len(rows), *pose_px.shape)), boxes[:, None], size_px)
    return of_joints(truth, _padded(joints, truth), _first(rows, truth), by_detector=len(rows) < len(truth))


def _poses(
    estimator: Estimator, pack: Pack, rows: Rows, batch_size: int, zoom: float | int, progress: bool
) -> Iterator[Poses]:
    """The poses of one batch after another; the next batch is read while the network runs."""
    size = estimator.card.size_px
    starts = range(0, len(rows), batch_size)
    with (
        ThreadPoolExecutor(1) as reader,
        tqdm(total=len(rows), unit="people", disable=None if progress else True) as bar,
    ):
        waiting = [reader.submit(_crops, pack, rows[:batch_size], size, zoom)]
        for start in starts:
            crops = waiting.pop().result()
            if start + batch_size < len(rows):
                following = rows[start + batch_size : start + 2 * batch_size]
                waiting.append(reader.submit(_crops, pack, following, size, zoom))
            yield estimator(crops)
            bar.update(len(crops))


def _crops(pack: Pack, rows: Rows, size_px: int, zoom: float | int) -> UInt8[np.ndarray, "crop size size 3"]:
    if zoom == 1:
        return np.stack([resized(np.asarray(pack.crops[row]), size_px) for row in rows])
    whole = np.array([0, 0, pack.size_px, pack.size_px]) - 0.5
    return np.stack([crop_resized(np.asarray(pack.crops[row]), zoomed(whole, zoom), size_px) for row in rows])


def _padded(values: Float[np.ndarray, "row *rest"], truth: Truth) -> Float[np.ndarray, "person *rest"]:
    nothing = np.full((len(truth) - len(values), *values.shape[1:]), np.nan)
    return np.concatenate([values, nothing])


def _first(rows: Rows, truth: Truth) -> Bool[np.ndarray, " person"]:
    return np.arange(len(truth)) < len(rows)
