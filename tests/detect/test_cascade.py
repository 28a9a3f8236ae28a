"""OpenCV's cascades behind the interface of a detector."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hydra.utils import instantiate
from matplotlib.cbook import get_sample_data
from omegaconf import OmegaConf
from PIL import Image

from hmlpe.cli.app import CONFIGS
from hmlpe.data.sources.buffy import BuffySource
from hmlpe.detect.box_map import BoxMap
from hmlpe.detect.cascade import MIN_SCORE, Cascade, CascadeDetector
from hmlpe.detect.match import index_of_detection
from hmlpe.errors import UserError
from hmlpe.geometry import iou

FACE = Cascade("haarcascade_frontalface_alt.xml", BoxMap(0, 0.14, 2.59), min_neighbours=3, least_px=20)
# By eye: the hat's top, the middle between shoulders and where the hips would be, the width by the window's rule.
HOPPER = np.array([-71.0, 40, 606, 650])


@pytest.fixture(scope="module")
def hopper() -> np.ndarray:
    with get_sample_data("grace_hopper.jpg") as file:
        return np.asarray(Image.open(file).convert("RGB"))


@pytest.fixture(scope="module")
def detector() -> CascadeDetector:
    found = instantiate(OmegaConf.load(CONFIGS / "detector" / "cascade.yaml"))
    assert isinstance(found, CascadeDetector)
    return found


def test_grace_hopper_is_one_person(detector: CascadeDetector, hopper: np.ndarray) -> None:
    found = detector(hopper, "grace_hopper.jpg")
    assert len(found.scores) == 1
    assert iou(found.windows_px[0], HOPPER) > 0.5


def test_the_same_again_and_after_pickling(detector: CascadeDetector, hopper: np.ndarray) -> None:
    first, copy = detector(hopper, "a"), pickle.loads(pickle.dumps(detector))
    for other in (detector(hopper, "b"), copy(hopper, "a")):
        np.testing.assert_array_equal(other.windows_px, first.windows_px)
        np.testing.assert_array_equal(other.scores, first.scores)


def test_boxes_are_in_pixels_of_the_image_whatever_its_size(hopper: np.ndarray) -> None:
    """Twice the pixels, with their centres at integers: x becomes 2 x + 0.5."""
    detector = CascadeDetector({"face": FACE}, 300)
    (window,) = detector(hopper).windows_px
    (double,) = detector(np.repeat(np.repeat(hopper, 2, axis=0), 2, axis=1)).windows_px
    assert iou(double, 2 * window + 0.5) > 0.9  # boxes are whole pixels of the shrunk image, which differs a little


def test_boxes_are_edges_where_pixel_centres_are_integers(hopper: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV's box 3, 4, 20, 20 of an image that was shrunk to a half covers pixels 6...45 and 8...47."""
    box = np.array([[3.0, 4, 23, 24]]), np.zeros(1)
    monkeypatch.setattr("hmlpe.detect.cascade._detect_boxes", lambda *_: box)
    ((edges, _),) = CascadeDetector({"face": FACE}, 300).detect_boxes(hopper).values()
    np.testing.assert_array_equal(edges, [[5.5, 7.5, 45.5, 47.5]])


def test_a_mirrored_cascade_sees_the_mirror_image(hopper: np.ndarray) -> None:
    shifted = replace(FACE, to_window=BoxMap(0.1, 0.14, 2.59))
    mirror = CascadeDetector({"face": replace(FACE, mirror=True, to_window=BoxMap(-0.1, 0.14, 2.59))})
    found, expected = mirror(hopper[:, ::-1]), CascadeDetector({"face": shifted})(hopper)
    width = hopper.shape[1]
    np.testing.assert_allclose(
        found.windows_px, [width - 1, 0, width - 1, 0] + expected.windows_px[:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
    )
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_two_cascades_on_one_face_are_one_surer_person(hopper: np.ndarray) -> None:
    alone = CascadeDetector({"face": FACE})(hopper)
    both = CascadeDetector({"face": FACE, "again": replace(FACE, min_neighbours=4)})(hopper)
    assert len(alone.scores) == len(both.scores) == 1
    assert both.scores[0] == pytest.approx(2 * alone.scores[0])
    assert not len(CascadeDetector({"face": FACE}, least_score=float(alone.scores[0]) + 1)(hopper).scores)


def test_scores_rise_with_the_sum_and_stay_above_0() -> None:
    cascade = replace(FACE, zero=2, weight=0.5)
    np.testing.assert_allclose(cascade.scores_from_sums(np.array([-9.0, 2, 3, 6])), [MIN_SCORE, MIN_SCORE, 0.5, 2])


@pytest.mark.parametrize(
    "shape", [(0, 0), (0, 9), (1, 1), (1, 5000), (5000, 1), (19, 19), (20, 20), (3, 700), (2000, 12)]
)
@pytest.mark.parametrize("fill", ["grey", "noise"])
def test_images_that_hold_nobody(detector: CascadeDetector, shape: tuple[int, int], fill: str) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8) if fill == "noise" else np.full((*shape, 3), 90, np.uint8)
    found = detector(image, "a")
    assert found.windows_px.shape == (0, 4) and found.scores.shape == (0,)


