"""Augment a whole batch at once: the same views as `augment.Augmentation` gives sample by sample, in less time.

For each sample, an `albumentations.Compose` and its random generators take several times as long as the pixels do. Here
the geometric transforms are one crop or one resampling per person, the joints are moved without albumentations, and
only the photometric transforms are called, on the image alone. Augmentations with other transforms than these are
applied sample by sample.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import albumentations as A
import cv2
import numpy as np
from albumentations.augmentations.geometric.functional import center, create_affine_transformation_matrix
from jaxtyping import Bool, Float, Int, UInt8, UInt32, UInt64

from hmlpe.data.augment import Augmentation, Transform, reseed

REFLECTING = (cv2.BORDER_REFLECT, cv2.BORDER_REFLECT101)  # of these, Affine reflects the joints as well
Bits = UInt64[np.ndarray, " row"]
Word = UInt32[np.ndarray, " row"]


class BatchViews(NamedTuple):
    """The crops of a batch after augmentation.

    Attributes:
        images: (row, size, size, 3) uint8.
        joints_px: (row, joint, 2) in pixels of the view; in mirrored views, left and right joints are swapped.
        mirrored: (row,) whether the view shows the person mirrored.
    """

    images: UInt8[np.ndarray, "row size size 3"]
    joints_px: Float[np.ndarray, "row joint 2"]
    mirrored: Bool[np.ndarray, " row"]


class BatchAugmentation:
    """Augments the crops of a batch exactly as an `Augmentation` does; made by `batch_augmentation_of`.

    Args:
        augmentation: the augmentation whose views are reproduced.
        affine: the affine transform of the augmentation, or None.
        crop: the random crop of the augmentation.
        photometric: the other transforms of the augmentation, each with the offset that is added to a sample's seed to
            get the transform's seed.
    """

    def __init__(
        self,
        augmentation: Augmentation,
        affine: A.Affine | None,
        crop: A.RandomCrop,
        photometric: Sequence[tuple[int, Transform]],
    ) -> None:
        self.augmentation, self.affine, self.crop, self.photometric = augmentation, affine, crop, photometric
        self.rng = random.Random()

    def __call__(
        self,
        crops: UInt8[np.ndarray, "person side side 3"],
        rows: Int[np.ndarray, " row"],
        joints_px: Float[np.ndarray, "row joint 2"],
        seed: int,
        epochs: Int[np.ndarray, " row"],
    ) -> BatchViews:
        """Return a view of the crop of each row, with the random numbers of `default_rng([seed, epoch, row])`.

        Args:
            crops: the crops of the whole pack.
            rows: the rows of `crops` that are served.
            joints_px: joints in pixels of the crop, NaN where unknown.
            seed: the run's seed, for all rows.
            epochs: the epoch of each row.
        """
        numbers = Pcg64Streams([np.full_like(rows, seed), epochs, rows])
        seeds, mirrored = numbers.first_integers31(), numbers.random() < self.augmentation.mirror
        height, width = self.crop.height, self.crop.width
        images = np.empty((len(rows), height, width, 3), dtype=np.uint8)
        joints = joints_px.astype(np.float32)  # as albumentations keeps them
        for place, (row, own_seed) in enumerate(zip(rows.tolist(), seeds.tolist(), strict=True)):
            image = crops[row]
            if self.affine is None:
                x, y = self._crop_corner(own_seed, image.shape)
                view = image[y : y + height, x : x + width]
            else:
                x, y = self._crop_corner(own_seed + 1, image.shape)
                matrix = self._affine_matrix(own_seed, image.shape)
                joints[place] = cv2.transform(joints[place][:, None], matrix)[:, 0]
                matrix[:, 2] -= (x, y)
                view = images[place]
                cv2.warpAffine(
                    image, matrix, (width, height), view,
                    flags=self.affine.interpolation, borderMode=self.affine.border_mode,
                    borderValue=self.affine.fill,
                )  # fmt: skip
            joints[place] -= (x, y)
            for offset, transform in self.photometric:
                view = self._apply_photometric(transform, view, own_seed + offset)
            if mirrored[place]:
                view = cv2.flip(view, 1)
            images[place] = view
        swapped = joints[mirrored][:, list(self.augmentation.mirror_order)]
        swapped[..., 0] = width - 1 - swapped[..., 0]
        joints[mirrored] = swapped
        return BatchViews(images, joints, mirrored)

    def _crop_corner(self, seed: int, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return x and y of the random crop's upper left pixel, as `A.RandomCrop` draws them."""
        self.rng.seed(seed)
        y, x = self.rng.random(), self.rng.random()
        return int((shape[1] - self.crop.width + 1) * x), int((shape[0] - self.crop.height + 1) * y)

    def _affine_matrix(self, seed: int, shape: tuple[int, ...]) -> Float[np.ndarray, "2 3"]:
        """Return the matrix of the affine transform, from crop to warped crop, as `A.Affine` draws it."""
        affine = self.affine
        assert affine is not None
        affine.py_random.seed(seed)
        # In the order in which A.Affine draws them; its own method makes a second matrix, for boxes.
        translate, shear = affine._get_translate_params(shape), affine._get_shear_params()
        scale = affine._get_scale(affine.scale, affine.keep_ratio, affine.balanced_scale, affine.py_random)
        rotate = affine.py_random.uniform(*affine.rotate)
        matrix = create_affine_transformation_matrix(translate, shear, scale, rotate, center(shape[:2]))
        return np.asarray(matrix[:2], dtype=np.float64)

    def _apply_photometric(self, transform: Transform, image: np.ndarray, seed: int) -> np.ndarray:
        """Return the image after a photometric transform; unchanged with the probability that it is not applied."""
        self.rng.seed(seed)
        if transform.p < 1 and self.rng.random() >= transform.p:  # the first number that either kind of transform draws
            return image
        reseed([transform], count(seed))
        found: np.ndarray = transform(image=image)["image"]
        return found


