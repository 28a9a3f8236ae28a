"""A photo that is cut around the person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.detect.detector import WholeImage
from hmlpe.errors import UserError
from hmlpe.geometry import scale_box


@given(
    width=st.integers(1, 3000), height=st.integers(1, 3000),
    factors=st.tuples(st.floats(0.1, 5), st.floats(-0.5, 5), st.floats(-0.5, 5)),
)  # fmt: skip
def test_scaling_its_window_gives_the_image(width: int, height: int, factors: tuple[float, float, float]) -> None:
    image = np.broadcast_to(np.zeros(1, dtype=np.uint8), (height, width, 3))
    found = WholeImage(factors)(image, "a.png")
    assert found.scores.tolist() == [1]
    np.testing.assert_allclose(
        scale_box(found.windows_px[0], factors), [-0.5, -0.5, width - 0.5, height - 0.5], atol=1e-6
    )


@pytest.mark.parametrize("factors", [[0, 1, 1], [1, -1, -1], [1, 1], [float("nan"), 1, 1]])
def test_factors_of_no_use(factors: list[float]) -> None:
    with pytest.raises(UserError, match=r"detector\.factors"):
        WholeImage(factors)


def test_an_image_without_pixels_shows_nobody() -> None:
    assert len(WholeImage([1, 0, 0])(np.zeros((0, 5, 3), dtype=np.uint8), "a.png").scores) == 0
