"""The contact sheet: what it shows is what the labels say, and the same people give the same bytes."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from hmlpe.data.drawing import LabelledCrop, draw_pose, draw_windows, legend_entries
from hmlpe.data.pack import Pack, PeopleColumns, labels_of
from hmlpe.data.sheet import draw_labelled_crops, draw_sheet, sample_rows
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton
from hmlpe.windows import WindowGrid

NAN = float("nan")
HEAD, L_SHOULDER, NECK, R_SHOULDER, L_ELBOW, R_ELBOW, L_WRIST, R_WRIST = range(8)
RED, BLUE, WHITE = (255, 32, 32), (32, 96, 255), (255, 255, 255)
GREY = 100
POSE = np.array([[56, 20], [76, 44], [56, 42], [36, 44], [84, 66], [28, 66], [80, 88], [32, 90]], float)
GRID = WindowGrid()


def people(sets: dict[tuple[str, str], int]) -> PeopleColumns:
    """People of {(set, split): how many}, all in POSE, in a box of 112 image pixels at (10, 20)."""
    names = [name for name, count in sets.items() for _ in range(count)]
    total, nan = len(names), np.full((len(names), 4), NAN)
    return PeopleColumns(
        set=np.array([name for name, _ in names]),
        image=np.array([f"{row}.png" for row in range(total)]),
        where=np.array([f"records, {row}" for row in range(total)]),
        split=np.array([split for _, split in names]),
        identity=np.full(total, ""),
        shot=np.full(total, ""),
        hash=np.arange(total, dtype=np.uint64),
        crop_hash=np.zeros(total, dtype=np.uint64),
        joints_px=np.repeat(POSE[None] + [10.5, 20.5], total, axis=0),
        occluded=np.zeros((total, 8), bool),
        box_px=np.repeat([[10.0, 20, 122, 132]], total, axis=0),
        detection_px=nan,
        window_px=nan,
        torso_px=np.ones(total),
        torso_swapped_px=np.ones(total),
        sticks_px=np.zeros((total, 0, 4)),
        faces_backwards=np.zeros(total, bool),
        attributes=np.zeros((total, 0)),
    )


def pack_of(columns: PeopleColumns) -> Pack:
    crops = np.full((len(columns.split), 128, 128, 3), GREY, np.uint8)
    crops[:, :, 64:] += 60  # so that a mirrored picture would show
    return Pack(crops, crops[:, 8:-8, 8:-8], columns, columns.select_rows(np.arange(0)), {"name": "tiny $x$ {y}"})


def sheet(pack: Pack, skeleton: Skeleton, path: Path, rows: list[int], sides: str = "person") -> np.ndarray:
    """The page as pixels."""
    draw_sheet(pack, labels_of(pack.people, skeleton, sides, True), skeleton, GRID, rows, path)
    with Image.open(path) as image:
        assert image.format == "PNG" and set(image.info) <= {"dpi"}  # no dates, no versions
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def alone() -> PeopleColumns:
    """One person of whom only the wrists are known, so that no part is drawn."""
    columns = people({("flic", "test"): 1})
    columns.joints_px[:, :L_WRIST] = NAN
    return columns


def middle(page: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Where the marker of that colour is, above the legend."""
    found = np.argwhere((page[:PICTURE_BOTTOM] == colour).all(axis=-1))
    assert len(found), f"nothing is {colour}"
    return found[:, ::-1].mean(axis=0)


PICTURE_BOTTOM = 400  # of a sheet of one person: below begins the legend


def test_joints_are_where_the_labels_say(alone: PeopleColumns, skeleton: Skeleton, tmp_path: Path) -> None:
    page = sheet(pack_of(alone), skeleton, tmp_path / "sheet.png", [0])
    bright = np.flatnonzero((page[300] == GREY + 60).all(axis=-1))  # the right half of the left picture
    centre_x = bright[0]
    red, blue = middle(page, RED), middle(page, BLUE)
    np.testing.assert_allclose(red - blue, 2 * (POSE[L_WRIST] - POSE[R_WRIST]), atol=1)  # drawn twice as large
    np.testing.assert_allclose([red[0], blue[0]], centre_x + 2 * (POSE[[L_WRIST, R_WRIST], 0] - 55.5), atol=2)


