"""The validation split, cut from the training people so that no image, person or shot is on both sides."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hmlpe.data.leaks import near_duplicate_pairs
from hmlpe.errors import UserError

MOST_PAIRS = 2**21  # number of pairs kept at once, which take 32 MB


def assign_scenes(
    images: np.ndarray,
    identities: np.ndarray,
    image_hashes: UInt64[np.ndarray, " row"],
    max_bits: int | None,
    crop_hashes: UInt64[np.ndarray, " row"] | None = None,
    shots: np.ndarray | None = None,
) -> Int[np.ndarray, " row"]:
    """Group the rows into scenes, which a split must not cut, and return the number of each row's scene.

    Rows whose images are the same or near-duplicates, or that share a person or a shot, are in one scene; so are rows
    that are linked by a chain of such rows.

    Args:
        images: name of every row's image; rows of one image share a scene.
        identities: who the person is, empty where unknown; rows of one person share a scene.
        image_hashes: (row,) perceptual hash of the row's image (`leaks.image_hash`).
        max_bits: largest number of bits in which the hashes of near-duplicates may differ; None: near-duplicates are
            not looked for.
        crop_hashes: (row,) see `leaks.near_duplicate_pairs`.
        shots: the shot of the row's image, empty where unknown; rows of one shot share a scene.
    """
    names, image = np.unique(images, return_inverse=True)
    joined = [_pairs_with_same_name(names_of, image) for names_of in (identities, shots) if names_of is not None]
    for pairs in near_duplicate_pairs(image_hashes, max_bits, crop_hashes) if max_bits is not None else ():
        joined.append(image[pairs])
        if sum(map(len, joined)) > MOST_PAIRS:
            joined = [_spanning_pairs(_component_numbers(joined, len(names)))]
    return _component_numbers(joined, len(names))[image]


def _component_numbers(pairs: Sequence[Int[np.ndarray, "_ 2"]], node_count: int) -> Int[np.ndarray, " count"]:
    """Return, for each of `node_count` nodes, the number of its connected component; `pairs` are arrays of edges."""
    joined = np.concatenate([np.zeros((0, 2), np.int64), *pairs])
    graph = coo_array((np.ones(len(joined), np.int8), joined.T), shape=(node_count, node_count))
    found: np.ndarray = connected_components(graph, directed=False)[1]
    return found.astype(np.int64)


def _spanning_pairs(component_numbers: Int[np.ndarray, " count"]) -> Int[np.ndarray, "pair 2"]:
    """Return the fewest pairs of nodes that connect each component: its nodes as a chain."""
    order = np.argsort(component_numbers, kind="stable")
    same = component_numbers[order][:-1] == component_numbers[order][1:]
    pairs: np.ndarray = np.stack([order[:-1], order[1:]], axis=1)[same]
    return pairs


def _pairs_with_same_name(names: np.ndarray, image_numbers: Int[np.ndarray, " row"]) -> Int[np.ndarray, "pair 2"]:
    """Return pairs of images that connect, as a chain, all images of rows with the same name (of a person or a shot).

    Args:
        names: (row,) names; rows with an empty name are not connected.
        image_numbers: (row,) number of the row's image.
    """
    order = np.lexsort((image_numbers, names))
    ordered, theirs = names[order], image_numbers[order]
    same = (ordered[:-1] == ordered[1:]) & (ordered[1:] != "")
    pairs: np.ndarray = np.stack([theirs[:-1], theirs[1:]], axis=1)[same]
    return pairs


def check_validation_fraction(value: object) -> None:
    """Raise UserError unless the setting `data.validation.fraction` is a number above 0 and below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise UserError(f"data.validation.fraction: must be a number between 0 and 1, got {value!r}")


def split_by_scene(
    images: np.ndarray, scene_numbers: Int[np.ndarray, " row"], fraction: float, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]:
    """Split the rows into training and validation by whole scenes, and return the rows of each.

    Args:
        images: name of every row's image.
        scene_numbers: (row,) number of every row's scene, see `assign_scenes`.
        fraction: share of images for validation, in (0, 1). Scenes are drawn at random until it is reached; a scene
            with more images than are still missing goes to training.
        seed: seed of the draw; it is not the run's seed, so that all runs of a study share one split.

    Raises:
        UserError: the fraction is not in (0, 1), or there would be no rows for training or for validation.
    """
    check_validation_fraction(fraction)
    names, first = np.unique(images, return_index=True)
    wanted = round(fraction * len(names))
    _, scene_of_image = np.unique(scene_numbers[first], return_inverse=True)
    sizes = np.bincount(scene_of_image)
    chosen, left = [], wanted
    order = np.unique(scene_of_image, return_index=True)[1]  # scenes by their first image's name
    for number in scene_of_image[np.random.default_rng(seed).permutation(np.sort(order))]:
        if sizes[number] <= left:
            chosen.append(number)
            left -= sizes[number]
    validates = np.isin(images, names[np.isin(scene_of_image, chosen)])
    if not 0 < validates.sum() < len(images):
        raise UserError(
            f"data.validation.fraction: {fraction} of {len(names)} training images leaves a split empty; "
            + _fraction_advice(len(names), sizes)
        )
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def _fraction_advice(image_count: int, scene_sizes: Int[np.ndarray, " scene"]) -> str:
    """Return the end of an error message for a fraction into which no scene fits, or all do: which fractions work."""
    apart = (
        "a scene is a shot or a person, as the labels say, or nearly identical images, which "
        "hmlpe-prepare data.near_duplicates=null separates"
    )
    if len(scene_sizes) == 1:
        return f"they are one scene, which is never split: {apart}"
    smallest = int(scene_sizes.min())
    least, most = (
        math.ceil(1000 * smallest / image_count) / 1000,
        math.floor(1000 * (image_count - smallest) / image_count) / 1000,
    )
    return f"they are {len(scene_sizes)} scenes, the smallest of {smallest}; choose from {least} to {most} ({apart})"
