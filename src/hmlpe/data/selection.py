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


def parse_set_names(value: object, setting: str) -> list[str]:
    """Return the set names in the value of a setting, a name or a list. Raises UserError if it is neither."""
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, Sequence) else []
    if not names or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"{setting}: must be a list of sets, e.g. [flic,buffy], or null, got {value!r}")
    return [str(name) for name in names]


@dataclass(frozen=True)
class DataSet:
    """A data set to prepare: the source, which reads its people, and the rule for their boxes."""

    source: Source
    boxes: BoxRule


@dataclass(frozen=True, eq=False)
class SelectedPerson:
    """A person who is selected for the pack, with the data set and the box that the crop will show."""

    data_set: DataSet
    person: Person
    box_px: Float[np.ndarray, " 4"]

    @property
    def image(self) -> str:
        """Return "set/image", the name of the person's image, unique in the pack."""
        return f"{self.data_set.source.name}/{self.person.image}"


@dataclass(frozen=True)
class SkippedPerson:
    """An entry of the manifest: a person who is left out of the pack, and the reason why."""

    set: str
    split: str
    image: str
    where: str
    reason: str

    @classmethod
    def from_person(cls, set_name: str, person: Person, reason: str) -> SkippedPerson:
        """Return the entry for a person of the data set `set_name`; in its `where`, the file has no folder."""
        return cls(set_name, person.split, person.image, annotation_place(person), reason)


def annotation_place(person: Person) -> str:
    """Return a person's annotation file, without folders, and the record in it; the same text on every machine."""
    return person.where.rsplit("/")[-1]


def merge_attributes(sets: Sequence[DataSet]) -> tuple[Attribute, ...]:
    """Return the definitions of the attributes of all sets, each once, in the order of their first appearance.

    Raises:
        UserError: two sets define an attribute of the same name differently, or a person has an attribute or value that
            the set does not define.
    """
    found: dict[str, tuple[Attribute, str]] = {}
    for one in sets:
        of_set = {attribute.name: attribute for attribute in attributes_of(one.source)}
        for name, attribute in of_set.items():
            other, where = found.setdefault(name, (attribute, one.source.name))
            if other != attribute:
                raise UserError(
                    f"data.source.attributes.{name}: its classes are {_describe_classes(other)} in {where} and "
                    f"{_describe_classes(attribute)} in {one.source.name}; give both the same classes, or rename one"
                )
        for person in one.source.people():
            for name, value in person.attributes.items():
                if name not in of_set or not of_set[name].allows(value):
                    said = (
                        f"{name!r} must be {_describe_classes(of_set[name])}"
                        if name in of_set
                        else f"no attribute {name!r}"
                    )
                    raise UserError(f"{person.where}: {said}, got {value}; see the attributes of {one.source.name}")
    return tuple(attribute for attribute, _ in found.values())


def _describe_classes(attribute: Attribute) -> str:
    """Return the class names of an attribute as one text, for messages; "numbers" without classes."""
    return ", ".join(attribute.classes) or "numbers"


def select_people(sets: Sequence[DataSet], allow_missing: bool) -> tuple[list[SelectedPerson], list[SkippedPerson]]:
    """Select the people of all sets who have an image and a box; return them, set by set, and those left out.

    Raises:
        UserError: images are missing and that is not allowed, or nobody is left.
    """
    kept, skipped = [], []
    for one in sets:
        people, missing = one.source.people(), set(one.source.missing_images())
        _check_missing_images(one.source.name, [person for person in people if person.image in missing], allow_missing)
        _check_not_fractions(people)
        for person in people:
            box = None if person.image in missing else one.boxes.box_px(person)
            if box is not None:
                kept.append(SelectedPerson(one, person, box))
            else:
                reason = MISSING if person.image in missing else RULES[one.boxes.rule_of(person.split)]
                skipped.append(SkippedPerson.from_person(one.source.name, person, reason))
    if not kept:
        names = ", ".join(one.source.name for one in sets)
        first = f"; {skipped[0].where}: {skipped[0].reason}" if skipped else ": data.source annotates nobody"
        raise UserError(f"{names}: none of {len(skipped)} people is left to prepare{first}")
    for one in sets:
        _check_box_rule(one, [member.person.split for member in kept if member.data_set is one], skipped)
    return kept, skipped


