"""Pictures of what a network sees and says: poses, part maps, first-layer filters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hmlpe.data.drawing import View, draw_pose, legend_entries
from hmlpe.skeleton import Skeleton

FILTERS = "media/filters"
Picture = UInt8[np.ndarray, "height width 3"]
_DPI, _SIDE = 100, 200  # screen pixels for an inch, and for the side of a person's picture
_TILE, _GAP, _BACK = 96, 3, 255  # of a map: its side, the frame around it, and the frame's grey


def poses(
    crops: UInt8[np.ndarray, "person size size 3"],
    truth_px: Float[np.ndarray, "person joint 2"],
    predicted_px: Float[np.ndarray, "person joint 2"],
    skeleton: Skeleton,
) -> Picture:
    """Each person twice: with the true sticks, and beside it with the predicted ones. Joints in pixels of the crop."""
    across = min(3, len(crops))
    figure, axes = _grid(math.ceil(len(crops) / across), 2 * across, foot=46)
    seen = np.zeros(len(skeleton.joints), dtype=bool)
    for number, crop in enumerate(crops):
        row, column = divmod(number, across)
        for place, (word, joints) in enumerate((("true", truth_px[number]), ("predicted", predicted_px[number]))):
            ax = axes[row][2 * column + place]
            draw_pose(ax, View(word, crop, joints.astype(np.float64), seen), skeleton)
            ax.set_title(word, fontsize=9, pad=3)
    entries = [entry for entry in legend_entries(skeleton) if entry.get_label() != "marked occluded"]
    figure.legend(handles=entries, loc="lower center", ncols=math.ceil(len(entries) / 2), frameon=False, fontsize=8)
    return _drawn(figure)


def part_maps(
    crops: UInt8[np.ndarray, "person size size 3"],
    predicted: Float[np.ndarray, "person part row column"],
    truth: Float[np.ndarray, "person part row column"],
    parts: Sequence[str],
) -> Picture:
    """Each person's crop, then for every part the predicted map of windows above the true one; grey where unknown."""
    rows, words = [], []
    for crop, *both in zip(crops, predicted, truth, strict=True):
        for word, maps in zip(("predicted", "true"), both, strict=True):
            tiles = [_tile(crop), *(_map(grid) for grid in maps)]
            rows.append(np.concatenate([_framed(tile) for tile in tiles], axis=1))
            words.append(word)
    picture, step = np.concatenate(rows), _TILE + 2 * _GAP
    height, width = (side + edge for side, edge in zip(picture.shape[:2], (34, 20), strict=True))
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    figure.figimage(picture, xo=20, yo=0)
    for number, part in enumerate(parts, start=1):  # in two lines, as the tiles are narrow
        title = part.replace("_", "\n", 1).replace("_", " ")
        figure.text((20 + (number + 0.5) * step) / width, 1 - 3 / height, title, ha="center", va="top", fontsize=8)
    for number, word in enumerate(words):
        middle = 1 - (34 + (number + 0.5) * step) / height
        figure.text(4 / width, middle, word, rotation=90, va="center", fontsize=8)
    return _drawn(figure)


def filters(weights: Float[np.ndarray, "map 3 down across"]) -> Picture:
    """A first layer's filters, each stretched to its own full range: what a map looks for, in colour."""
    low, high = weights.min(axis=(1, 2, 3), keepdims=True), weights.max(axis=(1, 2, 3), keepdims=True)
    scaled = ((weights - low) / np.maximum(high - low, 1e-12) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
    across = math.ceil(math.sqrt(len(scaled)))
    zoom = max(1, 64 // scaled.shape[1])
    tiles = [_framed(tile.repeat(zoom, 0).repeat(zoom, 1)) for tile in scaled]
    tiles += [np.full_like(tiles[0], _BACK)] * (-len(tiles) % across)
    rows = [np.concatenate(tiles[start : start + across], axis=1) for start in range(0, len(tiles), across)]
    return np.concatenate(rows)


def _tile(crop: UInt8[np.ndarray, "size size 3"]) -> UInt8[np.ndarray, "height width 3"]:
    return np.asarray(cv2.resize(crop, (_TILE, _TILE), interpolation=cv2.INTER_AREA))


def _map(grid: Float[np.ndarray, "row column"]) -> UInt8[np.ndarray, "height width 3"]:
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="#B0B0B0")
    small = (colours(np.ma.masked_invalid(grid))[..., :3] * 255).astype(np.uint8)
    return np.asarray(cv2.resize(small, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST))


def _framed(tile: Picture) -> UInt8[np.ndarray, "higher wider 3"]:
    return np.pad(tile, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=_BACK)


def _grid(rows: int, columns: int, foot: int) -> tuple[Figure, list[list[Axes]]]:
    """Square axes without ticks, _SIDE screen pixels each, above `foot` pixels for a legend."""
    side, head, left, gap = _SIDE, 24, 6, 6
    width, height = left + columns * (side + gap), head + rows * (side + gap) + rows * 12 + foot
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = []
    for row in range(rows):
        bottom = height - head - (row + 1) * (side + gap) - row * 12
        places = [(left + column * (side + gap), bottom) for column in range(columns)]
        axes.append([figure.add_axes((x / width, y / height, side / width, side / height)) for x, y in places])
        for ax in axes[-1]:
            ax.set(xticks=(), yticks=())
    return figure, axes


def _drawn(figure: Figure) -> Picture:
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