def test_people_who_face_backwards_change_sides_with_the_labels(
    alone: PeopleColumns, skeleton: Skeleton, tmp_path: Path
) -> None:
    """Joints, and the flags of occlusion with them."""
    alone.faces_backwards[:] = True
    alone.occluded[:, L_WRIST] = True
    for sides, solid in (("person", BLUE), ("image", RED)):
        page = sheet(pack_of(alone), skeleton, tmp_path / "sheet.png", [0], sides)[:PICTURE_BOTTOM]
        hollow = RED if solid == BLUE else BLUE
        inside = {colour: np.argwhere((page == colour).all(axis=-1)) for colour in (solid, hollow)}
        x, y = inside[solid].mean(axis=0).round().astype(int)[::-1]
        assert tuple(page[y, x]) == solid
        x, y = inside[hollow].mean(axis=0).round().astype(int)[::-1]
        assert page[y, x].max() == page[y, x].min()  # the picture is seen through it


def test_the_same_people_give_the_same_bytes(skeleton: Skeleton, tmp_path: Path) -> None:
    columns = people({("flic", "train"): 3, ("lsp", "test"): 3})
    columns.joints_px[1] = NAN  # nobody is left out for that
    columns.joints_px[2, R_WRIST] = [400, -300]  # far outside
    pack = pack_of(columns)
    page = sheet(pack, skeleton, tmp_path / "new" / "sheet.png", [5, 1, 2, 0, 3])
    first = (tmp_path / "new" / "sheet.png").read_bytes()
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 50}):
        sheet(pack, skeleton, tmp_path / "new" / "sheet.png", [5, 1, 2, 0, 3])
    assert (tmp_path / "new" / "sheet.png").read_bytes() == first
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sheet.png"]
    assert page.shape[1] == 4 * (2 * 224 + 14) + 14 and page.std() > 20
    assert (sheet(pack, skeleton, tmp_path / "few.png", [5, 1]).shape[1]) < page.shape[1]


