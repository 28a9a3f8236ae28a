"""Own sets as labelling tools, spreadsheets and other file systems write them: read as they are meant, or refused."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from hmlpe.data.sources.coco import CocoSource
from hmlpe.data.sources.own import OwnSource, split_by_name
from hmlpe.data.sources.table import TableSource
from hmlpe.skeleton import Skeleton

from .own_sets import NAN, refused, write_images

KEYPOINTS = ["nose", "left_ear", "tail"]
SKELETON = Skeleton(["nose", "tail"], {"back": ["nose", "tail"]})
JOINTS = {"nose": "nose", "tail": "tail"}
Content = dict[str, Any]


def content(*names: str) -> Content:
    """One annotation an image, of points of its own."""
    return {
        "images": [{"id": place, "file_name": name, "width": 6, "height": 4} for place, name in enumerate(names)],
        "categories": [{"id": 1, "name": "dog", "keypoints": list(KEYPOINTS)}],
        "annotations": [
            {
                "id": 100 + place, "image_id": place, "category_id": 1, "iscrowd": 0, "bbox": [1, 1, 3, 2],
                "keypoints": [place, 1, 2, 2, 2, 1, 3, place, 2],
            }
            for place in range(len(names))
        ],
    }  # fmt: skip


def coco(folder: Path, train: Content, test: Content | None = None, **options: Any) -> CocoSource:
    """The files, and their reader."""
    (folder / "train.json").write_text(json.dumps(train))
    if test is not None:
        (folder / "test.json").write_text(json.dumps(test))
        options = {"test": str(folder / "test.json"), "test_fraction": None, **options}
    settings = {"images": str(folder / "photos"), "joints": JOINTS, "test": None, "test_fraction": 0.5}
    return CocoSource("mine", SKELETON, train=str(folder / "train.json"), **(settings | options))


def table(folder: Path, *names: str, **options: Any) -> TableSource:
    """A table of one person an image, and its reader."""
    lines = ["image,person,joint,x,y,visible", *(f"{name},1,nose,{place},1,1" for place, name in enumerate(names))]
    (folder / "labels.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    settings = {"images": str(folder / "photos"), "table": str(folder / "labels.csv"), "test_fraction": 0.5}
    return TableSource("mine", SKELETON, **(settings | options))


def colours(folder: Path, *names: str, first: int) -> None:
    """An image under each name, whose colour tells which it is."""
    for place, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), (first + place, 0, 0)).save(folder / name)


def seen(source: OwnSource) -> dict[tuple[str, float], int]:
    """Split and first joint's x -> the colour of the image on which it lies."""
    return {(p.split, float(p.joints_px[0, 0])): int(source.image(p.image)[0, 0, 0]) for p in source.people()}


# One name of two images


def test_each_part_has_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """COCO's layout and Roboflow's: every label lies on its own part's image, whatever the folders are called."""
    names = ("frame_0.png", "deep/frame_1.png")
    for train, test in (("a/train2017", "a/val2017"), ("train", "valid/photos"), ("all", "all/held_out")):
        colours(tmp_path / train, *names, first=10)
        colours(tmp_path / test, *names, first=90)
        folders = {"train": str(tmp_path / train), "test": str(tmp_path / test)}
        source = coco(tmp_path, content(*names), content(*names), images=folders)
        assert seen(source) == {("train", 0): 10, ("train", 1): 11, ("test", 0): 90, ("test", 1): 91}
        assert len({p.image for p in source.people()}) == 4 and source.missing_images() == []
        monkeypatch.chdir(tmp_path)
        near = coco(tmp_path, content(*names), content(*names), images={"train": train, "test": f"./{test}/"})
        assert seen(near) == seen(source) and near.fingerprint() == source.fingerprint()


def test_an_image_of_both_parts_is_refused(tmp_path: Path) -> None:
    """In one folder, the test people's joints would lie on the training people's image, or the other way round."""
    write_images(tmp_path / "photos", "a.png", "b.png", "c.png", "d.png")
    for options in ({}, {"images": dict.fromkeys(("train", "test"), str(tmp_path / "photos"))}):
        source = coco(tmp_path, content("a.png", "b.png", "c.png"), content("./b.png", "c.png", "d.png"), **options)
        with refused("train.json", "test.json", "2 images", "b.png", "data.source.images={train: …, test: …}"):
            source.people()
    apart = content("a.png", "b.png")
    apart["annotations"].pop()  # listed in both, with people in one
    assert len(coco(tmp_path, apart, content("b.png")).people()) == 2


