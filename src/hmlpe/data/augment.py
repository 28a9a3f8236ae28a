"""Random views of a crop: pure functions of the crop, its joints and a random generator that the caller passes in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from itertools import count
from typing import NamedTuple, TypeAlias

import albumentations as A
import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

Crop = UInt8[np.ndarray, "height width 3"]
Picture = UInt8[np.ndarray, "view_height view_width 3"]
Joints = Float[np.ndarray, "joint 2"]
Transform: TypeAlias = A.BasicTransform | A.BaseCompose
MIRRORS = ("HorizontalFlip", "VerticalFlip", "Transpose", "D4", "SquareSymmetry")
PROBES = (
    32  # views that `Augmentation.check` draws, first with the configured probabilities, then with `_always_applied`
)


class CropView(NamedTuple):
    """A crop after augmentation.

    Attributes:
        image: (height, width, 3) uint8 pixels of the view.
        joints_px: (joint, 2) in pixels of the view; in a mirrored view, left and right joints are swapped.
        mirrored: whether the view shows the person mirrored.
    """

    image: Picture
    joints_px: Joints
    mirrored: bool


class Augmentation:
    """Augments crops: applies albumentations' transforms to image and joints, then mirrors a random share of the crops.

    Albumentations keeps a random state of its own, which would repeat in every worker process. It is therefore reseeded
    for each sample from the generator that is passed in.

    Not every transform of albumentations moves the joints as it moves the pixels. Affine and the crops do (pixel
    centres at integers); Resize and RandomScale misplace a joint by 0.5 (1 - scale) px. The tests check the
    joints under all transforms in conf/augment.

    Args:
        transforms: albumentations' transforms, with random parameters that are drawn for each sample. They must return
            uint8 images of three channels and the network's input size (see `check`), and must not mirror, as left and
            right joints would not be swapped.
        mirror: probability that a crop is mirrored horizontally, which swaps left and right joints.
        skeleton: gives the pairs of left and right joints.
    """

    def __init__(self, transforms: Sequence[Transform], mirror: float | int, skeleton: Skeleton) -> None:
        mirrors = [name for one in _flatten(transforms) if (name := _mirror_reason(one))]
        if mirrors:
            raise _mirroring_error(mirrors[0])
        points = A.KeypointParams(format="xy", remove_invisible=False)  # joints outside the crop keep their place
        self.transform = A.Compose(list(transforms), keypoint_params=points)
        self.flip = A.HorizontalFlip(p=1)
        self.mirror = mirror
        self.mirror_order = skeleton.mirror_order

    def __call__(self, crop: Crop, joints_px: Joints, rng: np.random.Generator) -> CropView:
        """Return an augmented view of the crop, with random numbers from `rng`.

        Joints (joint, 2) are in pixels of the crop, and of the view; NaN where unknown.

        Raises:
            UserError: the transforms add or remove joints, or return a picture that the network cannot take.
        """
        known = np.isfinite(joints_px).all(axis=1)
        filled = np.where(known[:, None], joints_px, 0.0)
        image, joints = _apply_transforms(self.transform, crop, filled, int(rng.integers(2**31)))
        joints = np.where(known[:, None], joints, np.nan)
        if rng.random() < self.mirror:
            return CropView(self.flip.apply(image), mirror_joints(joints, image.shape[1], self.mirror_order), True)
        return CropView(image, joints, False)

    def check(self, size_px: int, crop_px: int) -> None:
        """Check on random views, before training, that the network can be trained on what the transforms return.

        Args:
            size_px: side of the network's input, which every view must have.
            crop_px: side of the pack's crops.

        Raises:
            UserError: a view is not a uint8 picture of three channels and that size, or is mirrored; or a transform
                fails.
        """
        crop = np.random.default_rng(0).integers(0, 256, (crop_px, crop_px, 3), dtype=np.uint8)
        corners = crop_px * np.array([[0.4, 0.4], [0.6, 0.4], [0.4, 0.6]])
        for transform in (self.transform, _always_applied(self.transform)):
            for seed in range(PROBES):
                try:
                    image, ((x, y), (x1, y1), (x2, y2)) = _apply_transforms(transform, crop, corners, seed)
                except UserError:
                    raise
                except Exception as error:  # a transform may raise anything
                    said = " ".join(f"{type(error).__name__}: {error}".split())
                    raise UserError(f"augment: its transforms fail on a crop of {crop_px} px ({said})") from error
                check_size(image, size_px)
                if (x1 - x) * (y2 - y) < (x2 - x) * (y1 - y):
                    raise _mirroring_error("a transform")


def check_size(image: Picture, size_px: int) -> None:
    """Raise UserError unless a view has the size of the network's input."""
    height, width, _ = image.shape
    if (height, width) != (size_px, size_px):
        raise UserError(
            f"augment: its transforms give views of {width} x {height} px, but the network takes {size_px} x {size_px} "
            "(size_px); e.g. a RandomCrop gives that size"
        )


