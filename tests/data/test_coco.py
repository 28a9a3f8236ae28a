"""The reader of COCO keypoint files: what each field becomes, and that nothing spoiled becomes a label."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

from hmlpe.data.record import Person, Source
from hmlpe.data.sources.coco import CocoSource
from hmlpe.data.sources.own import split_by_name
from hmlpe.skeleton import Skeleton

from .own_sets import CLIMBING, NAN, SHOULDERS, changed_bytes, outcome, refused, same_joints, write_images

KEYPOINTS = ["nose", "left_shoulder", "right_shoulder", "left_wrist", "left_hip", "right_hip"]
JOINTS = {
    "head": "nose", "left_shoulder": "left_shoulder", "right_shoulder": "right_shoulder",
    "neck": ["left_shoulder", "right_shoulder"], "left_wrist": "left_wrist",
}  # fmt: skip
Content = dict[str, Any]


def annotation(key: int, image: int, dx: float = 0, **changes: Any) -> Content:
    """A person; a change to `...` leaves the field out."""
    points = [(30 + dx, 10, 2), (40 + dx, 20, 2), (20 + dx, 22, 2), (45 + dx, 50, 1), (37 + dx, 60, 2), (0, 0, 0)]
    record = {
        "id": key, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": [15 + dx, 5, 40, 70],
        "keypoints": [number for point in points for number in point], **changes,
    }  # fmt: skip
    return {name: value for name, value in record.items() if value is not ...}


def content(*annotations: Content, names: tuple[str, ...] = ("a.png", "deep/b.png", "c.png")) -> Content:
    return {
        "info": {"year": 2024},
        "images": [{"id": place, "file_name": name, "width": 6} for place, name in enumerate(names, start=10)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(KEYPOINTS), "skeleton": [[1, 2]]}],
        "annotations": list(annotations) or [annotation(1, 10), annotation(2, 10, 7), annotation(3, 11, 3.5)],
    }


def write(path: Path, value: Content | str | bytes) -> str:
    data = value if isinstance(value, str | bytes) else json.dumps(value)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


Coco = Callable[..., CocoSource]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the images of `content`, and is where the tests write their files."""
    folder = tmp_path_factory.mktemp("coco")
    write_images(folder / "images", "a.png", "deep/b.png", "c.png")
    return folder


@pytest.fixture(scope="module")
def coco(folder: Path) -> Coco:
    """Write the file, and give its reader."""

    def make(value: Content | str | bytes | None = None, **options: Any) -> CocoSource:
        train = write(folder / "train.json", content() if value is None else value)
        settings: Content = {"skeleton": SHOULDERS, "images": str(folder / "images"), "train": train, "test": None}
        settings |= {"joints": JOINTS, "test_fraction": 0.5, **options}
        return CocoSource("mine", **settings)

    return make


def only(source: CocoSource) -> Person:
    (person,) = source.people()
    return person


def test_keypoints_become_joints(coco: Coco, folder: Path) -> None:
    source = coco(content(annotation(7, 11)), torso=["left_shoulder", "left_hip"], torso_swapped=["nose", "left_hip"])
    assert isinstance(source, Source) and source.name == "mine"
    person = only(source)
    np.testing.assert_array_equal(person.joints_px, [[30, 10], [40, 20], [20, 22], [30, 21], [45, 50]])
    assert person.occluded.tolist() == [False, False, False, False, True]
    np.testing.assert_array_equal(person.window_px, [14.5, 4.5, 54.5, 74.5])  # pixel i covers [i - 0.5, i + 0.5] here
    assert np.isnan(person.detection_px).all() and person.sticks_px.shape == (0, 4)
    assert (person.torso_px, person.torso_swapped_px) == pytest.approx((np.hypot(3, 40), np.hypot(7, 50)))
    assert (person.image, person.identity, person.faces_backwards) == ("deep/b.png", "", False)
    assert person.where == f"{folder / 'train.json'}, annotation 7"
    assert source.missing_images() == [] and source.image("deep/b.png").shape == (4, 6, 3)
    assert np.isnan(only(coco(content(annotation(7, 11)))).torso_px)


def test_a_mean_is_unknown_or_occluded_with_any_of_its_points(coco: Coco) -> None:
    def neck(*visible: int) -> tuple[bool, bool]:
        record = annotation(1, 10)
        record["keypoints"][5], record["keypoints"][8] = visible
        person = only(coco(content(record)))
        return bool(np.isfinite(person.joints_px[3]).all()), bool(person.occluded[3])

    assert neck(2, 2) == (True, False)
    assert neck(2, 1) == neck(1, 2) == neck(1, 1) == (True, True)
    assert {neck(0, 2)[0], neck(1, 0)[0], neck(0, 0)[0]} == {False}


