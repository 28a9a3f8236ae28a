"""Select the annotated people for a pack, and record why the others are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from hmlpe.data.boxes import RULES, BoxRule
from hmlpe.data.record import Attribute, Person, Source, attributes_of
from hmlpe.errors import UserError

MISSING = "image is missing"


def set_names(value: object, setting: str) -> list[str]:
    """Return the names of sets in a setting, a list or one name. Raises UserError if it holds no such names."""
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, Sequence) else []
    if not names or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"{setting}: must be a list of sets, e.g. [flic,buffy], or null, got {value!r}")
    return [str(name) for name in names]


@dataclass(frozen=True)
class DataSet:
    """A data set to prepare: the source of its people, and the rule for their boxes."""

    source: Source
    boxes: BoxRule


@dataclass(frozen=True, eq=False)
class Member:
    """A person of a data set, with the box that the crop shows."""

    data_set: DataSet
    person: Person
    box_px: Float[np.ndarray, " 4"]

    @property
    def image(self) -> str:
        """Return the image's name, unique in the pack."""
        return f"{self.data_set.source.name}/{self.person.image}"


@dataclass(frozen=True)
class Skipped:
    """A person who is left out, and the reason."""

    set: str
    split: str
    image: str
    where: str
    reason: str

    @classmethod
    def of(cls, name: str, person: Person, reason: str) -> Skipped:
        """Return the entry of `person` of the set `name`; its `where` has no folder."""
        return cls(name, person.split, person.image, record_of(person), reason)


def record_of(person: Person) -> str:
    """Return where the person is annotated, without folders, so that it is the same on every machine."""
    return person.where.rsplit("/")[-1]


def attributes_of_all(sets: Sequence[DataSet]) -> tuple[Attribute, ...]:
    """Return the attributes of all sets, each once, in the order of their first appearance.

    Raises:
        UserError: two sets define one name differently, or a person has an attribute or value that the set does not
            define.
    """
    found: dict[str, tuple[Attribute, str]] = {}
    for one in sets:
        of_set = {attribute.name: attribute for attribute in attributes_of(one.source)}
        for name, attribute in of_set.items():
            other, where = found.setdefault(name, (attribute, one.source.name))
            if other != attribute:
                raise UserError(
                    f"data.source.attributes.{name}: its classes are {_classes(other)} in {where} and "
                    f"{_classes(attribute)} in {one.source.name}; give both the same, or one another name"
                )
        for person in one.source.people():
            for name, value in person.attributes.items():
                if name not in of_set or not of_set[name].holds(value):
                    said = f"{name!r} must be {_classes(of_set[name])}" if name in of_set else f"no attribute {name!r}"
                    raise UserError(f"{person.where}: {said}, got {value}; see the attributes of {one.source.name}")
    return tuple(attribute for attribute, _ in found.values())


def _classes(attribute: Attribute) -> str:
    return ", ".join(attribute.classes) or "numbers"


def select(sets: Sequence[DataSet], allow_missing: bool) -> tuple[list[Member], list[Skipped]]:
    """Return all people with an image and a box, set by set, and those who are left out.

    Raises:
        UserError: images are missing and that is not allowed, or nobody is left.
    """
    kept, skipped = [], []
    for one in sets:
        people, missing = one.source.people(), set(one.source.missing_images())
        _check_missing(one.source.name, [person for person in people if person.image in missing], allow_missing)
        _check_pixels(people)
        for person in people:
            box = None if person.image in missing else one.boxes.box_px(person)
            if box is not None:
                kept.append(Member(one, person, box))
            else:
                reason = MISSING if person.image in missing else RULES[one.boxes.of(person.split)]
                skipped.append(Skipped.of(one.source.name, person, reason))
    if not kept:
        names = ", ".join(one.source.name for one in sets)
        first = f"; {skipped[0].where}: {skipped[0].reason}" if skipped else ": data.source annotates nobody"
        raise UserError(f"{names}: no person is left to prepare, of {len(skipped)}{first}")
    for one in sets:
        _check_rule(one, [member.person.split for member in kept if member.data_set is one], skipped)
    return kept, skipped


