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


def leak_reasons(
    images: Sequence[str],
    splits: Sequence[str],
    identities: Sequence[str],
    image_hashes: UInt64[np.ndarray, " person"],
    max_bits: int | None,
    crop_hashes: UInt64[np.ndarray, " person"] | None = None,
    shots: Sequence[str] = (),
) -> list[str]:
    """Return, for every person, the first reason why they leak into the test set, or "" if they do not.

    Args:
        images: `set/image` of every person.
        splits: "train" or "test".
        identities: who the person is, within the set; empty where unknown.
        image_hashes: (person,) `image_hash` of the person's whole image.
        max_bits: largest number of bits in which the hashes of near-duplicates may differ; None: near-duplicates
            are not looked for.
        crop_hashes: (person,) the result of `crop_hashes_if_static_camera`; None: only whole images are compared.
        shots: the shot of every person's image, within the set, empty where unknown; (): people are kept although
            their shot also has test people.

    Returns:
        For each person one of these texts, beginning with a constant of this module: IN_TEST, "NEAR_DUPLICATE:
        set/image", "SAME_PERSON: identity", "SAME_SHOT: shot", or "". It is "" for all test people, as only training
        people are left out.

    Raises:
        UserError: `max_bits` is not from 0 to 63.
    """
    rows = range(len(image_hashes))
    sets = [image.partition("/")[0] for image in images]
    tests = [split == "test" for split in splits]
    test_images = {images[row]: row for row in rows if tests[row]}
    test_people = {(sets[row], identities[row]) for row in rows if tests[row] and identities[row]}
    test_shots = {(sets[row], shots[row]) for row in rows if tests[row] and shots and shots[row]}
    twins = {} if max_bits is None else _near_duplicates_in_test(images, tests, image_hashes, max_bits, crop_hashes)

    def reason_of_row(row: int) -> str:
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

    return [reason_of_row(row) for row in rows]


def _near_duplicates_in_test(
    images: Sequence[str],
    is_test: Sequence[bool],
    image_hashes: UInt64[np.ndarray, " person"],
    max_bits: int,
    crop_hashes: UInt64[np.ndarray, " person"] | None,
) -> dict[str, str]:
    """Return training image -> test image that it nearly duplicates, judged by the hashes of any person in the two."""
    train, test = (np.flatnonzero(np.array(is_test, bool) == value) for value in (False, True))
    nearest = nearest_test_rows(
        image_hashes[train],
        image_hashes[test],
        max_bits,
        None if crop_hashes is None else (crop_hashes[train], crop_hashes[test]),
    )
    pairs = zip(train.tolist(), nearest.tolist(), strict=True)
    return {images[row]: images[int(test[twin])] for row, twin in pairs if twin >= 0}


