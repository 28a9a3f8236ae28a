"""The readers of LSP and LSP extended: axes, flags, splits, and what damaged files become."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float

from hmlpe.data.record import Person, Source
from hmlpe.data.sources.lsp import JOINTS, LeedsSource, LspExtendedSource, LspSource
from hmlpe.skeleton import Skeleton

from .own_sets import NAN, changed_bytes, outcome, refused, same_joints, write_images

ALL = Skeleton([*JOINTS, "head"], {})
Matrix = Float[np.ndarray, "_ _ _"]
KINDS = pytest.mark.parametrize("kind", [LspSource, LspExtendedSource], ids=["lsp", "extended"])


def matrix(kind: type[LeedsSource] = LspSource, people: int = 3, flag: float | None = None) -> Matrix:
    """Person p's joint j lies at x = 100 p + j + 1.25, y = 100 p + 50 - j in MATLAB's pixels; all joints visible."""
    p, j = np.meshgrid(np.arange(people), np.arange(14), indexing="ij")
    visible = 0.0 if kind is LspSource else 1.0
    rows = np.stack([100 * p + j + 1.25, 100 * p + 50.0 - j, np.full(p.shape, visible if flag is None else flag)])
    return rows.transpose(0, 2, 1) if kind is LspSource else rows.transpose(2, 0, 1)


def at(kind: type[LeedsSource], joint: str, row: slice | int, person: int) -> tuple[slice | int, ...]:
    """The place of a row (x, y, flag) of a joint of a person in the matrix."""
    index = JOINTS.index(joint)
    return (row, index, person) if kind is LspSource else (index, row, person)


def write(root: Path, joints: object, images: Sequence[str] = ()) -> str:
    root.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(root / "joints.mat", {"joints": joints})
    write_images(root / "images", *images, size=(9, 7))
    return str(root)


Read = Callable[..., Sequence[Person]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write the matrix, and read everyone."""
    return lambda joints, kind=LspSource, skeleton=ALL: kind(write(tmp_path, joints), skeleton).people()


@KINDS
def test_rows_become_joints_counted_from_zero(tmp_path: Path, kind: type[LeedsSource]) -> None:
    image = "im0002.jpg" if kind is LspSource else "im00002.jpg"
    source = kind(write(tmp_path, matrix(kind), [image]), ALL)
    assert isinstance(source, Source)
    person = source.people()[1]
    expected = [[100.25 + j, 149 - j] for j in range(14)]
    np.testing.assert_allclose(person.joints_px, [*expected, [100.25 + 12.5, 149 - 12.5]])  # head: 12 neck, 13 its top
    assert not person.occluded.any()
    assert person.image == image and person.where == f"{tmp_path / 'joints.mat'}, person 2"
    np.testing.assert_array_equal(person.detection_px, [-0.5, -0.5, 8.5, 6.5])
    assert np.isnan(person.window_px).all() and person.identity == "" and person.sticks_px.shape == (0, 4)
    assert person.torso_px == pytest.approx(7 * np.sqrt(2))  # left shoulder 9, right hip 2
    assert person.torso_swapped_px == pytest.approx(6 * np.sqrt(2))  # right shoulder 8, right hip 2
    assert len(source.missing_images()) == 2 and image not in source.missing_images() and source.skipped() == {}


def test_a_skeleton_takes_its_joints_in_its_order(read: Read, skeleton: Skeleton) -> None:
    person = read(matrix(), skeleton=skeleton)[0]
    order = [12.5, 9, 12, 8, 10, 7, 11, 6]  # head is between neck and head top
    np.testing.assert_allclose(person.joints_px[:, 0], np.array(order) + 0.25)
    assert np.isnan(read(matrix(), skeleton=Skeleton(["neck", "tail"], {}))[0].joints_px[1]).all()
    with refused("tail"):
        read(matrix(), skeleton=Skeleton(["tail"], {}))


def test_splits(tmp_path: Path) -> None:
    root = write(tmp_path, matrix(people=5))
    assert [p.split for p in LspSource(root, ALL, train=2).people()] == ["train"] * 2 + ["test"] * 3
    assert {p.split for p in LspSource(root, ALL).people()} == {"train"}  # the first 1000
    assert LspSource(root, ALL, train=2).fingerprint() != LspSource(root, ALL).fingerprint()
    assert LspSource(root, ALL).fingerprint() == LspSource(root, ALL, train=1000).fingerprint()
    root = write(tmp_path / "extended", np.tile(matrix(LspExtendedSource), 400))
    assert {p.split for p in LspExtendedSource(root, ALL).people()} == {"train"}
    for train in (-1, 0.5, True, "2", None):
        with refused("data.source.train"):
            LspSource(str(tmp_path), ALL, train=train)


