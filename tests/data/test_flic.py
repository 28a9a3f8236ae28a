"""FLIC's reader: what each field becomes, and that a damaged file is refused in one line."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hmlpe.data.record import Person
from hmlpe.data.sources.buffy import BuffySource
from hmlpe.data.sources.flic import HEAD_REACH, FlicSource
from hmlpe.data.sources.images import read_image
from hmlpe.errors import UserError
from hmlpe.geometry import iou, scale_box
from hmlpe.skeleton import Skeleton

from .conftest import CONF, CROWD, backwards, coords, person, picture, write_flic, write_mat

Flic = Callable[..., FlicSource]
NAN = float("nan")


def one_line(error: UserError) -> str:
    text = str(error)
    assert text.strip() and "\n" not in text and "\r" not in text
    return text


def test_slots_become_joints_counted_from_zero(flic: Flic) -> None:
    slots = np.stack([10.0 * np.arange(1, 30) + 1, 1000.0 - np.arange(1, 30)])  # slot s: x = 10 s + 1, y = 1000 - s
    (only,) = flic([person(coords=slots)]).people()
    expected = {
        "head": (170, 982), "left_shoulder": (10, 998), "neck": (25, 996.5), "right_shoulder": (40, 995),
        "left_elbow": (20, 997), "right_elbow": (50, 994), "left_wrist": (30, 996), "right_wrist": (60, 993),
    }  # fmt: skip
    np.testing.assert_array_equal(only.joints_px, list(expected.values()))  # the order of FACTS 2
    assert only.torso_px == pytest.approx(np.hypot(100 - 10, 989 - 998))  # left shoulder 1, right hip 10
    assert only.torso_swapped_px == pytest.approx(np.hypot(100 - 40, 989 - 995))  # right shoulder 4, right hip 10
    assert only.sticks_px.shape == (0, 4)
    assert only.occluded.shape == (8,) and not only.occluded.any()


def test_the_window_is_that_of_a_stickman_with_the_nose_in_the_middle_of_its_head(flic: Flic) -> None:
    """Head (170, 982), neck (25, 996.5), hips 7 and 10: the torso's centre is (25 + 85, 996.5 + 990.5) / 2."""
    slots = np.stack([10.0 * np.arange(1, 30) + 1, 1000.0 - np.arange(1, 30)])
    slots[1, [6, 9]] = 1401  # hips at y 1400, x 70 and 100
    (only,) = flic([person(coords=slots)]).people()
    top, bottom = 982 - 0.5 * (996.5 - 982), (996.5 + 1400) / 2
    centre, half = (170 + (25 + 85) / 2) / 2, (bottom - top) / 0.9 / 2
    np.testing.assert_allclose(only.window_px, [centre - half, top, centre + half, bottom])
    slots[:, 6] = NAN
    assert np.isnan(flic([person(coords=slots)]).people()[0].window_px).all()


def test_records_keep_order_split_image_and_place(flic: Flic) -> None:
    people = flic().people()
    assert [p.image for p in people] == [record["filepath"] for record in CROWD]
    assert [p.split for p in people] == ["train", "train", "test", "test", "train", "train", "train", "train", "test"]
    assert [p.faces_backwards for p in people] == [record["filepath"] == "e.png" for record in CROWD]
    assert people[2].where.endswith("examples.mat, record 3")
    np.testing.assert_allclose(people[4].detection_px, [32, 15, 39, 40])


def test_no_joint_is_made_up(flic: Flic) -> None:
    unknown = (NAN, NAN)
    (only,) = flic([person(coords=coords(nose=unknown, rsho=unknown, lwri=unknown))]).people()
    known = np.isfinite(only.joints_px).all(axis=1)
    assert known.tolist() == [False, True, False, False, True, True, False, True]  # the neck needs both shoulders
    assert np.isnan(only.joints_px[~known]).all()
    assert np.isfinite(only.torso_px) and np.isnan(only.torso_swapped_px)
    assert not only.faces_backwards


@pytest.mark.parametrize(
    ("left", "right", "back"), [(44, 28, False), (28, 44, True), (30, 30, False), (30, 30.5, True)]
)
def test_backwards_is_left_shoulder_left_of_right(flic: Flic, left: float, right: float, back: bool) -> None:
    (only,) = flic([person(coords=coords(lsho=(left, 18), rsho=(right, 19)))]).people()
    assert only.faces_backwards is back


def test_joints_outside_the_image_are_kept(flic: Flic) -> None:
    (only,) = flic([person(coords=coords(lwri=(900, -30)))]).people()
    assert only.joints_px[6].tolist() == [899, -31]


