"""Which of a set's annotated people go into a pack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hmlpe.data.record import Person, Source
from hmlpe.errors import UserError


def select(source: Source, everyone: Sequence[Person], allow_missing: bool) -> tuple[list[Person], dict[str, Any]]:
    """The people with an image, less the training people of an image that also has test people; and the counts.

    Raises:
        UserError: images are missing and that is not allowed, or nobody is left.
    """
    missing = set(source.missing_images())
    lost = [person for person in everyone if person.image in missing]
    if lost and not allow_missing:
        by_split = {split: sum(person.split == split for person in lost) for split in ("train", "test")}
        raise UserError(
            f"{source.name}: {len(missing)} images are missing, those of {by_split['train']} train and "
            f"{by_split['test']} test people, e.g. {lost[0].image} ({lost[0].where}); "
            "add them, or go on without: data.allow_missing=true"
        )
    test_images = {person.image for person in everyone if person.split == "test"}
    leaking = [person for person in everyone if person.split == "train" and person.image in test_images]
    dropped = {id(person) for person in [*lost, *leaking]}
    kept = [person for person in everyone if id(person) not in dropped]
    if not kept:
        raise UserError(
            f"{source.name}: no person is left to prepare; {len(everyone)} annotated, {len(missing)} images missing"
        )
    return kept, {
        "people": len(kept),
        **{split: sum(person.split == split for person in kept) for split in ("train", "test")},
        **{f"annotated_{split}": sum(person.split == split for person in everyone) for split in ("train", "test")},
        "missing_images": len(missing),
        "people_without_image": len(lost),
        "train_people_in_test_images": len(leaking),
    }
