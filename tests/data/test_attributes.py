"""Attributes of people: from a field or a column to the sample, and nothing of them where there are none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

from hmlpe.cli.prepare import pack_summary
from hmlpe.data.augment import Augmentation
from hmlpe.data.boxes import BoxRule
from hmlpe.data.collection import configured_attributes
from hmlpe.data.datamodule import PoseDataModule
from hmlpe.data.dataset import PeopleDataset, random_batch
from hmlpe.data.pack import Labels, labels_of, open_pack
from hmlpe.data.prepare import prepare
from hmlpe.data.record import Attribute, Source, attributes_of
from hmlpe.data.selection import DataSet
from hmlpe.data.sheet import draw_sheet
from hmlpe.data.sources.coco import CocoSource
from hmlpe.data.sources.own import OwnSource
from hmlpe.data.sources.table import TableSource
from hmlpe.errors import UserError
from hmlpe.settings import DataSettings
from hmlpe.skeleton import Skeleton
from hmlpe.training.build import check_pack_settings
from hmlpe.windows import WindowGrid

from .conftest import CONF, Watched
from .own_sets import NAN, changed_bytes, one_line, outcome, refused

PAIR = Skeleton(["head", "left_ear", "right_ear"], {"top": ["left_ear", "right_ear"]}, [["left_ear", "right_ear"]])
BOXES = BoxRule("truth", "truth", (1.0, 0.0, 0.0), 0.2)
FACING = {"field": "facing", "classes": ["left", "right"]}
WANTED = {"facing": FACING, "age": {"field": "years"}}
Values = Mapping[str, Any]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images; the last two test. Of one colour, so that none has a hash."""
    folder = tmp_path_factory.mktemp("own") / "photos"
    folder.mkdir()
    for number in range(8):
        Image.new("RGB", (60, 40), "teal").save(folder / f"{number}.bmp")
    return folder


Reader = Callable[..., OwnSource]


def coco(photos: Path, values: Sequence[Values], nested: bool = False, **options: Any) -> CocoSource:
    """One person an image, whose annotation holds the values, in its object "attributes" if nested."""

    def content(numbers: Sequence[int]) -> dict[str, Any]:
        said = [{"attributes": dict(values[n])} if nested else dict(values[n]) for n in numbers]
        return {
            "images": [{"id": n, "file_name": f"{n}.bmp"} for n in numbers],
            "categories": [{"id": 1, "keypoints": list(PAIR.joints)}],
            "annotations": [
                {"id": n, "image_id": n, "category_id": 1, "keypoints": [30 + n, 8, 2, 40, 20, 1, 20, 22, 2], **own}
                for n, own in zip(numbers, said, strict=True)
            ],
        }

    cut, files = max(1, len(values) - 2), {}
    for split, numbers in (("train", range(cut)), ("test", range(cut, len(values)))):
        files[split] = str(photos.parent / f"{split}.json")
        Path(files[split]).write_text(json.dumps(content(numbers)))
    return CocoSource("dogs", PAIR, str(photos), joints={name: name for name in PAIR.joints}, **{**files, **options})


def table(photos: Path, values: Sequence[Values], **options: Any) -> TableSource:
    """The same as a table, with a column for every key."""
    columns = list(dict.fromkeys(key for one in values for key in one))
    lines = [",".join(["image,person,joint,x,y,visible,split", *columns])]
    for number, one in enumerate(values):
        split = "train" if number < max(1, len(values) - 2) else "test"
        cells = ["" if one.get(key) is None else str(one[key]) for key in columns]
        for joint in (f"head,{30 + number},8,1", "left_ear,40,20,0", "right_ear,20,22,1"):
            lines.append(",".join([f"{number}.bmp,1,{joint},{split}", *cells]))
    path = photos.parent / "labels.csv"
    path.write_text("\n".join([*lines, ""]))
    return TableSource("dogs", PAIR, str(photos), str(path), **options)


