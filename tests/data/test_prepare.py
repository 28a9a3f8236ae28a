"""Preparing a pack: true to the images, the same every time, whole or not there; bad input refused in one line."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from hmlpe.data.boxes import BoxRule
from hmlpe.data.pack import check_pack, open_pack
from hmlpe.data.prepare import join_chunks, prepare, write_chunks
from hmlpe.data.record import Source
from hmlpe.data.selection import DataSet, SelectedPerson
from hmlpe.data.sources.embedded import EmbeddedSource
from hmlpe.data.sources.flic import FlicSource
from hmlpe.errors import UserError
from hmlpe.files import digest_of, digest_of_file
from hmlpe.geometry import crop_resized, scale_box
from hmlpe.skeleton import Skeleton

from .conftest import CROWD, SIZE, Record, Watched, coords, person, picture, write_flic, write_mat

Flic = Callable[..., FlicSource]
PACK = {"crops.npy", "test_crops.npy", "people.npz", "missed.npz", "manifest.json"}
NAN, INF = float("nan"), float("inf")


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of every file."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in sorted(PACK - {"manifest.json"})}


@pytest.fixture
def make(skeleton: Skeleton, boxes: BoxRule) -> Callable[..., tuple[dict[str, Any], bool]]:
    """`prepare` of one source or several, with small crops; settings can be changed, `boxes` are those of all sets."""

    def call(source: Source | Sequence[Source], folder: Path, **settings: Any) -> tuple[dict[str, Any], bool]:
        rule = settings.pop("boxes", boxes)
        sets = [DataSet(one, rule) for one in ([source] if isinstance(source, Source) else source)]
        return prepare(**{
            "sets": sets, "folder": folder, "skeleton": skeleton, "crop_px": 16, "size_px": 14, "workers": 1,
            **settings,
        })  # fmt: skip

    return call


Make = Callable[..., tuple[dict[str, Any], bool]]


def test_the_same_bytes_whatever_the_folder_and_the_workers(flic: Flic, make: Make, tmp_path: Path) -> None:
    source = flic()
    first, _ = make(source, tmp_path / "one" / "flic")
    for name, workers in (("two", 1), ("three", 2), ("four", 7)):
        again, was_there = make(source, tmp_path / name / "flic", workers=workers)
        assert not was_there and again == first
        assert bytes_of(tmp_path / name / "flic") == bytes_of(tmp_path / "one" / "flic")


def test_a_moved_data_set_makes_the_same_pack(flic: Flic, make: Make, tmp_path: Path, skeleton: Skeleton) -> None:
    source = flic()
    shutil.copytree(source.root, tmp_path / "elsewhere" / "FLIC")
    first, _ = make(source, tmp_path / "one")
    again, _ = make(FlicSource(str(tmp_path / "elsewhere" / "FLIC"), skeleton), tmp_path / "two")
    assert again["digest"] == first["digest"] and bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    assert make(FlicSource(str(tmp_path / "elsewhere" / "FLIC"), skeleton), tmp_path / "one")[1]


def test_other_images_make_another_digest(flic: Flic, make: Make, tmp_path: Path) -> None:
    source = flic()
    first, _ = make(source, tmp_path / "one")
    Image.fromarray(picture("another")).save(source.root / "images" / "a.png")
    assert make(source, tmp_path / "two")[0]["digest"] != first["digest"]


def test_a_second_call_does_nothing(flic: Flic, make: Make, tmp_path: Path) -> None:
    source = Watched(flic())
    first, was_there = make(source, tmp_path / "pack")
    assert not was_there
    before, read = contents(tmp_path / "pack"), len(source.read)
    again, was_there = make(source, tmp_path / "pack", workers=2)
    assert was_there and again == first
    assert contents(tmp_path / "pack") == before and len(source.read) == read
    assert set(before) == PACK and sorted(p.name for p in tmp_path.iterdir() if "flic" not in p.name) == ["pack"]


def test_columns_are_the_kept_records(flic: Flic, make: Make, tmp_path: Path, skeleton: Skeleton) -> None:
    source = flic()
    make(source, tmp_path / "pack")
    people, pack = source.people(), open_pack(tmp_path / "pack", skeleton)
    kept = [people[i] for i in (0, 1, 2, 3, 4, 6, 7, 8)]  # record 6 is a train person in a test image
    columns = pack.people
    assert columns.image.tolist() == [p.image for p in kept]
    assert columns.where.tolist() == [f"examples.mat, record {i}" for i in (1, 2, 3, 4, 5, 7, 8, 9)]
    assert columns.split.tolist() == [p.split for p in kept]
    assert columns.set.tolist() == ["flic"] * 8 and columns.image_ids.tolist() == [f"flic/{p.image}" for p in kept]
    assert columns.faces_backwards.tolist() == [p.faces_backwards for p in kept]
    for name in (
        "joints_px", "occluded", "detection_px", "window_px", "torso_px", "torso_swapped_px", "sticks_px",
    ):  # fmt: skip
        np.testing.assert_array_equal(getattr(columns, name), [getattr(p, name) for p in kept], err_msg=name)
    expected = [scale_box(p.detection_px, (3.5, 1.75, 1.75)) for p in kept]
    np.testing.assert_array_equal(columns.box_px, expected)
    np.testing.assert_allclose(columns.box_px[0], [35 - 3.5 * 6, 15 - 1.75 * 12, 35 + 3.5 * 6, 39 + 1.75 * 12])
    assert pack.rows_of_split("test").tolist() == [2, 3, 7] and pack.rows_of_split("train").tolist() == [0, 1, 4, 5, 6]


def test_a_crop_of_the_boxs_own_size_is_the_image_itself(
    flic: Flic, make: Make, tmp_path: Path, skeleton: Skeleton
) -> None:
    """A box of 16 x 16 pixels in crops of 16: no resampling, so any shift shows; beyond the border it is repeated."""
    inside = np.array([[20.5, 10.5, 36.5, 26.5]])  # 1-based edges, between pixels
    across = np.array([[-3.5, 10.5, 12.5, 26.5]])
    source = flic([person("a.png", torsobox=inside), person("c.png", torsobox=across), person("b.png", "test")])
    make(source, tmp_path / "pack", boxes=BoxRule("detection", "detection", (1.0, 0.0, 0.0), 0.1))
    crops = open_pack(tmp_path / "pack", skeleton).crops
    np.testing.assert_array_equal(crops[0], picture("a.png")[10:26, 20:36])
    np.testing.assert_array_equal(crops[1][:, 4:], picture("c.png")[10:26, :12])
    np.testing.assert_array_equal(crops[1][:, :4], np.repeat(picture("c.png")[10:26, :1], 4, axis=1))


def test_true_boxes_hold_all_joints_and_no_detection(
    flic: Flic, make: Make, tmp_path: Path, skeleton: Skeleton
) -> None:
    source = flic([person(torsobox=np.full((1, 4), NAN)), person("b.png", "test")])
    make(source, tmp_path / "pack", boxes=BoxRule("truth", "detection", (3.5, 1.75, 1.75), 0.25))
    # x from the right elbow to the left one, y from the nose to the left wrist; a quarter of the longer side around
    box = open_pack(tmp_path / "pack", skeleton).people.box_px[0]
    np.testing.assert_allclose(box, [23 - 7, 9 - 7, 47 + 7, 37 + 7])


def test_counts_and_hashes_of_the_manifest_are_true(flic: Flic, make: Make, tmp_path: Path) -> None:
    returned, _ = make(flic(absent=["c.jpg", "b.png"]), tmp_path / "pack", allow_missing=True)
    manifest = json.loads((tmp_path / "pack" / "manifest.json").read_text())
    assert manifest == returned
    assert manifest["counts"] == {"people": 5, "train": 3, "test": 2, "annotated_train": 6, "annotated_test": 3}
    assert manifest["skipped_counts"] == {
        "image is missing": {"train": 2, "test": 1},
        "in a test image": {"train": 1, "test": 0},
    }
    assert [tuple(one.values()) for one in manifest["skipped"]] == [
        ("flic", "train", "b.png", "examples.mat, record 2", "image is missing"),
        ("flic", "test", "c.jpg", "examples.mat, record 3", "image is missing"),
        ("flic", "train", "b.png", "examples.mat, record 5", "image is missing"),
        ("flic", "train", "d.png", "examples.mat, record 6", "in a test image"),
    ]
    assert list(manifest["skipped"][0]) == ["set", "split", "image", "where", "reason"]
    assert manifest["sets"]["flic"]["counts"] == manifest["counts"]
    assert manifest["sets"]["flic"]["skipped_counts"] == manifest["skipped_counts"]
    for name in ("crops.npy", "people.npz"):
        assert manifest["files"][name] == digest_of_file(tmp_path / "pack" / name)
    assert np.load(tmp_path / "pack" / "crops.npy").shape == (5, 16, 16, 3)


def test_train_people_in_test_images_are_left_out(flic: Flic, make: Make, tmp_path: Path, skeleton: Skeleton) -> None:
    manifest, _ = make(flic(), tmp_path / "pack")
    people = open_pack(tmp_path / "pack", skeleton).people
    assert manifest["skipped_counts"] == {"in a test image": {"train": 1, "test": 0}}
    assert [one["where"] for one in manifest["skipped"]] == ["examples.mat, record 6"]
    assert not set(people.image[people.split == "train"]) & set(people.image[people.split == "test"])
    assert people.image.tolist().count("d.png") == 1


def test_images_that_come_or_go_make_another_pack(flic: Flic, make: Make, tmp_path: Path, skeleton: Skeleton) -> None:
    source = flic(absent=["f.jpg"])
    for absent, come in (("f.jpg", "a.png"), ("a.png", "f.jpg"), ("", "a.png")):  # first as many, but others
        Image.fromarray(picture(come)).save(source.root / "images" / come)
        (source.root / "images" / (absent or "none.png")).unlink(missing_ok=True)
        manifest, was_there = make(source, tmp_path / "pack", allow_missing=True)
        assert not was_there and manifest["counts"]["people"] == 8 - bool(absent)
        images = set(open_pack(tmp_path / "pack", skeleton).people.image)
        assert come in images and absent not in images


def test_an_image_is_decoded_once_for_all_its_people(flic: Flic, make: Make, tmp_path: Path) -> None:
    source = Watched(flic())
    make(source, tmp_path / "pack", workers=3)
    assert Counter(source.read) == dict.fromkeys(["a.png", "b.png", "c.jpg", "d.png", "e.png", "f.jpg", "g.png"], 1)


CHANGES: dict[str, dict[str, Any]] = {
    "factors": {"boxes": BoxRule("detection", "detection", (3.0, 1.75, 1.75), 0.1)},
    "train boxes": {"boxes": BoxRule("truth", "detection", (3.5, 1.75, 1.75), 0.1)},
    "test boxes": {"boxes": BoxRule("detection", "truth", (3.5, 1.75, 1.75), 0.1)},
    "crop_px": {"crop_px": 17},
    "size_px": {"size_px": 15},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_settings_prepare_again(flic: Flic, make: Make, tmp_path: Path, change: dict[str, Any]) -> None:
    source = flic()
    old, _ = make(source, tmp_path / "pack")
    new, was_there = make(source, tmp_path / "pack", **change)
    assert not was_there and new["fingerprint"] != old["fingerprint"] and new["digest"] != old["digest"]
    assert set(contents(tmp_path / "pack")) == PACK
    assert make(source, tmp_path / "pack", **change) == (new, True)
    assert make(source, tmp_path / "pack") == (old, False)  # and back


def test_a_contact_sheet_is_part_of_the_pack_and_goes_with_it(flic: Flic, make: Make, tmp_path: Path) -> None:
    source, sheet = flic(), tmp_path / "pack" / "sheet.png"
    make(source, tmp_path / "pack")
    sheet.write_bytes(b"a picture")
    assert make(source, tmp_path / "pack")[1] and sheet.read_bytes() == b"a picture"
    assert not make(source, tmp_path / "pack", crop_px=17)[1] and set(contents(tmp_path / "pack")) == PACK


def test_another_skeleton_prepares_again(flic: Flic, make: Make, tmp_path: Path, skeleton: Skeleton) -> None:
    source = flic()
    make(source, tmp_path / "pack")
    two = Skeleton(["left_wrist", "right_wrist"], {})
    paired = Skeleton(["left_wrist", "right_wrist"], {}, [["left_wrist", "right_wrist"]])
    for other in (two, paired, skeleton):
        manifest, was_there = make(FlicSource(str(source.root), other), tmp_path / "pack", skeleton=other)
        assert not was_there and manifest["skeleton"] == other.as_dict()
        people = open_pack(tmp_path / "pack", other).people
        assert people.joints_px.shape == (8, len(other.joints), 2)
        (wrist,) = other.indices(["left_wrist"])
        np.testing.assert_array_equal(people.joints_px[0, wrist], [45, 37])


def test_joints_of_another_skeleton_are_refused(flic: Flic, make: Make, tmp_path: Path) -> None:
    """Else the pack's skeleton names joints that its numbers are not."""
    with pytest.raises(UserError, match="skeleton"):
        make(flic(), tmp_path / "pack", skeleton=Skeleton(["left_wrist", "head"], {}))
    assert not list(tmp_path.rglob("manifest.json"))


