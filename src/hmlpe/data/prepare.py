"""Make a pack from data sets, deterministically and atomically; an interrupted call can be resumed."""

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
    check_max_bits,
    count_neighbours,
    crop_hashes_if_static_camera,
    image_hash,
    leak_reasons,
    rows_in_shared_shots,
)
from hmlpe.data.pack import EXTRA, FILES, VERSION, PeopleColumns, columns_of
from hmlpe.data.record import Person, attributes_of
from hmlpe.data.selection import (
    DataSet,
    SelectedPerson,
    SkippedPerson,
    annotation_place,
    box_statistics,
    count_people,
    count_reasons,
    merge_attributes,
    select_people,
    undetected_people,
)
from hmlpe.errors import UserError
from hmlpe.files import digest_of, digest_of_file, read_json, write_json_atomic
from hmlpe.geometry import crop_resized
from hmlpe.skeleton import Skeleton

CHUNK = 256  # number of people whose crops are saved at once; an interrupted call loses at most these


def write_chunks(
    partial_folder: Path, pack_name: str, members: Sequence[SelectedPerson], crop_sides: Mapping[str, int], workers: int
) -> tuple[UInt64[np.ndarray, " person"], UInt64[np.ndarray, " person"]]:
    """Write the crops of all people into `partial_folder`, in files of `CHUNK` people; existing files are kept.

    Args:
        pack_name: name of the pack, for the progress bar.
        crop_sides: name of an array of crops -> side of its crops in pixels; every person's box is resized directly to
            each of these sides.
        workers: number of threads that read and resize.

    Returns:
        (person,) perceptual hashes of the people's whole images, and (person,) those of their crops.

    Raises:
        UserError: an image is missing or broken.
    """
    parts = _chunk_ranges(len(members))
    done = sum(len(part) for part in parts if _chunk_path(partial_folder, part).exists())
    hashes = np.empty((2, len(members)), np.uint64)
    with ThreadPoolExecutor(workers) as pool, _progress_bar(pack_name, done, len(members)) as bar:
        for part in parts:
            path = _chunk_path(partial_folder, part)
            if not path.exists():
                crops: dict[str, Any] = {
                    array: np.empty((len(part), side, side, 3), np.uint8) for array, side in crop_sides.items()
                }
                jobs = [
                    pool.submit(_crop_and_hash, members, crop_sides, rows) for rows in _rows_by_image(members, part)
                ]
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


def join_chunks(
    partial_folder: Path, people_count: int, kept_rows: Int[np.ndarray, " row"], crop_sides: Mapping[str, int]
) -> None:
    """Join the chunks to one file `<array>.npy` (row, side, side, 3) per array, with the crops of the people to keep.

    Args:
        people_count: number of people in the chunks.
        kept_rows: rows of the people to keep, in ascending order.
        crop_sides: the same as for `write_chunks`.
    """
    for array, side in crop_sides.items():
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(kept_rows), side, side, 3)}
        with (partial_folder / f"{array}.npy").open("wb") as file:
            npy.write_array_header_1_0(file, header)
            for part in _chunk_ranges(people_count):
                rows = kept_rows[(kept_rows >= part.start) & (kept_rows < part.stop)] - part.start
                file.writelines(crop.data for crop in _read_crops(_chunk_path(partial_folder, part), array, rows))


def _read_crops(path: Path, array: str, rows: Int[np.ndarray, " row"]) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    """Yield the crops of these rows of a chunk one by one, to avoid a copy of the chunk."""
    with np.load(path) as chunk:
        crops = chunk[array]
    for row in rows:
        yield crops[row]


def remove_chunks(partial_folder: Path) -> None:
    """Remove the files that `write_chunks` wrote into the folder."""
    for chunk in partial_folder.glob("chunk_*"):
        chunk.unlink()


def _chunk_ranges(people_count: int) -> list[range]:
    """Return the rows of each chunk."""
    return [range(start, min(start + CHUNK, people_count)) for start in range(0, people_count, CHUNK)]


def _chunk_path(partial_folder: Path, rows: range) -> Path:
    """Return the path of the chunk with these rows."""
    return partial_folder / f"chunk_{rows.start:06d}.npz"


def _progress_bar(pack_name: str, done: int, total: int) -> tqdm[NoReturn]:
    """Return a progress bar of people; where the output is no terminal, it prints a line every ten seconds."""
    calm = (
        {}
        if sys.stderr.isatty()
        else {"mininterval": 10, "ascii": True, "bar_format": "{desc}: {n_fmt}/{total_fmt}, {remaining} left\n"}
    )
    return tqdm(total=total, initial=done, desc=pack_name, unit=" people", **calm)