@KINDS
def test_flags(read: Read, kind: type[LeedsSource]) -> None:
    joints = matrix(kind)
    hidden = 1 if kind is LspSource else 0
    joints[at(kind, "left_wrist", 2, 1)] = joints[at(kind, "head_top", 2, 2)] = hidden
    people = read(joints, kind)
    assert [[ALL.joints[i] for i in np.flatnonzero(p.occluded)] for p in people] == [
        [],
        ["left_wrist"],
        ["head_top", "head"],
    ]
    assert all(np.isfinite(p.joints_px).all() for p in people)
    every = read(matrix(kind, flag=hidden), kind)
    assert all(p.occluded.all() for p in every)


def test_a_joint_without_coordinates_is_unknown_in_extended_alone(read: Read) -> None:
    for point in ([0, 0], [-3, 20], [20, -0.5], [0, 5]):
        for kind in (LspSource, LspExtendedSource):
            for flag in (0, 1):
                joints = matrix(kind)
                joints[at(kind, "neck", slice(0, 3), 1)] = [*point, flag]
                person = read(joints, kind)[1]
                lost = kind is LspExtendedSource and flag == 0
                neck, head = ALL.indices(["neck", "head"])
                assert np.isnan(person.joints_px[[neck, head]]).all() == lost
                assert np.isfinite(np.delete(person.joints_px, [neck, head], axis=0)).all()
                if not lost:
                    np.testing.assert_array_equal(person.joints_px[neck], np.array(point) - 1)


@KINDS
def test_people_without_a_joint_are_left_out_and_the_others_keep_their_numbers(
    tmp_path: Path, kind: type[LeedsSource]
) -> None:
    joints = matrix(kind)
    joints[(slice(0, 2), slice(None), 1) if kind is LspSource else (slice(None), slice(0, 2), 1)] = NAN
    source = kind(write(tmp_path, joints), ALL)
    assert [p.image[-6:] for p in source.people()] == ["01.jpg", "03.jpg"]
    assert source.skipped() == {"no joint is known": 1}


def test_the_other_sets_file_is_refused_and_its_reader_named(read: Read) -> None:
    for people in (1, 2, 3, 14):
        with refused("joints.mat", "its reader is LspExtendedSource"):
            read(matrix(LspExtendedSource, people), LspSource)
        with refused("joints.mat", "its reader is LspSource"):
            read(matrix(LspSource, people), LspExtendedSource)


@KINDS
def test_any_number_of_people(read: Read, kind: type[LeedsSource]) -> None:
    for people in (1, 2, 3, 14):
        found = read(matrix(kind, people), kind)
        assert [p.joints_px[0, 0] for p in found] == [100 * p + 0.25 for p in range(people)]


@pytest.mark.parametrize(
    "joints",
    [
        *(np.zeros(shape) for shape in [(3, 14, 0), (0, 0), (3, 13, 5), (4, 14, 5), (5, 3, 14), (3, 14, 5, 2), (14,)]),
        np.zeros((3, 14, 2), complex), "joints", 5.0, {"x": 1.0},
        np.array([[1, "a"], [2, "b"]], object), np.array(["abc", "def"]),
    ],
    ids=lambda joints: str(getattr(joints, "shape", joints)),
)  # fmt: skip
@KINDS
def test_what_is_no_such_matrix(read: Read, kind: type[LeedsSource], joints: object) -> None:
    with refused("joints.mat"):
        read(joints, kind)


@KINDS
@pytest.mark.parametrize(
    ("row", "value"),
    [*((row, value) for row in (0, 1) for value in (NAN, np.inf, -np.inf, 1e300, -2e5)), (2, 2), (2, NAN), (2, 0.5)],
)
def test_a_number_that_cannot_be_names_person_and_joint(
    read: Read, kind: type[LeedsSource], row: int, value: float
) -> None:
    joints = matrix(kind)
    joints[at(kind, "left_elbow", row, 2)] = value
    with refused("joints.mat, person 3", "left_elbow"):
        read(joints, kind)


def test_backwards_is_left_shoulder_left_of_right(read: Read) -> None:
    joints = matrix()
    left, right = (at(LspSource, name, 0, 0)[:2] for name in ("left_shoulder", "right_shoulder"))
    joints[left], joints[right] = [10, 30, 20], [20, 10, 20]
    assert [p.faces_backwards for p in read(joints)] == [True, False, False]


