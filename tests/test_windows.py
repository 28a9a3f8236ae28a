"""The grid of windows and its indicator, against hand-made sticks and against dense sampling of the stick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from omegaconf import OmegaConf
from torch import Tensor

from hmlpe.errors import UserError
from hmlpe.windows import WindowGrid

CONFIGS = Path(__file__).parents[1] / "conf"
SAMPLES = 4000
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])

# Eighths of a pixel, so that every coordinate is exact in float32; the windows' own edges more often.
EDGES = [12 * i for i in range(8)] + [12 * i + 29 for i in range(8)]
COORDINATE = st.one_of(
    st.integers(-60 * 8, 180 * 8).map(lambda eighths: eighths / 8), st.sampled_from(EDGES).map(float)
)
STICK = st.tuples(*[COORDINATE] * 4).map(lambda c: [[c[0], c[1]], [c[2], c[3]]])


def grid_of(**overrides: float) -> WindowGrid:
    """The configured grid."""
    return instantiate(OmegaConf.load(CONFIGS / "windows" / "paper.yaml"), **overrides)


def stick(x0: float, y0: float, x1: float, y1: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.tensor([[x0, y0], [x1, y1]], dtype=dtype)


def windows_of(grid: WindowGrid, stick_px: Tensor) -> set[tuple[int, int]]:
    """(x, y) of the windows that contain the stick."""
    return {(int(i) % grid.count, int(i) // grid.count) for i in grid.contains(stick_px).nonzero()}


def sampled_share(stick_px: list[list[float]], extent_px: float) -> np.ndarray:
    """By brute force: the share of points, evenly spread along the stick, that lie in each closed window."""
    if stick_px[0] == stick_px[1]:
        return np.zeros(64)
    start, end = np.array(stick_px)
    t = (np.arange(SAMPLES) + 0.5) / SAMPLES
    points = start + t[:, None] * (end - start)
    low = 12 * np.arange(8)[:, None, None]
    inside = ((points >= low) & (points <= low + extent_px)).astype(float)  # column or row, sample, axis
    return (inside[..., 1] @ inside[..., 0].T / SAMPLES).flatten()  # a row of windows after the other


def test_grid_is_the_papers() -> None:
    """FACTS 2: 64 windows of 30 px at a stride of 12; the last reaches 2 px beyond the crop."""
    grid = grid_of()
    assert grid == WindowGrid(count=8, stride_px=12.0, extent_px=29.0, beta=0.3) == WindowGrid()
    assert len(grid) == 64
    assert grid.corners().tolist() == [[12 * x, 12 * y] for y in range(8) for x in range(8)]
    assert grid.corners()[-1].tolist() == [84, 84]
    assert (grid.corners()[-1] + grid.extent_px).tolist() == [113, 113]


def test_last_window_is_not_clipped_at_the_crop() -> None:
    """Between 112 and 113 lies nothing but the last column."""
    assert windows_of(WindowGrid(), stick(112.25, 100, 112.75, 100)) == {(7, 6), (7, 7)}
    assert windows_of(WindowGrid(), stick(113, 90, 113, 94)) == {(7, 6), (7, 7)}
    assert windows_of(WindowGrid(), stick(113.25, 90, 113.25, 94)) == set()


@DTYPES
@given(sticks=st.lists(STICK, min_size=1, max_size=6), extent_px=st.sampled_from([29.0, 30.0]))
def test_indicator_equals_dense_sampling(dtype: torch.dtype, sticks: list, extent_px: float) -> None:
    grid = WindowGrid(extent_px=extent_px)
    expected = np.stack([sampled_share(one, extent_px) for one in sticks])
    share = grid.share_inside(torch.tensor(sticks, dtype=dtype))
    assert share.dtype == dtype
    np.testing.assert_allclose(share.numpy(), expected, atol=1.5 / SAMPLES)
    clear = abs(expected - grid.beta) > 2 / SAMPLES
    inside = grid.contains(torch.tensor(sticks, dtype=dtype)).numpy()
    np.testing.assert_array_equal(inside[clear], (expected > grid.beta)[clear])


def test_ends_may_change_places() -> None:
    sticks = torch.rand(500, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 160 - 20
    forth, back = WindowGrid().share_inside(sticks), WindowGrid().share_inside(sticks.flip(1))
    torch.testing.assert_close(forth, back, rtol=0, atol=1e-12)


@DTYPES
def test_share_by_hand(dtype: torch.dtype) -> None:
    """A diagonal from a corner of window (0, 0), 58 px each way: half of it inside."""
    share = WindowGrid().share_inside(stick(0, 0, 58, 58, dtype)).reshape(8, 8)
    torch.testing.assert_close(share.diagonal()[:5], torch.tensor([29, 29, 29, 22, 10], dtype=dtype) / 58)
    torch.testing.assert_close(share[0, :3], torch.tensor([29, 17, 5], dtype=dtype) / 58)


@DTYPES
def test_threshold_is_strict(dtype: torch.dtype) -> None:
    """4 of 16 px in window (0, 0) are exactly a quarter: not inside; a little more is."""
    grid = WindowGrid(beta=0.25)
    assert windows_of(grid, stick(25, 10, 41, 10, dtype)) == {(1, 0), (2, 0), (3, 0)}
    assert windows_of(grid, stick(24.875, 10, 40.875, 10, dtype)) == {(0, 0), (1, 0), (2, 0), (3, 0)}
    assert grid.share_inside(stick(25, 10, 41, 10, dtype))[0] == 0.25


@DTYPES
def test_three_of_ten_px_are_not_inside(dtype: torch.dtype) -> None:
    """The paper's 0.3 itself."""
    assert windows_of(WindowGrid(), stick(26, 10, 36, 10, dtype)) == {(1, 0), (2, 0)}