def undetected_people(sets: Sequence[DataSet], skipped: Sequence[SkippedPerson]) -> list[SelectedPerson]:
    """Return the test people who are left out because they have no box, with boxes of NaN.

    A protocol may count their joints as wrong.
    """
    missed = {(person.set, person.where) for person in skipped if person.reason in RULES.values()}
    return [
        SelectedPerson(one, person, np.full(4, np.nan))
        for one in sets
        for person in one.source.people()
        if person.split == "test" and (one.source.name, annotation_place(person)) in missed
    ]


def count_people(
    members: Sequence[SelectedPerson], skipped: Sequence[SkippedPerson], set_name: str | None = None
) -> dict[str, int]:
    """Count the selected and the annotated people, by split, of the set `set_name`, or of all sets if it is None."""
    kept = [member.person.split for member in members if set_name in (None, member.data_set.source.name)]
    lost = [person.split for person in skipped if set_name in (None, person.set)]
    return {
        "people": len(kept),
        **{split: kept.count(split) for split in ("train", "test")},
        **{f"annotated_{split}": kept.count(split) + lost.count(split) for split in ("train", "test")},
    }


def count_reasons(skipped: Sequence[SkippedPerson], set_name: str | None = None) -> dict[str, dict[str, int]]:
    """Return reason -> split -> number of people left out, of the set `set_name`, or of all sets if it is None.

    Reasons that are equal up to their first colon are counted together.
    """
    found: dict[str, dict[str, int]] = {}
    for person in skipped:
        if set_name in (None, person.set):
            splits = found.setdefault(person.reason.partition(":")[0], {"train": 0, "test": 0})
            splits[person.split] += 1
    return dict(sorted(found.items()))


def box_statistics(members: Sequence[SelectedPerson]) -> Mapping[str, Any]:
    """Return minimum, quartiles and maximum of the boxes' widths and heights, in pixels."""
    sides = np.stack([member.box_px[2:] - member.box_px[:2] for member in members])
    quartiles = np.percentile(sides, [0, 25, 50, 75, 100], axis=0).round(1)
    return {"width_px": quartiles[:, 0].tolist(), "height_px": quartiles[:, 1].tolist()}


def _check_box_rule(data_set: DataSet, kept_splits: Sequence[str], skipped: Sequence[SkippedPerson]) -> None:
    """Raise UserError if the box rule gives nobody of a split a box: it is the wrong rule, or a file is missing.

    Args:
        kept_splits: the split of each selected person of the set.
        skipped: the people left out, of all sets.
    """
    for split in ("train", "test"):
        reason = RULES[data_set.boxes.rule_of(split)]
        lost = sum(s.set == data_set.source.name and s.split == split and s.reason == reason for s in skipped)
        if lost and split not in kept_splits:
            raise UserError(
                f"{data_set.source.name}: none of {lost} {split} people has a box by data.boxes.{split}="
                f"{data_set.boxes.rule_of(split)} ({reason}); choose another of {', '.join(RULES)}"
            )


def _check_not_fractions(people: Sequence[Person]) -> None:
    """Raise UserError if all known joints are between 0 and 1: they are then fractions of the image, not pixels."""
    known = [person.joints_px[~np.isnan(person.joints_px)] for person in people]
    every = np.concatenate(known) if known else np.empty(0)
    if every.size and every.min() >= 0 and every.max() <= 1:
        raise UserError(
            f"{people[0].where}: all joints of this set lie between 0 and 1, like shares of the image; labels must be "
            "pixels: multiply x by the image's width and y by its height"
        )


def _check_missing_images(set_name: str, people_without_image: Sequence[Person], allow_missing: bool) -> None:
    """Raise UserError if images are missing and that is not allowed."""
    if people_without_image and not allow_missing:
        splits, first = [person.split for person in people_without_image], people_without_image[0]
        raise UserError(
            f"{set_name}: {len({person.image for person in people_without_image})} images are missing, those of "
            f"{splits.count('train')} train and {splits.count('test')} test people, e.g. "
            f"{first.image} ({first.where}); add them, or go on without: data.allow_missing=true"
        )