@pytest.mark.parametrize("images", [{}, {"train": "photos"}, {"train": "photos", "test": "gone"}, {"train": 1}])
def test_folders_of_no_use_are_named(
    tmp_path: Path, images: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_images(tmp_path / "photos", "a.png").parent)
    with refused("data.source.images."):
        coco(tmp_path, content("a.png"), content("b.png"), images=images)


def test_folders_of_parts_need_parts(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", "a.png")
    folders = dict.fromkeys(("train", "test"), str(tmp_path / "photos"))
    with refused("data.source.images: must be one folder"):
        coco(tmp_path, content("a.png"), images=folders)
    with refused("data.source.images: must be one folder"):
        table(tmp_path, "a.png", images=folders)
    with refused("data.source.images"):
        coco(tmp_path, content("a.png"), content("b.png"), images={**folders, "val": "x"})


# What tools write


def everywhere(name: str, value: object) -> Callable[[Content], object]:
    return lambda c: [record.__setitem__(name, value) for record in c["annotations"]]


def one(name: str, value: object) -> Callable[[Content], object]:
    """The second annotation's field; `...` takes it away."""
    return lambda c: c["annotations"][1].pop(name) if value is ... else c["annotations"][1].__setitem__(name, value)


def texts(listed: str, *keys: str) -> Callable[[Content], object]:
    """The ids of this list as texts."""
    return lambda c: [record.__setitem__(key, str(record[key])) for record in c[listed] for key in keys]


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (everywhere("iscrowd", False), None), (everywhere("iscrowd", None), None), (one("iscrowd", True), "a crowd"),
        *((one("bbox", box), None) for box in ([0] * 4, [], [1, 1, 3, 0.0], None, [None] * 4, [NAN] * 4)),
        *((one("keypoints", nothing), "no joint is known") for nothing in (..., [], None, [None] * 9)),
        *((one("keypoints", [1, 1, 2, *no, 3, 1, 2]), None) for no in ([NAN, NAN, 0], [None, 7, 0], [None] * 3)),
        (texts("annotations", "id", "image_id", "category_id"), None), (texts("images", "id"), None),
        (texts("categories", "id"), None),
    ],
)  # fmt: skip
def test_one_odd_record_does_not_cost_the_set(
    tmp_path: Path, change: Callable[[Content], object], lost: str | None
) -> None:
    write_images(tmp_path / "photos", "a.png", "b.png", "c.png")
    plain = coco(tmp_path, content("a.png", "b.png", "c.png")).people()
    spoiled = content("a.png", "b.png", "c.png")
    change(spoiled)
    source = coco(tmp_path, spoiled)
    left = [person for place, person in enumerate(plain) if not (lost and place == 1)]
    assert [p.image for p in source.people()] == [p.image for p in left]
    for person, same in zip(source.people(), left, strict=True):
        np.testing.assert_array_equal(person.joints_px, same.joints_px)
    assert source.skipped() == ({lost: 1} if lost else {})


def test_a_box_without_area_is_none(tmp_path: Path) -> None:
    """So that a set whose boxes are used leaves such people out, and counts them."""
    write_images(tmp_path / "photos", "a.png", "b.png")
    value = content("a.png", "b.png")
    value["annotations"][0]["bbox"] = [3, 3, 0, 5]
    first, second = coco(tmp_path, value).people()
    assert np.isnan(first.window_px).all() and second.window_px.tolist() == [0.5, 0.5, 3.5, 2.5]