def test_another_skeleton_takes_what_it_knows(tmp_path: Path) -> None:
    root = str(write_flic(tmp_path / "flic", [person()]))
    (only,) = FlicSource(root, Skeleton(["right_hip", "left_knee", "left_wrist"], {})).people()
    np.testing.assert_array_equal(only.joints_px, [[30, 40], [NAN, NAN], [45, 37]])
    with pytest.raises(UserError, match="beak"):
        FlicSource(root, Skeleton(["beak"], {}))


def test_missing_images_are_named_once_and_in_order(flic: Flic) -> None:
    assert flic().missing_images() == []
    absent = ["f.jpg", "b.png", "e.png", "g.png", "a.png"]
    assert flic(absent=absent).missing_images() == sorted(absent)


def test_an_image_is_rgb_whatever_its_file_is(tmp_path: Path) -> None:
    Image.fromarray(picture("x")).save(tmp_path / "rgb.png")
    Image.fromarray(picture("x")).convert("L").save(tmp_path / "grey.png")
    Image.fromarray(picture("x")).convert("P").save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path, "rgb.png"), picture("x"))
    for name in ("grey.png", "palette.png"):
        image = read_image(tmp_path, name)
        assert image.shape == (48, 72, 3) and image.dtype == np.uint8


def test_fingerprint_is_of_the_annotations(flic: Flic) -> None:
    one, same, other = flic([person()]), flic([person()]), flic([person(coords=backwards())])
    whole = one.annotation_files()[0].read_bytes()
    same.annotation_files()[0].write_bytes(whole)  # savemat writes the time into the header
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    same.annotation_files()[0].write_bytes(whole[:-1])
    assert one.fingerprint() != same.fingerprint()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "compressed"])
def cuttable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("cut") / "examples.mat"
    write_mat(path, CROWD[:3], compressed=request.param)
    return path, path.read_bytes()


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused_wherever_it_is_cut(
    cuttable: tuple[Path, bytes], skeleton: Skeleton, share: float
) -> None:
    path, whole = cuttable
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError) as raised:
        FlicSource(str(path.parent), skeleton).people()
    assert str(path) in one_line(raised.value)


@pytest.mark.parametrize("kept", [0, 1, 4, 116, 127, 128, 129, 132, 136, 144, 200, -129, -9, -8, -7, -1])
def test_a_cut_file_is_refused_at_its_seams(cuttable: tuple[Path, bytes], skeleton: Skeleton, kept: int) -> None:
    path, whole = cuttable
    path.write_bytes(whole[:kept])
    with pytest.raises(UserError) as raised:
        FlicSource(str(path.parent), skeleton).people()
    assert str(path) in one_line(raised.value)


@pytest.fixture(scope="module", params=["jpeg", "png"])
def cut_image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    stream = io.BytesIO()
    Image.fromarray(picture("cut")).save(stream, request.param)
    return tmp_path_factory.mktemp("cut") / f"x.{request.param}", stream.getvalue()


@given(share=st.floats(0, 0.97))
def test_a_cut_image_is_refused_wherever_it_is_cut(cut_image: tuple[Path, bytes], share: float) -> None:
    path, whole = cut_image
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError) as raised:
        read_image(path.parent, path.name)
    assert str(path) in one_line(raised.value)


@pytest.mark.parametrize("name", ["../x.png", "deep/../../x.png", "{absolute}"])
def test_a_name_cannot_climb_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "images" / "deep").mkdir(parents=True)
    Image.fromarray(picture("x")).save(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"x\.png") as raised:
        read_image(tmp_path / "images", name.format(absolute=tmp_path / "x.png"))
    one_line(raised.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as outside of tests: no error by itself
@pytest.mark.parametrize("limit", [1000, 3000])  # of 3456 pixels: beyond twice the limit Pillow itself refuses
def test_an_image_too_large_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    Image.fromarray(picture("x")).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UserError, match=r"x\.png") as raised:
        read_image(tmp_path, "x.png")
    one_line(raised.value)


@pytest.fixture(scope="module")
def real_flic(real_data: Path, skeleton: Skeleton) -> FlicSource:
    return FlicSource(str(real_data / "flic"), skeleton)


@pytest.fixture(scope="module")
def real_people(real_flic: FlicSource) -> Sequence[Person]:
    return real_flic.people()


@pytest.mark.real
def test_real_counts(real_flic: FlicSource, real_people: Sequence[Person], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_flic, "people", lambda: real_people)  # reading them takes seconds
    assert len(real_people) == 5003 and len({p.image for p in real_people}) == 4552
    assert Counter(p.split for p in real_people) == {"train": 3987, "test": 1016}
    assert Counter(p.split for p in real_people if p.faces_backwards) == {"train": 199, "test": 48}
    missing = real_flic.missing_images()
    assert len(missing) == 231
    assert Counter(p.split for p in real_people if p.image in set(missing)) == {"test": 250}


