"""Who goes into a pack, set by set, and why the others do not: counted, named, never lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import UInt8

from hmlpe.data.boxes import BoxRule
from hmlpe.data.record import Person
from hmlpe.data.selection import (
    DataSet,
    SelectedPerson,
    SkippedPerson,
    box_statistics,
    count_people,
    count_reasons,
    parse_set_names,
    select_people,
)
from hmlpe.errors import UserError

NAN = float("nan")
BOX, NONE = np.array([10.0, 20, 30, 60]), np.full(4, NAN)
UNSEEN, HIDDEN, UNKNOWN = (
    "no detection of this person",
    "no window of this person",
    "too few joints are known for a box",
)
MISSING = "image is missing"


@dataclass
class Listed:
    """A set that is a list of people. Whoever selects has no business with its pixels."""

    name: str
    everyone: list[Person]
    absent: list[str] = field(default_factory=list)

    def people(self) -> Sequence[Person]:
        return self.everyone

    def missing_images(self) -> Sequence[str]:
        return self.absent

    def skipped(self) -> Mapping[str, int]:
        return {}

    def fingerprint(self) -> str:
        return self.name

    def image(self, name: str) -> UInt8[np.ndarray, "height width 3"]:
        raise AssertionError(f"{name} was read")


def someone(image: str, split: str = "train", detection: np.ndarray = BOX, window: np.ndarray = BOX) -> Person:
    joints = np.array([(12.0, 25), (28, 45)])
    return Person(
        image=image, where=f"/some/folder/people.txt, record {image}", split=split, joints_px=joints,
        occluded=np.zeros(2, dtype=bool), detection_px=detection, torso_px=NAN, sticks_px=np.zeros((0, 4)),
        faces_backwards=False, window_px=window,
    )  # fmt: skip


def data_set(name: str, *people: Person, absent: Sequence[str] = (), **rule: Any) -> DataSet:
    boxes = {"train": "detection", "test": "detection", "factors": (1.0, 0.0, 0.0), "margin": 0.1, **rule}
    return DataSet(Listed(name, list(people), list(absent)), BoxRule(**boxes))


def names(members: Sequence[SelectedPerson]) -> list[str]:
    return [member.image for member in members]


@pytest.fixture
def two() -> list[DataSet]:
    """Of "x" one has no detection and two no image, one of whom has no detection either; "y" trains on windows."""
    return [
        data_set("x", someone("a"), someone("b", detection=NONE), someone("c", "test"), someone("d", "test", NONE),
                 someone("e"), someone("d"), absent=["d"]),
        data_set("y", someone("a", "test", window=NONE), someone("b", window=NONE), someone("a"), train="window",
                 factors=(2.0, 0.0, 0.0)),
    ]  # fmt: skip


def test_everyone_with_image_and_box_set_by_set_in_their_order(two: list[DataSet]) -> None:
    kept, skipped = select_people(two, allow_missing=True)
    assert names(kept) == ["x/a", "x/c", "x/e", "y/a", "y/a"]
    assert [member.data_set for member in kept] == [two[0]] * 3 + [two[1]] * 2
    assert kept[1].person is two[0].source.people()[2] and kept[4].person is two[1].source.people()[2]
    np.testing.assert_array_equal([member.box_px for member in kept], [BOX] * 3 + [[0, 20, 40, 60]] * 2)
    assert skipped == [
        SkippedPerson("x", "train", "b", "people.txt, record b", UNSEEN),
        SkippedPerson("x", "test", "d", "people.txt, record d", MISSING),  # and has no box; the image comes first
        SkippedPerson("x", "train", "d", "people.txt, record d", MISSING),
        SkippedPerson("y", "train", "b", "people.txt, record b", HIDDEN),
    ]
    assert names(select_people(two[::-1], allow_missing=True)[0]) == ["y/a", "y/a", "x/a", "x/c", "x/e"]


def test_no_joints_no_box_of_the_truth() -> None:
    blank = someone("b")
    blank.joints_px[:] = NAN
    kept, skipped = select_people([data_set("x", someone("a"), blank, train="truth")], allow_missing=False)
    assert names(kept) == ["x/a"] and [one.reason for one in skipped] == [UNKNOWN]


def test_counts_and_reasons_of_each_set_and_of_all(two: list[DataSet]) -> None:
    kept, skipped = select_people(two, allow_missing=True)
    assert count_people(kept, skipped) == {
        "people": 5,
        "train": 3,
        "test": 2,
        "annotated_train": 6,
        "annotated_test": 3,
    }
    assert count_people(kept, skipped, "x") == {
        "people": 3, "train": 2, "test": 1, "annotated_train": 4, "annotated_test": 2,
    }  # fmt: skip
    assert count_people(kept, skipped, "y") == {
        "people": 2, "train": 1, "test": 1, "annotated_train": 2, "annotated_test": 1,
    }  # fmt: skip
    assert set(count_people(kept, skipped, "z").values()) == {0}
    assert count_reasons(skipped) == {
        MISSING: {"train": 1, "test": 1}, UNSEEN: {"train": 1, "test": 0}, HIDDEN: {"train": 1, "test": 0},
    }  # fmt: skip
    assert list(count_reasons(skipped)) == sorted([MISSING, UNSEEN, HIDDEN])
    assert count_reasons(skipped, "x") == {MISSING: {"train": 1, "test": 1}, UNSEEN: {"train": 1, "test": 0}}
    assert count_reasons(skipped, "y") == {HIDDEN: {"train": 1, "test": 0}} and count_reasons(skipped, "z") == {}


def test_a_reason_ends_before_the_colon() -> None:
    twins = [SkippedPerson("x", "train", str(i), "", f"near-duplicate of a test image: x/{i}:{i}") for i in range(3)]
    assert count_reasons(twins) == {"near-duplicate of a test image": {"train": 3, "test": 0}}


PEOPLE = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["train", "test"]), st.booleans(), st.booleans()), max_size=12
)


def fits_nobody(one: DataSet, split: str, absent: set[str]) -> bool:
    """Some of the split have an image, and none of them a box by the split's rule."""
    there = [person for person in one.source.people() if person.split == split and person.image not in absent]
    rule = "detection_px" if one.boxes.rule_of(split) == "detection" else "window_px"
    return bool(there) and all(np.isnan(getattr(person, rule)).all() for person in there)