@pytest.mark.timeout(20)
def test_the_whole_image_is_unknown_where_it_is_missing_and_a_broken_one_is_named(tmp_path: Path) -> None:
    root = write(tmp_path, matrix(people=3), ["im0001.jpg"])
    source = LspSource(root, ALL)
    assert [bool(np.isnan(p.detection_px).all()) for p in source.people()] == [False, True, True]
    assert source.missing_images() == ["im0002.jpg", "im0003.jpg"]
    (tmp_path / "images" / "im0002.jpg").write_bytes(b"broken")
    with refused("im0002.jpg"):
        LspSource(root, ALL).people()
    (tmp_path / "images" / "im0002.jpg").unlink()
    os.mkfifo(tmp_path / "images" / "im0002.jpg")  # to open it would wait for ever
    with refused("im0002.jpg"):
        LspSource(root, ALL).people()


def test_no_file_or_folder(tmp_path: Path) -> None:
    for root in (None, str(tmp_path / "gone"), "~nobody-of-this-name/lsp"):
        with refused("data.root"):
            LspSource(root, ALL)
    with refused("joints.mat"):
        LspSource(str(tmp_path), ALL).people()
    scipy.io.savemat(tmp_path / "joints.mat", {"other": matrix()})
    with refused("joints.mat", "'joints'"):
        LspSource(str(tmp_path), ALL).people()


@given(order=st.permutations(range(3)), kind=st.sampled_from([LspSource, LspExtendedSource]))
def test_swapped_people_keep_their_joints(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], kind: type[LeedsSource]
) -> None:
    root = tmp_path_factory.mktemp("swapped")
    people = kind(write(root, matrix(kind)[:, :, order]), ALL).people()
    assert [p.joints_px[0, 0] for p in people] == [100 * p + 0.25 for p in order]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "compressed"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("cut") / "joints.mat"
    scipy.io.savemat(path, {"joints": matrix()}, do_compression=request.param)
    return path, path.read_bytes()


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused_wherever_it_is_cut(whole: tuple[Path, bytes], share: float) -> None:
    path, data = whole
    path.write_bytes(data[: int(share * len(data))])
    with refused(str(path)):
        LspSource(str(path.parent), ALL).people()


@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(whole: tuple[Path, bytes], data: st.DataObject) -> None:
    path, content = whole
    path.write_bytes(data.draw(changed_bytes(content)))
    outcome(lambda: LspSource(str(path.parent), ALL).people(), str(path))


@pytest.fixture(scope="module")
def real(real_data: Path) -> LspSource:
    return LspSource(str(real_data / "lsp"), ALL)


@pytest.mark.real
def test_real_counts(real: LspSource) -> None:
    people = real.people()
    assert [p.split for p in people] == ["train"] * 1000 + ["test"] * 1000
    assert real.missing_images() == [] and real.skipped() == {}
    assert [people[0].image, people[-1].image] == ["im0001.jpg", "im2000.jpg"]
    assert sum(p.faces_backwards for p in people) == 664
    with refused("LspSource"):
        LspExtendedSource(str(real.root), ALL).people()
    assert not same_joints(people[0], people[1])


@pytest.mark.real
def test_real_sides(real: LspSource) -> None:
    """Person-centric labels: the left wrist of who faces the camera is on the image's right."""
    for joint in ("elbow", "wrist", "hip"):
        left, right = ALL.indices([f"left_{joint}", f"right_{joint}"])
        front = np.stack([p.joints_px for p in real.people() if not p.faces_backwards])
        back = np.stack([p.joints_px for p in real.people() if p.faces_backwards])
        assert (front[:, left, 0] > front[:, right, 0]).mean() > 0.85
        assert (back[:, left, 0] < back[:, right, 0]).mean() > 0.85


@pytest.mark.real
def test_real_points_lie_in_their_images(real: LspSource) -> None:
    joints = np.stack([p.joints_px for p in real.people()])
    boxes = np.stack([p.detection_px for p in real.people()])
    assert np.isfinite(joints).all() and np.isfinite(boxes).all()
    inside = (joints >= boxes[:, None, :2]) & (joints <= boxes[:, None, 2:])
    assert (~inside.all(axis=(1, 2))).sum() <= 1  # person 632 touches the upper edge
    assert real.image("im0001.jpg").shape[:2] == tuple((boxes[0, :1:-1] + 0.5).astype(int))
    head, neck = (joints[:, ALL.joints.index(name), 1] for name in ("head", "neck"))
    assert (head < neck).mean() > 0.9  # y points down; some stand on their hands


@pytest.mark.real
def test_real_flags_mean_occluded(real: LspSource) -> None:
    share = dict(zip(ALL.joints, np.mean([p.occluded for p in real.people()], axis=0), strict=True))
    assert 0.05 < np.mean([share[name] for name in JOINTS]) < 0.1  # 2044 of 28000
    assert share["left_wrist"] > 5 * share["head_top"]