def _apply_transforms(
    transform: A.Compose, crop: Crop, joints_px: Float[np.ndarray, "point 2"], seed: int
) -> tuple[Picture, Float[np.ndarray, "point 2"]]:
    """Return the transformed crop and its joints, with the random numbers of this seed; all joints must be known.

    Raises:
        UserError: the transforms give an image of a wrong type or shape, or another number of joints.
    """
    reseed(transform, count(seed))
    found = transform(image=crop, keypoints=joints_px)
    image, joints = found["image"], np.asarray(found["keypoints"], dtype=np.float64).reshape(-1, 2)
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
        kind = f"{getattr(image, 'dtype', '')} {type(image).__name__} of shape {tuple(image.shape)}"
        raise UserError(
            f"augment: its transforms give a {kind}, but the network takes uint8 (height, width, 3), 0 to 255, and "
            "subtracts its mean image itself; leave out Normalize, ToFloat, ToTensorV2, and all that changes channels"
        )
    if len(joints) != len(joints_px):
        raise UserError(
            f"augment: its transforms make {len(joints)} joints out of {len(joints_px)}; a border_mode that reflects "
            "the image does this; use 1 (replicate)"
        )
    return image, joints


def _always_applied(transform: A.Compose) -> A.Compose:
    """Return a copy in which every transform is always applied, unless its probability is 0.

    Where one of several transforms is chosen (OneOf), those with a probability above 0 become equally likely.
    """
    changed = deepcopy(transform)
    for one in _flatten(changed.transforms):
        if one.p and not isinstance(one, A.OneOrOther):  # its p chooses between two transforms
            one.p = 1.0
        if hasattr(one, "transforms_ps"):
            able = sum(share > 0 for share in one.transforms_ps)
            one.transforms_ps = [(share > 0) / able for share in one.transforms_ps]
    return changed


def _mirror_reason(transform: Transform) -> str:
    """Return why a transform mirrors images, judged by its class and settings; "" if nothing indicates that it does."""
    name = type(transform).__name__
    if (
        isinstance(transform, A.Affine) and not transform.keep_ratio
    ):  # with keep_ratio a scale of -1 in x and y is half a turn
        products = [x * y for x in transform.scale["x"] for y in transform.scale["y"]]
        return f"{name} with a negative scale" if min(products) < 0 else ""
    return name if name in MIRRORS else ""


def _mirroring_error(what: str) -> UserError:
    """Return the error for `what`, a transform that mirrors images."""
    return UserError(f"augment: {what} mirrors without swapping left and right; use mirror")


def _flatten(transforms: Iterable[Transform]) -> Iterator[Transform]:
    """Yield all transforms, each composition (e.g. OneOf) followed by its members."""
    for transform in transforms:
        yield transform
        if isinstance(transform, A.BaseCompose):
            yield from _flatten(transform)


def reseed(transforms: Iterable[Transform], seeds: Iterator[int]) -> None:
    """Seed each transform differently; Compose.set_random_seed would give all the same seed, and so equal draws.

    A composition (OneOf) passes its seed to its members, so the members are seeded after the composition.
    """
    for transform in transforms:
        transform.set_random_seed(next(seeds))
        if isinstance(transform, A.BaseCompose):
            reseed(transform, seeds)


def mirror_joints(joints_px: Joints, width_px: int, mirror_order: Sequence[int]) -> Joints:
    """Return the joints (joint, 2) of the mirrored crop: x becomes width - 1 - x, and left and right joints swap.

    Args:
        joints_px: (joint, 2) in pixels of the crop.
        width_px: width of the crop.
        mirror_order: for each joint, the index of its mirror partner (`Skeleton.mirror_order`).
    """
    flipped = joints_px[list(mirror_order)].copy()
    flipped[:, 0] = width_px - 1 - flipped[:, 0]
    return flipped