READERS: dict[str, Reader] = {
    "coco": coco,
    "cvat": lambda photos, values, **options: coco(photos, values, nested=True, **options),
    "csv": table,
}
PEOPLE: list[Values] = [
    {"facing": "left", "years": 3}, {"facing": "right", "years": 0.5}, {"facing": None, "years": None},
    {"facing": "", "years": -2.0}, {"facing": "right", "years": 1e3}, {"facing": "nan", "years": NAN},
    {"facing": "left", "years": 7}, {"facing": "right", "years": None},
]  # fmt: skip
NUMBERS = np.array([[0, 3], [1, 0.5], [NAN, NAN], [NAN, -2], [1, 1000], [NAN, NAN], [0, 7], [1, NAN]])
ATTRIBUTES = (Attribute("facing", ("left", "right")), Attribute("age"))


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest, photos: Path) -> Callable[..., OwnSource]:
    read = READERS[request.param]
    return lambda values=PEOPLE, **options: read(photos, values, **{"attributes": WANTED, **options})


def numbers_of(source: Source) -> np.ndarray:
    return np.array([[person.attributes[one.name] for one in attributes_of(source)] for person in source.people()])


def make(sets: Source | Sequence[Source], folder: Path) -> tuple[dict[str, Any], bool]:
    given = [sets] if isinstance(sets, Source) else sets
    return prepare([DataSet(one, BOXES) for one in given], PAIR, folder, 32, 28, workers=1)


# The readers


def test_what_a_field_or_a_column_says(reader: Reader) -> None:
    source = reader()
    assert attributes_of(source) == ATTRIBUTES
    np.testing.assert_array_equal(numbers_of(source), NUMBERS)
    assert not source.skipped()  # no column of an attribute is an unknown one
    assert all(isinstance(value, float) for person in source.people() for value in person.attributes.values())
    given = OmegaConf.create({"attributes": WANTED})  # as the configuration gives it
    np.testing.assert_array_equal(numbers_of(reader(attributes=given.attributes)), NUMBERS)


def test_nobody_asked(reader: Reader) -> None:
    for nothing in (None, {}):
        source = reader(attributes=nothing)
        assert attributes_of(source) == () and all(not person.attributes for person in source.people())


def test_words_as_tools_write_them(reader: Reader) -> None:
    """A class may be a number or a truth; a 1 may be 1.0, and letters composed or not."""
    for classes, said in (([1, 2], [1, 2.0, "1", " 2 "]), (["\u00e4", "b"], ["a\u0308", "b", "\u00e4", "b"])):
        people = [{"facing": one} for one in said]
        source = reader(people, attributes={"kind": {"field": "facing", "classes": classes}})
        assert numbers_of(source)[:, 0].tolist() == [0, 1, 0, 1]
    source = reader([{"facing": one} for one in ("2", "3.50", "1e2", "0")], attributes={"kind": {"field": "facing"}})
    assert numbers_of(source)[:, 0].tolist() == [2, 3.5, 100, 0]


def test_a_truth_of_json(photos: Path) -> None:
    people = [{"asleep": one} for one in (True, False, None, False)]
    kinds = {"asleep": {"field": "asleep", "classes": [False, True]}}
    np.testing.assert_array_equal(numbers_of(coco(photos, people, attributes=kinds))[:, 0], [1, 0, NAN, 0])
    with refused("train.json, annotation 0, field 'asleep'", "finite number", "'true'"):
        coco(photos, people, attributes={"asleep": {"field": "asleep"}}).people()


def test_an_annotations_own_field_comes_first(photos: Path) -> None:
    people = [{"facing": "left", "attributes": {"facing": "right", "years": 5}}, {"facing": "right"}, {"years": 1}]
    np.testing.assert_array_equal(numbers_of(coco(photos, people, attributes=WANTED)), [[0, 5], [1, NAN], [NAN, 1]])
    people = [{"attributes": nothing, "facing": "left", "years": 1} for nothing in (None, [], {}, {"occluded": False})]
    assert numbers_of(coco(photos, people, attributes=WANTED)).tolist() == [[0, 1]] * 4


@pytest.mark.parametrize("facing", ["up", "Left", "left,", "0", "\u202eleft", "x" * 999])
def test_an_unknown_word(reader: Reader, facing: str) -> None:
    people = [PEOPLE[0], {"facing": facing.replace(",", ";"), "years": 1}, PEOPLE[0]]
    with refused("'facing'", "one of left, right", "data.source.attributes.facing.classes"):
        reader(people).people()


def test_where_an_unknown_word_stands(photos: Path) -> None:
    people = [PEOPLE[0], {"facing": "up", "years": 1}, PEOPLE[0], PEOPLE[1]]
    with refused("train.json, annotation 1, field 'facing': must be one of left, right", "got 'up'"):
        coco(photos, people, attributes=WANTED).people()
    with refused("labels.csv, line 5, column 'facing': must be one of left, right", "got 'up'"):
        table(photos, people, attributes=WANTED).people()