PLUG = RuntimeError("pulled the plug")


@pytest.mark.parametrize(
    ("reads", "error", "workers"),
    [*((reads, PLUG, 1) for reads in range(9)), (3, KeyboardInterrupt(), 1), (3, UserError("cut"), 1), (5, PLUG, 2)],
)
def test_goes_on_where_it_stopped(
    flic: Flic, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    reads: int, error: BaseException, workers: int,
) -> None:  # fmt: skip
    """Chunks of two people: a b | c d | b d | e f | g. Images b and d are in two of them; the second d leaks."""
    monkeypatch.setattr("hmlpe.data.prepare.CHUNK", 2)
    flic_source = flic()
    make(flic_source, tmp_path / "undisturbed")
    interrupted = Watched(flic_source, fails_at=reads, error=error)
    with pytest.raises(type(error)):
        make(interrupted, tmp_path / "pack", workers=workers)
    assert not (tmp_path / "pack").exists() and not list(tmp_path.rglob("pack*/manifest.json"))
    second = Watched(flic_source)
    assert not make(second, tmp_path / "pack", workers=workers)[1]
    order = ["a.png", "b.png", "c.jpg", "d.png", "b.png", "d.png", "e.png", "f.jpg", "g.png"]
    assert Counter(second.read) == Counter(order[reads - reads % 2 :])  # finished chunks are not read again
    assert bytes_of(tmp_path / "pack") == bytes_of(tmp_path / "undisturbed")
    assert set(contents(tmp_path / "pack")) == PACK
    assert not list(tmp_path.glob(".pack*"))