def _rows_by_image(members: Sequence[SelectedPerson], rows: range) -> Iterator[list[int]]:
    """Yield, for each image, its people's rows among `rows`, so that each image of a chunk is decoded once."""
    groups: dict[str, list[int]] = {}
    for row in rows:
        groups.setdefault(members[row].image, []).append(row)
    yield from groups.values()


def _crop_and_hash(
    members: Sequence[SelectedPerson], crop_sides: Mapping[str, int], rows: list[int]
) -> list[tuple[int, dict[str, UInt8[np.ndarray, "_ _ 3"]], tuple[np.uint64, np.uint64]]]:
    """Return, for each of these people of one image: the row, name of an array -> the crop, and two hashes.

    The hashes are the perceptual hashes of the whole image and of the training crop.
    """
    first = members[rows[0]]
    image = first.data_set.source.image(first.person.image)
    for row in rows:
        _check_joints_near_image(members[row].person, *image.shape[:2])
    found = image_hash(image)
    crops = [
        {array: crop_resized(image, members[row].box_px, side) for array, side in crop_sides.items()} for row in rows
    ]
    return [(row, own, (found, image_hash(own["crops"]))) for row, own in zip(rows, crops, strict=True)]


def _check_joints_near_image(person: Person, height: int, width: int) -> None:
    """Raise UserError if a known joint lies further outside the image than the image's longer side.

    A limb that is cut off by the image's edge does not reach that far.
    """
    beyond = np.maximum(-person.joints_px, person.joints_px - (width, height)).max(axis=1)
    if (far := np.flatnonzero(beyond > max(width, height))).size:
        x, y = person.joints_px[far[0]]
        raise UserError(
            f"{person.where}: joint {far[0] + 1} lies at ({x:g}, {y:g}), far outside its image, "
            f"{person.image} of {width} x {height} px; labels must be in pixels of the images as stored"
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
    """Write a pack of all people of the data sets into `folder`, unless the same pack exists already.

    Args:
        sets: the data sets, each with the rule for its boxes.
        skeleton: the joints.
        folder: the pack's folder.
        crop_px: side of the training crops, from which the network's input is cut at random (FACTS 4: 128 for 112).
        size_px: side of the test crops: the box resized directly to the network's input (FACTS 4).
        allow_missing: leave out people whose image is missing, instead of raising an error.
        near_duplicates: largest number of bits in which the perceptual hashes of near-duplicate images differ. Training
            people whose image is a near-duplicate of a test image are left out; None: near-duplicates are kept.
        workers: number of threads that read and resize.
        absent: names of sets that the configuration knows but that are not in `sets`, for the manifest.
        keep_neighbours: whether training people are kept if their shot also has test people; the manifest lists such
            shots.

    Returns:
        The manifest, and whether the pack existed already.

    Raises:
        UserError: annotations or images are not valid, images are missing and that is not allowed, or all training
            people leak into the test set. No half-written pack stays visible.
    """
    for name, value in (("data.crop_px", crop_px), ("size_px", size_px), ("prepare.workers", workers)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{name}: must be a whole number of at least 1, got {value!r}")
    check_max_bits(near_duplicates)
    if not isinstance(keep_neighbours, bool):
        raise UserError(f"data.keep_neighbours: must be true or false, got {keep_neighbours!r}")
    known = {*FILES, *EXTRA}
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= known):
        raise UserError(f"{folder}: is not a pack, so it is not overwritten; choose another paths.data")
    _check_sets(sets, skeleton)
    attributes = merge_attributes(sets)
    members, skipped = select_people(sets, allow_missing)
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
    fingerprint = digest_of([settings, [[one.image, annotation_place(one.person), one.person.shot] for one in members]])
    there = read_json(folder / "manifest.json") if (folder / "manifest.json").is_file() else None
    if isinstance(there, dict) and there.get("fingerprint") == fingerprint:
        return there, True
    partial = folder.with_name(f".{folder.name}.{fingerprint}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    crop_sides = {"crops": crop_px, "test_crops": size_px}
    hashes, of_crops = write_chunks(partial, folder.name, members, crop_sides, workers)
    crops = crop_hashes_if_static_camera([member.image for member in members], hashes, of_crops, near_duplicates)
    kept, leaking = exclude_leaks(members, hashes, near_duplicates, crops, keep_neighbours)
    if leaking and not any(members[row].person.split == "train" for row in kept):
        shutil.rmtree(partial)
        raise UserError(f"{folder}: {_all_leak_message(leaking, near_duplicates)}")
    skipped = [*skipped, *leaking]
    join_chunks(partial, len(members), kept, crop_sides)
    remaining = [members[row] for row in kept]
    missed = undetected_people(sets, skipped)
    unhashed = np.zeros(len(missed), dtype=np.uint64)
    everyone = columns_of(
        [*remaining, *missed],
        np.concatenate([hashes[kept], unhashed]),
        np.concatenate([crops[kept], unhashed]),
        attributes,
    )
    people = everyone.select_rows(np.arange(len(kept)))
    np.savez(partial / "people.npz", **people.to_arrays())
    np.savez(partial / "missed.npz", **everyone.select_rows(np.arange(len(kept), len(kept) + len(missed))).to_arrays())
    files = {name: digest_of_file(partial / name) for name in FILES if name != "manifest.json"}
    manifest = {
        **settings,
        "sets": {one.source.name: _describe_set(one, remaining, skipped, people) for one in sets},
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


def exclude_leaks(
    members: Sequence[SelectedPerson],
    image_hashes: np.ndarray,
    max_bits: int | None,
    crop_hashes: np.ndarray | None = None,
    keep_neighbours: bool = True,
) -> tuple[np.ndarray, list[SkippedPerson]]:
    """Return the rows of people to keep, and the training people who are left out as they leak into the test set.

    The arguments are explained in `leaks.leak_reasons` and, `keep_neighbours`, in `prepare`.
    """
    reasons = leak_reasons(
        images=[member.image for member in members],
        splits=[member.person.split for member in members],
        identities=[member.person.identity for member in members],
        image_hashes=image_hashes,
        max_bits=max_bits,
        crop_hashes=crop_hashes,
        shots=() if keep_neighbours else [member.person.shot for member in members],
    )
    kept = np.array([row for row, reason in enumerate(reasons) if not reason], dtype=np.int64)
    leaking = [
        SkippedPerson.from_person(member.data_set.source.name, member.person, reason)
        for member, reason in zip(members, reasons, strict=True)
        if reason
    ]
    return kept, leaking


def _check_sets(sets: Sequence[DataSet], skeleton: Skeleton) -> None:
    """Raise UserError if two sets have the same name, or a person does not have the skeleton's number of joints."""
    names = [one.source.name for one in sets]
    if len(set(names)) != len(names):
        raise UserError(f"data.sets: two sets have the same name in {names}")
    for person in (person for one in sets for person in one.source.people()):
        if len(person.joints_px) != len(skeleton.joints):
            raise UserError(f"{person.where}: {len(person.joints_px)} joints, the skeleton has {len(skeleton.joints)}")


def _all_leak_message(leaking: Sequence[SkippedPerson], near_duplicates: int | None) -> str:
    """Return the error message for the case that all training people leak into the test set; it says what to change."""
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
    return f"none of {len(leaking)} training people are left: {why}; {', '.join(advice)}"


def _rows_of_splits(people: PeopleColumns) -> dict[str, np.ndarray]:
    """Return a mapping from each split ("train", "test") to the indices of its people in the columns."""
    return {split: np.flatnonzero(people.split == split) for split in ("train", "test")}


def _shots_in_both_splits(people: PeopleColumns) -> list[dict[str, Any]]:
    """Return the manifest's entries for shots that have both training and test people.

    An entry has the shot's set, its name, and the names of its images in each split.
    """
    shots, named = people.shot_ids, []
    rows = dict(zip(("train", "test"), rows_in_shared_shots(shots, *_rows_of_splits(people).values()), strict=True))
    for shot in np.unique(shots[rows["test"]]):
        images = {split: np.unique(people.image[of[shots[of] == shot]]).tolist() for split, of in rows.items()}
        named.append({"set": str(people.set[shots == shot][0]), "shot": str(people.shot[shots == shot][0])} | images)
    return named


def _describe_set(
    data_set: DataSet, remaining: Sequence[SelectedPerson], skipped: Sequence[SkippedPerson], people: PeopleColumns
) -> dict[str, Any]:
    """Return a data set's entry in the manifest: counts of people, images and shots, and quartiles of box sizes."""
    name = data_set.source.name
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
        for attribute in attributes_of(data_set.source)
    }
    return {
        "counts": count_people(remaining, skipped, name),
        "skipped_counts": count_reasons(skipped, name),
        "not_people": dict(data_set.source.skipped()),
        "box_quartiles": {split: box_statistics(of_split) for split, of_split in members.items() if of_split},
        "images": {split: len(np.unique(images[of])) for split, of in rows.items()},
        "shots": {split: len(np.unique(shots[of][shots[of] != ""])) for split, of in rows.items()},
        "neighbours": count_neighbours(shots, images, rows)["train_test"],
        **({"attributes": known} if known else {}),
    }