@pytest.mark.parametrize("years", ["three", "1e999", "inf", "-inf", "1;5", "0x1", "1_0", 1e39, "9" * 400])
def test_no_finite_number(reader: Reader, years: object) -> None:
    with refused("'years'", "a finite number"):
        reader([PEOPLE[0], {"facing": "left", "years": years}, PEOPLE[0]]).people()


@pytest.mark.parametrize("value", [[], ["left"], {}, {"left": 1}])
def test_no_word_at_all(photos: Path, value: object) -> None:
    with refused("train.json, annotation 0", "'facing'", "a text or a number"):
        coco(photos, [{"facing": value, "years": 1}], attributes=WANTED).people()
    if value:
        with refused("train.json, annotation 0", "'attributes'", "an object"):
            coco(photos, [{"attributes": "left", "facing": "left", "years": 1}], attributes=WANTED).people()


def test_lines_of_a_person_agree(photos: Path) -> None:
    table(photos, PEOPLE)
    path = photos.parent / "labels.csv"
    path.write_text(path.read_text().replace("left_ear,40,20,0,train,left,3", "left_ear,40,20,0,train,right,3"))
    source = TableSource("dogs", PAIR, str(photos), str(path), attributes=WANTED)
    with refused("labels.csv, line 3", "'facing' is 'right', but 'left' in line 2 of the same person"):
        source.people()
    assert TableSource("dogs", PAIR, str(photos), str(path), attributes={"age": WANTED["age"]}).people()


def test_a_field_that_nobody_has(photos: Path) -> None:
    wrong = {"age": {"field": "yaers"}}
    with refused("data.source.attributes.age.field", "'yaers'", "train.json", "'years'"):
        coco(photos, PEOPLE, attributes=wrong).people()
    with refused("labels.csv, line 1", "no column 'yaers'", "'years'"):
        table(photos, PEOPLE, attributes=wrong).people()


@pytest.mark.parametrize(
    ("attributes", "parts"),
    [
        *((value, ["data.source.attributes:"]) for value in ("facing", 5, ["facing"], True)),
        *(({name: FACING}, ["data.source.attributes:", "letters, digits"]) for name in ("", "a b", "1a", "ä", "a.b")),
        ({"a\nb": FACING}, ["data.source.attributes:"]),
        *(({"f": one}, ["data.source.attributes.f:", "field"]) for one in (None, "facing", [], {}, {"classes": ["a"]})),
        ({"f": {**FACING, "colour": 1}}, ["data.source.attributes.f:", "colour"]),
        *(({"f": {"field": one}}, ["data.source.attributes.f.field"]) for one in (None, "", " ", [], True)),
        *(
            ({"f": {**FACING, "classes": one}}, ["data.source.attributes.f.classes"])
            for one in ("left", [], {}, 5, ["a", "a"], ["a", ""], ["a", None], [["a"]], ["nan", "a"], [1, 1.0])
        ),
        ({"f": {**FACING, "classes": ["a\nb"]}}, ["data.source.attributes.f.classes"]),
    ],
    ids=str,
)  # fmt: skip
def test_settings_of_no_use_are_named(reader: Reader, attributes: object, parts: list[str]) -> None:
    with refused(*parts):
        reader(attributes=attributes)


@given(data=st.data(), read=st.sampled_from([coco, table]))
def test_damaged_files_are_read_or_refused(photos: Path, data: st.DataObject, read: Reader) -> None:
    """And nobody gets a number that the settings do not allow."""
    source = read(photos, PEOPLE, attributes=WANTED)
    path = source.annotation_files()[0]
    path.write_bytes(data.draw(changed_bytes(path.read_bytes())))
    for person in outcome(source.people) or []:
        assert all(one.allows(person.attributes[one.name]) for one in ATTRIBUTES)


# The pack