@given(first=PEOPLE, second=PEOPLE, absent=st.sets(st.sampled_from("abcd")))
def test_nobody_is_lost(first: list[Any], second: list[Any], absent: set[str]) -> None:
    """Everyone annotated is kept or skipped, once; the counts of the sets add up to those of all.

    Unless the box rule of a split fits nobody in it: that is refused.
    """
    sets = [
        data_set(name, *(someone(image, split, BOX if d else NONE, BOX if w else NONE) for image, split, d, w in rows),
                 test=rule, absent=sorted(absent))
        for name, rows, rule in (("x", [("e", "train", True, True), *first], "detection"), ("y", second, "window"))
    ]  # fmt: skip
    if any(fits_nobody(one, split, absent) for one in sets for split in ("train", "test")):
        with pytest.raises(UserError, match=r"^[xy]: none of \d+ (train|test) people has a box by data\.boxes\."):
            select_people(sets, allow_missing=True)
        return
    kept, skipped = select_people(sets, allow_missing=True)
    found = [(member.data_set.source.name, member.person.image, member.person.split) for member in kept]
    found += [(one.set, one.image, one.split) for one in skipped]
    assert sorted(found) == sorted((s.source.name, p.image, p.split) for s in sets for p in s.source.people())
    whole, parts = count_people(kept, skipped), [count_people(kept, skipped, name) for name in "xy"]
    assert whole == {key: sum(part[key] for part in parts) for key in whole}
    lost = count_reasons(skipped)
    for split in ("train", "test"):
        assert whole[f"annotated_{split}"] - whole[split] == sum(reason[split] for reason in lost.values())


def test_missing_images_are_refused_unless_allowed(two: list[DataSet]) -> None:
    with pytest.raises(
        UserError, match=r"^x: 1 images are missing, those of 1 train and 1 test people, e\.g\. d "
    ) as e:
        select_people(two, allow_missing=False)
    assert "/some/folder/people.txt, record d" in str(e.value) and "data.allow_missing=true" in str(e.value)
    second = [two[1], data_set("z", someone("q"), absent=["q"])]
    with pytest.raises(UserError, match=r"^z: 1 images"):
        select_people(second, allow_missing=False)