def image_hash(image: UInt8[np.ndarray, "height width 3"]) -> np.uint64:
    """Return the perceptual hash of a whole RGB image.

    It is the phash of 64 bits: whether each of the 8 x 8 lowest frequencies is above their median. The hashes of nearly
    equal images differ in few bits, and always in an even number of them, as half of the bits are set. An image whose
    middle has almost no contrast gets NO_HASH.
    """
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    middle = slice(THUMBNAIL_PX // 4, -THUMBNAIL_PX // 4)  # without the black bars of wide-screen films
    if np.std(grey[middle, middle]) < MIN_CONTRAST:
        return NO_HASH
    bits = imagehash.phash(Image.fromarray(grey)).hash
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


def check_max_bits(max_bits: object) -> None:
    """Raise UserError unless `max_bits`, the setting `data.near_duplicates`, is None or a whole number from 0 to 63."""
    if max_bits is None:
        return
    if isinstance(max_bits, bool) or not isinstance(max_bits, int) or not 0 <= max_bits < BITS:
        raise UserError(f"data.near_duplicates: must be null or 0 to {BITS - 1} bits, got {max_bits}")


def nearest_test_rows(
    train_hashes: UInt64[np.ndarray, " train"],
    test_hashes: UInt64[np.ndarray, " test"],
    max_bits: int,
    crop_hashes: tuple[UInt64[np.ndarray, " train"], UInt64[np.ndarray, " test"]] | None = None,
) -> Int[np.ndarray, " train"]:
    """Return, for every training hash, the row of the nearest test hash, or -1 if all differ in more than `max_bits`.

    The first of several equally near ones is returned. NO_HASH is near to no hash.

    Args:
        train_hashes, test_hashes: `image_hash` of the training people's images and of the test people's.
        max_bits: largest number of bits in which the hashes of near-duplicates may differ.
        crop_hashes: results of `crop_hashes_if_static_camera` for training and test people, which must differ in at
            most `max_bits`, too; None: only whole images are compared.

    Raises:
        UserError: `max_bits` is not from 0 to 63.
    """
    check_max_bits(max_bits)
    found = np.full(len(train_hashes), -1, np.int64)
    hashed = np.flatnonzero(test_hashes != NO_HASH)
    if not len(hashed):
        return found
    step = max(1, PAIRS_AT_ONCE // len(hashed))
    for start in range(0, len(train_hashes), step):
        part = train_hashes[start : start + step]
        bits = np.bitwise_count(part[:, None] ^ test_hashes[hashed])
        if crop_hashes is not None:
            bits[~_are_crops_near(crop_hashes[0][start : start + step], crop_hashes[1][hashed], max_bits)] = BITS + 1
        nearest = bits.argmin(axis=1)
        near = (bits[np.arange(len(part)), nearest] <= max_bits) & (part != NO_HASH)
        found[start : start + step][near] = hashed[nearest[near]]
    return found


def near_duplicate_pairs(
    image_hashes: UInt64[np.ndarray, " row"], max_bits: int, crop_hashes: UInt64[np.ndarray, " row"] | None = None
) -> Iterator[Int[np.ndarray, "pair 2"]]:
    """Yield all pairs of rows, each pair once, whose hashes differ in at most `max_bits` bits.

    They are yielded as arrays (pair, 2) of at most about a million pairs, as all pairs of a film whose camera stands
    still would not fit into memory.

    Args:
        image_hashes: (row,) `image_hash` of each row's image.
        max_bits: largest number of bits in which the hashes of near-duplicates may differ.
        crop_hashes: (row,) results of `crop_hashes_if_static_camera`, which must differ in at most `max_bits`, too;
            None: only whole images are compared.

    Raises:
        UserError: `max_bits` is not from 0 to 63.
    """
    check_max_bits(max_bits)
    hashed = np.flatnonzero(image_hashes != NO_HASH)
    step = max(1, PAIRS_AT_ONCE // max(1, len(hashed)))
    for start in range(0, len(hashed), step):
        part = hashed[start : start + step]
        near = np.bitwise_count(image_hashes[part][:, None] ^ image_hashes[hashed]) <= max_bits
        if crop_hashes is not None:
            near &= _are_crops_near(crop_hashes[part], crop_hashes[hashed], max_bits)
        one, other = np.nonzero(near)
        pairs = np.stack([part[one], hashed[other]], axis=1)
        yield pairs[pairs[:, 0] < pairs[:, 1]]


def _are_crops_near(
    first_hashes: UInt64[np.ndarray, " row"], second_hashes: UInt64[np.ndarray, " column"], max_bits: int
) -> Bool[np.ndarray, "row column"]:
    """Return a mask of the pairs of crop hashes that differ in at most `max_bits` bits, or of which one is NO_HASH."""
    near = np.bitwise_count(first_hashes[:, None] ^ second_hashes) <= max_bits
    return np.asarray(near | (first_hashes == NO_HASH)[:, None] | (second_hashes == NO_HASH))


def crop_hashes_if_static_camera(
    images: Sequence[str],
    image_hashes: UInt64[np.ndarray, " row"],
    crop_hashes: UInt64[np.ndarray, " row"],
    max_bits: int | None,
) -> UInt64[np.ndarray, " row"]:
    """Return the crop hashes, replaced by NO_HASH in rows of images from a moving camera.

    In front of a static camera, whole images are alike although they show different people, so the hashes of people's
    crops must be compared, too; else the hashes of whole images are enough. The camera of an image is taken to be
    static if at least the share STILL_SHARE of its set's images, and at least STILL_LEAST of them, are near-duplicates
    of it.

    Args:
        images: `set/image` of every row.
        image_hashes: (row,) `image_hash` of the row's whole image.
        crop_hashes: (row,) `image_hash` of the person's crop.
        max_bits: largest number of bits in which the hashes of near-duplicates may differ; None: NO_HASH everywhere.
    """
    asked = np.full(len(crop_hashes), NO_HASH)
    if max_bits is None:
        return asked
    names, first, image = np.unique(np.asarray(images, dtype=np.str_), return_index=True, return_inverse=True)
    sets = np.array([name.partition("/")[0] for name in names])
    for one in np.unique(sets):
        of_set = np.flatnonzero(sets == one)
        alike = _count_near_duplicates(image_hashes[first[of_set]], max_bits)
        still = of_set[alike >= max(STILL_LEAST, STILL_SHARE * len(of_set))]
        rows = np.isin(image, still)
        asked[rows] = crop_hashes[rows]
    return asked


def _count_near_duplicates(image_hashes: UInt64[np.ndarray, " image"], max_bits: int) -> Int[np.ndarray, " image"]:
    """Return, for each image, how many other images have a hash that differs in at most `max_bits` bits."""
    hashed = np.flatnonzero(image_hashes != NO_HASH)
    found, step = np.zeros(len(image_hashes), np.int64), max(1, PAIRS_AT_ONCE // max(1, len(hashed)))
    for start in range(0, len(hashed), step):
        part = hashed[start : start + step]
        near = np.bitwise_count(image_hashes[part][:, None] ^ image_hashes[hashed]) <= max_bits
        found[part] = near.sum(axis=1) - 1  # do not count the image itself
    return found


def rows_in_shared_shots(
    shot_ids: np.ndarray, first_rows: Int[np.ndarray, " one"], second_rows: Int[np.ndarray, " other"]
) -> tuple[Int[np.ndarray, " of_one"], Int[np.ndarray, " of_other"]]:
    """Return those rows of each of two splits whose shot has people of both splits.

    Args:
        shot_ids: (person,) `PeopleColumns.shot_ids` of all people of the pack.
        first_rows, second_rows: rows of the people in the two splits.
    """
    known = first_rows[shot_ids[first_rows] != ""], second_rows[shot_ids[second_rows] != ""]
    common = np.intersect1d(shot_ids[known[0]], shot_ids[known[1]])
    return known[0][np.isin(shot_ids[known[0]], common)], known[1][np.isin(shot_ids[known[1]], common)]


def count_neighbours(
    shot_ids: np.ndarray, image_ids: np.ndarray, rows_by_split: dict[str, Int[np.ndarray, " _"]]
) -> dict[str, dict[str, int]]:
    """Count, for each pair of splits, the shots that they share, and each split's images and people in these shots.

    Args:
        shot_ids: (person,) `PeopleColumns.shot_ids` of all people of the pack.
        image_ids: (person,) `PeopleColumns.image_ids` of all people of the pack.
        rows_by_split: name of a split -> rows of its people.

    Returns:
        "<one>_<other>" -> {"shots": …, "<one>_images": …, "<one>_people": …, "<other>_images": …, "<other>_people": …}
    """
    found, names = {}, list(rows_by_split)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            rows = dict(
                zip((one, other), rows_in_shared_shots(shot_ids, rows_by_split[one], rows_by_split[other]), strict=True)
            )
            found[f"{one}_{other}"] = {"shots": len(np.unique(shot_ids[rows[one]]))} | {
                f"{name}_{what}": len(np.unique(image_ids[of])) if what == "images" else len(of)
                for name, of in rows.items()
                for what in ("images", "people")
            }
    return found