def test_joints_may_be_numbered(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", "a.png", "b.png")
    plain = [p.joints_px.tolist() for p in coco(tmp_path, content("a.png", "b.png")).people()]
    for names in (["1", "2", "3"], [1, 2, 3]):
        value = content("a.png", "b.png")
        value["categories"][0]["keypoints"] = names
        for joints in ({"nose": 1, "tail": 3}, {"nose": "1", "tail": [3]}):
            assert [p.joints_px.tolist() for p in coco(tmp_path, value, joints=joints).people()] == plain
    numbered = CocoSource(
        "mine", Skeleton(["1", "2"], {}), str(tmp_path / "photos"), str(tmp_path / "train.json"), None, {1: 1, 2: 3},
        test_fraction=0.5,
    )  # fmt: skip
    assert [p.joints_px.tolist() for p in numbered.people()] == plain


# How names are written


@pytest.mark.parametrize("make", [lambda f, *n: coco(f, content(*n)), table], ids=["coco", "table"])
def test_paths_of_windows_and_of_the_folder_itself(tmp_path: Path, make: Callable[..., OwnSource]) -> None:
    write_images(tmp_path / "photos", "a.png", "deep/b.png", "photos/c.png")
    source = make(tmp_path, "photos\\a.png", "deep\\b.png", "photos/c.png", f"{tmp_path.name}/photos/deep/b2.png")
    write_images(tmp_path / "photos", "deep/b2.png")
    assert [p.image for p in source.people()] == ["a.png", "deep/b.png", "photos/c.png", "deep/b2.png"]
    assert source.missing_images() == []
    for name in ("photos/gone.png", "C:\\photos\\a.png", "..\\photos\\a.png", "\\\\server\\photos\\a.png"):
        if name == "photos/gone.png":
            assert make(tmp_path, name).missing_images() == [name]
            continue
        with refused("must not lead out"):
            make(tmp_path, name).people()


def test_two_ways_to_write_one_image_are_one(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", "a.png")
    with refused("train.json", "'a.png' appears under 2 ids"):
        coco(tmp_path, content("photos\\a.png", "a.png")).people()
    (person,) = table(tmp_path, "photos/a.png").people()
    assert person.split == split_by_name("a.png", 0.5)


SIGNS = ["\u202f", "\u00a0", "\u3000", "\u200c", "\u200d", "\u2009", "\u00ad", "\U0001f469\u200d\U0001f680"]


@pytest.mark.parametrize("make", [lambda f, *n: coco(f, content(*n)), table], ids=["coco", "table"])
def test_names_hold_any_space(tmp_path: Path, make: Callable[..., OwnSource]) -> None:
    """As macOS' screenshots do, and phones' emoji."""
    names = [f"Photo 9.41{sign}AM.png" for sign in SIGNS]
    write_images(tmp_path / "photos", *names)
    source = make(tmp_path, *names)
    assert [p.image for p in source.people()] == names
    assert source.missing_images() == [] and all(source.image(name).shape == (4, 6, 3) for name in names)


@pytest.mark.parametrize("sign", ["\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"])
def test_names_hold_no_control_characters(tmp_path: Path, sign: str) -> None:
    write_images(tmp_path / "photos", "a.png")
    with refused("train.json", "image at place 1"):
        coco(tmp_path, content(f"a{sign}.png")).people()


@pytest.mark.parametrize("make", [lambda f, *n: coco(f, content(*n)), table], ids=["coco", "table"])
@pytest.mark.parametrize("there", ["NFC", "NFD"])
def test_composed_and_decomposed_names_are_one(tmp_path: Path, there: Any, make: Callable[..., OwnSource]) -> None:
    """The label's image, its split and the pack's name are the same, however either side spells its letters."""
    name = "Höhe/Ångström é.png"
    write_images(tmp_path / "photos", unicodedata.normalize(there, name))
    for form in ("NFC", "NFD"):
        source = make(tmp_path, unicodedata.normalize(form, name))
        (person,) = source.people()
        assert person.image == unicodedata.normalize("NFC", name) and source.missing_images() == []
        assert source.image(person.image).shape == (4, 6, 3)


def test_one_person_in_two_spellings_is_one(tmp_path: Path) -> None:
    """Or their images would be on both sides of a split."""
    names = [f"{place}.png" for place in range(40)]
    value = content(*names)
    write_images(tmp_path / "photos", "a.png")
    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    whose = [unicodedata.normalize(forms[place % 2], f"André {place // 2}") for place in range(40)]
    for record, who in zip(value["annotations"], whose, strict=True):
        record["identity"] = who
    lines = [f"{name},1,nose,1,1,1,{who}" for name, who in zip(names, whose, strict=True)]
    source = table(tmp_path, "a.png")
    source.table.write_text("\n".join(["image,person,joint,x,y,visible,identity", *lines, ""]), encoding="utf-8")
    for people in (coco(tmp_path, value).people(), source.people()):
        assert [p.split for p in people[::2]] == [p.split for p in people[1::2]]
        assert len({p.identity for p in people}) == 20


def test_two_files_of_the_same_letters_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", *(unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")))
    if len(list((tmp_path / "photos").iterdir())) == 1:
        pytest.skip("this file system takes both for one name")
    with refused("photos", "two spellings"):
        coco(tmp_path, content("é.png")).missing_images()
