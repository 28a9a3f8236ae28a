"""Fitting a detector's maps, and counting what it finds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.cbook import get_sample_data
from PIL import Image

from hmlpe.cli.fit_detector import COLUMNS, _cascades_to_try, _detect_in_images, _Detections, _format_table, _table_rows
from hmlpe.data.record import Person
from hmlpe.detect.box_map import BoxMap
from hmlpe.detect.cascade import Cascade, CascadeDetector
from hmlpe.detect.fit import relate_boxes, score_windows
from hmlpe.errors import UserError

WINDOW = np.array([10.0, 20, 110, 110])  # its height is 90
FAR = np.array([500.0, 500, 530, 530])


@given(
    seed=st.integers(0, 10**6), shift=st.floats(-0.2, 0.2), top=st.floats(0, 0.3), height=st.floats(1.5, 3),
)  # fmt: skip
def test_the_map_that_made_the_windows_is_found_among_false_boxes(
    seed: int, shift: float, top: float, height: float
) -> None:
    rng = np.random.default_rng(seed)
    true = BoxMap(shift, top, height)
    truths, found = [], []
    for _ in range(9):
        corner, size = rng.uniform(100, 200, 2), rng.uniform(20, 60)
        box = np.array([*corner, *(corner + size)])
        truths.append(true(box[None]))
        found.append((np.stack([FAR, box]), np.array([9.0, 1.0])))
    got = relate_boxes(truths, found)
    assert got.boxes == 9 and got.sum_low == 9 and got.sum_true == 1
    np.testing.assert_allclose(got.quartiles, [[shift, top, height]] * 3, atol=1e-9)


def test_of_two_boxes_of_one_person_the_surer_counts_and_neither_is_false() -> None:
    boxes = np.array([[40.0, 30, 80, 70], [42, 32, 82, 72], FAR])
    got = relate_boxes([WINDOW[None]], [(boxes, np.array([1.0, 2, 3]))])
    assert got.boxes == 1 and got.sum_true == 2 and got.sum_low == 3
    np.testing.assert_allclose(got.quartiles[1], [-0.05, -12 / 40, 90 / 40])


def test_no_boxes_say_nothing() -> None:
    got = relate_boxes([WINDOW[None]], [(np.zeros((0, 4)), np.zeros(0))])
    assert got.boxes == 0 and np.isnan([*got.quartiles.ravel(), got.sum_low, got.sum_true]).all()


def test_counting_by_hand() -> None:
    """Two people in the first image, one of them found twice; nobody in the second, where there is a window."""
    other = WINDOW + 300
    counted = score_windows(
        [np.stack([WINDOW, other]), np.zeros((0, 4))], [np.stack([WINDOW, WINDOW + 5, FAR]), FAR[None]]
    )
    assert (counted.people, counted.found, counted.false, counted.images) == (2, 1, 2, 2)
    assert counted.recall == 0.5 and counted.false_per_image == 1


class Photos:
    """A set of one photo under several names, with a window of each person."""

    name = "photos"

    def __init__(self, window: np.ndarray) -> None:
        self.window, self.seen = window, Counter[str]()

    def people(self) -> list[Person]:
        nan = np.full((8, 2), np.nan)
        return [
            Person(name, "here", split, nan, np.zeros(8, bool), nan[:2].ravel(), float("nan"), np.zeros((0, 4)), False,  # type: ignore[arg-type]
            window_px=self.window)
            for name, split in (("a", "train"), ("b", "train"), ("c", "train"), ("gone", "train"), ("t", "test"))
        ]  # fmt: skip

    def missing_images(self) -> list[str]:
        return ["gone"]

    def image(self, name: str) -> np.ndarray:
        self.seen[name] += 1
        with get_sample_data("grace_hopper.jpg") as file:
            return np.asarray(Image.open(file).convert("RGB").resize((128, 150)))

    def skipped(self) -> dict[str, int]:
        return {}

    def fingerprint(self) -> str:
        return ""


DETECTOR = CascadeDetector({"face": Cascade("haarcascade_frontalface_alt.xml", BoxMap(0, 0.14, 2.59), least_px=20)})


def test_what_the_command_measures() -> None:
    photos = Photos(np.array([-18.0, 10, 151, 162]))  # of the photo at a quarter of its size
    looked = _detect_in_images(photos, "train", 2, {"face": DETECTOR.cascades["face"]}, DETECTOR)
    assert photos.seen == {"a": 1, "c": 1}  # evenly spaced, and no test image
    rows = list(_table_rows(_Detections.joined([looked, looked]), DETECTOR, [0.0, 1e6]))
    assert [(row["cascade"], row["people"], row["found"]) for row in rows] == [
        ("face", 4, 4), ("all together", 4, 4), ("all together", 4, 0)
    ]  # fmt: skip
    assert set().union(*rows) <= set(COLUMNS)
    assert 2 < float(rows[0]["height_median"]) < 3.5
    assert "face" in _format_table(rows) and "all together" in _format_table(rows)


def test_a_threshold_below_the_configured_one_is_measured_as_such() -> None:
    """The configured detector drops the photo's person; at 0 they are found all the same."""
    photos = Photos(np.array([-18.0, 10, 151, 162]))
    strict = CascadeDetector(DETECTOR.cascades, DETECTOR.longest_px, DETECTOR.overlap, least_score=1e6)
    looked = _detect_in_images(photos, "train", 2, dict(DETECTOR.cascades), strict)
    rows = [row for row in _table_rows(looked, strict, [0.0, 1e6]) if "least_score" in row]
    assert [(row["least_score"], row["found"]) for row in rows] == [(0.0, 2), (1e6, 0)]


def test_testing_tries_nothing_and_training_tries_variants() -> None:
    from omegaconf import OmegaConf

    for split, wanted in (("test", 1), ("train", 2 + 1)):
        config = OmegaConf.create({"search": {"split": split, "min_neighbours": [1, 3], "files": ["x.xml"]}})
        tried = _cascades_to_try(DETECTOR, config)
        assert (len(tried) == 1) == (split == "test") and len(tried) >= wanted
        assert tried["face"] == DETECTOR.cascades["face"]
    assert {(one.file[:2], one.min_neighbours) for one in tried.values()} == {
        ("ha", 3),
        ("ha", 1),
        ("x.", 1),
        ("x.", 3),
    }


def test_a_set_without_windows_is_refused() -> None:
    with pytest.raises(UserError, match="photos: no train person has both an image and a window"):
        _detect_in_images(Photos(np.full(4, np.nan)), "train", None, dict(DETECTOR.cascades), DETECTOR)