def undetected_members(sets: Sequence[DataSet], skipped: Sequence[Skipped]) -> list[Member]:
    """Return the test people who are left out because they have no box; their box is NaN.

    A protocol may count them as wrong.
    """
    missed = {(person.set, person.where) for person in skipped if person.reason in RULES.values()}
    return [
        Member(one, person, np.full(4, np.nan))
        for one in sets
        for person in one.source.people()
        if person.split == "test" and (one.source.name, record_of(person)) in missed
    ]


def count_people(members: Sequence[Member], skipped: Sequence[Skipped], name: str | None = None) -> dict[str, int]:
    """Count the people in the pack and the annotated people, by split, of one set or (without a name) of all sets."""
    kept = [member.person.split for member in members if name in (None, member.data_set.source.name)]
    lost = [person.split for person in skipped if name in (None, person.set)]
    return {
        "people": len(kept),
        **{split: kept.count(split) for split in ("train", "test")},
        **{f"annotated_{split}": kept.count(split) + lost.count(split) for split in ("train", "test")},
    }


def count_reasons(skipped: Sequence[Skipped], name: str | None = None) -> dict[str, dict[str, int]]:
    """Count the people who are left out, by reason and split, of one set or (without a name) of all sets.

    Only the part of a reason before a colon is used.
    """
    found: dict[str, dict[str, int]] = {}
    for person in skipped:
        if name in (None, person.set):
            splits = found.setdefault(person.reason.partition(":")[0], {"train": 0, "test": 0})
            splits[person.split] += 1
    return dict(sorted(found.items()))


def box_statistics(members: Sequence[Member]) -> Mapping[str, Any]:
    """Return the quartiles of the boxes' width and height in pixels."""
    sides = np.stack([member.box_px[2:] - member.box_px[:2] for member in members])
    quartiles = np.percentile(sides, [0, 25, 50, 75, 100], axis=0).round(1)
    return {"width_px": quartiles[:, 0].tolist(), "height_px": quartiles[:, 1].tolist()}


def _check_rule(one: DataSet, kept: Sequence[str], skipped: Sequence[Skipped]) -> None:
    """Raise UserError if the box rule fits nobody of a split: it is the wrong rule, or a file is missing."""
    for split in ("train", "test"):
        reason = RULES[one.boxes.of(split)]
        lost = sum(s.set == one.source.name and s.split == split and s.reason == reason for s in skipped)
        if lost and split not in kept:
            raise UserError(
                f"{one.source.name}: none of {lost} {split} people has a box by data.boxes.{split}="
                f"{one.boxes.of(split)} ({reason}); choose another of {', '.join(RULES)}"
            )


def _check_pixels(people: Sequence[Person]) -> None:
    """Raise UserError if all known joints lie between 0 and 1: they are then fractions of the image, not pixels."""
    known = [person.joints_px[~np.isnan(person.joints_px)] for person in people]
    every = np.concatenate(known) if known else np.empty(0)
    if every.size and every.min() >= 0 and every.max() <= 1:
        raise UserError(
            f"{people[0].where}: all joints of this set lie between 0 and 1, as shares of the image do; labels must be "
            "pixels: multiply x by the image's width and y by its height"
        )


def _check_missing(name: str, lost: Sequence[Person], allow_missing: bool) -> None:
    if lost and not allow_missing:
        splits = [person.split for person in lost]
        raise UserError(
            f"{name}: {len({person.image for person in lost})} images are missing, those of {splits.count('train')} "
            f"train and {splits.count('test')} test people, e.g. {lost[0].image} ({lost[0].where}); "
            "add them, or go on without: data.allow_missing=true"
        )