def batch_augmentation_of(augmentation: Augmentation) -> BatchAugmentation | None:
    """Return the `BatchAugmentation` that gives the same views as an augmentation; None if its transforms rule it out.

    It exists for augmentations of an optional affine transform, a random crop, and photometric transforms, in this
    order, as in the configurations of conf/augment.
    """
    if type(augmentation) is not Augmentation:  # another class may do more than its transforms
        return None
    transforms = list(augmentation.transform.transforms)
    affine = transforms.pop(0) if transforms and type(transforms[0]) is A.Affine else None
    if affine is not None and (affine.p < 1 or affine.fit_output or affine.border_mode in REFLECTING):
        return None
    if not transforms or type(transforms[0]) is not A.RandomCrop:
        return None
    crop, *others = transforms
    if crop.p < 1 or crop.pad_if_needed or not all(map(_is_photometric, others)):
        return None
    photometric, place = [], 1 if affine is None else 2
    for transform in others:
        photometric.append((place, transform))
        place += 1 + (len(transform.transforms) if isinstance(transform, A.OneOf) else 0)
    return BatchAugmentation(augmentation, affine, crop, photometric)


def _is_photometric(transform: Transform) -> bool:
    """Return whether a transform changes only the image, and its first random number decides whether it is applied."""
    if type(transform) is A.OneOf:
        return all(isinstance(one, A.ImageOnlyTransform) for one in transform.transforms)
    return isinstance(transform, A.ImageOnlyTransform)


