"""The four sets of stickmen: what a record becomes, splits, names and options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hmlpe.data.record import Person
from hmlpe.data.sources.sticks import joints_of_sticks, window_of_sticks
from hmlpe.skeleton import Skeleton

from .conftest import picture
from .stick_files import KINDS, Kind, build, everyone, lines_of, man, refusal, write

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@each_kind
def test_everyone_is_read_in_order(tmp_path: Path, skeleton: Skeleton, kind: Kind) -> None:
    source = build(tmp_path / "set", kind, skeleton)
    people, expected = source.people(), everyone(kind)
    assert [p.image for p in people] == [image for image, _ in expected]
    for person, (_, expected_sticks) in zip(people, expected, strict=True):
        np.testing.assert_array_equal(person.sticks_px, expected_sticks)
        found = joints_of_sticks(expected_sticks)
        np.testing.assert_array_equal(person.joints_px, [found[joint] for joint in skeleton.joints])
        np.testing.assert_array_equal(person.window_px, window_of_sticks(expected_sticks))
        assert np.isnan(person.detection_px).all() and np.isnan([person.torso_px, person.torso_swapped_px]).all()
        assert not person.faces_backwards and not person.occluded.any() and person.identity == ""
    first = people[0]
    left, right = skeleton.indices(["left_wrist", "right_wrist"])
    assert first.joints_px[left, 0] > first.joints_px[right, 0]  # the person's left is on the image's right


@each_kind
def test_where_names_file_and_first_stick(tmp_path: Path, skeleton: Skeleton, kind: Kind) -> None:
    people = build(tmp_path / "set", kind, skeleton).people()
    assert len({p.where for p in people}) == len({p.where.rsplit("/")[-1] for p in people}) == len(people)
    for person in people:
        path, _, line = person.where.partition(", line ")
        words = Path(path).read_text(encoding="utf-8").splitlines()[int(line) - 1].split()
        np.testing.assert_array_equal(np.array(words, dtype=float) - 1, person.sticks_px[0])


@each_kind
def test_images_are_below_the_image_folder(tmp_path: Path, skeleton: Skeleton, kind: Kind) -> None:
    source = build(tmp_path / "set", kind, skeleton)
    names = sorted({image for image, _ in everyone(kind)})
    assert source.missing_images() == names
    for name in names[1:]:
        path = tmp_path / "set" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(name)).save(path, "png")
    assert source.missing_images() == names[:1]
    np.testing.assert_array_equal(source.image(names[1]), picture(names[1]))


@each_kind
def test_another_skeleton_takes_what_it_knows(tmp_path: Path, skeleton: Skeleton, kind: Kind) -> None:
    build(tmp_path / "set", kind, skeleton)
    options = {"root": str(tmp_path / "set"), **kind.options}
    first = kind.make(skeleton=Skeleton(["left_knee", "neck"], {}), **options).people()[0]
    assert np.isnan(first.joints_px[0]).all() and np.isfinite(first.joints_px[1]).all()
    assert "beak" in refusal(lambda: kind.make(skeleton=Skeleton(["beak"], {}), **options))
    assert "nowhere" in refusal(lambda: kind.make(**{**options, "root": "nowhere"}, skeleton=skeleton))
    assert "data.root" in refusal(lambda: kind.make(**{**options, "root": None}, skeleton=skeleton))


@each_kind
def test_a_missing_annotation_file_is_named(tmp_path: Path, skeleton: Skeleton, kind: Kind) -> None:
    source = build(tmp_path / "set", kind, skeleton)
    (tmp_path / "set" / kind.file).unlink()
    assert kind.file in refusal(source.people)


@each_kind
def test_fingerprint_is_of_annotations_and_options(tmp_path: Path, skeleton: Skeleton, kind: Kind) -> None:
    other = {"buffy": {"train_episodes": [2]}, "waf": {"train_images": 1}}.get(kind.make.name, {"split": "test"})  # type: ignore[attr-defined]
    one, two = (build(tmp_path / name, kind, skeleton) for name in ("one", "two"))
    assert one.fingerprint() == two.fingerprint() != build(tmp_path / "one", kind, skeleton, **other).fingerprint()
    write(tmp_path / "two", kind.file, lines_of(kind.records[1:]))
    assert one.fingerprint() != two.fingerprint()


def splits(people: Sequence[Person]) -> list[str]:
    return [person.split for person in people]


def test_splits(tmp_path: Path, skeleton: Skeleton) -> None:
    def of(name: str, **options: Any) -> list[str]:
        return splits(build(tmp_path / name, KINDS[name], skeleton, **options).people())

    assert of("buffy") == ["test"] * 2 + ["train"] * 2 + ["test"] * 4
    assert of("buffy", train_episodes=[6, 2]) == ["train"] * 2 + ["test"] * 5 + ["train"]
    assert set(of("ethz")) == set(of("sa")) == {"train"} and set(of("ethz", split="test")) == {"test"}
    assert of("waf") == ["train"] * 3 + ["test"] * 3  # two images, three people
    assert of("waf", train_images=0) == ["test"] * 6 and of("waf", train_images=4) == ["train"] * 6


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("ethz", "split", "both"), ("sa", "split", ""), ("waf", "train_images", -1), ("waf", "train_images", True),
        ("waf", "train_images", 5), ("buffy", "train_episodes", (1,)), ("buffy", "train_episodes", (3, 7)),
        ("buffy", "detections", "../x.mat"), ("buffy", "detections", "/x.mat"), ("buffy", "detections", ".."),
        ("buffy", "detections", ""), ("buffy", "detections", "data/x.mat"),
    ],
)  # fmt: skip
def test_bad_options_are_refused(tmp_path: Path, skeleton: Skeleton, name: str, option: str, value: Any) -> None:
    message = refusal(lambda: build(tmp_path / "set", KINDS[name], skeleton, **{option: value}).people())
    assert f"data.source.{option}" in message


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("buffy", "12.jpg"), ("buffy", "1234567"), ("buffy", "５"), ("buffy", "../7"), ("buffy", "5 1 6"),
        ("ethz", "12.5"), ("ethz", "folder"), ("ethz", ".jpg"), ("ethz", "12."), ("ethz", "12.j-g"),
        ("ethz", "x.jpg 1 6"), ("ethz", "12.jpg"), ("ethz", "0012.jpg"), ("waf", "b.jpg 1 6"),
        ("waf", "a//../b.jpg"), ("sa", "./x.jpg 1 6"),
        ("sa", "new.jpg"), ("sa", "new.jpg 1"), ("waf", ".."), ("waf", "."), ("waf", "/a.jpg"), ("waf", "a\\b.jpg"),
        ("waf", "a\ufeff.jpg"), ("sa", "../x.jpg 1 6"), ("sa", "a\x00.jpg 1 6"),
    ],
)  # fmt: skip
def test_bad_or_doubled_names_are_refused(tmp_path: Path, skeleton: Skeleton, name: str, bad: str) -> None:
    kind = KINDS[name]
    source = build(tmp_path / "set", kind, skeleton)
    lines = lines_of(kind.records)
    write(tmp_path / "set", kind.file, [*lines, bad, *man(9)])
    assert f"{kind.file}, line {len(lines) + 1}:" in refusal(source.people)
