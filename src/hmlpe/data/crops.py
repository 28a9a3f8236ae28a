"""The crops of a pack, written in chunks, so that an interrupted preparation goes on where it stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Int, UInt8, UInt64
from numpy.lib import format as npy
from tqdm import tqdm

from hmlpe.data.leaks import image_hash
from hmlpe.data.record import Person
from hmlpe.data.selection import Member
from hmlpe.errors import UserError
from hmlpe.geometry import crop_resized

CHUNK = 256  # people whose crops are saved at once; what an interrupted call loses at most


def write_chunks(
    partial: Path, name: str, members: Sequence[Member], sides: Mapping[str, int], workers: int
) -> tuple[UInt64[np.ndarray, " person"], UInt64[np.ndarray, " person"]]:
    """Write the crops of all members into the folder `partial`, in chunks; chunks that are there stay.

    Args:
        name: of the pack, for the progress bar.
        sides: names of the arrays of crops, and the side of each; every person's box is resized straight to each.
        workers: threads that read and resize.

    Returns:
        (person,) the perceptual hash of each member's whole image, and (person,) that of the crop.

    Raises:
        UserError: an image is missing or broken.
    """
    parts = _parts(len(members))
    done = sum(len(part) for part in parts if _chunk(partial, part).exists())
    hashes = np.empty((2, len(members)), np.uint64)
    with ThreadPoolExecutor(workers) as pool, _bar(name, done, len(members)) as bar:
        for part in parts:
            path = _chunk(partial, part)
            if not path.exists():
                crops: dict[str, Any] = {
                    array: np.empty((len(part), side, side, 3), np.uint8) for array, side in sides.items()
                }
                jobs = [pool.submit(_crops_of_image, members, sides, rows) for rows in _same_image(members, part)]
                try:
                    for job in jobs:
                        for row, own, found in job.result():
                            hashes[:, row] = found
                            for array, crop in own.items():
                                crops[array][row - part.start] = crop
                            bar.update()
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
                temporary = path.with_suffix(".tmp")
                with temporary.open("wb") as file:
                    np.savez(file, **crops, hashes=hashes[:, part.start : part.stop])
                temporary.rename(path)
            else:
                with np.load(path) as chunk:
                    hashes[:, part.start : part.stop] = chunk["hashes"]
    return hashes[0], hashes[1]


def join_chunks(partial: Path, count: int, kept: Int[np.ndarray, " row"], sides: Mapping[str, int]) -> None:
    """Write `<array>.npy`, (row, side, side, 3), of the kept of `count` people; never more than a chunk in memory.

    Args:
        kept: rows in rising order.
        sides: as `write_chunks` was given them.
    """
    for array, side in sides.items():
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(kept), side, side, 3)}
        with (partial / f"{array}.npy").open("wb") as file:
            npy.write_array_header_1_0(file, header)
            for part in _parts(count):
                rows = kept[(kept >= part.start) & (kept < part.stop)] - part.start
                file.writelines(crop.data for crop in _kept_crops(_chunk(partial, part), array, rows))


def _kept_crops(path: Path, array: str, rows: Int[np.ndarray, " row"]) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    """One by one, so that there is no copy of the chunk."""
    with np.load(path) as chunk:
        crops = chunk[array]
    for row in rows:
        yield crops[row]


def remove_chunks(partial: Path) -> None:
    """Remove what `write_chunks` wrote."""
    for chunk in partial.glob("chunk_*"):
        chunk.unlink()


def _parts(count: int) -> list[range]:
    return [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]


def _chunk(partial: Path, part: range) -> Path:
    return partial / f"chunk_{part.start:06d}.npz"


def _bar(name: str, done: int, total: int) -> tqdm[NoReturn]:
    """A bar that moves on a terminal, and a line every ten seconds elsewhere."""
    calm = (
        {}
        if sys.stderr.isatty()
        else {"mininterval": 10, "ascii": True, "bar_format": "{desc}: {n_fmt}/{total_fmt}, {remaining} left\n"}
    )
    return tqdm(total=total, initial=done, desc=name, unit=" people", **calm)


def _same_image(members: Sequence[Member], rows: range) -> Iterator[list[int]]:
    """Rows grouped by image, so that each image of a chunk is decoded once."""
    groups: dict[str, list[int]] = {}
    for row in rows:
        groups.setdefault(members[row].image, []).append(row)
    yield from groups.values()


def _crops_of_image(
    members: Sequence[Member], sides: Mapping[str, int], rows: list[int]
) -> list[tuple[int, dict[str, UInt8[np.ndarray, "_ _ 3"]], tuple[np.uint64, np.uint64]]]:
    first = members[rows[0]]
    image = first.of.source.image(first.person.image)
    for row in rows:
        _check_joints(members[row].person, *image.shape[:2])
    found = image_hash(image)
    crops = [{array: crop_resized(image, members[row].box_px, side) for array, side in sides.items()} for row in rows]
    return [(row, own, (found, image_hash(own["crops"]))) for row, own in zip(rows, crops, strict=True)]


def _check_joints(person: Person, height: int, width: int) -> None:
    """Raise UserError if a known joint lies further from the image than the image is long: that is no cut-off limb."""
    beyond = np.maximum(-person.joints_px, person.joints_px - (width, height)).max(axis=1)
    if (far := np.flatnonzero(beyond > max(width, height))).size:
        x, y = person.joints_px[far[0]]
        raise UserError(
            f"{person.where}: joint {far[0] + 1} lies at ({x:g}, {y:g}), far outside of its image, "
            f"{person.image} of {width} x {height} px; labels must be pixels of the images as they lie there"
        )
