"""Boxes and crops: exact inverses, and pixels that lie where the coordinates say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from hmlpe.geometry import bounding_box, crop_resized, crop_to_image, image_to_crop, iou, scale_box, union

CONFIGS = Path(__file__).parents[1] / "conf"

COORDINATE = st.floats(-500, 1500, allow_subnormal=False)
POINTS = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=8).map(np.array)
BOX = st.tuples(COORDINATE, COORDINATE, st.floats(1, 900), st.floats(1, 900)).map(
    lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]])
)
SIZE = st.integers(8, 256)


@given(points=POINTS, box=BOX, size=SIZE)
def test_crop_and_its_inverse(points: np.ndarray, box: np.ndarray, size: int) -> None:
    np.testing.assert_allclose(crop_to_image(image_to_crop(points, box, size), box, size), points, atol=1e-8)
    np.testing.assert_allclose(image_to_crop(crop_to_image(points, box, size), box, size), points, atol=1e-6)


@given(box=BOX, size=SIZE)
def test_box_edges_are_the_crops_edges(box: np.ndarray, size: int) -> None:
    """Half a pixel outside the first and the last pixel's centre."""
    corners = np.array([box[:2], box[2:]])
    np.testing.assert_allclose(image_to_crop(corners, box, size), [[-0.5, -0.5], [size - 0.5, size - 0.5]], atol=1e-8)


def test_crop_by_hand() -> None:
    """x twice as large, y half as large; the first pixel's centre is half a crop pixel inside the edge."""
    box, points = np.array([9.5, -0.5, 13.5, 15.5]), np.array([[9.75, 0.5], [10, 1.5], [13.25, 14.5]])
    np.testing.assert_allclose(image_to_crop(points, box, 8), [[0, 0], [0.5, 0.5], [7, 7]], atol=1e-12)


@given(size=SIZE)
def test_box_of_the_whole_image_changes_nothing(size: int) -> None:
    points = np.array([[0.0, 0.0], [size - 1, 3.25]])
    whole = np.array([-0.5, -0.5, size - 0.5, size - 0.5])
    np.testing.assert_allclose(image_to_crop(points, whole, size), points, atol=1e-10)


def test_unknown_stays_unknown_and_alone() -> None:
    points, box = np.array([[np.nan, np.nan], [5.0, 6.0]]), np.array([0.0, 0.0, 10.0, 10.0])
    crop = image_to_crop(points, box, 20)
    np.testing.assert_allclose(crop, [[np.nan, np.nan], [9.5, 11.5]])
    np.testing.assert_allclose(crop_to_image(crop, box, 20), points)


@given(boxes=st.lists(BOX, min_size=1, max_size=4), size=SIZE)
def test_a_box_for_each_person(boxes: list[np.ndarray], size: int) -> None:
    """Batches broadcast as one by one."""
    points = np.random.default_rng(0).uniform(0, 300, (len(boxes), 5, 2))
    together = image_to_crop(points, np.stack(boxes)[:, None], size)
    np.testing.assert_array_equal(together, [image_to_crop(p, b, size) for p, b in zip(points, boxes, strict=True)])
    back = crop_to_image(together, np.stack(boxes)[:, None], size)
    np.testing.assert_allclose(back, points, atol=1e-8)


@given(box=BOX)
def test_scale_box_is_flics_rule(box: np.ndarray) -> None:
    """FACTS 5: cx ± 3.5 hw, y extended by 1.75 hh above and below; the factors are those of conf/set/flic.yaml."""
    across, up, down = yaml.safe_load((CONFIGS / "set" / "flic.yaml").read_text(encoding="utf-8"))["boxes"]["factors"]
    x0, y0, x1, y1 = box
    cx, hw, hh = (x0 + x1) / 2, (x1 - x0) / 2, (y1 - y0) / 2
    expected = [cx - 3.5 * hw, y0 - 1.75 * hh, cx + 3.5 * hw, y1 + 1.75 * hh]
    np.testing.assert_allclose(scale_box(box, (float(across), float(up), float(down))), expected, atol=1e-9)


def test_scale_box_up_and_down_differ() -> None:
    """Buffy's rule, FACTS 5: cx ± 1.7 hw, from the top down to top + 4.2 hh."""
    np.testing.assert_allclose(scale_box(np.array([10.0, 20, 30, 60]), (1.7, 0.0, 2.2)), [3, 20, 37, 104])
    np.testing.assert_allclose(scale_box(np.array([10.0, 20, 30, 60]), (1.0, 0.5, 0.0)), [10, 10, 30, 60])


def test_bounding_box_by_hand() -> None:
    points = np.array([[10.0, 50.0], [np.nan, 0.0], [30.0, 90.0], [20.0, 60.0], [np.nan, np.nan]])
    np.testing.assert_allclose(bounding_box(points, 0.1), [6, 46, 34, 94])


@given(points=POINTS, margin=st.floats(0, 1))
def test_bounding_box_holds_every_known_point(points: np.ndarray, margin: float) -> None:
    low_x, low_y, high_x, high_y = bounding_box(points, margin)
    assert (points[:, 0] >= low_x).all() and (points[:, 0] <= high_x).all()
    assert (points[:, 1] >= low_y).all() and (points[:, 1] <= high_y).all()


def test_bounding_box_of_nothing_is_unknown() -> None:
    assert np.isnan(bounding_box(np.full((8, 2), np.nan), 0.1)).all()


UNKNOWN = np.full(4, np.nan)