def test_what_a_killed_call_left_half_written_is_not_used(
    flic: Flic, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hmlpe.data.prepare.CHUNK", 2)
    source = flic()
    make(source, tmp_path / "undisturbed")
    with pytest.raises(RuntimeError):
        make(Watched(source, fails_at=3), tmp_path / "pack")
    (partial,) = tmp_path.glob(".pack*")
    for name in ("chunk_000002.tmp", "crops.npy", "people.npz", "manifest.json"):
        (partial / name).write_bytes(b"half")
    make(source, tmp_path / "pack")
    assert bytes_of(tmp_path / "pack") == bytes_of(tmp_path / "undisturbed")
    assert set(contents(tmp_path / "pack")) == PACK


def test_an_interrupted_change_keeps_the_old_pack(flic: Flic, make: Make, tmp_path: Path) -> None:
    source = flic()
    make(source, tmp_path / "pack")
    before = contents(tmp_path / "pack")
    with pytest.raises(RuntimeError, match="plug"):
        make(Watched(source, fails_at=2), tmp_path / "pack", crop_px=20)
    assert contents(tmp_path / "pack") == before
    assert make(source, tmp_path / "pack")[1]


def test_a_folder_that_is_no_pack_is_not_erased(flic: Flic, make: Make, tmp_path: Path) -> None:
    """data.pack=/datasets/FLIC, said by mistake for data.root, must not cost the data set."""
    source = flic()
    with pytest.raises(UserError, match=source.root.name):
        make(source, source.root)
    assert (source.root / "examples.mat").is_file() and len(list((source.root / "images").iterdir())) == 7


def test_a_person_without_a_box_is_left_out_and_counted(
    flic: Flic, make: Make, tmp_path: Path, skeleton: Skeleton
) -> None:
    nothing, half = (
        person(f"{n}.png", torsobox=np.array([b])) for n, b in (("n", [NAN] * 4), ("h", [30, NAN, 42, 40]))
    )
    source = Watched(flic([person("a.png"), nothing, half, person("t.png", "test", torsobox=np.full((1, 4), NAN)),
                           person("c.png", "test")]))  # fmt: skip
    manifest, _ = make(source, tmp_path / "pack")
    assert manifest["counts"] == {"people": 2, "train": 1, "test": 1, "annotated_train": 3, "annotated_test": 2}
    assert manifest["skipped_counts"] == {"no detection of this person": {"train": 2, "test": 1}}
    assert [one["where"][-1] for one in manifest["skipped"]] == ["2", "3", "4"]
    pack = open_pack(tmp_path / "pack", skeleton)
    assert pack.people.image.tolist() == ["a.png", "c.png"] == source.read
    assert pack.missed.image.tolist() == ["t.png"] and np.isnan(pack.missed.box_px).all()
    (missed,) = pack.missed.joints_px
    np.testing.assert_array_equal(missed, source.people()[3].joints_px)  # the truth is known all the same


# ---- several sets in one pack ----


def enlarged(name: str) -> np.ndarray:
    """Nearly the picture of that name: other pixels, the same to the eye."""
    return picture(name, (SIZE[0] * 3 // 2, SIZE[1] * 3 // 2))


def watched(root: Path, name: str, skeleton: Skeleton, records: Sequence[Record], **others: np.ndarray) -> Watched:
    """A FLIC folder under another name; of some images other pixels."""
    source = FlicSource(str(write_flic(root / name, records, ["gone.png"])), skeleton)
    for image, pixels in others.items():
        Image.fromarray(pixels).save(source.image_folder / f"{image}.png")
    return Watched(source, name=name)


ONE = [
    person("a.png"), person("both.png"), person("b.png"), person("both.png", "test"), person("c.png", "test"),
    person("like_f.png"), person("gone.png", "test"),
]  # fmt: skip
TWO = [
    person("like_c.png"), person("d.png"), person("ann1.png"), person("ann2.png", "test"),
    person("bob.png", torsobox=np.array([[33, 16, 40, 41]])), person("a.png", "test"), person("f.png", "test"),
    person("unseen.png", torsobox=np.full((1, 4), NAN)),
]  # fmt: skip


def three(root: Path, skeleton: Skeleton, one: Sequence[Record] = ONE, two: Sequence[Record] = TWO) -> list[Source]:
    """Two FLIC folders and three drawings.

    An image of "one" has people of both splits. Each holds a training image that is nearly a test image of the other.
    Ann of "two" is in a training and in a test image, and "one" has an Ann of its own. Both have another a.png.
    """
    like_f, like_c, a = enlarged("f.png"), enlarged("c.png"), picture("another a")
    first, second = (
        watched(root, "one", skeleton, one, like_f=like_f),
        watched(root, "two", skeleton, two, like_c=like_c, a=a),
    )
    first.identities = {"a.png": "ann"}
    second.identities = {"ann1.png": "ann", "ann2.png": "ann", "bob.png": "bob"}
    return [first, second, drawings()]


@cache
def drawings() -> EmbeddedSource:
    return EmbeddedSource(train=2, test=1, image_px=64)


KEPT_ONE, KEPT_TWO = [ONE[i] for i in (0, 2, 3, 4)], [TWO[i] for i in (1, 3, 4, 5, 6)]
MISSING, UNSEEN = "image is missing", "no detection of this person"
IN_TEST, NEAR, SAME = "in a test image", "near-duplicate of a test image", "same person in test images"
SEVERAL: dict[str, Any] = {"allow_missing": True, "near_duplicates": 4}


def test_several_sets_one_after_another(make: Make, tmp_path: Path, skeleton: Skeleton) -> None:
    sources = three(tmp_path, skeleton)
    manifest, _ = make(sources, tmp_path / "pack", absent=["lsp", "waf"], **SEVERAL)
    columns = open_pack(tmp_path / "pack", skeleton).people
    assert columns.image_ids.tolist() == [
        "one/a.png", "one/b.png", "one/both.png", "one/c.png",
        "two/d.png", "two/ann2.png", "two/bob.png", "two/a.png", "two/f.png",
        "embedded/train/000000", "embedded/train/000001", "embedded/test/000000",
    ]  # fmt: skip
    assert columns.set.tolist() == ["one"] * 4 + ["two"] * 5 + ["embedded"] * 3
    assert manifest["absent"] == ["lsp", "waf"] and list(manifest["sets"]) == ["one", "two", "embedded"]
    assert list(manifest["boxes"]) == list(manifest["sources"]) == list(manifest["sets"])
    assert manifest["sources"]["two"] == sources[1].fingerprint()
    make(sources[::-1], tmp_path / "turned", **SEVERAL)
    turned = open_pack(tmp_path / "turned", skeleton).people.set.tolist()
    assert turned == ["embedded"] * 3 + ["two"] * 5 + ["one"] * 4


def test_the_manifest_counts_each_set_and_names_who_is_left_out(make: Make, tmp_path: Path, skeleton: Skeleton) -> None:
    manifest, _ = make(three(tmp_path, skeleton), tmp_path / "pack", **SEVERAL)
    sets, columns = manifest["sets"], open_pack(tmp_path / "pack", skeleton).people
    numbers = {name: tuple(one["counts"].values()) for name, one in {**sets, "all": manifest}.items()}
    assert numbers == {"one": (4, 2, 2, 4, 3), "two": (5, 2, 3, 5, 3), "embedded": (3, 2, 1, 2, 1),
                       "all": (12, 6, 6, 11, 7)}  # fmt: skip
    assert list(manifest["counts"]) == ["people", "train", "test", "annotated_train", "annotated_test"]
    train, test = {"train": 1, "test": 0}, {"train": 0, "test": 1}
    assert sets["one"]["skipped_counts"] == {MISSING: test, IN_TEST: train, NEAR: train}
    assert sets["two"]["skipped_counts"] == {UNSEEN: train, NEAR: train, SAME: train}
    assert sets["embedded"]["skipped_counts"] == {}
    assert manifest["skipped_counts"] == {
        MISSING: test, IN_TEST: train, NEAR: {"train": 2, "test": 0}, UNSEEN: train, SAME: train,
    }  # fmt: skip
    assert [(one["set"], one["split"], one["image"], one["where"], one["reason"]) for one in manifest["skipped"]] == [
        ("one", "test", "gone.png", "examples.mat, record 7", MISSING),
        ("two", "train", "unseen.png", "examples.mat, record 8", UNSEEN),
        ("one", "train", "both.png", "examples.mat, record 2", IN_TEST),
        ("one", "train", "like_f.png", "examples.mat, record 6", f"{NEAR}: two/f.png"),
        ("two", "train", "like_c.png", "examples.mat, record 1", f"{NEAR}: one/c.png"),
        ("two", "train", "ann1.png", "examples.mat, record 3", f"{SAME}: ann"),
    ]
    for name, one in sets.items():
        assert list(one["box_quartiles"]) == ["train", "test"]
        for split, found in one["box_quartiles"].items():
            box = columns.box_px[(columns.set == name) & (columns.split == split)]
            expected = np.percentile(box[:, 2:] - box[:, :2], [0, 25, 50, 75, 100], axis=0)
            np.testing.assert_allclose(np.transpose([found["width_px"], found["height_px"]]), expected, atol=0.051)
    assert sets["two"]["box_quartiles"]["train"]["width_px"][::4] == [24.5, 42.0]


def test_a_set_of_one_split_has_boxes_of_that_split_alone(make: Make, tmp_path: Path, skeleton: Skeleton) -> None:
    manifest, _ = make([three(tmp_path, skeleton)[0], EmbeddedSource(2, 0, image_px=64)], tmp_path / "pack", **SEVERAL)
    assert list(manifest["sets"]["embedded"]["box_quartiles"]) == ["train"]


def test_what_readers_pass_over_is_noted(
    flic: Flic, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = flic()
    monkeypatch.setattr(source, "skipped", lambda: {"a crowd": 3})
    manifest, _ = make([source, drawings()], tmp_path / "pack")
    assert [one["not_people"] for one in manifest["sets"].values()] == [{"a crowd": 3}, {}]


@pytest.mark.parametrize("chunk", [4, 256])
def test_crops_are_those_of_the_remaining_people(
    make: Make, tmp_path: Path, skeleton: Skeleton, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Row by row the person's own; and the file is the one of sets in which nobody leaks."""
    monkeypatch.setattr("hmlpe.data.prepare.CHUNK", chunk)
    sources = three(tmp_path / "leaky", skeleton)
    make(sources, tmp_path / "pack", **SEVERAL)
    opened, by_name = open_pack(tmp_path / "pack", skeleton), {source.name: source for source in sources}
    people = opened.people
    assert len(opened.crops) == 12
    for row, (name, image, box) in enumerate(zip(people.set, people.image, people.box_px, strict=True)):
        for crop in (opened.crops[row], opened.test_crops[row]):
            expected = crop_resized(by_name[name].image(str(image)), box, len(crop))
            np.testing.assert_array_equal(crop, expected, err_msg=image)
    clean = three(tmp_path / "clean", skeleton, KEPT_ONE, KEPT_TWO)
    manifest, _ = make([clean[0], replace(clean[1], identities={}), clean[2]], tmp_path / "other", **SEVERAL)
    assert manifest["skipped"] == []
    for file in ("crops.npy", "test_crops.npy"):
        assert (tmp_path / "other" / file).read_bytes() == (tmp_path / "pack" / file).read_bytes()
    np.testing.assert_array_equal(open_pack(tmp_path / "other", skeleton).people.joints_px, people.joints_px)


def test_near_duplicates_stay_where_nobody_looks_for_them(make: Make, tmp_path: Path, skeleton: Skeleton) -> None:
    """The very same image and the same person leak all the same."""
    sources = three(tmp_path, skeleton)
    manifest, _ = make(sources, tmp_path / "pack", allow_missing=True)
    train = set(open_pack(tmp_path / "pack", skeleton).people.image)
    assert {"like_f.png", "like_c.png"} <= train and "ann1.png" not in train and manifest["near_duplicates"] is None
    assert {IN_TEST, SAME} < set(manifest["skipped_counts"]) and NEAR not in manifest["skipped_counts"]
    assert not make(sources, tmp_path / "pack", **SEVERAL)[1]  # a setting like others


def test_a_distance_that_is_none_is_refused_before_the_work(flic: Flic, make: Make, tmp_path: Path) -> None:
    source = Watched(flic())
    for distance in (-1, 64):
        with pytest.raises(UserError, match=r"data\.near_duplicates"):
            make(source, tmp_path / "pack", near_duplicates=distance)
    assert source.read == [] and not list(tmp_path.glob("*pack*"))


def test_two_sets_of_one_name_are_refused(flic: Flic, make: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="same name"):
        make([flic(), flic()], tmp_path / "pack")


def test_images_that_come_in_one_set_and_go_in_another_make_another_pack(
    flic: Flic, make: Make, tmp_path: Path
) -> None:
    """Records of both are called alike, "examples.mat, record 1" and "record 2"; here as many of each are there."""
    people = [person("a.png"), person("b.png", "test")]
    first, second = Watched(flic(people), name="one"), Watched(flic(people), name="two")
    inside, outside = first.source.image_folder, second.source.image_folder
    (inside / "b.png").rename(tmp_path / "b.png")
    (outside / "a.png").rename(tmp_path / "a.png")
    old, _ = make([first, second], tmp_path / "pack", allow_missing=True)
    (outside / "b.png").rename(inside / "b.png")
    new, was_there = make([first, second], tmp_path / "pack", allow_missing=True)
    assert not was_there and old["sets"]["one"]["counts"]["people"] == 1
    assert new["sets"]["one"]["counts"]["people"] == 2 and new["sets"]["two"]["counts"]["people"] == 0


@pytest.mark.parametrize(("name", "reads"), [("one", 3), ("two", 0), ("two", 5)])
def test_several_sets_go_on_where_they_stopped(
    make: Make, tmp_path: Path, skeleton: Skeleton, monkeypatch: pytest.MonkeyPatch, name: str, reads: int
) -> None:
    """Chunks of two; the leaks of finished chunks are found again without reading them."""
    monkeypatch.setattr("hmlpe.data.prepare.CHUNK", 2)
    sources = three(tmp_path, skeleton)
    whole, _ = make(sources, tmp_path / "undisturbed" / "pack", **SEVERAL)
    cut_off = [replace(s, read=[], fails_at=reads if s.name == name else None) for s in sources[:2]]
    with pytest.raises(RuntimeError, match="plug"):
        make([*cut_off, sources[2]], tmp_path / "pack", **SEVERAL)
    assert not (tmp_path / "pack").exists()
    second = [replace(s, read=[]) for s in sources[:2]]
    again, was_there = make([*second, sources[2]], tmp_path / "pack", **SEVERAL)
    assert again == whole and not was_there
    assert bytes_of(tmp_path / "pack") == bytes_of(tmp_path / "undisturbed" / "pack")
    read = [len(s.read) for s in cut_off]
    assert sum(len(s.read) for s in second) == 13 - (sum(read) - sum(read) % 2)


@pytest.mark.parametrize("step", ["exclude_leaks", "columns_of", "remove_chunks"])
def test_killed_after_the_last_image_nothing_is_read_again(
    make: Make, tmp_path: Path, skeleton: Skeleton, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def pulled(*_: Any, **__: Any) -> None:
        raise PLUG

    sources = three(tmp_path, skeleton)
    whole, _ = make(sources, tmp_path / "undisturbed" / "pack", **SEVERAL)
    with monkeypatch.context() as patch:
        patch.setattr(f"hmlpe.data.prepare.{step}", pulled)
        with pytest.raises(RuntimeError, match="plug"):
            make(sources, tmp_path / "pack", **SEVERAL)
    assert not (tmp_path / "pack").exists()
    second = [replace(s, read=[]) for s in sources[:2]]
    assert make([*second, sources[2]], tmp_path / "pack", **SEVERAL) == (whole, False)
    assert [s.read for s in second] == [[], []]
    assert bytes_of(tmp_path / "pack") == bytes_of(tmp_path / "undisturbed" / "pack")
    assert set(contents(tmp_path / "pack")) == PACK and not list(tmp_path.glob(".pack*"))


def test_joining_holds_no_more_than_a_chunk(flic: Flic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            boxes: BoxRule) -> None:  # fmt: skip
    """Three chunks and a rest, of 3 MB each; whatever is left out."""
    monkeypatch.setattr("hmlpe.data.prepare.CHUNK", 64)
    source, crop_px, count = flic([person("a.png")]), 128, 200
    (one,) = source.people()
    members = [SelectedPerson(DataSet(source, boxes), one, np.array([0.0, 0, 9 + i, 9])) for i in range(count)]
    write_chunks(tmp_path, "pack", members, {"crops": crop_px}, 1)
    kept = np.array([row for row in range(count) if row % 64 != 3 or row == 3])
    tracemalloc.start()
    try:
        join_chunks(tmp_path, count, kept, {"crops": crop_px})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    crops = np.load(tmp_path / "crops.npy", mmap_mode="r")
    assert crops.shape == (len(kept), crop_px, crop_px, 3)
    for row in (0, 3, 100, -1):
        np.testing.assert_array_equal(crops[row], crop_resized(source.image("a.png"), members[kept[row]].box_px, 128))
    chunk = 64 * crop_px**2 * 3
    assert peak < 1.5 * chunk, peak / chunk


# ---- bad input ----

Spoil = Callable[[Path], None]


def records(*changed: Record) -> Spoil:
    """examples.mat with a good record, the changed one, a good one."""
    return lambda root: write_mat(root / "examples.mat", [person("a.png"), *changed, person("c.png", "test")])


def without(name: str) -> Spoil:
    """No record has the field."""
    return lambda root: write_mat(root / "examples.mat", [person("a.png", **{name: ...})] * 2)


def image(name: str, spoil: Callable[[Path], Any]) -> Spoil:
    return lambda root: spoil(root / "images" / name)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def box(*edges: float) -> Record:
    return person("b.png", torsobox=np.array([edges]))


NO_RECORD = np.empty((1, 0), dtype=[("coords", object), ("filepath", object)])
BAD: dict[str, tuple[Spoil, list[str]]] = {
    "no folder": (shutil.rmtree, ["flic"]),
    "no annotations": (lambda root: (root / "examples.mat").unlink(), ["examples.mat"]),
    "annotations are text": (lambda root: (root / "examples.mat").write_text("x" * 999), ["examples.mat"]),
    "annotations are empty": (lambda root: (root / "examples.mat").write_bytes(b""), ["examples.mat"]),
    "another variable": (lambda root: write_mat(root / "examples.mat", CROWD, "people"), ["examples.mat", "examples"]),
    "examples are numbers": (lambda root: savemat(root / "examples.mat", {"examples": [1, 2]}), ["record 1", "coords"]),
    "no records": (lambda root: savemat(root / "examples.mat", {"examples": NO_RECORD}), ["flic", "none of 0 people"]),
    **{f"no {name}": (without(name), ["examples.mat, record 1", name])
       for name in ("coords", "filepath", "torsobox", "istrain", "istest")},
    "28 slots": (records(person("b.png", coords=coords()[:, :28])), ["record 2", "coords"]),
    "coords turned": (records(person("b.png", coords=coords().T)), ["record 2", "coords"]),
    "coords empty": (records(person("b.png", coords=np.zeros((0, 0)))), ["record 2", "coords"]),
    "coords are words": (records(person("b.png", coords="none")), ["record 2", "coords"]),
    "all joints unknown": (records(person("b.png", coords=np.full((2, 29), NAN))), ["record 2", "coords"]),
    "infinite joint": (records(person("b.png", coords=coords(lwri=(INF, 3)))), ["record 2", "coords"]),
    "minus infinite joint": (records(person("b.png", coords=coords(lwri=(3, -INF)))), ["record 2", "coords"]),
    "filepath is a number": (records(person("b.png", filepath=17.0)), ["record 2", "filepath"]),
    "filepath is empty": (records(person("b.png", filepath="")), ["record 2", "filepath"]),
    "filepath leads out": (records(person("b.png", filepath="../x.png")), ["record 2", "filepath", "../x.png"]),
    "box of three": (records(person("b.png", torsobox=np.array([[1.0, 2, 3]]))), ["record 2", "torsobox"]),
    "box is a word": (records(person("b.png", torsobox="box")), ["record 2", "torsobox"]),
    "box of no width": (records(box(30, 16, 30, 40)), ["examples.mat, record 2", "box"]),
    "box of no height": (records(box(30, 16, 42, 16)), ["examples.mat, record 2", "box"]),
    "box turned over": (records(box(42, 40, 30, 16)), ["examples.mat, record 2", "box"]),
    "infinite box": (records(box(30, 16, INF, 40)), ["examples.mat, record 2", "box"]),
    "boundless box": (records(box(-INF, 16, INF, 40)), ["examples.mat, record 2", "box"]),
    "box beyond memory": (records(box(-1.5e6, -1.5e6, 1.5e6, 1.5e6)), ["examples.mat, record 2", "box"]),
    "train and test": (records(person("b.png", istest=1)), ["record 2", "istrain", "istest"]),
    "neither train nor test": (records(person("b.png", istrain=0)), ["record 2", "istrain", "istest"]),
    "istrain is NaN": (records(person("b.png", istrain=NAN)), ["record 2", "istrain"]),
    "istrain is a word": (records(person("b.png", istrain="yes")), ["record 2", "istrain"]),
    "image is cut": (image("b.png", cut), ["b.png"]),
    "image is empty": (image("b.png", lambda path: path.write_bytes(b"")), ["b.png"]),
    "image is text": (image("b.png", lambda path: path.write_text("<html>not found</html>")), ["b.png"]),
    "image is a folder": (image("b.png", as_folder), ["b.png"]),
    "image is missing": (image("b.png", Path.unlink), ["1 image", "1 train and 0 test", "b.png", "record 2"]),
    "no images": (lambda root: shutil.rmtree(root / "images"), ["3 images", "2 train and 1 test", "a.png", "record 1"]),
    "image outside": (records(person("../x.png")), ["../x.png", "record 2"]),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_in_one_line_and_nothing_changes(
    make: Make, tmp_path: Path, skeleton: Skeleton, spoil: Spoil, words: Sequence[str]
) -> None:
    root = write_flic(tmp_path / "flic", [person("a.png"), person("b.png"), person("c.png", "test")])
    Image.fromarray(picture("x")).save(root / "x.png")
    old = tmp_path / "data" / "old"
    old.mkdir(parents=True)
    for name in PACK:
        (old / name).write_text("{}")
    before = contents(old)
    spoil(root)
    for pack in (old, tmp_path / "data" / "new"):
        with pytest.raises(UserError) as raised:
            make(FlicSource(str(root), skeleton), pack)
        message = str(raised.value)
        assert "\n" not in message and all(word in message for word in words), message
    assert contents(old) == before
    assert [path.parent for path in (tmp_path / "data").rglob("manifest.json")] == [old]


def test_allowed_missing_images_are_counted_never_read(flic: Flic, make: Make, tmp_path: Path) -> None:
    source = Watched(flic(CROWD, absent=["f.jpg"]))
    manifest, _ = make(source, tmp_path / "pack", allow_missing=True)
    assert manifest["skipped_counts"]["image is missing"] == {"train": 1, "test": 0}
    assert [one["image"] for one in manifest["skipped"] if one["reason"] == "image is missing"] == ["f.jpg"]
    assert "f.jpg" not in source.read


@pytest.mark.parametrize("setting", ["crop_px", "size_px", "workers"])
def test_a_setting_of_no_use_is_refused(flic: Flic, make: Make, tmp_path: Path, setting: str) -> None:
    with pytest.raises(UserError, match=setting):
        make(flic(), tmp_path / "pack", **{setting: 0})
    assert not (tmp_path / "pack").exists()


def test_nobody_left(flic: Flic, make: Make, tmp_path: Path) -> None:
    source = flic([person("a.png"), person("b.png", "test")], absent=["a.png", "b.png"])
    with pytest.raises(UserError, match="none of 2 people is left"):
        make(source, tmp_path / "pack", allow_missing=True)
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_mended_image_lets_it_go_on(flic: Flic, make: Make, tmp_path: Path) -> None:
    source = flic()
    make(source, tmp_path / "undisturbed")
    cut(source.root / "images" / "d.png")
    with pytest.raises(UserError, match=r"d\.png"):
        make(source, tmp_path / "pack")
    Image.fromarray(picture("d.png")).save(source.root / "images" / "d.png")
    make(source, tmp_path / "pack")
    assert bytes_of(tmp_path / "pack") == bytes_of(tmp_path / "undisturbed")


@pytest.mark.parametrize(("train", "test"), [("torso", "detection"), ("detection", "Truth")])
def test_an_unknown_box_rule_is_refused(train: Any, test: Any) -> None:
    with pytest.raises(UserError, match=r"data\.boxes\.(train|test)"):
        BoxRule(train, test, (1.0, 0.0, 0.0), 0.1)


# ---- opening ----


@pytest.fixture
def pack(flic: Flic, make: Make, tmp_path: Path) -> Path:
    make(flic(), tmp_path / "data" / "mine")
    return tmp_path / "data" / "mine"


def test_crops_stay_on_disk_and_cannot_be_written(pack: Path, skeleton: Skeleton) -> None:
    opened = open_pack(pack, skeleton)
    assert isinstance(opened.crops, np.memmap) and opened.size_px == 14 and isinstance(opened.test_crops, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        opened.crops[0, 0, 0, 0] = 1


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(change(manifest)))


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def drop_column(path: Path) -> None:
    with np.load(path) as stored:
        np.savez(path, **{name: stored[name] for name in stored.files if name != "torso_px"})


def one_crop_less(path: Path) -> None:
    np.save(path, np.load(path)[:-1])


def one_person_less(path: Path) -> None:
    with np.load(path) as stored:
        np.savez(path, **{name: stored[name][:-1] for name in stored.files})


DAMAGE: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "no manifest": ("manifest.json", Path.unlink),
    "no crops": ("crops.npy", Path.unlink),
    "no people": ("people.npz", Path.unlink),
    "manifest cut": ("manifest.json", shorten),
    "manifest empty": ("manifest.json", lambda path: path.write_bytes(b"")),
    "manifest is a list": ("manifest.json", lambda path: edit(path, lambda manifest: [manifest])),
    "manifest without skeleton": ("manifest.json", lambda p: edit(p, lambda m: {"version": m["version"]})),
    "manifest without counts": (
        "manifest.json", lambda p: edit(p, lambda m: {k: m[k] for k in m if k != "counts"}),
    ),
    "crops cut": ("crops.npy", shorten),
    "crops empty": ("crops.npy", lambda path: path.write_bytes(b"")),
    "one crop less": ("crops.npy", one_crop_less),
    "no test crops": ("test_crops.npy", Path.unlink),
    "one test crop less": ("test_crops.npy", one_crop_less),
    "people cut": ("people.npz", shorten),
    "people cut by a byte": ("people.npz", lambda path: path.write_bytes(path.read_bytes()[:-1])),
    "people empty": ("people.npz", lambda path: path.write_bytes(b"")),
    "a byte of people changed": (
        "people.npz", lambda path: path.write_bytes(path.read_bytes()[:300] + b"\xff" + path.read_bytes()[301:]),
    ),
    "one person less": ("people.npz", one_person_less),
    "a column less": ("people.npz", drop_column),
}  # fmt: skip


@pytest.mark.parametrize(("name", "damage"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_pack_is_refused(pack: Path, skeleton: Skeleton, name: str, damage: Callable[[Path], None]) -> None:
    damage(pack / name)
    with pytest.raises(UserError) as raised:
        open_pack(pack, skeleton)
    assert "\n" not in str(raised.value) and str(pack) in str(raised.value)


def test_no_pack_says_how_to_make_one(tmp_path: Path, skeleton: Skeleton) -> None:
    with pytest.raises(UserError, match="hmlpe-prepare data=flic"):
        open_pack(tmp_path / "flic", skeleton)


def test_another_version_is_refused(pack: Path, skeleton: Skeleton) -> None:
    edit(pack / "manifest.json", lambda manifest: {**manifest, "version": 0})
    with pytest.raises(UserError, match="version 0"):
        open_pack(pack, skeleton)


@pytest.mark.parametrize("part", ["joints", "parts", "mirror"])
def test_another_skeleton_is_refused(pack: Path, skeleton: Skeleton, part: str) -> None:
    changed = skeleton.as_dict()
    changed[part] = dict(list(changed[part].items())[1:]) if part == "parts" else changed[part][::-1]
    with pytest.raises(UserError, match="skeleton"):
        open_pack(pack, Skeleton(**changed))


def test_sticks_of_different_number_are_padded_with_nan(
    flic: Flic, make: Make, tmp_path: Path, skeleton: Skeleton, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = flic()
    people = source.people()
    sticks = [np.full((index % 3, 4), float(index)) for index in range(len(people))]
    changed = [replace(p, sticks_px=stick) for p, stick in zip(people, sticks, strict=True)]
    monkeypatch.setattr(source, "people", lambda: changed)
    make(source, tmp_path / "pack")
    stored = open_pack(tmp_path / "pack", skeleton).people.sticks_px
    assert stored.shape == (8, 2, 4)
    np.testing.assert_array_equal(stored[1], [[1] * 4, [NAN] * 4])
    np.testing.assert_array_equal(stored[4], [[4] * 4, [NAN] * 4])


# ---- checking ----


def test_a_whole_pack_is_whole(pack: Path) -> None:
    before = contents(pack)
    assert check_pack(pack) == json.loads((pack / "manifest.json").read_text())
    assert contents(pack) == before


@pytest.mark.parametrize("at", [0, 200, 0.5, -1])
@pytest.mark.parametrize("name", ["crops.npy", "test_crops.npy", "people.npz", "missed.npz"])
def test_one_flipped_bit_is_found(pack: Path, name: str, at: float) -> None:
    changed = bytearray((pack / name).read_bytes())
    changed[int(at * len(changed)) if at == 0.5 else int(at)] ^= 1
    (pack / name).write_bytes(changed)
    assert_found(pack, name)


def assert_found(pack: Path, name: str) -> None:
    with pytest.raises(UserError) as raised:
        check_pack(pack)
    message = str(raised.value)
    assert "\n" not in message and str(pack / name) in message and "prepare" in message, message


@pytest.mark.parametrize("name", ["crops.npy", "test_crops.npy", "people.npz", "missed.npz"])
def test_a_missing_file_and_a_changed_digest_are_found(pack: Path, name: str) -> None:
    edit(pack / "manifest.json", lambda m: {**m, "files": {**m["files"], name: "0" * 64}})
    assert_found(pack, name)
    (pack / name).unlink()
    assert_found(pack, name)


def test_files_of_another_pack_are_found(flic: Flic, make: Make, pack: Path) -> None:
    """Each of both packs is whole."""
    make(flic(CROWD[:-1]), pack.parent / "other")
    for name in ("crops.npy", "test_crops.npy", "people.npz"):
        shutil.copy(pack.parent / "other" / name, pack / name)
        assert_found(pack, name if name == "crops.npy" else "crops.npy")
    shutil.copy(pack.parent / "other" / "manifest.json", pack)
    check_pack(pack)


def both_changed(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest that agrees with itself, of fewer files."""
    files = {"crops.npy": manifest["files"]["crops.npy"]}
    return {**manifest, "files": files, "digest": digest_of(files)}


SPOILT: dict[str, Callable[[Any], Any]] = {
    "a list": lambda m: [m],
    "without files": lambda m: {k: m[k] for k in m if k != "files"},
    "without digest": lambda m: {k: m[k] for k in m if k != "digest"},
    "without counts": lambda m: {k: m[k] for k in m if k != "counts"},
    "files are none": lambda m: {**m, "files": None},
    "no files": lambda m: {**m, "files": {}},
    "another digest": lambda m: {**m, "digest": "0" * 16},
    "a file less": both_changed,
    "nobody": lambda m: {**m, "counts": {**m["counts"], "people": 0}},
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_manifest_is_found(pack: Path, spoil: Callable[[Any], Any]) -> None:
    edit(pack / "manifest.json", spoil)
    assert_found(pack, "manifest.json")


def test_a_pack_of_another_version_cannot_be_checked(pack: Path) -> None:
    """Its manifest may not hold what the programs print of it."""
    edit(pack / "manifest.json", lambda m: {k: m[k] for k in m if k not in ("sets", "absent")} | {"version": 1})
    with pytest.raises(UserError, match="version 1"):
        check_pack(pack)


def test_a_cut_manifest_and_no_pack_are_found(pack: Path) -> None:
    shorten(pack / "manifest.json")
    with pytest.raises(UserError, match=r"manifest\.json"):
        check_pack(pack)
    for folder in (pack.parent / "none", pack.parent):
        with pytest.raises(UserError, match="no pack"):
            check_pack(folder)


@pytest.mark.parametrize(("x", "y"), [(5000.0, 30.0), (-500.0, 30.0), (30.0, 900.0)])
def test_a_joint_far_outside_of_its_image_is_refused(
    flic: Flic, make: Callable[..., Any], tmp_path: Path, x: float, y: float
) -> None:
    source = flic([person("a.png"), person("b.png", coords=coords(lelb=(x, y))), person("c.png", split="test")])
    with pytest.raises(
        UserError, match=rf"joint \d+ lies at \({x - 1:g}, {y - 1:g}\), far outside its image, b.png of"
    ):
        make(source, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()
