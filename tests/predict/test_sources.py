"""What the user points at, in order, and nothing else."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.predict.job import OutputNames
from hmlpe.predict.sources import Camera, Photo, Video, find_sources, is_drawn, save_picture

from .fakes import lit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos, a folder below, and things that are none."""
    for name in (
        "b.JPG",
        "a.png",
        "c.mp4",
        "notes.txt",
        ".hidden.jpg",
        "below/d.jpg",
        "below/deeper/e.tif",
        "no_suffix",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"?")
    return tmp_path


def names(*sources: str | int | Path, recursive: bool = False) -> list[str]:
    return [
        item.name
        for item in find_sources([one if isinstance(one, int) else str(one) for one in sources], recursive).items
    ]


def test_of_a_folder_the_images_sorted(folder: Path) -> None:
    found = find_sources([str(folder)])
    assert [item.name for item in found.items] == ["a.png", "b.JPG"]
    assert found.folder == folder and found.ignored == 4 and not found.skipped
    assert names(folder, recursive=True) == ["a.png", "b.JPG", "below/d.jpg", "below/deeper/e.tif"]


def test_photos_that_cannot_be_read_are_among_them(folder: Path) -> None:
    """So that each is named as skipped, not passed over; by what it holds it may be read after all."""
    for name in ("IMG_1.HEIC", "shot.dng", ".hidden.heic"):
        (folder / name).write_bytes(b"?")
    assert names(folder) == ["IMG_1.HEIC", "a.png", "b.JPG", "shot.dng"]
    assert names(folder / "*.*") == ["IMG_1.HEIC", "a.png", "b.JPG", "c.mp4", "shot.dng"]


@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_composed_and_decomposed_names_are_one(tmp_path: Path, typed: Any) -> None:
    """A keyboard writes é as one letter, and macOS stored it as two."""
    name = "Fotos é/Höhe.jpg"
    for form in ("NFC", "NFD"):
        path = tmp_path / form / unicodedata.normalize(form, name)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"?")
        (item,) = find_sources([str(tmp_path / form / unicodedata.normalize(typed, name))]).items
        assert isinstance(item, Photo) and item.path.is_file()


def test_globs(folder: Path) -> None:
    assert names(folder / "*.png") == ["a.png"]
    assert names(folder / "*") == ["a.png", "b.JPG", "c.mp4"]
    assert names(folder / "**" / "*.tif") == ["below/deeper/e.tif"]
    assert names(folder / "bel*" / "[d]?jpg") == ["below/d.jpg"]


def test_a_folder_with_brackets_is_no_wildcard(tmp_path: Path) -> None:
    for name in ("shots[12]", "shots1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name[:6]}.png").write_bytes(b"?")
    assert names(tmp_path / "shots[12]" / "*.png") == ["shots[.png"]
    (tmp_path / "shots[12]").rename(tmp_path / "other")
    assert names(tmp_path / "shots[12]" / "*.png") == ["shots1/shots1.png"]


def test_what_is_named_is_taken_whatever_its_suffix(folder: Path) -> None:
    found = find_sources([str(folder / name) for name in ("notes.txt", "c.mp4", ".hidden.jpg")])
    assert [type(item) for item in found.items] == [Photo, Video, Photo]


def test_lists_keep_their_order_and_drop_doubles(folder: Path) -> None:
    """Names are relative to the folder that holds all, so that no two images have the same."""
    assert names(folder / "below" / "d.jpg", 1, folder, folder / "a.png", "1") == [
        "below/d.jpg",
        "camera1",
        "a.png",
        "b.JPG",
    ]


def test_a_file_that_looks_like_a_glob_or_a_number_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("[1].png", "0"):
        Path(name).write_bytes(b"?")
    found = find_sources(["[1].png", "0", 0, 2])
    assert [item.name for item in found.items] == ["[1].png", "0", "camera2"]
    assert isinstance(found.items[2], Camera) and found.items[2].number == 2


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("gone.jpg", "there is no such file or folder"),
        ("gone*.jpg", "no file has a name like that"),
        ("*.txt", "no image or video has a name like that"),
        ("empty", "no image in this folder (0 other files); recursive=true"),
        ("-1", "there is no such file"),
        ("", "no such file"),
        ("a\0b", "no such file"),
        ("x" * 5000, "no such file"),
    ],
)
def test_what_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str) -> None:
    """Said, and the others are found all the same."""
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    found = find_sources([source, "a.png"] if source else ["none/", "a.png"])
    assert [item.name for item in found.items] == ["a.png"]
    (skipped,) = found.skipped
    assert reason in skipped.reason


def test_nothing_is_found_in_links_that_go_round(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"?")
    assert names(tmp_path, recursive=True) == ["a.jpg"]


def test_own_pictures_are_no_sources(tmp_path: Path) -> None:
    """Those of an earlier call; a user's photo with such a name is one, and so is what is named itself."""
    for name in ("a_pose.jpg", "a_pose.png", "a_maps12.png", "a.png"):
        save_picture(tmp_path / name, lit(5, 5))
    (tmp_path / "b_pose.jpg").write_bytes(b"?")
    for name in ("c.mp4", "c_pose.mp4", "d_pose.mp4"):
        (tmp_path / name).write_bytes(b"?")
    assert is_drawn(tmp_path / "a_pose.jpg") and is_drawn(tmp_path / "a_maps12.png")
    assert names(tmp_path) == ["a.png", "b_pose.jpg"]
    assert names(tmp_path / "*") == ["a.png", "b_pose.jpg", "c.mp4", "d_pose.mp4"]
    assert names(tmp_path / "a_pose.jpg") == ["a_pose.jpg"]


NAMES = st.builds(
    "{}{}{}".format, st.sampled_from(["", "d/"]), st.sampled_from(["a", "A", "a.jpg", "a_pose", "a.jpg_2"]),
    st.sampled_from([".jpg", ".png", ".JPG", ".gif"]),
)  # fmt: skip


@given(st.lists(NAMES, unique=True), st.booleans())
def test_no_two_pictures_and_no_source_have_one_name(sources: list[str], beside: bool) -> None:
    """On file systems too that do not tell large letters from small ones."""
    folder = Path(os.path.abspath("photos"))
    given = OutputNames(folder if beside else folder / "out", [folder / name for name in sources])
    new = [given.unused_path(name, "_pose.jpg") for name in sources]
    assert len({str(path).lower() for path in new}) == len(sources)
    assert not {str(path).lower() for path in new} & {str(folder / name).lower() for name in sources}
    again = OutputNames(folder if beside else folder / "out", [folder / name for name in sources])
    assert [again.unused_path(name, "_pose.jpg") for name in sources] == new