def test_a_pack_keeps_them(reader: Reader, tmp_path: Path) -> None:
    manifest, _ = make(reader(), tmp_path / "pack")
    assert manifest["version"] == 4
    assert manifest["attributes"] == [
        {"name": "facing", "classes": ["left", "right"]},
        {"name": "age", "classes": []},
    ]
    assert manifest["sets"]["dogs"]["attributes"] == {"facing": {"train": 3, "test": 2}, "age": {"train": 4, "test": 1}}
    pack = open_pack(tmp_path / "pack", PAIR)
    assert pack.attributes == ATTRIBUTES == pack.attributes_of("dogs") and pack.missed.attributes.shape == (0, 2)
    np.testing.assert_array_equal(pack.people.attributes, NUMBERS)
    both = pack.people.select_rows(np.array([7])).concatenate(pack.people.select_rows(np.array([0])))
    np.testing.assert_array_equal(both.attributes, NUMBERS[[7, 0]])
    said = pack_summary(tmp_path / "pack", "prepared", manifest).splitlines()
    assert said[1:] == [
        "  attribute facing (left, right): known for 3 of 6 train and 2 of 2 test people",
        "  attribute age: known for 4 of 6 train and 1 of 2 test people",
    ]
    assert make(reader(), tmp_path / "pack")[1]


@pytest.mark.parametrize(
    ("read", "digest", "fingerprint"),
    [(table, "a6ff0d377b06e3c2", "06b188b1ac8bf16b"), (coco, "e19e3d84d35eb3c7", "c296c1eec70e7153")],
)
def test_without_any_a_pack_is_what_it_was(
    photos: Path, tmp_path: Path, read: Reader, digest: str, fingerprint: str
) -> None:
    """The digests are those of the version before there were attributes."""
    manifest, _ = make(read(photos, PEOPLE, attributes=None), tmp_path / "pack")
    assert (manifest["digest"], manifest["fingerprint"]) == (digest, fingerprint)
    with np.load(tmp_path / "pack" / "people.npz") as arrays:
        assert "attributes" not in arrays
    assert "attributes" not in json.dumps(manifest)
    assert "attribute" not in pack_summary(tmp_path / "pack", "prepared", manifest)
    pack = open_pack(tmp_path / "pack", PAIR)
    assert pack.attributes == () and pack.people.attributes.shape == (8, 0) and pack.missed.attributes.shape == (0, 0)


def test_a_pack_and_its_manifest_disagree(reader: Reader, tmp_path: Path) -> None:
    make(reader(), tmp_path / "pack")
    path = tmp_path / "pack" / "manifest.json"
    manifest = json.loads(path.read_text())
    for spoiled in ([], manifest["attributes"][:1], [{"name": "age"}] * 2, [5, 5], 5):
        path.write_text(json.dumps({**manifest, "attributes": spoiled}))
        with pytest.raises(UserError) as raised:
            open_pack(tmp_path / "pack", PAIR)
        assert str(tmp_path / "pack") in one_line(raised.value)


def test_other_attributes_make_another_pack(reader: Reader, tmp_path: Path) -> None:
    known = set()
    for attributes in (
        WANTED, None, {"facing": FACING}, {"facing": {**FACING, "classes": ["right", "left"]}},
        {"way": FACING}, {"facing": {**FACING, "classes": ["left", "right", "up"]}},
        {"facing": {"field": "years"}},
    ):  # fmt: skip
        manifest, was_there = make(reader(attributes=attributes), tmp_path / "pack")
        assert not was_there
        known.add(manifest["fingerprint"])
    assert len(known) == 7
    other = [{**one, "other": one["years"]} for one in PEOPLE]
    prints = {reader(other, attributes={"age": {"field": field}}).fingerprint() for field in ("years", "other")}
    assert len(prints) == 2


class Named(Watched):
    """A source of another name, that says what its people carry along."""

    @property
    def attributes(self) -> Sequence[Attribute]:
        return attributes_of(self.source)


def test_sets_of_several_attributes(photos: Path, tmp_path: Path) -> None:
    """By name; a set that has none of it leaves it unknown, whether it says what it has or not."""
    kind = {"kind": {"field": "kind", "classes": ["cat", "dog"]}, "age": {"field": "years"}}
    first = Named(table(photos, PEOPLE, attributes=WANTED), name="one")
    first.people()  # the next table is written in its place
    second = Named(table(photos, [{**one, "kind": "dog"} for one in PEOPLE], attributes=kind), name="two")
    third = Watched(coco(photos, PEOPLE, attributes=None), name="three")
    manifest, _ = make([third, first, second], tmp_path / "pack")
    pack = open_pack(tmp_path / "pack", PAIR)
    assert [one.name for one in pack.attributes] == ["facing", "age", "kind"]
    expected = np.full((24, 3), NAN)
    expected[8:16, :2], expected[16:, 1], expected[16:, 2] = NUMBERS, NUMBERS[:, 1], 1
    np.testing.assert_array_equal(pack.people.attributes, expected)
    assert "attributes" not in manifest["sets"]["three"]
    assert [one.name for one in pack.attributes_of("two")] == ["age", "kind"] and pack.attributes_of("three") == ()
    said = pack_summary(tmp_path / "pack", "prepared", manifest).splitlines()
    assert "  attribute age: known for 8 of 18 train and 2 of 6 test people" in said


