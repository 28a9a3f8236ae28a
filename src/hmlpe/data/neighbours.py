"""Shots that hold people of two splits: in one light, before one background, and often the same people."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def shared_shots(
    shots: np.ndarray, one: Int[np.ndarray, " one"], other: Int[np.ndarray, " other"]
) -> tuple[Int[np.ndarray, " of_one"], Int[np.ndarray, " of_other"]]:
    """The rows of two splits whose shot holds rows of both.

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
    """For each two splits how many shots they share, and how many images and people of each lie in these.

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