@pytest.mark.real
def test_real_sides(real_people: Sequence[Person], skeleton: Skeleton) -> None:
    """Person-centric labels: the left wrist of who faces the camera is on the image's right."""
    for joint in ("elbow", "wrist"):
        left, right = skeleton.indices([f"left_{joint}", f"right_{joint}"])
        front = np.stack([p.joints_px for p in real_people if not p.faces_backwards])
        back = np.stack([p.joints_px for p in real_people if p.faces_backwards])
        assert (front[:, left, 0] > front[:, right, 0]).mean() > 0.9
        assert (back[:, left, 0] < back[:, right, 0]).mean() > 0.9


@pytest.mark.real
def test_real_points_lie_where_they_should(real_people: Sequence[Person]) -> None:
    joints = np.stack([p.joints_px for p in real_people])
    boxes = np.stack([p.detection_px for p in real_people])
    assert np.isfinite(joints).all() and np.isfinite([p.torso_px for p in real_people]).all()
    head, neck = joints[:, 0], joints[:, 2]
    assert (head[:, 1] < neck[:, 1]).mean() > 0.99  # y points down
    inside = (neck > boxes[:, :2] - 30) & (neck < boxes[:, 2:] + 30)
    assert inside.all(axis=1).mean() > 0.95


@pytest.mark.real
def test_real_lengths_of_who_is_seen_from_behind(real_people: Sequence[Person]) -> None:
    """MODEC's length is not their diagonal: it is a fifth shorter."""
    behind = [p for p in real_people if p.split == "test" and p.faces_backwards]
    ratio = np.array([p.torso_swapped_px / p.torso_px for p in behind])
    assert len(ratio) == 48 and (ratio < 1).all() and np.median(ratio) == pytest.approx(0.82, abs=0.005)


@pytest.mark.real
def test_real_window_rule(real_people: Sequence[Person], real_data: Path, skeleton: Skeleton) -> None:
    """The numbers of HEAD_REACH (Buffy's) and conf/set/flic.yaml's window_factors are medians of training people."""
    buffy = [p for p in BuffySource(str(real_data / "buffy"), skeleton).people() if p.split == "train"]
    head, neck = skeleton.indices(["head", "neck"])
    reach = [
        (p.joints_px[head, 1] - p.window_px[1]) / (p.joints_px[neck, 1] - p.joints_px[head, 1])  # its top is the head's
        for p in buffy
    ]
    assert np.median(reach) == pytest.approx(HEAD_REACH, abs=0.01)

    train = [p for p in real_people if p.split == "train" and np.isfinite(p.window_px).all()]
    boxes = np.stack([scale_box(p.detection_px, (3.5, 1.75, 1.75)) for p in train])
    windows = np.stack([p.window_px for p in train])
    half = (windows[:, 2:] - windows[:, :2]) / 2
    across = (boxes[:, 2] - boxes[:, 0]) / 2 / half[:, 0]
    up, down = (windows[:, 1] - boxes[:, 1]) / half[:, 1], (boxes[:, 3] - windows[:, 3]) / half[:, 1]
    across, up, down = np.median([across, up, down], axis=1)
    np.testing.assert_allclose([across, up, down], [2.0, 0.65, 2.7], atol=0.05)
    shrunk, cut = across * 112 / 128, (2 + up + down) * (1 - 112 / 128) / 2
    factors = yaml.safe_load((CONF / "set" / "flic.yaml").read_text())["boxes"]["window_factors"]
    np.testing.assert_allclose([shrunk, up - cut, down - cut], factors, atol=0.05)


@pytest.mark.real
def test_real_people_who_are_annotated_twice(real_people: Sequence[Person], real_flic: FlicSource) -> None:
    """Of the test people with an image here; their joints differ by a few pixels (`detect.match.assign` minds)."""
    missing = set(real_flic.missing_images())
    images: dict[str, list[Person]] = {}
    for one in (p for p in real_people if p.split == "test" and p.image not in missing):
        images.setdefault(one.image, []).append(one)
    pairs = [(a, b) for people in images.values() for a, b in combinations(people, 2)]
    twice = [(a, b) for a, b in pairs if iou(a.window_px, b.window_px) > 0.5]
    apart = [np.linalg.norm(a.joints_px - b.joints_px, axis=1).mean() for a, b in twice]
    assert len(twice) == 63 and np.median(apart) < 6