def test_an_image_that_is_a_view_with_turned_rows(detector: CascadeDetector, hopper: np.ndarray) -> None:
    turned = hopper[::-1][::-1]
    assert not turned.flags.owndata
    np.testing.assert_array_equal(detector(turned, "a").windows_px, detector(hopper, "a").windows_px)
    assert len(detector(hopper[::-1], "upside down").scores) == 0


def test_a_file_that_is_no_cascade(tmp_path: Path) -> None:
    for content in (b"", b"not xml", b"<?xml version='1.0'?><opencv_storage><a>1</a></opencv_storage>"):
        path = tmp_path / "broken.xml"
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"broken\.xml: OpenCV cannot read it"):
            CascadeDetector({"face": replace(FACE, file=str(path))})
    whole = (Path(cv2.data.haarcascades) / FACE.file).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="OpenCV cannot read it"):
        CascadeDetector({"face": replace(FACE, file=str(path))})
    with pytest.raises(UserError, match="there is no such file"):
        CascadeDetector({"face": replace(FACE, file="haarcascade_none.xml")})
    with pytest.raises(UserError, match="there is no such file"):
        CascadeDetector({"face": replace(FACE, file=str(tmp_path))})


@pytest.mark.parametrize(
    "change",
    [
        {"scale_factor": 1},
        {"min_neighbours": 0},
        {"least_px": 0},
        {"weight": 0},
        {"weight": float("nan")},
        {"zero": "a"},
    ],
)
def test_settings_of_no_use(change: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=next(iter(change))):
        replace(FACE, **change)


def test_a_detector_needs_a_cascade(hopper: np.ndarray) -> None:
    with pytest.raises(UserError, match="at least one"):
        CascadeDetector({"face": None})
    assert list(CascadeDetector({"face": FACE, "upper_body": None}).cascades) == ["face"]
    for wrong in ({"longest_px": 0}, {"overlap": 1}, {"least_score": float("nan")}, {"least_score": float("inf")}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            CascadeDetector({"face": FACE}, **wrong)  # type: ignore[arg-type]


@pytest.mark.slow  # large images
@pytest.mark.real
def test_recall_on_some_of_buffys_test_frames(detector: CascadeDetector, real_data: Path) -> None:
    """Of all 276 test people it finds 215 (experiments/detector); 5 of 12 is far below that."""
    skeleton = instantiate(OmegaConf.load(CONFIGS / "skeleton" / "upper_body.yaml"))
    source = BuffySource(str(real_data / "buffy"), skeleton, detections=None)
    people = [person for person in source.people() if person.split == "test"][::23]
    assert len(people) == 12
    windows = [list(detector(source.image(person.image), person.image).windows_px) for person in people]
    found = sum(
        index_of_detection(person.window_px, own) is not None for person, own in zip(people, windows, strict=True)
    )
    assert found >= 5


def test_nothing_heavy_is_imported() -> None:
    """hmlpe-predict has to answer at once."""
    code = (
        "import sys, hmlpe.detect.cascade, hmlpe.detect.given, hmlpe.detect.detector\n"
        "heavy = {'torch', 'lightning', 'scipy', 'matplotlib', 'albumentations', 'hydra'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
