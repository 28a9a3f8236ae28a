"""Records -> pack: deterministic, atomic, and going on where an interrupted call stopped."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hmlpe.data.boxes import BoxRule
from hmlpe.data.crops import write_crops
from hmlpe.data.pack import FILES, VERSION, Columns
from hmlpe.data.record import Person, Source
from hmlpe.data.selection import select
from hmlpe.errors import UserError
from hmlpe.files import digest_of, digest_of_file, read_json, write_json_atomic
from hmlpe.skeleton import Skeleton


def prepare(
    source: Source,
    skeleton: Skeleton,
    boxes: BoxRule,
    folder: Path,
    crop_px: int = 128,
    allow_missing: bool = False,
    workers: int = 2,
) -> tuple[dict[str, Any], bool]:
    """Make the pack `folder` of all people of `source`, or find it made already.

    Args:
        crop_px: side of the crops; the network's crops are cut from them (FACTS 4: 128 for 112).
        allow_missing: leave out people whose image is missing, instead of refusing.
        workers: threads that read and resize.

    Returns:
        The manifest, and whether the pack was there already.

    Raises:
        UserError: bad annotations or images, missing images that are not allowed. Nothing half-written stays visible.
    """
    for name, value in (("data.crop_px", crop_px), ("prepare.workers", workers)):
        if value < 1:
            raise UserError(f"{name}: must be at least 1, got {value}")
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= set(FILES)):
        raise UserError(f"{folder}: holds something else than a pack, and is not replaced; choose another paths.data")
    everyone = source.people()
    for person in everyone:
        if len(person.joints_px) != len(skeleton.joints):
            raise UserError(f"{person.where}: {len(person.joints_px)} joints, the skeleton has {len(skeleton.joints)}")
    people, counts = select(source, everyone, allow_missing)
    settings = {
        "version": VERSION,
        "name": source.name,
        "source": source.fingerprint(),
        "skeleton": skeleton.as_dict(),
        "boxes": boxes.as_dict(),
        "crop_px": crop_px,
        "counts": counts,
    }
    fingerprint = digest_of([settings, [person.where.rsplit(",")[-1] for person in people]])
    there = read_json(folder / "manifest.json") if (folder / "manifest.json").is_file() else None
    if isinstance(there, dict) and there.get("fingerprint") == fingerprint:
        return there, True
    box_px = np.stack([boxes.box_px(person) for person in people])
    partial = folder.with_name(f".{folder.name}.{fingerprint}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    write_crops(partial, source, people, box_px, crop_px, workers)
    np.savez(partial / "people.npz", **asdict(_columns(people, box_px)))
    files = {name: digest_of_file(partial / name) for name in ("crops.npy", "people.npz")}
    manifest = {**settings, "fingerprint": fingerprint, "files": files, "digest": digest_of(files)}
    write_json_atomic(partial / "manifest.json", manifest)
    for chunk in partial.glob("chunk_*.npy"):
        chunk.unlink()
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    partial.rename(folder)
    for left in (old, *folder.parent.glob(f".{folder.name}.*.partial")):  # of other settings, never finished
        shutil.rmtree(left, ignore_errors=True)
    return manifest, False


def _columns(people: Sequence[Person], box_px: np.ndarray) -> Columns:
    sticks = max(len(person.sticks_px) for person in people)
    return Columns(
        image=np.array([person.image for person in people]),
        where=np.array([person.where.rsplit("/")[-1] for person in people]),
        split=np.array([person.split for person in people]),
        joints_px=np.stack([person.joints_px for person in people]),
        occluded=np.stack([person.occluded for person in people]),
        box_px=box_px,
        detection_px=np.stack([person.detection_px for person in people]),
        torso_px=np.array([person.torso_px for person in people]),
        torso_swapped_px=np.array([person.torso_swapped_px for person in people]),
        sticks_px=np.stack([_padded(person.sticks_px, sticks) for person in people]),
        faces_backwards=np.array([person.faces_backwards for person in people]),
    )


def _padded(sticks: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([sticks, np.full((count - len(sticks), 4), np.nan)])
