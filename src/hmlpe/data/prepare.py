"""Make a pack from data sets: deterministic, atomic, and resumed where an interrupted call stopped."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Int, UInt8, UInt64
from numpy.lib import format as npy
from tqdm import tqdm

from hmlpe.data.leaks import (
    NEAR_DUPLICATE,
    SAME_SHOT,
    check_distance,
    count_neighbours,
    crop_hashes,
    image_hash,
    leaks_of,
    shared_shots,
)
from hmlpe.data.pack import EXTRA, FILES, VERSION, Columns, columns_of
from hmlpe.data.record import Person, attributes_of
from hmlpe.data.selection import (
    DataSet,
    Member,
    Skipped,
    attributes_of_all,
    box_statistics,
    count_people,
    count_reasons,
    record_of,
    select,
    undetected_members,
)
from hmlpe.errors import UserError
from hmlpe.files import digest_of, digest_of_file, read_json, write_json_atomic
from hmlpe.geometry import crop_resized
from hmlpe.skeleton import Skeleton

CHUNK = 256  # number of people whose crops are saved at once; an interrupted call loses at most these


def write_chunks(
    partial: Path, name: str, members: Sequence[Member], sides: Mapping[str, int], workers: int
) -> tuple[UInt64[np.ndarray, " person"], UInt64[np.ndarray, " person"]]:
    """Write the crops of all members into the folder `partial`, in chunks; existing chunks are kept.

    Args:
        name: name of the pack, for the progress bar.
        sides: name of each array of crops -> side of its crops; every person's box is resized directly to each.
        workers: number of threads that read and resize.

    Returns:
        (person,) the perceptual hash of each member's whole image, and (person,) that of the crop.

    Raises:
        UserError: an image is missing or broken.
    """
    parts = _chunk_ranges(len(members))
    done = sum(len(part) for part in parts if _chunk_path(partial, part).exists())
    hashes = np.empty((2, len(members)), np.uint64)
    with ThreadPoolExecutor(workers) as pool, _bar(name, done, len(members)) as bar:
        for part in parts:
            path = _chunk_path(partial, part)
            if not path.exists():
                crops: dict[str, Any] = {
                    array: np.empty((len(part), side, side, 3), np.uint8) for array, side in sides.items()
                }
                jobs = [pool.submit(_crops_of_image, members, sides, rows) for rows in _rows_by_image(members, part)]
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
    """Write `<array>.npy`, (row, side, side, 3), with the crops of the kept people; at most one chunk is in memory.

    Args:
        count: number of people in the chunks.
        kept: their rows to keep, in ascending order.
        sides: the same as for `write_chunks`.
    """
    for array, side in sides.items():
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(kept), side, side, 3)}
        with (partial / f"{array}.npy").open("wb") as file:
            npy.write_array_header_1_0(file, header)
            for part in _chunk_ranges(count):
                rows = kept[(kept >= part.start) & (kept < part.stop)] - part.start
                file.writelines(crop.data for crop in _kept_crops(_chunk_path(partial, part), array, rows))


def _kept_crops(path: Path, array: str, rows: Int[np.ndarray, " row"]) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    """Yield the crops one by one, to avoid a copy of the chunk."""
    with np.load(path) as chunk:
        crops = chunk[array]
    for row in rows:
        yield crops[row]


def remove_chunks(partial: Path) -> None:
    """Remove the files that `write_chunks` wrote."""
    for chunk in partial.glob("chunk_*"):
        chunk.unlink()


def _chunk_ranges(count: int) -> list[range]:
    return [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]


def _chunk_path(partial: Path, part: range) -> Path:
    return partial / f"chunk_{part.start:06d}.npz"


def _bar(name: str, done: int, total: int) -> tqdm[NoReturn]:
    """Return a progress bar that moves on a terminal, and prints a line every ten seconds elsewhere."""
    calm = (
        {}
        if sys.stderr.isatty()
        else {"mininterval": 10, "ascii": True, "bar_format": "{desc}: {n_fmt}/{total_fmt}, {remaining} left\n"}
    )
    return tqdm(total=total, initial=done, desc=name, unit=" people", **calm)


def _rows_by_image(members: Sequence[Member], rows: range) -> Iterator[list[int]]:
    """Yield rows grouped by image, so that each image of a chunk is decoded once."""
    groups: dict[str, list[int]] = {}
    for row in rows:
        groups.setdefault(members[row].image, []).append(row)
    yield from groups.values()


def _crops_of_image(
    members: Sequence[Member], sides: Mapping[str, int], rows: list[int]
) -> list[tuple[int, dict[str, UInt8[np.ndarray, "_ _ 3"]], tuple[np.uint64, np.uint64]]]:
    first = members[rows[0]]
    image = first.data_set.source.image(first.person.image)
    for row in rows:
        _check_inside(members[row].person, *image.shape[:2])
    found = image_hash(image)
    crops = [{array: crop_resized(image, members[row].box_px, side) for array, side in sides.items()} for row in rows]
    return [(row, own, (found, image_hash(own["crops"]))) for row, own in zip(rows, crops, strict=True)]


def _check_inside(person: Person, height: int, width: int) -> None:
    """Raise UserError if a known joint lies further outside the image than the image's longer side.

    A limb that is cut off by the image's edge does not reach that far.
    """
    beyond = np.maximum(-person.joints_px, person.joints_px - (width, height)).max(axis=1)
    if (far := np.flatnonzero(beyond > max(width, height))).size:
        x, y = person.joints_px[far[0]]
        raise UserError(
            f"{person.where}: joint {far[0] + 1} lies at ({x:g}, {y:g}), far outside of its image, "
            f"{person.image} of {width} x {height} px; labels must be pixels of the images as they lie there"
        )


def prepare(
    sets: Sequence[DataSet],
    skeleton: Skeleton,
    folder: Path,
    crop_px: int = 128,
    size_px: int = 112,
    allow_missing: bool = False,
    near_duplicates: int | None = None,
    workers: int = 2,
    absent: Sequence[str] = (),
    keep_neighbours: bool = True,
) -> tuple[dict[str, Any], bool]:
    """Make the pack `folder` of all people of the sets, unless the same pack exists already.

    Args:
        crop_px: side of the training crops, from which the network's input is cut at random (FACTS 4: 128 for 112).
        size_px: side of the test crops: the box resized directly to the network's input (FACTS 4).
        allow_missing: leave out people whose image is missing, instead of refusing.
        near_duplicates: leave out training people if the perceptual hash of their image differs from that of a test
            person's image in at most so many bits; None: only those of the very same image or person.
        workers: number of threads that read and resize.
        absent: names of known sets that are not among these, for the manifest.
        keep_neighbours: also keep training people in a shot that holds test people; the manifest lists them.

    Returns:
        The manifest, and whether the pack existed already.

    Raises:
        UserError: annotations or images are not valid, images are missing and that is not allowed, or all training
            people leak into the test set. No half-written pack stays visible.
    """
    for name, value in (("data.crop_px", crop_px), ("size_px", size_px), ("prepare.workers", workers)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{name}: must be a whole number of at least 1, got {value!r}")
    check_distance(near_duplicates)
    if not isinstance(keep_neighbours, bool):
        raise UserError(f"data.keep_neighbours: must be true or false, got {keep_neighbours!r}")
    known = {*FILES, *EXTRA}
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= known):
        raise UserError(f"{folder}: holds something else than a pack, and is not replaced; choose another paths.data")
    _check_joints(sets, skeleton)
    attributes = attributes_of_all(sets)
    members, skipped = select(sets, allow_missing)
    settings: dict[str, Any] = {
        "version": VERSION,
        "name": folder.name,
        "skeleton": skeleton.as_dict(),
        "crop_px": crop_px,
        "size_px": size_px,
        "near_duplicates": near_duplicates,
        "keep_neighbours": keep_neighbours,
        "boxes": {one.source.name: one.boxes.as_dict() for one in sets},
        "sources": {one.source.name: one.source.fingerprint() for one in sets},
        "absent": list(absent),
    }
    if attributes:  # without any, the pack and its digest are the same as before attributes were introduced
        settings["attributes"] = [one.as_dict() for one in attributes]
    fingerprint = digest_of([settings, [[one.image, record_of(one.person), one.person.shot] for one in members]])
    there = read_json(folder / "manifest.json") if (folder / "manifest.json").is_file() else None
    if isinstance(there, dict) and there.get("fingerprint") == fingerprint:
        return there, True
    partial = folder.with_name(f".{folder.name}.{fingerprint}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    sides = {"crops": crop_px, "test_crops": size_px}
    hashes, of_crops = write_chunks(partial, folder.name, members, sides, workers)
    crops = crop_hashes([member.image for member in members], hashes, of_crops, near_duplicates)
    kept, leaking = without_leaks(members, hashes, near_duplicates, crops, keep_neighbours)
    if leaking and not any(members[row].person.split == "train" for row in kept):
        shutil.rmtree(partial)
        raise UserError(f"{folder}: {_no_training_people(leaking, near_duplicates)}")
    skipped = [*skipped, *leaking]
    join_chunks(partial, len(members), kept, sides)
    remaining = [members[row] for row in kept]
    missed = undetected_members(sets, skipped)
    unhashed = np.zeros(len(missed), dtype=np.uint64)
    everyone = columns_of(
        [*remaining, *missed],
        np.concatenate([hashes[kept], unhashed]),
        np.concatenate([crops[kept], unhashed]),
        attributes,
    )
    people = everyone.rows(np.arange(len(kept)))
    np.savez(partial / "people.npz", **people.to_arrays())
    np.savez(partial / "missed.npz", **everyone.rows(np.arange(len(kept), len(kept) + len(missed))).to_arrays())
    files = {name: digest_of_file(partial / name) for name in FILES if name != "manifest.json"}
    manifest = {
        **settings,
        "sets": {one.source.name: _describe(one, remaining, skipped, people) for one in sets},
        "counts": count_people(remaining, skipped),
        "skipped_counts": count_reasons(skipped),
        "skipped": [asdict(person) for person in skipped],
        "neighbours": _shots_in_both_splits(people),
        "fingerprint": fingerprint,
        "files": files,
        "digest": digest_of(files),
    }
    manifest |= {"manifest_digest": digest_of(manifest)}
    write_json_atomic(partial / "manifest.json", manifest)
    remove_chunks(partial)
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    partial.rename(folder)
    for left in (old, *folder.parent.glob(f".{folder.name}.*.partial")):  # unfinished packs of other settings
        shutil.rmtree(left, ignore_errors=True)
    return manifest, False


def without_leaks(
    members: Sequence[Member],
    hashes: np.ndarray,
    distance: int | None,
    crops: np.ndarray | None = None,
    keep_neighbours: bool = True,
) -> tuple[np.ndarray, list[Skipped]]:
    """Return the rows of people who may be in the pack, and the training people who would leak into its test set."""
    reasons = leaks_of(
        images=[member.image for member in members],
        splits=[member.person.split for member in members],
        identities=[member.person.identity for member in members],
        hashes=hashes,
        distance=distance,
        crops=crops,
        shots=() if keep_neighbours else [member.person.shot for member in members],
    )
    kept = np.array([row for row, reason in enumerate(reasons) if not reason], dtype=np.int64)
    leaking = [
        Skipped.of(member.data_set.source.name, member.person, reason)
        for member, reason in zip(members, reasons, strict=True)
        if reason
    ]
    return kept, leaking


def _check_joints(sets: Sequence[DataSet], skeleton: Skeleton) -> None:
    names = [one.source.name for one in sets]
    if len(set(names)) != len(names):
        raise UserError(f"data.sets: two sets have the same name, of {names}")
    for person in (person for one in sets for person in one.source.people()):
        if len(person.joints_px) != len(skeleton.joints):
            raise UserError(f"{person.where}: {len(person.joints_px)} joints, the skeleton has {len(skeleton.joints)}")


def _no_training_people(leaking: Sequence[Skipped], near_duplicates: int | None) -> str:
    """Return the message that all training people leak, and what to do."""
    counts = {reason: splits["train"] for reason, splits in count_reasons(leaking).items()}
    why = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    advice = []
    if near := counts.get(NEAR_DUPLICATE):
        advice.append(
            f"does the camera stand still? data.near_duplicates=null keeps these {near}, a number below "
            f"{near_duplicates} some of them"
        )
    if beside := counts.get(SAME_SHOT):
        advice.append(f"data.keep_neighbours=true keeps these {beside}")
    advice.append("or choose another split, by whole films or cameras")
    return f"no training people are left, of {len(leaking)}: {why}; {', '.join(advice)}"


def _rows_of_splits(people: Columns) -> dict[str, np.ndarray]:
    return {split: np.flatnonzero(people.split == split) for split in ("train", "test")}


def _shots_in_both_splits(people: Columns) -> list[dict[str, Any]]:
    """Return an entry for each shot that has both training and test people.

    It has the shot's set, its name, and the image names of each split.
    """
    shots, named = people.shot_ids, []
    rows = dict(zip(("train", "test"), shared_shots(shots, *_rows_of_splits(people).values()), strict=True))
    for shot in np.unique(shots[rows["test"]]):
        images = {split: np.unique(people.image[of[shots[of] == shot]]).tolist() for split, of in rows.items()}
        named.append({"set": str(people.set[shots == shot][0]), "shot": str(people.shot[shots == shot][0])} | images)
    return named


def _describe(one: DataSet, remaining: Sequence[Member], skipped: Sequence[Skipped], people: Columns) -> dict[str, Any]:
    """Return a set's entry in the manifest: counts, skipped people, quartiles of box sizes, shots, known attributes."""
    name = one.source.name
    rows = {split: of[people.set[of] == name] for split, of in _rows_of_splits(people).items()}
    shots, images = people.shot_ids, people.image_ids
    members = {
        split: [m for m in remaining if m.data_set.source.name == name and m.person.split == split] for split in rows
    }
    known = {
        attribute.name: {
            split: sum(not np.isnan(m.person.attributes.get(attribute.name, np.nan)) for m in of_split)
            for split, of_split in members.items()
        }
        for attribute in attributes_of(one.source)
    }
    return {
        "counts": count_people(remaining, skipped, name),
        "skipped_counts": count_reasons(skipped, name),
        "not_people": dict(one.source.skipped()),
        "box_quartiles": {split: box_statistics(of_split) for split, of_split in members.items() if of_split},
        "images": {split: len(np.unique(images[of])) for split, of in rows.items()},
        "shots": {split: len(np.unique(shots[of][shots[of] != ""])) for split, of in rows.items()},
        "neighbours": count_neighbours(shots, images, rows)["train_test"],
        **({"attributes": known} if known else {}),
    }