@pytest.mark.parametrize(("left", "right", "back"), [(40, 20, False), (20, 40, True), (30, 30, False)])
def test_backwards_is_left_shoulder_left_of_right(coco: Coco, left: float, right: float, back: bool) -> None:
    record = annotation(1, 10)
    record["keypoints"][3], record["keypoints"][6] = left, right
    assert only(coco(content(record))).faces_backwards is back
    record["keypoints"][5] = 0
    assert only(coco(content(record))).faces_backwards is False
    headless = coco(content(record), skeleton=Skeleton(["head"], {}), joints={"head": "nose"})
    assert only(headless).faces_backwards is False


def test_who_is_left_out_is_counted(coco: Coco) -> None:
    value = content(
        annotation(1, 10), annotation(2, 10, iscrowd=1, keypoints=[0] * 18), annotation(3, 11, keypoints=[0] * 18),
        annotation(4, 11, category_id=2, keypoints=...), annotation(5, 11, category_id="hand", keypoints=[3, 4, 2]),
        annotation(6, 11, keypoints=[0] * 12 + [3, 4, 2] * 2), annotation(7, 11, iscrowd=..., bbox=...),
    )  # fmt: skip
    value["categories"] += [{"id": 2, "name": "car"}, {"id": "hand", "keypoints": ["thumb"]}]
    source = coco(value)
    assert source.skipped() == {"a crowd": 1, "no joint is known": 3, "of a category without keypoints": 1}
    assert [p.where.rpartition(" ")[2] for p in source.people()] == ["1", "7"]
    assert np.isnan(source.people()[1].window_px).all()


def test_categories_differ(coco: Coco) -> None:
    value = content(annotation(1, 10), annotation(2, 10, category_id=2, keypoints=[1, 2, 2, 3, 4, 2]))
    value["categories"].append({"id": 2, "keypoints": ["left_wrist", "nose"]})
    joints = coco(value).people()[1].joints_px
    np.testing.assert_array_equal(joints, [[3, 4], [NAN] * 2, [NAN] * 2, [NAN] * 2, [1, 2]])


def test_two_files_are_the_split(coco: Coco, folder: Path) -> None:
    test = write(folder / "test.json", content(annotation(1, 12)))
    source = coco(test=test, test_fraction=None)
    assert [(p.image, p.split) for p in source.people()] == [
        ("a.png", "train"), ("a.png", "train"), ("deep/b.png", "train"), ("c.png", "test"),
    ]  # fmt: skip
    assert [p.name for p in source.annotation_files()] == ["train.json", "test.json"]
    before = source.fingerprint()
    write(folder / "test.json", content(annotation(1, 12, 1)))
    assert coco(test=test, test_fraction=None).fingerprint() != before
    for options in (
        {"test": test},
        {"test_fraction": None},
        {"test": str(folder / "train.json"), "test_fraction": None},
    ):
        with refused("data.source.test"):
            coco(**options)


@pytest.mark.parametrize("share", [0, 1, -1, 1.5, NAN, True, "0.5", None])
def test_a_share_for_testing_is_between_0_and_1(coco: Coco, share: object) -> None:
    with refused("data.source.test_fraction"):
        coco(test_fraction=share)


@given(names=st.lists(st.text(min_size=1), min_size=1, unique=True), share=st.floats(0.01, 0.99))
def test_an_image_keeps_its_split_whatever_is_added(names: list[str], share: float) -> None:
    splits = {name: split_by_name(name, share) for name in names}
    for name in names:
        assert splits[name] == split_by_name(name, share)
        assert splits[name] == "train" or split_by_name(name, min(1.0, share + 0.1)) == "test"


def test_the_share_is_met() -> None:
    for share in (0.1, 0.5):
        tested = [split_by_name(f"images/{i:06d}.jpg", share) == "test" for i in range(4000)]
        assert abs(np.mean(tested) - share) < 0.03


def test_people_of_an_image_are_in_one_split(coco: Coco) -> None:
    names = tuple(f"{i}.png" for i in range(40))
    people = coco(content(*(annotation(i, 10 + i % 40) for i in range(80)), names=names)).people()
    assert {p.split for p in people} == {"train", "test"}
    assert [p.split for p in people[:40]] == [p.split for p in people[40:]]
    assert all(p.split == split_by_name(p.image, 0.5) for p in people)