@DTYPES
@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize("point", [(50, 50), (12, 12), (29, 29), (113, 113), (-5, 300)])
def test_stick_without_length_is_in_no_window(dtype: torch.dtype, beta: float, point: tuple[int, int]) -> None:
    grid = WindowGrid(beta=beta)
    assert not grid.contains(stick(*point, *point, dtype)).any()
    assert (grid.share_inside(stick(*point, *point, dtype)) == 0).all()


@DTYPES
def test_stick_along_a_border_counts(dtype: torch.dtype) -> None:
    """The rectangle is closed: a stick on its edge lies inside."""
    assert windows_of(WindowGrid(), stick(29, 2, 29, 10, dtype)) == {(0, 0), (1, 0), (2, 0)}
    assert windows_of(WindowGrid(), stick(29.125, 2, 29.125, 10, dtype)) == {(1, 0), (2, 0)}
    assert windows_of(WindowGrid(), stick(0, 0, 0, 11, dtype)) == {(0, 0)}
    assert windows_of(WindowGrid(), stick(2, 0, 10, 0, dtype)) == {(0, 0)}
    assert windows_of(WindowGrid(), stick(2, 113, 10, 113, dtype)) == {(0, 7)}
    assert windows_of(WindowGrid(), stick(-0.125, 0, -0.125, 11, dtype)) == set()


def test_stick_that_touches_a_corner_is_not_inside() -> None:
    """(0, 0) is all that it has in common with window (0, 0): no length, even with beta = 0."""
    assert windows_of(WindowGrid(beta=0.0), stick(-8, 8, 8, -8)) == set()
    assert windows_of(WindowGrid(beta=0.0), stick(-8, 8, 9, -8)) == {(0, 0)}


def test_points_outside_the_crop() -> None:
    assert windows_of(WindowGrid(), stick(-40, 10, -10, 10)) == set()
    assert windows_of(WindowGrid(), stick(-300, -300, -290, 500)) == set()
    # 113 of 126 px lie between the outer edges; each window has 29
    share = WindowGrid().share_inside(stick(-5, 6, 121, 6)).reshape(8, 8)
    torch.testing.assert_close(share[0], torch.full((8,), 29 / 126))
    assert (share[1:] == 0).all()


@pytest.mark.parametrize("missing", [[(0, 0)], [(1, 1)], [(0, 0), (0, 1)], [(0, 0), (0, 1), (1, 0), (1, 1)]])
def test_unknown_end_is_unknown_everywhere(missing: list[tuple[int, int]]) -> None:
    sticks = stick(10, 10, 40, 40).repeat(2, 1, 1)
    for end, axis in missing:
        sticks[0, end, axis] = torch.nan
    grid = WindowGrid()
    assert grid.share_inside(sticks)[0].isnan().all()
    assert not grid.contains(sticks)[0].any()
    assert torch.equal(grid.share_inside(sticks)[1], grid.share_inside(stick(10, 10, 40, 40)))


def test_extent_of_30_is_a_config_value() -> None:
    """FACTS 2, grade U: the alternative reading of 30 px."""
    on_the_edge = stick(30, 2, 30, 10)
    assert windows_of(grid_of(), on_the_edge) == {(1, 0), (2, 0)}
    assert windows_of(grid_of(extent_px=30), on_the_edge) == {(0, 0), (1, 0), (2, 0)}


def test_other_grids() -> None:
    grid = grid_of(count=3, stride_px=40, extent_px=9.5, beta=0.5)
    assert len(grid) == 9
    assert grid.corners()[5].tolist() == [80, 40]
    assert windows_of(grid, stick(81, 45, 89, 45)) == {(2, 1)}


@pytest.mark.parametrize("batch", [(), (5,), (3, 7), (2, 0), (2, 3, 4)])
@DTYPES
def test_any_batch_shape(batch: tuple[int, ...], dtype: torch.dtype) -> None:
    sticks = torch.rand(*batch, 2, 2, dtype=dtype, generator=torch.Generator().manual_seed(3)) * 112
    inside = WindowGrid().contains(sticks)
    assert inside.shape == (*batch, 64)
    assert inside.dtype == torch.bool
    for one, found in zip(sticks.reshape(-1, 2, 2), inside.reshape(-1, 64), strict=True):
        assert torch.equal(WindowGrid().contains(one), found)


@pytest.mark.parametrize("shape", [(2,), (4,), (5, 3, 2), (5, 2, 3)])
def test_wrong_shape_raises(shape: tuple[int, ...]) -> None:
    with pytest.raises(TypeCheckError, match="sticks_px"):
        WindowGrid().contains(torch.zeros(shape))


@pytest.mark.parametrize(
    "override", ["count=0", "stride_px=0.0", "stride_px=-12.0", "extent_px=0.0", "beta=-0.1", "beta=1.0"]
)
def test_bad_grid_is_refused(override: str) -> None:
    name, value = override.split("=")
    with pytest.raises(UserError, match=name):
        WindowGrid(**{name: int(value) if name == "count" else float(value)})


@pytest.mark.parametrize("name", ["stride_px", "extent_px", "beta"])
def test_nan_in_the_grid_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=name):
        WindowGrid(**{name: float("nan")})