@pytest.mark.parametrize("classes", [["right", "left"], ["left"], None])
def test_one_name_of_two_meanings(photos: Path, tmp_path: Path, classes: list[str] | None) -> None:
    first = Named(coco(photos, PEOPLE, attributes=WANTED), name="one")
    first.people()
    people = [{"facing": 1}] * 4 if classes is None else [{"facing": "left"}] * 4
    other = Named(table(photos, people, attributes={"facing": {"field": "facing", "classes": classes}}), name="two")
    said = ", ".join(classes) if classes else "numbers"
    with refused("data.source.attributes.facing", f"left, right in one and {said} in two"):
        make([first, other], tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


@pytest.mark.parametrize(
    ("attributes", "parts"),
    [
        ({"colour": 1.0}, ["no attribute 'colour'"]), ({"facing": 2.0}, ["'facing' must be left, right"]),
        ({"facing": 0.5}, ["'facing'"]), ({"facing": -1.0}, ["'facing'"]), ({"age": float("inf")}, ["must be numbers"]),
    ],
)  # fmt: skip
def test_a_reader_that_breaks_its_word(
    photos: Path, tmp_path: Path, attributes: dict[str, float], parts: list[str]
) -> None:
    """A reader of the user's own may say anything; who, and what, is named."""

    class Lying(Named):
        def people(self) -> list[Any]:
            return [replace(person, attributes=attributes) for person in super().people()]

    with refused("train.json, annotation 0", "see the attributes of lying", *parts):
        make(Lying(coco(photos, PEOPLE, attributes=WANTED), name="lying"), tmp_path / "pack")


# The sample


def module(folder: Path, skeleton: Skeleton = PAIR, **settings: Any) -> PoseDataModule:
    augmentation = Augmentation([A.RandomCrop(28, 28)], 0.5, skeleton)
    return PoseDataModule(**{
        "pack": str(folder), "skeleton": skeleton, "augmentation": augmentation, "size_px": 28, "sides": "person",
        "use_occluded": True, "validation_fraction": 0.2, "split_seed": 0, "subset": None, "batch_size": 2,
        "workers": 0, "seed": 1, **settings,
    })  # fmt: skip


def test_a_sample_says_all_that_a_task_may_need(reader: Reader, tmp_path: Path) -> None:
    make(reader(), tmp_path / "pack")
    data = module(tmp_path / "pack")
    assert data.attributes == ATTRIBUTES
    sides = set()
    for dataset, epochs in ((data.augmented, 8), (data.plain["test"], 1), (data.plain["train"], 1)):
        for epoch in range(epochs):
            for index, row in enumerate(dataset.rows):
                sample = dataset[epoch, index]
                mirrored = sample["mirrored"].item()
                np.testing.assert_array_equal(sample["attributes"], NUMBERS[row].astype(np.float32))
                assert sample["occluded"].tolist() == [False, not mirrored, mirrored]  # the left ear, seen as the right
                assert (sample["joints_px"][1, 0] > sample["joints_px"][2, 0]).item()  # and so are the joints
                sides.add((dataset is data.augmented, mirrored))
    assert sides == {(True, False), (True, True), (False, False)}
    batch = next(iter(data.train_dataloader()))
    assert batch["attributes"].shape == (2, 2) and batch["occluded"].shape == (2, 3) and batch["mirrored"].shape == (2,)
    noise = random_batch(2, 3, 2, 28)
    assert {key: (one.shape, one.dtype) for key, one in noise.items()} == {
        key: (one.shape, one.dtype) for key, one in batch.items()
    }


def some_labels(people: int = 3) -> tuple[np.ndarray, Labels]:
    rng = np.random.default_rng(14)
    crops = rng.integers(0, 256, (people, 128, 128, 3), dtype=np.uint8)
    joints = rng.integers(-20, 150, (people, 8, 2)).astype(float)
    joints[1, 4] = NAN
    box = np.tile([0.0, 0, 128, 128], (people, 1))
    return crops, Labels(joints, np.zeros((people, 8), bool), np.ones(people), box, np.zeros((people, 0)))


def test_views_are_those_of_before(skeleton: Skeleton) -> None:
    """Images and joints of twelve samples, by the version before views said whether they are mirrored."""
    crops, labels = some_labels()
    augmentation = Augmentation([A.RandomCrop(112, 112)], 0.5, skeleton)
    dataset = PeopleDataset(crops, labels, np.arange(3), augmentation, 5, 112)
    digest, sides = hashlib.sha256(), set()
    for epoch in range(4):
        for index in range(3):
            sample = dataset[epoch, index]
            sides.add(sample["mirrored"].item())
            for name in ("image", "joints_px"):
                digest.update(sample[name].numpy().tobytes())
    assert digest.hexdigest() == "3ae40a0236989dc83934a95f2d399b34c742195a729842c8c8cb547508650514"
    assert sides == {False, True}


def test_occlusion_follows_the_convention_of_sides(reader: Reader, tmp_path: Path) -> None:
    """With sides=image a person seen from behind has changed ears already, before the mirror changes them back."""
    make(reader(), tmp_path / "pack")
    data = module(tmp_path / "pack")
    for sides, left in (("person", True), ("image", False)):
        data.pack.people.faces_backwards[:] = True
        labels = labels_of(data.pack.people, PAIR, sides, True)
        dataset = PeopleDataset(data.pack.crops, labels, np.arange(8), data.augmented.augmentation, 1, 28)
        for epoch in range(6):
            sample = dataset[epoch, 0]
            seen_left = left != sample["mirrored"].item()
            assert sample["occluded"].tolist() == [False, seen_left, not seen_left]


# The settings of a run


def test_a_run_with_other_attributes_is_refused(photos: Path, tmp_path: Path) -> None:
    make(table(photos, PEOPLE, attributes=WANTED), tmp_path / "pack")
    pack = open_pack(tmp_path / "pack", PAIR)

    def config(attributes: object, **source: Any) -> dict[str, Any]:
        boxes = {"_target_": "hmlpe.data.boxes.BoxRule", "_convert_": "all", **BOXES.as_dict()}
        shared = yaml.safe_load((CONF / "data" / "shared" / "base.yaml").read_text("utf-8"))
        own = {"name": "dogs", "pack": "a/pack", "crop_px": 32, "near_duplicates": None}
        return {**shared, **own, "boxes": boxes, "source": {"_target_": "x", "attributes": attributes, **source}}

    def check(data: dict[str, Any]) -> None:
        check_pack_settings(DataSettings.from_config(data), pack)

    check(config(WANTED))
    check(config(dict(reversed(WANTED.items()))))  # a task asks by name
    for attributes in (None, {"age": WANTED["age"]}, {**WANTED, "kind": FACING}, {**WANTED, "facing": WANTED["age"]}):
        with refused(
            "data.source.attributes", "a/pack", "of dogs", "facing: left, right; age: numbers", "hmlpe-prepare"
        ):
            check(config(attributes))
    with refused("data.source.attributes.facing"):
        check(config({"facing": 5}))
    other = config(WANTED)
    del other["source"]["attributes"]  # a reader that has no such setting says itself what it carries along
    check(other)
    data = DataSettings.from_config({**other, "known": {"dogs": other, "cats": config(WANTED)}, "sets": None})
    assert configured_attributes(data, ["dogs", "cats", "birds"]) == {"cats": ATTRIBUTES}


def test_the_sheet_says_what_is_known(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(table(photos, PEOPLE, attributes=WANTED), tmp_path / "pack")
    pack, titles = open_pack(tmp_path / "pack", PAIR), []
    monkeypatch.setattr(
        "hmlpe.data.sheet.draw_labelled_crops", lambda views, *rest: titles.extend(view.title for view in views)
    )
    labels = module(tmp_path / "pack").augmented.labels
    draw_sheet(pack, labels, PAIR, WindowGrid(), [0, 1, 2, 7], tmp_path / "sheet.png")
    assert titles == [
        "dogs · train · row 0 · facing left · age 3", "dogs · train · row 1 · facing right · age 0.5",
        "dogs · train · row 2", "dogs · test · row 7 · facing right",
    ]  # fmt: skip