def test_fingerprint_is_of_all_that_people_depend_on(coco: Coco) -> None:
    prints = [
        coco().fingerprint(), coco(test_fraction=0.4).fingerprint(), coco(torso=["nose", "left_hip"]).fingerprint(),
        coco(joints={**JOINTS, "head": "left_hip"}).fingerprint(), coco(content(annotation(1, 10))).fingerprint(),
    ]  # fmt: skip
    assert len(set(prints)) == 5 and coco().fingerprint() == prints[0]


def test_shot(coco: Coco) -> None:
    """A field of an image: all its people are of that shot, and a share for testing takes whole shots."""
    value = content()
    for image, shot in zip(value["images"], ("dive 1", None, "Änne"), strict=True):
        image["shot"] = shot
    assert [p.shot for p in coco(value).people()] == ["dive 1", "dive 1", ""]
    for shot in (5, ["a"], "a\nb"):
        value["images"][1]["shot"] = shot
        with refused("image 11", "'shot'"):
            coco(value).people()
    value = content(*(annotation(i, 10 + i) for i in range(60)), names=tuple(f"{i}.png" for i in range(60)))
    for place, image in enumerate(value["images"]):
        image["shot"] = f"shot {place % 12}"
    people = coco(value).people()
    splits = {shot: {p.split for p in people if p.shot == shot} for shot in {p.shot for p in people}}
    assert len(splits) == 12 and all(len(split) == 1 for split in splits.values())
    assert set().union(*splits.values()) == {"train", "test"}


def test_identity(coco: Coco) -> None:
    assert only(coco(content(annotation(1, 10, identity="Änne")))).identity == "Änne"
    assert only(coco(content(annotation(1, 10, identity=None)))).identity == ""
    for identity in (5, ["a"], "a\nb"):
        with refused("annotation 1", "'identity'"):
            coco(content(annotation(1, 10, identity=identity))).people()


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"joints": {"head": "snout"}}, ["data.source.joints.head", "'snout'", "nose, left_shoulder"]),
        ({"joints": {"neck": ["nose", "snout"]}}, ["data.source.joints.neck", "'snout'", "nose"]),
        ({"joints": {"tail": "nose"}}, ["data.source.joints", "'tail'", "head, left_shoulder"]),
        *(({"joints": joints}, ["data.source.joints"]) for joints in (None, {}, [], "nose", {"head": None})),
        *(({"joints": {"head": names}}, ["data.source.joints"]) for names in (5, [], [5], ["nose"] * 2, {"nose": 1})),
        *(({"torso": pair}, ["data.source.torso:"]) for pair in ("nose", ["nose"], ["nose", "snout"], 5, ["nose"] * 2)),
        ({"torso_swapped": ["nose", "snout"]}, ["data.source.torso_swapped:", "'snout'", "left_hip"]),
        (  # the diagonal of the swapped hips, which is not MODEC's length
            {"torso": ["left_shoulder", "right_hip"], "torso_swapped": ["right_shoulder", "left_hip"]},
            ["data.source.torso_swapped:", "'right_hip'", "'left_hip'"],
        ),
        *(({"images": images}, ["data.source.images"]) for images in (None, "", 5, "/no/such", "a\0b", "x" * 9999)),
        *(({"train": train}, ["data.source.train"]) for train in (None, "", 5, "/no/such.json", "/dev/null", "/")),
        ({"test": "/no/such.json", "test_fraction": None}, ["data.source.test"]),
    ],
    ids=str,
)  # fmt: skip
def test_settings_of_no_use_are_named(coco: Coco, options: Content, parts: list[str]) -> None:
    with refused(*parts):
        coco(**options).people()


@pytest.mark.parametrize("name", [None, 5, "", " ", "a\nb"])
def test_a_set_has_a_name(folder: Path, name: object) -> None:
    with refused("data.source.name"):
        CocoSource(name, SHOULDERS, str(folder), str(folder / "train.json"), None, JOINTS, test_fraction=0.5)


def test_settings_may_come_from_a_configuration(coco: Coco) -> None:
    given = OmegaConf.create({"joints": {**JOINTS, "left_wrist": None}, "torso": ["nose", "left_hip"]})
    person = coco(**given).people()[0]
    assert np.isnan(person.joints_px[4]).all() and person.joints_px[3].tolist() == [30, 21]
    assert person.torso_px == pytest.approx(np.hypot(7, 50))


