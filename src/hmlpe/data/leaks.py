"""Find training people who leak into a test set: by the same or nearly the same image, the same person, or one shot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import imagehash
import numpy as np
from jaxtyping import Bool, Int, UInt8, UInt64
from PIL import Image

from hmlpe.errors import UserError

NO_HASH = np.uint64(0)  # hash of a flat image; no other is 0, as its highest bit, that of the mean, is always set
BITS = 64
THUMBNAIL_PX = 32  # side of the thumbnail that is hashed: 4 times the 8 x 8 frequencies that are used
MIN_CONTRAST = 2.0  # grey levels; the darkest of 7069 frames and photos of FLIC, LSP and Buffy has 6, a black one < 0.5
PAIRS_AT_ONCE = 2**20  # number of pairs compared at once, which takes about 10 MB
IN_TEST = "in a test image"
NEAR_DUPLICATE = "near-duplicate of a test image"
SAME_PERSON = "same person in test images"
SAME_SHOT = "in a shot of test people"
# Share and number of a set's images near to one image, from which its camera is taken to stand still. At most 1.2 % of
# Buffy's images are near to one, and 0.9 % of FLIC's (U).
STILL_SHARE, STILL_LEAST = 0.05, 10


def leaks_of(
    images: Sequence[str],
    splits: Sequence[str],
    identities: Sequence[str],
    hashes: UInt64[np.ndarray, " person"],
    distance: int | None,
    crops: UInt64[np.ndarray, " person"] | None = None,
    shots: Sequence[str] = (),
) -> list[str]:
    """Return, for every person, the first reason why they leak into the test set, or "" if they do not.

    Args:
        images: `set/image` of every person.
        splits: "train" or "test".
        identities: who the person is, within the set; empty where unknown.
        hashes: `image_hash` of the person's image.
        distance: bits by which near-duplicates may differ; None: near-duplicates are not looked for.
        crops: `crop_hashes` of the people; None: the whole image decides.
        shots: the shot of every person's image, within the set, empty where unknown; (): a shot may hold people of both
            splits.

    Returns:
        For each person IN_TEST, "NEAR_DUPLICATE: set/image", "SAME_PERSON: identity", "SAME_SHOT: shot", or "". Test
        people never leak: the training people are the ones to leave out.

    Raises:
        UserError: the distance is not a valid number of bits.
    """
    rows = range(len(hashes))
    sets = [image.partition("/")[0] for image in images]
    tests = [split == "test" for split in splits]
    test_images = {images[row]: row for row in rows if tests[row]}
    test_people = {(sets[row], identities[row]) for row in rows if tests[row] and identities[row]}
    test_shots = {(sets[row], shots[row]) for row in rows if tests[row] and shots and shots[row]}
    twins = {} if distance is None else _near_test_images(images, tests, hashes, distance, crops)

    def reason(row: int) -> str:
        image = images[row]
        if tests[row]:
            return ""
        if image in test_images:
            return IN_TEST
        if image in twins:
            return f"{NEAR_DUPLICATE}: {twins[image]}"
        if (sets[row], identities[row]) in test_people:
            return f"{SAME_PERSON}: {identities[row]}"
        return f"{SAME_SHOT}: {shots[row]}" if shots and (sets[row], shots[row]) in test_shots else ""

    return [reason(row) for row in rows]


def _near_test_images(
    images: Sequence[str],
    tests: Sequence[bool],
    hashes: UInt64[np.ndarray, " person"],
    distance: int,
    crops: UInt64[np.ndarray, " person"] | None,
) -> dict[str, str]:
    """Return training image -> the test image that it is a near-duplicate of, judged by any of the people in both."""
    train, test = (np.flatnonzero(np.array(tests, bool) == value) for value in (False, True))
    nearest = near_duplicates(
        hashes[train], hashes[test], distance, None if crops is None else (crops[train], crops[test])
    )
    pairs = zip(train.tolist(), nearest.tolist(), strict=True)
    return {images[row]: images[int(test[twin])] for row, twin in pairs if twin >= 0}


def image_hash(image: UInt8[np.ndarray, "height width 3"]) -> np.uint64:
    """Return the perceptual hash of a whole RGB image.

    It is the phash: the signs of the 8 x 8 lowest frequencies against their median. The hashes of nearly equal pictures
    differ in few of the 64 bits, and always in an even number of them, as half of the bits are set. A picture whose
    middle is flat has nothing to hash but bars and noise, and gets NO_HASH.
    """
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    middle = slice(THUMBNAIL_PX // 4, -THUMBNAIL_PX // 4)  # without the black bars of wide-screen films
    if np.std(grey[middle, middle]) < MIN_CONTRAST:
        return NO_HASH
    bits = imagehash.phash(Image.fromarray(grey)).hash
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


def check_distance(distance: object) -> None:
    """Raise UserError unless this is a valid distance of near-duplicates: a whole number of bits, or None."""
    if distance is None:
        return
    if isinstance(distance, bool) or not isinstance(distance, int) or not 0 <= distance < BITS:
        raise UserError(f"data.near_duplicates: must be null or 0 to {BITS - 1} bits, got {distance}")


def near_duplicates(
    train: UInt64[np.ndarray, " train"],
    test: UInt64[np.ndarray, " test"],
    distance: int,
    crops: tuple[UInt64[np.ndarray, " train"], UInt64[np.ndarray, " test"]] | None = None,
) -> Int[np.ndarray, " train"]:
    """Return, for every training hash, the row of the nearest test hash, or -1 if none is within `distance` bits.

    The first of several equally near ones is returned. NO_HASH is near to nothing.

    Args:
        crops: `crop_hashes` of both, which must be as near to each other as the images are; None: only images are
            compared.

    Raises:
        UserError: the distance is not a valid number of bits.
    """
    check_distance(distance)
    found = np.full(len(train), -1, np.int64)
    hashed = np.flatnonzero(test != NO_HASH)
    if not len(hashed):
        return found
    step = max(1, PAIRS_AT_ONCE // len(hashed))
    for start in range(0, len(train), step):
        part = train[start : start + step]
        bits = np.bitwise_count(part[:, None] ^ test[hashed])
        if crops is not None:
            bits[~_crops_near(crops[0][start : start + step], crops[1][hashed], distance)] = BITS + 1
        nearest = bits.argmin(axis=1)
        near = (bits[np.arange(len(part)), nearest] <= distance) & (part != NO_HASH)
        found[start : start + step][near] = hashed[nearest[near]]
    return found


def near_duplicate_pairs(
    hashes: UInt64[np.ndarray, " row"], distance: int, crops: UInt64[np.ndarray, " row"] | None = None
) -> Iterator[Int[np.ndarray, "pair 2"]]:
    """Yield the pairs of rows, each once, whose hashes differ in at most `distance` bits.

    They are yielded in arrays of about a million pairs at most, as all pairs of a film whose camera stands still would
    not fit into memory.

    Args:
        crops: `crop_hashes`, which must be as near to each other as the images are; None: only images are compared.

    Raises:
        UserError: the distance is not a valid number of bits.
    """
    check_distance(distance)
    hashed = np.flatnonzero(hashes != NO_HASH)
    step = max(1, PAIRS_AT_ONCE // max(1, len(hashed)))
    for start in range(0, len(hashed), step):
        part = hashed[start : start + step]
        near = np.bitwise_count(hashes[part][:, None] ^ hashes[hashed]) <= distance
        if crops is not None:
            near &= _crops_near(crops[part], crops[hashed], distance)
        one, other = np.nonzero(near)
        pairs = np.stack([part[one], hashed[other]], axis=1)
        yield pairs[pairs[:, 0] < pairs[:, 1]]


def _crops_near(
    one: UInt64[np.ndarray, " row"], other: UInt64[np.ndarray, " column"], distance: int
) -> Bool[np.ndarray, "row column"]:
    """Return which pairs of crops differ in at most `distance` bits; with NO_HASH only the whole image decides."""
    near = np.bitwise_count(one[:, None] ^ other) <= distance
    return np.asarray(near | (one == NO_HASH)[:, None] | (other == NO_HASH))


def crop_hashes(
    images: Sequence[str], whole: UInt64[np.ndarray, " row"], crops: UInt64[np.ndarray, " row"], distance: int | None
) -> UInt64[np.ndarray, " row"]:
    """Return the crop hashes of images whose camera stands still, and NO_HASH where the whole image decides.

    The camera of an image is taken to stand still if STILL_SHARE of its set's images, and at least STILL_LEAST of them,
    are
    near to it.

    Args:
        images: `set/image` of every row.
        whole, crops: `image_hash` of the row's image and of its person's crop.
        distance: bits by which near-duplicates may differ; None: nothing is near.
    """
    asked = np.full(len(crops), NO_HASH)
    if distance is None:
        return asked
    names, first, image = np.unique(np.asarray(images, dtype=np.str_), return_index=True, return_inverse=True)
    sets = np.array([name.partition("/")[0] for name in names])
    for one in np.unique(sets):
        of_set = np.flatnonzero(sets == one)
        alike = _count_near(whole[first[of_set]], distance)
        still = of_set[alike >= max(STILL_LEAST, STILL_SHARE * len(of_set))]
        rows = np.isin(image, still)
        asked[rows] = crops[rows]
    return asked


def _count_near(hashes: UInt64[np.ndarray, " image"], distance: int) -> Int[np.ndarray, " image"]:
    """Return how many other images each is near to; only counted, as all pairs of a film are too many to keep."""
    hashed = np.flatnonzero(hashes != NO_HASH)
    found, step = np.zeros(len(hashes), np.int64), max(1, PAIRS_AT_ONCE // max(1, len(hashed)))
    for start in range(0, len(hashed), step):
        part = hashed[start : start + step]
        near = np.bitwise_count(hashes[part][:, None] ^ hashes[hashed]) <= distance
        found[part] = near.sum(axis=1) - 1  # do not count the image itself
    return found


def shared_shots(
    shots: np.ndarray, one: Int[np.ndarray, " one"], other: Int[np.ndarray, " other"]
) -> tuple[Int[np.ndarray, " of_one"], Int[np.ndarray, " of_other"]]:
    """Return the rows of two splits that lie in shots which hold rows of both.

    Args:
        shots: `Columns.shot_ids` of all people.
        one, other: rows of the two splits.
    """
    known = one[shots[one] != ""], other[shots[other] != ""]
    common = np.intersect1d(shots[known[0]], shots[known[1]])
    return known[0][np.isin(shots[known[0]], common)], known[1][np.isin(shots[known[1]], common)]


def count_neighbours(
    shots: np.ndarray, images: np.ndarray, splits: dict[str, Int[np.ndarray, " _"]]
) -> dict[str, dict[str, int]]:
    """Count, for each two splits, the shots that they share, and the images and people of each split in these shots.

    Args:
        shots: `Columns.shot_ids` of all people.
        images: `Columns.image_ids` of all people.
        splits: name -> its rows.

    Returns:
        "<one>_<other>" -> {"shots": …, "<one>_images": …, "<one>_people": …, "<other>_images": …, "<other>_people": …}
    """
    found, names = {}, list(splits)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            rows = dict(zip((one, other), shared_shots(shots, splits[one], splits[other]), strict=True))
            found[f"{one}_{other}"] = {"shots": len(np.unique(shots[rows[one]]))} | {
                f"{name}_{what}": len(np.unique(images[of])) if what == "images" else len(of)
                for name, of in rows.items()
                for what in ("images", "people")
            }
    return found