def test_one_set_may_lose_everyone_but_not_all_sets() -> None:
    lost, there = data_set("x", someone("a"), absent=["a"]), data_set("y", someone("a"))
    kept, skipped = select_people([lost, there], allow_missing=True)
    assert names(kept) == ["y/a"] and [one.set for one in skipped] == ["x"]
    with pytest.raises(UserError, match=r"^x, z: none of \d+ people is left") as raised:
        select_people([lost, data_set("z", someone("b", detection=NONE))], allow_missing=True)
    assert "\n" not in str(raised.value) and "record a" in str(raised.value)


@pytest.mark.parametrize(
    ("rule", "reason"), [("detection", UNSEEN), ("window", HIDDEN), ("truth", UNKNOWN)], ids=lambda value: value
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_rule_that_fits_nobody_of_a_split_is_refused(split: str, rule: str, reason: str) -> None:
    """It is the wrong rule for the set, or its file is missing; to train on the rest would hide that."""
    good = {"train": "detection", "test": "detection", split: rule}
    other = someone("a", "test" if split == "train" else "train")
    blind = [someone(image, split, NONE, NONE) for image in "bcd"]
    for person in blind:
        person.joints_px[:] = NAN
    sets = [data_set("w", someone("a", split)), data_set("x", other, *blind, absent=["d"], **good)]
    with pytest.raises(
        UserError, match=rf"^x: none of 2 {split} people has a box by data\.boxes\.{split}={rule} "
    ) as e:
        select_people(sets, allow_missing=True)  # "d" has no image, whatever the rule; "w" does not stand in for "x"
    assert f"({reason})" in str(e.value) and "\n" not in str(e.value)
    kept, skipped = select_people([data_set("x", other, someone("e", split), *blind, absent=["d"], **good)], True)
    assert names(kept) == ["x/a", "x/e"] and [one.reason for one in skipped] == [reason, reason, MISSING]
    assert names(select_people([data_set("x", other, blind[2], absent=["d"], **good)], True)[0]) == [
        "x/a"
    ]  # lost, not blind


def test_an_impossible_box_is_no_skip() -> None:
    turned = someone("b", detection=BOX[[2, 3, 0, 1]])
    with pytest.raises(UserError, match="record b: the person's box"):
        select_people([data_set("x", someone("a"), turned)], allow_missing=True)


def test_box_statistics_are_quartiles() -> None:
    boxes = [np.array([5.0, 7, 5 + width, 7 + 2 * width]) for width in (40, 10, 20, 50, 30)]
    one = data_set("x")
    found = box_statistics([SelectedPerson(one, someone("a"), box) for box in boxes])
    assert found == {"width_px": [10.0, 20.0, 30.0, 40.0, 50.0], "height_px": [20.0, 40.0, 60.0, 80.0, 100.0]}
    single = box_statistics([SelectedPerson(one, someone("a"), np.array([0.0, 0, 12.345, 6]))])
    assert single == {"width_px": [12.3] * 5, "height_px": [6.0] * 5}


def test_names_of_sets_are_a_list_or_one_name() -> None:
    assert parse_set_names("flic", "data.sets") == ["flic"] and parse_set_names(["flic", "buffy"], "data.sets") == [
        "flic",
        "buffy",
    ]
    for bad in ([], "", [3], 3, ["flic", ""], {"flic": 1}):
        with pytest.raises(UserError, match=r"^data\.sets: must be a list of sets"):
            parse_set_names(bad, "data.sets")


def test_labels_that_are_shares_of_the_image_are_refused(two: list[DataSet]) -> None:
    shares = [replace(someone(name), joints_px=np.array([(0.2, 1.0), (0.4, NAN)])) for name in "ab"]
    with pytest.raises(UserError, match=r"people.txt, record a: all joints of this set lie between 0 and 1"):
        select_people([*two, data_set("z", *shares)], allow_missing=True)


def test_files_without_a_person_are_named_as_the_reason() -> None:
    with pytest.raises(UserError, match=r"^z: none of 0 people is left to prepare: data.source annotates nobody"):
        select_people([data_set("z")], allow_missing=False)
