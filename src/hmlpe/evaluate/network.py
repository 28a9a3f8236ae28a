"""A network's estimates of a pack's people, in the boxes that the pack gives them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from tqdm import tqdm

from hmlpe.data.pack import Columns, Pack
from hmlpe.data.record import Source
from hmlpe.errors import UserError
from hmlpe.evaluate.people import Estimates, Truth, of_joints
from hmlpe.geometry import crop_resized, crop_to_image
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
    source: Source | None = None,
    progress: bool = True,
) -> Estimates:
    """What the network says of the people with a crop; the others of the truth, after them, are undetected.

    The network sees what `PosePredictor` shows it of the same box in the same image, to the bit.

    Args:
        zoom: the network sees the box times this. 1 is the test-crop rule (FACTS 4), whose pictures the pack holds;
            with 112/128 people are as large as in training, whose random crops are 112 of 128.
        source: of the people's images, which another zoom looks into, as no pack holds those pictures.

    Raises:
        UserError: the network takes crops of another size than the pack's; or an image is missing or broken.
    """
    pack.check_size(estimator.card.size_px)
    if zoom != 1 and source is None:
        raise ValueError("another zoom needs the images")
    poses = list(_poses(estimator, pack, rows, batch_size, zoom, source, progress))
    boxes = zoomed(pack.people.box_px[rows], zoom)
    crop_px = np.concatenate([found.joints_px for found in poses]).astype(np.float64)
    joints = crop_to_image(crop_px, boxes[:, None], estimator.card.size_px)
    confidence = np.concatenate([found.confidence for found in poses]).astype(np.float64)
    sure = _padded(confidence, truth) if np.isfinite(confidence).any() else None
    return of_joints(truth, _padded(joints, truth), _first(rows, truth), sure, by_detector=len(rows) < len(truth))


def mean_pose(pose_px: Float[np.ndarray, "joint 2"], pack: Pack, rows: Rows, truth: Truth) -> Estimates:
    """What learning nothing gives: one pose, in pixels of the test crop, in everyone's box."""
    boxes = pack.people.box_px[rows]
    joints = crop_to_image(np.broadcast_to(pose_px, (len(rows), *pose_px.shape)), boxes[:, None], pack.size_px)
    return of_joints(truth, _padded(joints, truth), _first(rows, truth), by_detector=len(rows) < len(truth))


def _poses(
    estimator: Estimator,
    pack: Pack,
    rows: Rows,
    batch_size: int,
    zoom: float | int,
    source: Source | None,
    progress: bool,
) -> Iterator[Poses]:
    """The poses of one batch after another; the next batch is read while the network runs."""
    starts = range(0, len(rows), batch_size)
    with (
        ThreadPoolExecutor(1) as reader,
        tqdm(total=len(rows), unit="people", disable=None if progress else True) as bar,
    ):
        waiting = [reader.submit(_crops, pack, rows[:batch_size], zoom, source)]
        for start in starts:
            crops = waiting.pop().result()
            if start + batch_size < len(rows):
                following = rows[start + batch_size : start + 2 * batch_size]
                waiting.append(reader.submit(_crops, pack, following, zoom, source))
            yield estimator(crops)
            bar.update(len(crops))


def _crops(pack: Pack, rows: Rows, zoom: float | int, source: Source | None) -> UInt8[np.ndarray, "crop size size 3"]:
    if zoom == 1 or source is None:
        return np.asarray(pack.test_crops[rows])
    boxes = zoomed(pack.people.box_px[rows], zoom)
    images = (source.image(str(name)) for name in pack.people.image[rows])
    return np.stack([crop_resized(image, box, pack.size_px) for image, box in zip(images, boxes, strict=True)])


def _padded(values: Float[np.ndarray, row * rest], truth: Truth) -> Float[np.ndarray, person * rest]:
    nothing = np.full((len(truth) - len(values), *values.shape[1:]), np.nan)
    return np.concatenate([values, nothing])


def _first(rows: Rows, truth: Truth) -> Bool[np.ndarray, " person"]:
    return np.arange(len(truth)) < len(rows)
