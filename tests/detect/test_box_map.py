"""The map from a detector's boxes to windows, and its inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.detect.box_map import WINDOW_ASPECT, BoxMap, box_map_parameters
from hmlpe.errors import UserError

maps = st.builds(BoxMap, st.floats(-2, 2), st.floats(-2, 2), st.floats(0.1, 5))
boxes = st.builds(
    lambda x, y, w, h: np.array([x, y, x + w, y + h]),
    st.floats(-500, 500), st.floats(-500, 500), st.floats(1, 500), st.floats(1, 500),
)  # fmt: skip


def test_a_face_by_hand() -> None:
    """A box of 20 x 20: a tenth to the right, the window begins a quarter above and is three heights tall."""
    (window,) = BoxMap(0.1, -0.25, 2.7)(np.array([[10.0, 20, 30, 40]]))
    np.testing.assert_allclose(window, [22 - 30, 15, 22 + 30, 15 + 54])


@given(to_window=maps, box=boxes)
def test_what_relates_window_and_box_is_the_map(to_window: BoxMap, box: np.ndarray) -> None:
    (window,) = to_window(box[None])
    np.testing.assert_allclose(
        box_map_parameters(window, box), [to_window.shift, to_window.top, to_window.height], atol=1e-9 * 1000
    )
    assert (window[3] - window[1]) / (window[2] - window[0]) == pytest.approx(WINDOW_ASPECT)


@given(to_window=maps, box=boxes, scale=st.floats(0.1, 10), dx=st.floats(-99, 99), dy=st.floats(-99, 99))
def test_moving_and_scaling_the_image_commute_with_it(
    to_window: BoxMap, box: np.ndarray, scale: float, dx: float, dy: float
) -> None:
    move = np.array([dx, dy, dx, dy])
    np.testing.assert_allclose(
        to_window(box[None] * scale + move), to_window(box[None]) * scale + move, rtol=1e-9, atol=1e-6
    )


@pytest.mark.parametrize("values", [(0, 0, 0), (0, 0, -1), (float("nan"), 0, 1), (0, float("inf"), 1)])
def test_a_map_of_no_use(values: tuple[float, float, float]) -> None:
    with pytest.raises(UserError, match="map of a detector's boxes"):
        BoxMap(*values)


def test_no_boxes_are_no_windows() -> None:
    assert BoxMap(0, 0, 1)(np.zeros((0, 4))).shape == (0, 4)