def test_union_by_hand() -> None:
    """Every edge comes from either box; beside and inside each other."""
    box, other = np.array([0.0, 10, 20, 30]), np.array([5.0, -3, 8, 40])
    np.testing.assert_array_equal(union(box, other), [0, -3, 20, 40])
    np.testing.assert_array_equal(union(np.array([0.0, 0, 1, 1]), np.array([7.0, 8, 9, 10])), [0, 0, 9, 10])


@given(box=BOX, other=BOX)
def test_union_holds_both_and_is_the_smallest(box: np.ndarray, other: np.ndarray) -> None:
    both, corners = union(box, other), np.concatenate([box, other]).reshape(4, 2)
    np.testing.assert_array_equal(both, bounding_box(corners, 0.0))
    np.testing.assert_array_equal(union(other, box), both)
    np.testing.assert_array_equal(union(both, box), both)


@given(box=BOX)
def test_an_unknown_box_does_not_count_in_a_union(box: np.ndarray) -> None:
    np.testing.assert_array_equal(union(box, UNKNOWN), box)
    np.testing.assert_array_equal(union(UNKNOWN, box), box)
    assert np.isnan(union(UNKNOWN, UNKNOWN)).all()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("offset", [(0, 0), (3, 1), (-2, 4)])
def test_crop_at_the_same_scale_is_a_cut(offset: tuple[int, int]) -> None:
    """No resampling: the pixels themselves; beyond the image its border is repeated."""
    image, (x, y) = noise(10, 12), offset
    padded = np.pad(image, ((9, 9), (9, 9), (0, 0)), mode="edge")
    box = np.array([x - 0.5, y - 0.5, x + 7.5, y + 7.5])
    np.testing.assert_array_equal(crop_resized(image, box, 8), padded[9 + y : 17 + y, 9 + x : 17 + x])


@pytest.mark.parametrize("offset", [(-7, -5), (8, 6), (-30, 0), (40, 50)])
def test_border_is_repeated_beyond_the_image(offset: tuple[int, int]) -> None:
    image, (x, y) = noise(10, 12), offset
    padded = np.pad(image, ((60, 60), (60, 60), (0, 0)), mode="edge")
    box = np.array([x - 0.5, y - 0.5, x + 7.5, y + 7.5])
    np.testing.assert_array_equal(crop_resized(image, box, 8), padded[60 + y : 68 + y, 60 + x : 68 + x])


@given(data=st.data(), size=st.integers(24, 96))
def test_a_dot_is_found_where_its_coordinates_say(data: st.DataObject, size: int) -> None:
    """Boxes of any aspect, shrunk or enlarged, partly outside the image."""
    height, width = 70, 90
    x, y = data.draw(st.integers(4, width - 5)), data.draw(st.integers(4, height - 5))
    left, top, right, bottom = (data.draw(st.floats(8, 90)) for _ in range(4))
    box = np.array([x - left, y - top, x + right, y + bottom])
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[y - 1 : y + 2, x - 1 : x + 2] = (255, 128, 0)
    crop = crop_resized(image, box, size)
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8
    assert not crop[..., 2].any()
    light = crop[..., 0].astype(float)
    rows, columns = np.mgrid[:size, :size]
    found = np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()
    expected = image_to_crop(np.array([x, y], dtype=float), box, size)
    assert abs(found - expected).max() < 0.2, (found, expected)


def test_shrinking_does_not_alias() -> None:
    """Lines of one pixel become their mean, not every fourth line."""
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[::2] = 200
    crop = crop_resized(image, np.array([-0.5, -0.5, 63.5, 63.5]), 16)
    assert abs(crop[2:-2].astype(int) - 100).max() <= 4


@pytest.mark.parametrize(
    "box", [[5, 5, 5, 9], [5, 5, 9, 5], [9, 5, 5, 9], [5, 9, 9, 5], [np.nan, 5, 9, 9], [5, 5, np.inf, 9]]
)
def test_box_without_area_is_refused(box: list[float]) -> None:
    with pytest.raises(ValueError, match="box without area"):
        crop_resized(noise(10, 12), np.array(box, dtype=float), 8)


def test_wrong_shapes_raise() -> None:
    box = np.array([0.0, 0.0, 5.0, 5.0])
    with pytest.raises(TypeCheckError, match="points_px"):
        image_to_crop(np.zeros((4, 3)), box, 8)
    with pytest.raises(TypeCheckError, match="box_px"):
        image_to_crop(np.zeros((4, 2)), box[:3], 8)
    with pytest.raises(TypeCheckError, match="image"):
        crop_resized(np.zeros((10, 12, 3)), box, 8)
    with pytest.raises(TypeCheckError, match="image"):
        crop_resized(np.zeros((10, 12), dtype=np.uint8), box, 8)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 4, 2), 1), ((2, 0, 6, 2), 1 / 3), ((1, 0, 3, 1), 1 / 4), ((-2, -2, 6, 4), 1 / 6), ((4, 0, 8, 2), 0),
        ((9, 9, 10, 10), 0), ((1, 1, 1, 2), 0), ((-1, 3, 6, 4), 0), ((float("nan"),) * 4, 0),
    ],
)  # fmt: skip
def test_iou(other: tuple[float, ...], expected: float) -> None:
    a, b = np.array([0.0, 0, 4, 2]), np.array(other, dtype=float)
    assert iou(a, b) == iou(b, a) == pytest.approx(expected)