class Pcg64Streams:
    """One random generator per row, like `numpy.random.default_rng(words)`, but computed for all rows at once.

    NumPy's own generators take ten times as long for each row. NumPy's policy of stable streams (NEP 19) fixes
    SeedSequence and PCG64, and a test compares the numbers.

    Args:
        words: at most four arrays (row,) of integers below 2**32, the entropy of each row's generator.
    """

    def __init__(self, words: Sequence[np.ndarray]) -> None:
        with np.errstate(over="ignore"):
            start_high, start_low, high, low = _seed_words(_seed_pool([word.astype(np.uint32) for word in words]))
            self.increment = (high << U64(1)) | (low >> U64(63)), (low << U64(1)) | U64(1)
            self.state = _add128(self.increment, (start_high, start_low))
            self._advance_state()

    def first_integers31(self) -> Int[np.ndarray, " row"]:
        """Return, for each row, the number that a new generator's `Generator.integers(2**31)` gives."""
        return ((self._next_64_bits() & LOW) >> U64(1)).astype(np.int64)

    def random(self) -> Float[np.ndarray, " row"]:
        """Return, for each row, the number in [0, 1) that `Generator.random()` gives next."""
        return np.asarray((self._next_64_bits() >> U64(11)) * 2.0**-53)

    def _advance_state(self) -> None:
        self.state = _add128(_times_multiplier(*self.state), self.increment)

    def _next_64_bits(self) -> Bits:
        """Return the next 64 bits of each row (the output function XSL-RR)."""
        with np.errstate(over="ignore"):
            self._advance_state()
        high, low = self.state
        value, turn = high ^ low, high >> U64(58)
        return np.asarray((value >> turn) | (value << ((U64(64) - turn) & U64(63))))


U32, U64 = np.uint32, np.uint64
POOL_WORDS = 4
LOW, HALF = U64(0xFFFFFFFF), U64(32)
MULTIPLIER_HIGH, MULTIPLIER_LOW = U64(2549297995355413924), U64(4865540595714422341)


def _seed_pool(entropy: Sequence[Word]) -> list[Word]:
    """Return the entropy pool of each row's `numpy.random.SeedSequence`: the row's words, hashed and mixed."""
    constant = 0x43B0D7E5

    def hash_word(word: Word) -> Word:
        nonlocal constant
        word = word ^ U32(constant)
        constant = constant * 0x931E8875 & 0xFFFFFFFF
        return _xor_halves(word * U32(constant))

    padded = [*entropy, *[np.zeros_like(entropy[0])] * (POOL_WORDS - len(entropy))]
    pool = [hash_word(word) for word in padded]
    for source in range(POOL_WORDS):
        for target in range(POOL_WORDS):
            if source != target:
                mixed = U32(0xCA01F9DD) * pool[target] - U32(0x4973F715) * hash_word(pool[source])
                pool[target] = _xor_halves(mixed)
    return pool


def _seed_words(pool: Sequence[Word]) -> list[Bits]:
    """Return the four 64-bit words that SeedSequence generates from each row's entropy pool."""
    constant, words = 0x8B51F9DD, []
    for place in range(2 * POOL_WORDS):
        word = pool[place % POOL_WORDS] ^ U32(constant)
        constant = constant * 0x58F38DED & 0xFFFFFFFF
        words.append(_xor_halves(word * U32(constant)).astype(U64))
    return [words[place] | (words[place + 1] << HALF) for place in range(0, 2 * POOL_WORDS, 2)]


def _xor_halves(word: np.ndarray) -> Word:
    """Return 32-bit words whose lower half is XORed with their upper half."""
    found: Word = word ^ (word >> U32(16))
    return found


def _add128(a: tuple[Bits, Bits], b: tuple[Bits, Bits]) -> tuple[Bits, Bits]:
    """Return the sum, modulo 2**128, of two 128-bit numbers, each given as its high and low 64-bit word."""
    low = a[1] + b[1]
    return a[0] + b[0] + (low < a[1]), low


def _times_multiplier(high: Bits, low: Bits) -> tuple[Bits, Bits]:
    """Return the product, modulo 2**128, of 128-bit numbers (high and low 64-bit words) and PCG64's multiplier."""
    ours, theirs = (low & LOW, low >> HALF), (MULTIPLIER_LOW & LOW, MULTIPLIER_LOW >> HALF)
    lowest, middle = ours[0] * theirs[0], ours[1] * theirs[0]
    carry = (lowest >> HALF) + (middle & LOW) + ours[0] * theirs[1]
    top = ours[1] * theirs[1] + (middle >> HALF) + (carry >> HALF)
    return top + high * MULTIPLIER_LOW + low * MULTIPLIER_HIGH, low * MULTIPLIER_LOW
