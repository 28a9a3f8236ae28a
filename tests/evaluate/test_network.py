"""Estimates of a network, in the pack's boxes and in detected ones: joints land where the network puts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from jaxtyping import UInt8

from hmlpe.data.pack import Pack, PeopleColumns
from hmlpe.data.record import Person
from hmlpe.detect.detector import Detections
from hmlpe.errors import UserError
from hmlpe.evaluate.cases import estimate_in_detected_boxes, has_image
from hmlpe.evaluate.network import check_skeleton, estimate_in_given_boxes, estimate_mean_pose, select_test_people
from hmlpe.evaluate.people import truth_of
from hmlpe.geometry import crop_resized, crop_to_image
from hmlpe.predict.estimator import ModelCard, Poses
from hmlpe.skeleton import Skeleton

from .conftest import truth_like, upper_body

SIZE = 16
FACTORS = (2.0, 0.5, 1.0)


@dataclass
class Sees:
    """An estimator that answers with the mean brightness of each crop: (b, b / 2) for every joint."""

    card: ModelCard = field(default_factory=lambda: card())
    batches: list[int] = field(default_factory=list)
    detects: bool = True

    def __call__(self, crops: UInt8[np.ndarray, "crop size size 3"]) -> Poses:
        assert crops.shape[1:] == (SIZE, SIZE, 3)
        self.batches.append(len(crops))
        bright = crops.mean(axis=(1, 2, 3)).astype(np.float32)
        joints = np.stack([np.stack([bright, bright / 2], axis=1)] * 8, axis=1)
        sure = bright / 255 if self.detects else np.full_like(bright, np.nan)
        return Poses(joints, np.repeat(sure[:, None], 8, axis=1), None)


def card(skeleton: Skeleton | None = None, factors: tuple[float, float, float] = FACTORS) -> ModelCard:
    return ModelCard("flic/row_s1", skeleton or upper_body(), SIZE, {}, factors, ("regression",), {"data": "d"})


def columns(people: int, split: str = "test", name: str = "flic") -> PeopleColumns:
    truth = truth_like(people)
    corner = np.arange(people)[:, None] * 10.0
    return PeopleColumns(
        set=np.full(people, name),
        image=np.array(truth.images),
        where=np.array(truth.locations),
        split=np.full(people, split),
        identity=np.full(people, ""),
        shot=np.full(people, ""),
        hash=np.zeros(people, dtype=np.uint64),
        crop_hash=np.zeros(people, dtype=np.uint64),
        joints_px=truth.joints_px,
        occluded=np.zeros((people, 8), dtype=bool),
        box_px=np.concatenate([corner, corner, corner + 100, corner + 200], axis=1),
        detection_px=np.full((people, 4), np.nan),
        window_px=truth.window_px,
        torso_px=truth.torso_px,
        torso_swapped_px=truth.torso_px,
        sticks_px=np.zeros((people, 0, 4)),
        faces_backwards=np.zeros(people, dtype=bool),
        attributes=np.zeros((people, 0)),
    )


def pack(test: int = 5, missed: int = 2) -> Pack:
    """Four training people of another brightness, then the test people: number i has brightness 20 i."""
    train, shown = columns(4, "train"), columns(test)
    bright = [200] * 4 + [20 * i for i in range(test)]
    crops = np.stack([np.full((SIZE + 4, SIZE + 4, 3), value, dtype=np.uint8) for value in bright])
    return Pack(crops, crops[:, 2:-2, 2:-2].copy(), train.concatenate(shown), columns(missed), {})


def test_the_networks_joints_land_in_the_image() -> None:
    held, estimator = pack(), Sees()
    rows, people = select_test_people(held, "flic")
    truth = truth_of(people, upper_body(), "image", True)
    found = estimate_in_given_boxes(estimator, held, rows, truth, batch_size=2, progress=False)
    assert estimator.batches == [2, 2, 1] and len(truth) == 7
    assert found.joints_px is not None and found.confidence is not None
    for i in range(5):
        inside = np.array([20.0 * i, 10.0 * i])
        expected = crop_to_image(inside, np.array([10.0 * i, 10.0 * i, 10.0 * i + 100, 10.0 * i + 200]), SIZE)
        np.testing.assert_allclose(found.joints_px[i], np.tile(expected, (8, 1)), rtol=1e-6)
        np.testing.assert_allclose(found.confidence[i], 20 * i / 255, rtol=1e-6)
    assert found.detected.tolist() == [True] * 5 + [False] * 2 and found.by_detector
    assert np.isnan(found.joints_px[5:]).all() and np.isnan(found.sticks_px[5:]).all()


@dataclass
class Drawn:
    """A source of one drawn image."""

    drawn: UInt8[np.ndarray, "height width 3"]
    name: str = "flic"

    def image(self, name: str) -> UInt8[np.ndarray, "height width 3"]:
        return self.drawn

    def people(self) -> Sequence[Person]:
        return []

    def missing_images(self) -> Sequence[str]:
        return []

    def skipped(self) -> Mapping[str, int]:
        return {}

    def fingerprint(self) -> str:
        return ""


@pytest.mark.parametrize(("zoom", "box"), [(0.5, (25, 50, 75, 150)), (1.5, (-25, -50, 125, 250))])
def test_another_zoom_looks_into_the_photo(zoom: float, box: tuple[int, ...]) -> None:
    """Of an image that is bright around the middle of the box alone; a pack knows nothing of what is around a box."""
    held, image = pack(test=1, missed=1), np.zeros((300, 200, 3), np.uint8)
    image[51:150, 26:75] = 80  # the middle half of the box [0, 0, 100, 200], whose edges go through pixels
    image[201:, :] = 160  # below the box
    rows, people = select_test_people(held, "flic")
    truth = truth_of(people, upper_body(), "image", True)
    found = estimate_in_given_boxes(Sees(), held, rows, truth, 4, zoom, Drawn(image), progress=False)
    corners = np.array(box, dtype=float)
    bright = crop_resized(image, corners, SIZE).mean()
    assert 70 < bright < 80 if zoom < 1 else 30 < bright < 50
    assert found.joints_px is not None
    expected = crop_to_image(np.array([bright, bright / 2]), corners, SIZE)
    np.testing.assert_allclose(found.joints_px[0, 0], expected, rtol=1e-6)
    with pytest.raises(ValueError, match="images"):
        estimate_in_given_boxes(Sees(), held, rows, truth, 4, zoom, progress=False)


def test_a_pack_for_another_input_is_refused() -> None:
    held = pack()
    rows, people = select_test_people(held, "flic")
    truth = truth_of(people, upper_body(), "image", True)
    other = Sees(replace(card(), size_px=SIZE + 4))
    with pytest.raises(UserError, match=rf"crops of {SIZE + 4} px.*hmlpe-prepare size_px={SIZE + 4}"):
        estimate_in_given_boxes(other, held, rows, truth, 2, progress=False)


def test_the_batch_size_changes_nothing() -> None:
    held = pack()
    rows, people = select_test_people(held, "flic")
    truth = truth_of(people, upper_body(), "image", True)
    one, all_at_once = (estimate_in_given_boxes(Sees(), held, rows, truth, size, progress=False) for size in (1, 64))
    np.testing.assert_array_equal(one.sticks_px, all_at_once.sticks_px)


def test_a_network_without_detectors_has_no_confidence() -> None:
    held = pack(missed=1)
    rows, people = select_test_people(held, "flic")
    truth = truth_of(people, upper_body(), "image", True)
    assert estimate_in_given_boxes(Sees(detects=False), held, rows, truth, 4, progress=False).confidence is None


def test_a_mean_pose_is_put_into_each_ones_box() -> None:
    held = pack()
    rows, people = select_test_people(held, "flic")
    truth = truth_of(people, upper_body(), "image", True)
    pose = np.random.default_rng(0).uniform(0, 10, (8, 2))
    found = estimate_mean_pose(pose, held, rows, truth)
    assert found.joints_px is not None
    np.testing.assert_allclose(found.joints_px[3], [30, 30] + (pose + 0.5) / SIZE * (100, 200))
    assert found.detected.tolist() == [True] * 5 + [False] * 2 and np.isnan(found.joints_px[5:]).all()


def test_another_skeleton_is_refused() -> None:
    other = Skeleton(["head", "tail"], {"back": ["head", "tail"]})
    with pytest.raises(UserError, match="different skeleton"):
        check_skeleton(Sees(card(other)), upper_body())
    check_skeleton(Sees(), upper_body())


# ---- in detected boxes ----


@dataclass
class Images:
    """A source of people in grey images; number i has brightness 20 i."""

    names: Sequence[str]
    lost: Sequence[str] = ()
    name: str = "made"

    def people(self) -> Sequence[Person]:
        truth = truth_like(len(self.names))
        nothing = np.full(4, np.nan)
        return [
            Person(image, f"/folder/{truth.locations[i]}", "test", truth.joints_px[i], np.zeros(8, dtype=bool), nothing,
                   100.0, np.zeros((0, 4)), False)
            for i, image in enumerate(self.names)
        ]  # fmt: skip

    def image(self, name: str) -> UInt8[np.ndarray, "height width 3"]:
        return np.full((300, 700, 3), 20 * list(self.names).index(name), dtype=np.uint8)

    def missing_images(self) -> Sequence[str]:
        return self.lost

    def skipped(self) -> Mapping[str, int]:
        return {}

    def fingerprint(self) -> str:
        return "f"


@dataclass
class Finds:
    """A detector of the given windows."""

    windows: Mapping[str, Sequence[Sequence[float]]]

    def __call__(self, image: UInt8[np.ndarray, "height width 3"], name: str) -> Detections:
        windows = np.array(self.windows.get(name, []), dtype=float).reshape(-1, 4)
        return Detections(windows, np.arange(len(windows), 0, -1, dtype=float))


def test_people_are_told_by_their_windows() -> None:
    """Nobody in image 1, somebody else in image 2; in image 3 the second window is nearer to the true one."""
    truth = truth_like(4)  # windows [100 i, 0, 100 i + 50, 60]
    other = (1.0, 0.0, 0.0)
    finds = Finds({"0.png": [[0, 0, 50, 60]], "2.png": [[600, 0, 650, 60]],
                   "3.png": [[310, 0, 360, 60], [301, 0, 351, 60]]})  # fmt: skip
    found = estimate_in_detected_boxes(
        Sees(card(factors=other)), finds, Images(truth.images), truth, FACTORS, 8, progress=False
    )
    assert found.detected.tolist() == [True, False, False, True] and found.by_detector
    assert found.joints_px is not None and np.isnan(found.joints_px[1:3]).all()
    box = np.array([301.0 + 25 - 50, -15, 301 + 25 + 50, 60 + 30])  # (2.0, 0.5, 1.0) of half sides 25 and 30
    np.testing.assert_allclose(found.joints_px[3][0], crop_to_image(np.array([60.0, 30.0]), box, SIZE), rtol=1e-6)
    assert "2 windows match no person, in " in found.missing


def test_someone_who_is_annotated_twice_is_found_twice() -> None:
    truth = truth_like(2, images=("a.png", "a.png"), window_px=np.array([[0.0, 0, 50, 60], [4, 0, 54, 60]]))
    finds = Finds({"a.png": [[3, 0, 53, 60], [300, 0, 350, 60]]})
    found = estimate_in_detected_boxes(Sees(), finds, Images(["a.png"]), truth, FACTORS, 8, progress=False)
    assert found.detected.tolist() == [True, True] and "1 windows match no person, in " in found.missing


def test_who_has_an_image() -> None:
    truth = truth_like(3)
    assert has_image(Images(truth.images, lost=["1.png"]), truth.locations).tolist() == [True, False, True]
