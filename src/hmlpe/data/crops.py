"""The crops of a pack, written in chunks, so that an interrupted preparation goes on where it stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from hmlpe.data.record import Person, Source
from hmlpe.geometry import crop_resized

CHUNK = 256  # people whose crops are saved at once; what an interrupted call loses at most


def write_crops(
    partial: Path, source: Source, people: Sequence[Person], box_px: np.ndarray, crop_px: int, workers: int
) -> None:
    """Write `crops.npy`, (person, crop_px, crop_px, 3), into the folder `partial`; chunks that are there stay.

    Args:
        box_px: (person, 4) what each crop shows.
        workers: threads that read and resize.

    Raises:
        UserError: an image is missing or broken.
    """
    starts = range(0, len(people), CHUNK)
    paths = [partial / f"chunk_{start:06d}.npy" for start in starts]
    done = sum(min(CHUNK, len(people) - start) for start, path in zip(starts, paths, strict=True) if path.exists())
    with ThreadPoolExecutor(workers) as pool, _bar(source.name, done, len(people)) as bar:
        for start, path in zip(starts, paths, strict=True):
            if path.exists():
                continue
            part = range(start, min(start + CHUNK, len(people)))
            crops = np.empty((len(part), crop_px, crop_px, 3), np.uint8)
            jobs = [
                pool.submit(_crops_of_image, source, people, box_px, crop_px, rows)
                for rows in _same_image(people, part)
            ]
            try:
                for job in jobs:
                    for row, crop in job.result():
                        crops[row - start] = crop
                        bar.update()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            temporary = path.with_suffix(".tmp")
            with temporary.open("wb") as file:
                np.save(file, crops)
            temporary.rename(path)
    shape = (len(people), crop_px, crop_px, 3)
    whole = np.lib.format.open_memmap(partial / "crops.npy", mode="w+", dtype=np.uint8, shape=shape)
    for start, path in zip(starts, paths, strict=True):
        whole[start : start + CHUNK] = np.load(path)
    whole.flush()


def _bar(name: str, done: int, total: int) -> tqdm[NoReturn]:
    """A bar that moves on a terminal, and a line every ten seconds elsewhere."""
    calm = (
        {}
        if sys.stderr.isatty()
        else {"mininterval": 10, "ascii": True, "bar_format": "{desc}: {n_fmt}/{total_fmt}, {remaining} left\n"}
    )
    return tqdm(total=total, initial=done, desc=name, unit=" people", **calm)


def _same_image(people: Sequence[Person], rows: range) -> Iterator[list[int]]:
    """Rows grouped by image, so that each image of a chunk is decoded once."""
    groups: dict[str, list[int]] = {}
    for row in rows:
        groups.setdefault(people[row].image, []).append(row)
    yield from groups.values()


def _crops_of_image(
    source: Source, people: Sequence[Person], box_px: np.ndarray, crop_px: int, rows: list[int]
) -> list[tuple[int, UInt8[np.ndarray, "size size 3"]]]:
    image = source.image(people[rows[0]].image)
    return [(row, crop_resized(image, box_px[row], crop_px)) for row in rows]