def test_nobody_is_an_error(skeleton: Skeleton, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sheet\.png: there is nobody"):
        sheet(pack_of(people({("flic", "train"): 2})), skeleton, tmp_path / "sheet.png", [])
    assert not list(tmp_path.iterdir())


# ---- one person ----


def view(joints: np.ndarray = POSE, **changes: Any) -> LabelledCrop:
    return replace(LabelledCrop("flic", np.full((112, 112, 3), GREY, np.uint8), joints, np.zeros(8, bool)), **changes)


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


def text_of(ax: Axes) -> str:
    (text,) = ax.texts
    return text.get_text()


@pytest.mark.parametrize("turn", range(9))
def test_the_windows_are_those_of_the_task(ax: Axes, skeleton: Skeleton, turn: int) -> None:
    draw_windows(ax, view(), skeleton, GRID, turn)
    part = turn % 7
    inside = GRID.contains(torch.from_numpy(POSE[list(skeleton.part_ends[part])]))
    corners = {tuple(corner) for corner in GRID.corners()[inside].tolist()}
    assert len(corners) > 2
    drawn = [patch.get_bbox().extents for patch in ax.patches]  # type: ignore[attr-defined]
    assert {tuple(extents[:2]) for extents in drawn} == corners and len(drawn) == len(corners) + 1  # one outlined
    assert {tuple(extents[2:] - extents[:2]) for extents in drawn} == {(29.0, 29.0)}
    dots = np.column_stack(ax.lines[1].get_data())
    assert {tuple(dot) for dot in dots - 14.5} == corners
    assert text_of(ax) == f"{list(skeleton.parts)[part].replace('_', ' ')}: {len(corners)} of 64 windows"


def test_a_part_that_is_not_known_gives_its_turn_to_the_next(skeleton: Skeleton) -> None:
    joints = POSE.copy()
    joints[HEAD] = joints[L_SHOULDER, 1] = NAN
    texts = []
    for shown in (joints, np.full((8, 2), NAN)):
        ax = Figure().add_subplot()
        draw_windows(ax, view(shown), skeleton, GRID, 0)
        texts.append(text_of(ax))
    assert texts[0].startswith("neck right shoulder: ") and texts[1] == "no part is known"


def test_a_part_outside_is_in_no_window(ax: Axes, skeleton: Skeleton) -> None:
    draw_windows(ax, view(POSE + 500), skeleton, GRID, 3)
    assert text_of(ax) == "left upper arm: 0 of 64 windows" and not ax.patches


def test_colours_and_markers_mean_what_the_legend_says(ax: Axes, skeleton: Skeleton) -> None:
    draw_pose(ax, view(occluded=np.arange(8) == L_ELBOW), skeleton)
    entries = {str(line.get_label()): line for line in legend_entries(skeleton)}
    sticks, joints = ax.lines[:7], ax.lines[7:]
    for stick, (name, ends) in zip(sticks, zip(skeleton.parts, skeleton.part_ends, strict=True), strict=True):
        assert stick.get_color() == entries[name.replace("_", " ")].get_color()
        np.testing.assert_array_equal(np.column_stack(stick.get_data()), POSE[list(ends)])
    assert len({stick.get_color() for stick in sticks}) == 7
    for index, (name, joint) in enumerate(zip(skeleton.joints, joints, strict=True)):
        entry = entries[f"{name.split('_')[0]} joint" if "_" in name else "middle joint"]
        fill = "none" if index == L_ELBOW else entry.get_markerfacecolor()
        assert (joint.get_marker(), joint.get_markerfacecolor()) == (entry.get_marker(), fill)
        np.testing.assert_array_equal(np.column_stack(joint.get_data()), POSE[[index]])


def test_another_skeleton_needs_no_code(tmp_path: Path) -> None:
    names = [f"joint_{index}" for index in range(12)]
    chain = Skeleton(names, {f"part_{index}": names[index : index + 2] for index in range(11)})
    points = np.random.default_rng(0).uniform(0, 60, (12, 2))
    one = LabelledCrop("a worm", np.full((64, 64, 3), GREY, np.uint8), points, np.zeros(12, bool))
    draw_labelled_crops([one, one], chain, GRID, tmp_path / "worm.png", "Worms")
    with Image.open(io.BytesIO((tmp_path / "worm.png").read_bytes())) as image:
        assert image.width > 4 * 128


# ---- who is shown ----

CROWD = {("flic", "train"): 40, ("flic", "test"): 10, ("lsp", "train"): 20, ("lsp", "test"): 2}


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (8, [2, 2, 2, 2]),
        (20, [6, 6, 2, 6]),
        (72, [10, 40, 2, 20]),
        (500, [10, 40, 2, 20]),
        (1, [1, 0, 0, 0]),
        (0, [0] * 4),
    ],
)
def test_people_are_spread_over_sets_and_splits(count: int, expected: list[int]) -> None:
    columns = people(CROWD)
    rows = sample_rows(columns, count, seed=0)
    groups = [f"{columns.set[row]} {columns.split[row]}" for row in rows]
    assert [groups.count(group) for group in ("flic test", "flic train", "lsp test", "lsp train")] == expected
    assert len(set(rows)) == len(rows) and groups == sorted(groups) and all(type(row) is int for row in rows)


def test_the_choice_is_a_function_of_the_seed() -> None:
    columns = people(CROWD)
    drawn = [tuple(sample_rows(columns, 12, seed)) for seed in (1, 1, 2, 3)]
    assert drawn[0] == drawn[1] and len(set(drawn)) == 3
