"""Random views of a crop: pure functions of a crop, its joints and a random generator that is handed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TypeAlias

import albumentations as A
import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

Crop = UInt8[np.ndarray, "height width 3"]
View = UInt8[np.ndarray, "view_height view_width 3"]
Joints = Float[np.ndarray, "joint 2"]
Transform: TypeAlias = A.BasicTransform | A.BaseCompose
MIRRORS = ("HorizontalFlip", "VerticalFlip", "Transpose", "D4", "SquareSymmetry")


class Augmentation:
    """Albumentations' transforms of image and joints alike, then a mirror that swaps left and right.

    Albumentations keeps random state of its own, which repeats in every worker: it is reseeded for each sample from
    the generator handed in.

    Not every transform of albumentations moves the joints as it moves the pixels. Affine and the crops do (pixel
    centres at integers); Resize and RandomScale put a joint 0.5 (1 - scale) px off. All that is configured is measured
    in the tests.

    Args:
        transforms: albumentations transforms, drawn anew for each sample; they must leave the network's input size,
            and must not mirror: names of joints would not follow.
        mirror: probability of the mirror.
        skeleton: whose mirror pairs change places.
    """

    def __init__(self, transforms: Sequence[Transform], mirror: float | int, skeleton: Skeleton) -> None:
        mirrors = [type(one).__name__ for one in _flat(transforms) if type(one).__name__ in MIRRORS]
        if mirrors:
            raise UserError(f"augment: {mirrors[0]} mirrors, and left and right would not change places; use mirror")
        points = A.KeypointParams(format="xy", remove_invisible=False)  # joints outside the crop keep their place
        self.transform = A.Compose(list(transforms), keypoint_params=points)
        self.flip = A.HorizontalFlip(p=1)
        self.mirror = mirror
        self.mirror_order = skeleton.mirror_order

    def __call__(self, crop: Crop, joints_px: Joints, rng: np.random.Generator) -> tuple[View, Joints]:
        """Another view of the crop. Joints are in crop pixels, NaN where unknown, before and after.

        Raises:
            UserError: the transforms add or remove joints.
        """
        _reseed(self.transform, count(int(rng.integers(2**31))))
        known = np.isfinite(joints_px).all(axis=1)
        view = self.transform(image=crop, keypoints=np.where(known[:, None], joints_px, 0.0))
        image, joints = view["image"], np.asarray(view["keypoints"], dtype=np.float64).reshape(-1, 2)
        if len(joints) != len(known):
            raise UserError(
                f"augment: its transforms make {len(joints)} joints out of {len(known)}; a border_mode that reflects "
                "the image does so, use 1 (replicate)"
            )
        joints = np.where(known[:, None], joints, np.nan)
        if rng.random() < self.mirror:
            image, joints = self.flip.apply(image), mirrored(joints, image.shape[1], self.mirror_order)
        return image, joints


def _flat(transforms: Iterable[Transform]) -> Iterator[Transform]:
    for transform in transforms:
        yield transform
        if isinstance(transform, A.BaseCompose):
            yield from _flat(transform)


def _reseed(transforms: Iterable[Transform], seeds: Iterator[int]) -> None:
    """A seed of its own for each transform. Compose.set_random_seed gives all the same one: their draws would be equal.

    A composition inside (OneOf) hands its seed to its members, so these come after it.
    """
    for transform in transforms:
        transform.set_random_seed(next(seeds))
        if isinstance(transform, A.BaseCompose):
            _reseed(transform, seeds)


def mirrored(joints_px: Joints, width_px: int, mirror_order: Sequence[int]) -> Joints:
    """Joints of the mirrored crop: x becomes width - 1 - x, and left and right change places."""
    flipped = joints_px[list(mirror_order)].copy()
    flipped[:, 0] = width_px - 1 - flipped[:, 0]
    return flipped
