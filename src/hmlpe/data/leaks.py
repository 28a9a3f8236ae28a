"""Which training people leak into a test set: the same image, nearly the same one, or the same person.

Frames are sampled from films and photos from series, and sets are pooled: a set's own split does not keep them apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import imagehash
import numpy as np
from jaxtyping import Int, UInt8, UInt64
from PIL import Image

from hmlpe.errors import UserError

NO_HASH = np.uint64(0)  # of a flat image; no other hash is 0: the bit of the mean, the highest one, is set in all
BITS = 64
THUMBNAIL_PX = 32  # what the hash is made from: 4 times its 8 x 8 frequencies
MIN_CONTRAST = 2.0  # grey levels; the darkest of 7069 frames and photos of FLIC, LSP and Buffy has 6, a black one < 0.5
CELLS = 2**20  # pairs compared at once: about 10 MB

IN_TEST = "in a test image"
NEAR_DUPLICATE = "near-duplicate of a test image"
SAME_PERSON = "same person in test images"


def image_hash(image: UInt8[np.ndarray, "height width 3"]) -> np.uint64:
    """Perceptual hash of a whole RGB image (phash: signs of its 8 x 8 lowest frequencies against their median).

    Nearly the same pictures differ in few of the 64 bits, and always in an even number of them: half of the bits are
    set. A picture whose middle is flat has nothing to hash but bars and noise, and gets NO_HASH.
    """
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    middle = slice(THUMBNAIL_PX // 4, -THUMBNAIL_PX // 4)  # without the black bars of wide-screen films
    if np.std(grey[middle, middle]) < MIN_CONTRAST:
        return NO_HASH
    bits = imagehash.phash(Image.fromarray(grey)).hash
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


def check_distance(distance: object) -> None:
    """Raise UserError if near-duplicates cannot be told by this: it must be a whole number of bits, or None."""
    if distance is None:
        return
    if isinstance(distance, bool) or not isinstance(distance, int) or not 0 <= distance < BITS:
        raise UserError(f"data.near_duplicates: must be null or 0 to {BITS - 1} bits, got {distance}")


def near_duplicates(
    train: UInt64[np.ndarray, " train"], test: UInt64[np.ndarray, " test"], distance: int
) -> Int[np.ndarray, " train"]:
    """For every training hash the row of the nearest test hash, or -1 if none differs in at most `distance` bits.

    The first of several equally near. NO_HASH is near to nothing.

    Raises:
        UserError: the distance is no number of bits.
    """
    check_distance(distance)
    found = np.full(len(train), -1, np.int64)
    hashed = np.flatnonzero(test != NO_HASH)
    if not len(hashed):
        return found
    step = max(1, CELLS // len(hashed))
    for start in range(0, len(train), step):
        part = train[start : start + step]
        bits = np.bitwise_count(part[:, None] ^ test[hashed])
        nearest = bits.argmin(axis=1)
        near = (bits[np.arange(len(part)), nearest] <= distance) & (part != NO_HASH)
        found[start : start + step][near] = hashed[nearest[near]]
    return found


def near_pairs(hashes: UInt64[np.ndarray, " image"], distance: int) -> Int[np.ndarray, "pair 2"]:
    """The pairs of images, each once, whose hashes differ in at most `distance` bits.

    Raises:
        UserError: the distance is no number of bits.
    """
    check_distance(distance)
    hashed = np.flatnonzero(hashes != NO_HASH)
    step = max(1, CELLS // max(1, len(hashed)))
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(hashed), step):
        part = hashed[start : start + step]
        one, other = np.nonzero(np.bitwise_count(hashes[part][:, None] ^ hashes[hashed]) <= distance)
        pairs = np.stack([part[one], hashed[other]], axis=1)
        found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    return np.concatenate(found)


def leaks_of(
    images: Sequence[str],
    splits: Sequence[str],
    identities: Sequence[str],
    hashes: UInt64[np.ndarray, " person"],
    distance: int | None,
) -> list[str]:
    """For every person why they leak into the test set, the first reason that holds; empty for all others.

    Args:
        images: `set/image` of every person.
        splits: "train" or "test".
        identities: who it is, within the set; empty where unknown.
        hashes: `image_hash` of the person's image.
        distance: bits by which near-duplicates may differ; None: they are not looked for.

    Returns:
        Of each person one of IN_TEST, "NEAR_DUPLICATE: set/image", "SAME_PERSON: identity", or "". Test people never
        leak: it is the training people who are to be left out.

    Raises:
        UserError: the distance is no number of bits.
    """
    rows = range(len(hashes))
    sets = [image.partition("/")[0] for image in images]
    tests = [split == "test" for split in splits]
    test_images = {images[row]: row for row in rows if tests[row]}
    test_people = {(sets[row], identities[row]) for row in rows if tests[row] and identities[row]}
    train_images = {images[row]: row for row in rows if not tests[row] and images[row] not in test_images}
    twins = {} if distance is None else _twins(train_images, test_images, hashes, distance)

    def reason(row: int) -> str:
        image = images[row]
        if tests[row]:
            return ""
        if image in test_images:
            return IN_TEST
        if image in twins:
            return f"{NEAR_DUPLICATE}: {twins[image]}"
        return f"{SAME_PERSON}: {identities[row]}" if (sets[row], identities[row]) in test_people else ""

    return [reason(row) for row in rows]


def _twins(
    train: dict[str, int], test: dict[str, int], hashes: UInt64[np.ndarray, " person"], distance: int
) -> dict[str, str]:
    """The test image that each training image nearly is; the dicts give the row of an image's hash."""
    nearest = near_duplicates(hashes[list(train.values())], hashes[list(test.values())], distance)
    names = list(test)
    return {image: names[row] for image, row in zip(train, nearest, strict=True) if row >= 0}
