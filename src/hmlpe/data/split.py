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


def scenes(
    images: np.ndarray,
    identities: np.ndarray,
    hashes: UInt64[np.ndarray, " row"],
    distance: int | None,
    crops: UInt64[np.ndarray, " row"] | None = None,
    shots: np.ndarray | None = None,
) -> Int[np.ndarray, " row"]:
    """Return the scene number of every row: rows linked by near-duplicate images, people or shots share a scene.

    The links may form chains.

    Args:
        images: name of every row's image; rows of one image share a scene.
        identities: who the person is, empty where unknown; rows of one person share a scene.
        hashes: perceptual hash of the image.
        distance: bits by which near-duplicates may differ; None: only the very same image counts.
        crops: see `leaks.near_duplicate_pairs`.
        shots: the shot of the row's image, empty where unknown; rows of one shot share a scene.
    """
    names, image = np.unique(images, return_inverse=True)
    joined = [_pairs_by_name(names_of, image) for names_of in (identities, shots) if names_of is not None]
    for pairs in near_duplicate_pairs(hashes, distance, crops) if distance is not None else ():
        joined.append(image[pairs])
        if sum(map(len, joined)) > MOST_PAIRS:
            joined = [_spanning_pairs(_components(joined, len(names)))]
    return _components(joined, len(names))[image]


def _components(pairs: Sequence[Int[np.ndarray, "_ 2"]], count: int) -> Int[np.ndarray, " count"]:
    """Return, for each of `count` nodes, the number of its connected component in the graph with these edges."""
    joined = np.concatenate([np.zeros((0, 2), np.int64), *pairs])
    graph = coo_array((np.ones(len(joined), np.int8), joined.T), shape=(count, count))
    found: np.ndarray = connected_components(graph, directed=False)[1]
    return found.astype(np.int64)


def _spanning_pairs(component: Int[np.ndarray, " count"]) -> Int[np.ndarray, "pair 2"]:
    """Return the fewest pairs that connect each component: every member with the next."""
    order = np.argsort(component, kind="stable")
    same = component[order][:-1] == component[order][1:]
    pairs: np.ndarray = np.stack([order[:-1], order[1:]], axis=1)[same]
    return pairs


def _pairs_by_name(names: np.ndarray, image: Int[np.ndarray, " row"]) -> Int[np.ndarray, "pair 2"]:
    """Return pairs of images that connect all images of one name, as a chain; the empty name connects nothing."""
    order = np.lexsort((image, names))
    ordered, theirs = names[order], image[order]
    same = (ordered[:-1] == ordered[1:]) & (ordered[1:] != "")
    pairs: np.ndarray = np.stack([theirs[:-1], theirs[1:]], axis=1)[same]
    return pairs


def check_fraction(value: object) -> None:
    """Raise UserError unless the value is a share of validation people, a number in (0, 1)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise UserError(f"data.validation.fraction: must be a number between 0 and 1, got {value!r}")


def split_by_scene(
    images: np.ndarray, scene: Int[np.ndarray, " row"], fraction: float, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]:
    """Return the rows for training and those for validation; no scene, and so no image, is in both.

    Args:
        images: name of every row's image.
        scene: scene number of every row.
        fraction: share of images for validation, in (0, 1). Scenes are drawn at random until it is reached; a scene
            larger than what is still missing goes to training.
        seed: seed of the draw; it is not the run's seed, so that all runs of a study share one split.

    Raises:
        UserError: the fraction is not in (0, 1), or leaves a side empty.
    """
    check_fraction(fraction)
    names, first = np.unique(images, return_index=True)
    wanted = round(fraction * len(names))
    _, scene_of_image = np.unique(scene[first], return_inverse=True)
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
            + _advice(len(names), sizes)
        )
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def _advice(images: int, sizes: Int[np.ndarray, " scene"]) -> str:
    """Return advice for a fraction into which no scene fits, or all do."""
    apart = (
        "a scene is a shot or a person, as the labels say, or nearly the same images, which data.near_duplicates=null "
        "takes apart, given to hmlpe-prepare"
    )
    if len(sizes) == 1:
        return f"they are one scene, which is never cut: {apart}"
    smallest = int(sizes.min())
    least, most = math.ceil(1000 * smallest / images) / 1000, math.floor(1000 * (images - smallest) / images) / 1000
    return f"they are {len(sizes)} scenes, the smallest of {smallest}: from {least} to {most} it can be ({apart})"
