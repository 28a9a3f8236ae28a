"""Shots of films: by the frames' numbers, in the readers, and over the splits of a pack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.data.leaks import count_neighbours
from hmlpe.data.pack import open_pack
from hmlpe.data.prepare import prepare
from hmlpe.data.selection import DataSet
from hmlpe.data.sources.buffy import BuffySource
from hmlpe.data.sources.flic import FlicSource
from hmlpe.data.sources.folder import MAX_SHOT_GAP, FilmFrame, shots_of
from hmlpe.data.split import assign_scenes, split_by_scene
from hmlpe.skeleton import Skeleton

from .conftest import person, write_flic


def test_frames_at_most_50_apart_are_of_one_shot() -> None:
    """In any order, through a chain, of one film alone; and a frame may be there twice."""
    frames = [("b", 10), ("a", 160), ("a", 10), None, ("a", 60), ("a", 110), ("a", 211), ("b", 60), ("a", 60)]
    found = shots_of([frame and FilmFrame(*frame) for frame in frames])
    one, two, other = "a/00000010", "a/00000211", "b/00000010"
    assert found == [other, one, one, "", one, one, two, other, one] and MAX_SHOT_GAP == 50


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 600)), max_size=20))
def test_shots_agree_with_brute_force(frames: list[tuple[str, int]]) -> None:
    near = np.array([[a[0] == b[0] and abs(a[1] - b[1]) <= MAX_SHOT_GAP for b in frames] for a in frames], bool)
    for _ in frames:
        near = near @ near
    shots = np.array(shots_of([FilmFrame(*frame) for frame in frames]))
    np.testing.assert_array_equal(shots[:, None] == shots, near.reshape(len(frames), len(frames)))


def test_flic_names_its_images_after_film_and_frame(tmp_path: Path, skeleton: Skeleton) -> None:
    names = ["se-7en-00000110.jpg", "se-7en-00000160.jpg", "se-7en-00000211.jpg", "8-mile-00000110.jpg", "a.png"]
    names += ["a-1.jpg", "00000110.jpg"]
    people = FlicSource(str(write_flic(tmp_path / "flic", [person(name) for name in names])), skeleton).people()
    assert [one.shot for one in people] == [
        *["se-7en/00000110"] * 2, "se-7en/00000211", "8-mile/00000110", "", "", "",
    ]  # fmt: skip


def film(*frames: int) -> list[str]:
    return [f"film-{frame:08d}.png" for frame in frames]


SPLITS = {  # people of one film, and of images by themselves
    "train": [*film(100, 110, 120, 400, 900, 900), *(f"alone{n}.png" for n in range(14))],
    "test": [*film(150, 200, 2000), "alone.png"],
}


@pytest.mark.parametrize("keep", [True, False])
def test_the_manifest_names_neighbours_and_leaves_them_out_on_wish(
    tmp_path: Path, skeleton: Skeleton, boxes: object, keep: bool
) -> None:
    records = [person(name, split) for split, names in SPLITS.items() for name in names]
    source = FlicSource(str(write_flic(tmp_path / "flic", records)), skeleton)
    sets = [DataSet(source, boxes)]  # type: ignore[arg-type]  # the fixture of a BoxRule
    manifest, _ = prepare(sets, skeleton, tmp_path / "pack", 16, workers=1, keep_neighbours=keep)
    people, of_set = open_pack(tmp_path / "pack", skeleton).people, manifest["sets"]["flic"]
    assert manifest["keep_neighbours"] is keep and of_set["images"] == {"train": 19 if keep else 16, "test": 4}
    assert set(people.shot) == {"", "film/00000100", "film/00000400", "film/00000900", "film/00002000"}
    if keep:
        assert of_set["neighbours"] == {
            "shots": 1, "train_images": 3, "train_people": 3, "test_images": 2, "test_people": 2,
        }  # fmt: skip
        assert manifest["neighbours"] == [
            {"set": "flic", "shot": "film/00000100", "train": film(100, 110, 120), "test": film(150, 200)}
        ]
        assert of_set["shots"] == {"train": 3, "test": 2} and manifest["skipped"] == []
    else:
        assert not any(of_set["neighbours"].values()) and manifest["neighbours"] == []
        assert manifest["skipped_counts"] == {"in a shot of test people": {"train": 3, "test": 0}}
        assert {one["reason"] for one in manifest["skipped"]} == {"in a shot of test people: film/00000100"}
        assert prepare(sets, skeleton, tmp_path / "pack", 16, workers=1, keep_neighbours=True)[1] is False  # a setting


def test_neighbours_of_all_splits_are_counted() -> None:
    shots = np.array(["s", "s", "s", "t", "", "", "t", "u"])
    images = np.array(list("aabcdefg"))
    splits = {"train": np.array([0, 1, 3, 4]), "val": np.array([2, 5]), "test": np.array([6, 7])}
    assert count_neighbours(shots, images, splits) == {
        "train_val": {"shots": 1, "train_images": 1, "train_people": 2, "val_images": 1, "val_people": 1},
        "train_test": {"shots": 1, "train_images": 1, "train_people": 1, "test_images": 1, "test_people": 1},
        "val_test": {"shots": 0, "val_images": 0, "val_people": 0, "test_images": 0, "test_people": 0},
    }


# ---- the real sets: docs/data.md's figures ----


def near_frames(images: np.ndarray, kept: np.ndarray, gap: int) -> set[str]:
    """Those of `images` that lie at most `gap` frames from one of `kept`."""

    def frame(name: str) -> tuple[str, int]:
        stem = name.rpartition(".")[0]
        return stem[:-9], int(stem[-8:])

    others: dict[str, list[int]] = {}
    for name in kept:
        others.setdefault(frame(name)[0], []).append(frame(name)[1])
    return {n for n in images if any(abs(frame(n)[1] - other) <= gap for other in others.get(frame(n)[0], []))}


@pytest.mark.real
def test_flics_validation_people_are_of_other_shots(real_data: Path, skeleton: Skeleton) -> None:
    """By frame numbers alone; without shots 48 of 359 validation images lay 10 frames from a training image."""
    people = FlicSource(str(real_data / "flic"), skeleton).people()
    assert all(one.shot for one in people) and len({one.shot for one in people}) == 2041
    images = np.array([one.image for one in people if one.split == "train"])
    shots = np.array([one.shot for one in people if one.split == "train"])
    nobody, unhashed = np.full(len(images), ""), np.zeros(len(images), np.uint64)
    near = {}
    for name, known in (("by shots", shots), ("by images", None)):
        scene = assign_scenes(images, nobody, unhashed, None, None, known)
        kept, validating = split_by_scene(images, scene, 0.1, 0)
        near[name] = len(near_frames(np.unique(images[validating]), np.unique(images[kept]), MAX_SHOT_GAP))
    assert near["by shots"] == 0 and near["by images"] > 100


@pytest.mark.real
def test_buffys_episodes_hold_shots_of_their_own(real_data: Path, skeleton: Skeleton) -> None:
    people = BuffySource(str(real_data / "buffy"), skeleton).people()
    shots = {split: {one.shot for one in people if one.split == split} for split in ("train", "test")}
    assert [len(of) for of in shots.values()] == [122, 82] and not shots["train"] & shots["test"]
    assert all(one.shot.startswith(f"s5e{one.image[9]}/") for one in people)