def test_paths_are_relative_to_where_the_program_runs(
    coco: Coco, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coco()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    for images, train in (("images", "train.json"), ("~/images", "~/train.json")):
        assert len(coco(images=images, train=train).people()) == 3


def at(value: Content, path: str) -> tuple[Any, Any]:
    """The container and the key that a path like annotations.1.bbox leads to."""
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        value = value[step]
    return value, last


@pytest.mark.parametrize(
    ("path", "values", "parts"),
    [
        ("annotations.1.keypoints", [5, "x", [1, 2, 2], [1] * 17, {}], ["annotation 2", "'keypoints'"]),
        (
            "annotations.1.keypoints.3",
            ["12", None, NAN, True, [], {}, 1e300, 10**400, -1e6],
            ["annotation 2", "keypoints"],
        ),
        ("annotations.1.keypoints.2", [3, -1, 1.5, "2", None], ["annotation 2"]),
        ("annotations.1.bbox", [5, {}, [1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, -4]], ["annotation 2", "'bbox'"]),
        ("annotations.1.image_id", [99, "99", "010", None, 10.0, True, [], {}], ["annotation 2", "image"]),
        ("annotations.1.category_id", [99, "one", None, 1.0, True, []], ["annotation 2", "category"]),
        ("annotations.1.iscrowd", [2, "0", "false", [], {}], ["annotation 2", "iscrowd"]),
        ("annotations.1.id", [1, None, 2.0, [], True], ["annotation", "id"]),
        ("annotations.1", [None, 5, [], "x"], ["'annotations'", "place 2"]),
        ("images.1.id", [10, None, 1.5, []], ["image", "id"]),
        ("images.1.file_name", ["a.png", "./a.png", ".//a.png", None, 5, [], *CLIMBING], ["image"]),
        ("images.1", [None, 5, []], ["'images'", "place 2"]),
        ("categories.0.keypoints", [5, "nose", [5], ["nose", "nose"], ["a\nb"], {"nose": 1}, [], None], ["keypoints"]),
        ("categories.0.id", [2, None, 1.0], ["category"]),
        *((key, [None, 5, {}, "x"], [f"'{key}'"]) for key in ("images", "annotations", "categories")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_spoiled_field_is_named(coco: Coco, path: str, values: list[Any], parts: list[str]) -> None:
    for value in values:
        spoiled = content()
        container, key = at(spoiled, path)
        container[key] = value
        with refused("train.json", *parts):
            coco(spoiled).people()


@pytest.mark.parametrize(
    "path",
    [
        "images.1.id", "images.1.file_name", "annotations.1.id", "annotations.1.image_id", "annotations.1.category_id",
        "images", "annotations", "categories", "categories.0.id",
    ],
)  # fmt: skip
def test_a_field_that_is_not_there_is_named(coco: Coco, path: str) -> None:
    spoiled = content()
    container, key = at(spoiled, path)
    del container[key]
    with refused("train.json", f"'{key}'", "missing"):
        coco(spoiled).people()


@pytest.mark.parametrize("listed", ["images", "annotations", "categories"])
def test_what_is_there_twice_is_refused(coco: Coco, listed: str) -> None:
    spoiled = content()
    spoiled[listed].append(deepcopy(spoiled[listed][0]))
    with refused("train.json", "twice"):
        coco(spoiled).people()


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "[]", "5", "null", "{", '{"images": [}', "[" * 100_000, '{"a":' * 100_000,
        '{"images": [], "images": [], "annotations": [], "categories": []}', "9" * 5000, '"\\ud800"', "{'a': 1}",
        '{"images": [], "annotations": [{"id": NaN}], "categories": []}', b"\xff\xfe{\x00}\x00", b'{"a": "\xe9"}',
    ],
    ids=lambda text: repr(text[:30]),
)  # fmt: skip
def test_what_is_no_such_json(coco: Coco, text: str | bytes) -> None:
    with refused("train.json"):
        coco(text).people()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e99", '"41.5"', "9" * 4000])
def test_numbers_that_are_none(coco: Coco, number: str) -> None:
    text = json.dumps(content(annotation(1, 10, 1.5)))
    assert text.count("41.5") == 1
    with refused("train.json"):
        coco(text.replace("41.5", number)).people()


def test_a_mark_of_utf_8_is_no_content(coco: Coco) -> None:
    assert len(coco(b"\xef\xbb\xbf" + json.dumps(content()).encode()).people()) == 3


@pytest.mark.parametrize("deep", [500, 900, 990])
def test_deep_values_in_a_field_are_refused_in_one_line(coco: Coco, deep: int) -> None:
    text = json.dumps(content(annotation(1, 10, 1.5))).replace("41.5", "[" * deep + "]" * deep)
    with refused("train.json"):
        coco(text).people()


# Properties


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused_wherever_it_is_cut(coco: Coco, share: float) -> None:
    data = json.dumps(content()).encode()
    with refused("train.json"):
        coco(data[: int(share * len(data))]).people()


@given(data=st.data(), encoding=st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_a_damaged_file_is_read_or_refused(coco: Coco, data: st.DataObject, encoding: str) -> None:
    spoiled = data.draw(changed_bytes(json.dumps(content(), indent=1).encode(encoding)))
    outcome(lambda: coco(spoiled).people(), "train.json")


@given(orders=st.tuples(*(st.permutations(range(count)) for count in (3, 3, 2))))
def test_swapped_records_are_the_same_people(coco: Coco, orders: tuple[list[int], ...]) -> None:
    value = content()
    value["categories"].append({"id": 2, "keypoints": ["nose", "tail"]})
    value["annotations"][2] |= {"category_id": 2, "keypoints": [5, 6, 2, 0, 0, 0]}
    before = coco(value).people()
    for key, order in zip(("images", "annotations", "categories"), orders, strict=True):
        value[key] = [value[key][place] for place in order]
    after = coco(value).people()
    assert all(same_joints(person, before[place]) for person, place in zip(after, orders[1], strict=True))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places of a JSON value, from the root on."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in inside for place in places(child, (*path, key)))]


JUNK = st.one_of(
    st.sampled_from([None, True, "", "x", "12", [], {}, -1, 0, 1, 2, 10, 11, 0.5, 1e300, 10**400, "../a.png", "a.png"]),
    st.floats(-200, 200), st.integers(-5, 20), st.lists(st.integers(0, 2), max_size=18),
)  # fmt: skip


def said(keypoints: list[float]) -> np.ndarray:
    """The joints that six keypoints mean, by JOINTS."""
    table = np.array(keypoints, dtype=float).reshape(6, 3)
    xy = np.where(table[:, 2:] > 0, table[:, :2], NAN)
    return np.stack([xy[0], xy[1], xy[2], (xy[1] + xy[2]) / 2, xy[3]])


@given(data=st.data())
def test_only_what_is_spoiled_can_change(coco: Coco, data: st.DataObject) -> None:
    """A value is replaced anywhere: the file is refused, or read as it says, and everyone else as before."""
    value = content()
    before = {p.where: p for p in coco(value).people()}
    path = data.draw(st.sampled_from([place for place in places(value) if len(place) > 1]))
    container = value
    for step in path[:-1]:
        container = container[step]
    container[path[-1]] = data.draw(JUNK)
    after = outcome(lambda: coco(value).people(), "train.json") or []
    spoiled = value["annotations"][path[1]] if path[0] == "annotations" else {"id": None}
    for person in after:
        if person.where.endswith(f"annotation {spoiled['id']!r}"):
            np.testing.assert_allclose(person.joints_px, said(spoiled["keypoints"]))
            assert person.image == {10: "a.png", 11: "deep/b.png", 12: "c.png"}[int(spoiled["image_id"])]
        else:
            np.testing.assert_array_equal(person.joints_px, before[person.where].joints_px)
            assert path[0] == "images" or person.image == before[person.where].image


def test_one_person_is_in_one_split_whatever_the_images(coco: Coco) -> None:
    names = tuple(f"{i}.png" for i in range(60))
    people = coco(content(*(annotation(i, 10 + i, identity=f"dog {i % 12}") for i in range(60)), names=names)).people()
    splits = {name: {p.split for p in people if p.identity == name} for name in {p.identity for p in people}}
    assert all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "test"}


def test_an_image_of_another_size_than_stated_is_refused(folder: Path, coco: Coco) -> None:
    for size, fits in (((6, 4), True), ((4, 6), False), ((60, 40), False)):
        value = content()
        for image in value["images"]:
            image |= {"width": size[0], "height": size[1]}
        if fits:
            assert coco(value).image("a.png").shape == (4, 6, 3)
        else:
            with refused("a.png", "6 x 4", f"{size[0]} x {size[1]}"):
                coco(value).image("a.png")


def test_a_photo_is_turned_upright_as_its_file_says(folder: Path, coco: Coco) -> None:
    stored = np.zeros((4, 6, 3), np.uint8)
    stored[0, :] = (0, 0, 255)  # the stored top is the right side of the upright picture
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(folder / "images" / "turned.png", exif=exif)
    value = content(annotation(1, 10), names=("turned.png",))
    value["images"][0] |= {"width": 4, "height": 6}
    upright = coco(value).image("turned.png")
    assert upright.shape == (6, 4, 3) and (upright[:, -1] == (0, 0, 255)).all() and not upright[:, 0].any()
