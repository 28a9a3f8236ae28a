"""Pictures of what a network sees and predicts: poses, part maps and first-layer filters."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import cv2
import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hmlpe.data.drawing import LabelledCrop, draw_pose, legend_entries
from hmlpe.skeleton import Skeleton

FILTERS = "media/filters"
Picture = UInt8[np.ndarray, "height width 3"]
_SIDE = 200  # side of a person's picture in screen pixels
UNKNOWN = "#B0B0B0"
FILTERS_PER_ROW = 8
DPI, TILE, GAP = 110, 108, 6  # screen pixels: per inch, side of a tile, between two tiles


def draw_poses(
    crops: UInt8[np.ndarray, "person size size 3"],
    truth_px: Float[np.ndarray, "person joint 2"],
    predicted_px: Float[np.ndarray, "person joint 2"],
    skeleton: Skeleton,
) -> Picture:
    """Return a picture with each person's crop twice: with the true pose, and beside it with the predicted pose.

    Args:
        crops: RGB crops.
        truth_px, predicted_px: the joints in crop pixels; joints that are NaN are not drawn.
        skeleton: the joints and the parts between them.
    """
    across = min(3, len(crops))
    figure, axes = _axes_grid(math.ceil(len(crops) / across), 2 * across, foot=46)
    seen = np.zeros(len(skeleton.joints), dtype=bool)
    for number, crop in enumerate(crops):
        row, column = divmod(number, across)
        for place, (word, joints) in enumerate((("true", truth_px[number]), ("predicted", predicted_px[number]))):
            ax = axes[row][2 * column + place]
            draw_pose(ax, LabelledCrop(word, crop, joints.astype(np.float64), seen), skeleton)
            ax.set_title(word, fontsize=9, pad=3)
    entries = [entry for entry in legend_entries(skeleton) if entry.get_label() != "marked occluded"]
    figure.legend(handles=entries, loc="lower center", ncols=math.ceil(len(entries) / 2), frameon=False, fontsize=8)
    return render_rgb(figure)


def draw_part_maps(
    crops: UInt8[np.ndarray, "person size size 3"],
    predicted: Float[np.ndarray, "person part row column"],
    truth: Float[np.ndarray, "person part row column"],
    parts: Sequence[str],
) -> Picture:
    """Return a picture with each person's crop and, for every part, the predicted map above the true map.

    Args:
        crops: RGB crops.
        predicted: the predicted probability that a window contains the part, by row and column of the window grid.
        truth: 1 or 0, whether the window contains the part; NaN where that is unknown, which is drawn grey.
        parts: names of the parts.
    """
    rows = [
        [crop, *(apply_colormap(grid) for grid in maps)]
        for crop, *both in zip(crops, predicted, truth, strict=True)
        for maps in both
    ]
    heads = [["crop", *(part.replace("_", "\n", 1).replace("_", " ") for part in parts)]]
    tiles = Tiles(rows, heads, ["predicted", "true"] * len(crops))
    return render_rgb(tiles.draw("Which windows hold which part?", [("viridis", 0.0, 1.0, "probability")]))


def draw_filters(weights: Float[np.ndarray, "map 3 down across"], captions: Sequence[str] = ()) -> Figure:
    """Return a figure of the filters of a first convolution, as RGB tiles in which grey is a weight of 0.

    Each filter is divided by its own largest absolute weight.

    Args:
        weights: the weights of the layer: filter, RGB channel, row, column.
        captions: a text for each filter, shown below the filter's number; empty: none.
    """
    shown = [to_uint8((one / max(np.abs(one).max(), 1e-12) / 2 + 0.5).transpose(1, 2, 0)) for one in weights]
    numbers = range(len(shown))
    said = [f"{number}\n{captions[number]}" if captions else str(number) for number in numbers]
    rows = [numbers[start : start + FILTERS_PER_ROW] for start in range(0, len(shown), FILTERS_PER_ROW)]
    tiles = Tiles(
        [[shown[number] for number in row] for row in rows],
        [[said[number] for number in row] for row in rows],
        [""] * len(rows),
    )
    return tiles.draw("First-layer filters", [("gray", -1.0, 1.0, "weight / largest |weight| of the filter")])


class Tiles(NamedTuple):
    """A grid of pictures that are all drawn at the same size.

    Attributes:
        rows: RGB pictures; rows may differ in length.
        captions: texts above the tiles of each row; empty: none.
        row_labels: a text beside each row.
    """

    rows: Sequence[Sequence[UInt8[np.ndarray, "height width 3"]]]
    captions: Sequence[Sequence[str]]
    row_labels: Sequence[str]

    def draw(self, title: str, scales: Sequence[tuple[str, float, float, str]]) -> Figure:
        """Return a figure of the grid.

        Args:
            title: the figure's title.
            scales: for each colour bar: matplotlib colour map, lowest value, highest value, label.
        """
        # One image holds all tiles: laying out hundreds of axes would take tens of seconds.
        heights = [22 if heads and any("\n" not in one for one in heads) else 30 for heads in self.captions]
        heads = [*(height if words else 0 for height, words in zip(heights, self.captions, strict=True))]
        heads += [0] * (len(self.rows) - len(heads))
        across, left, top = max(map(len, self.rows)), 92, 34
        width = left + across * (TILE + GAP) + 110 * len(scales) + 6
        height = top + sum(heads) + len(self.rows) * (TILE + GAP) + 6
        figure = blank_figure(width / DPI, height / DPI, layout=None)
        whole = np.full((height, width, 3), 255, np.uint8)
        down = top
        for row, (tiles, side) in enumerate(zip(self.rows, self.row_labels, strict=True)):
            down += heads[row]
            for column, tile in enumerate(tiles):
                right = left + column * (TILE + GAP)
                scale = TILE / max(tile.shape[:2])  # keeps the aspect ratio
                high, wide = (max(1, round(side * scale)) for side in tile.shape[:2])
                whole[down : down + high, right : right + wide] = cv2.resize(
                    np.ascontiguousarray(tile), (wide, high), interpolation=cv2.INTER_NEAREST
                )
                if heads[row]:
                    figure.text(
                        (right + TILE / 2) / width, 1 - (down - 3) / height, self.captions[row][column],
                        ha="center", va="bottom", fontsize=7,
                    )  # fmt: skip
            figure.text((left - 6) / width, 1 - (down + TILE / 2) / height, side, ha="right", va="center", fontsize=8)
            down += TILE + GAP
        figure.figimage(whole, zorder=-1)
        figure.suptitle(title, fontsize=10, y=1 - 8 / height, va="top")
        for number, (colours, low, high, words) in enumerate(scales):
            at = left + across * (TILE + GAP) + 14 + 110 * number
            ax = figure.add_axes((at / width, 0.2, 14 / width, 0.6))
            bar = figure.colorbar(ScalarMappable(Normalize(low, high), colours), cax=ax)
            bar.set_label(words, fontsize=8)
            bar.ax.tick_params(labelsize=7)
        return figure


def to_uint8(picture: Float[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    """Convert values in [0, 1] to integers from 0 to 255."""
    return np.asarray((np.asarray(picture) * 255).round().astype(np.uint8))


def apply_colormap(
    grid: Float[np.ndarray, "row column"], colours: str = "viridis", low: float = 0.0
) -> UInt8[np.ndarray, "row column 3"]:
    """Convert a map with values from `low` to 1 to RGB by the matplotlib colour map `colours`; NaN becomes grey."""
    shown = matplotlib.colormaps[colours].with_extremes(bad=UNKNOWN)
    return to_uint8(shown((np.ma.masked_invalid(grid) - low) / (1 - low))[..., :3])


def png_bytes(figure: Figure) -> bytes:
    """Encode the figure as PNG; the same figure always gives the same bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def blank_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """Return an empty figure of this width and height in inches, drawn with matplotlib's default style."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the user's own style must not change the picture
        figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
        FigureCanvasAgg(figure)
    return figure


def _axes_grid(rows: int, columns: int, foot: int) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure and its grid of square axes of _SIDE screen pixels, with `foot` pixels below for a legend."""
    side, head, left, gap = _SIDE, 24, 6, 6
    width, height = left + columns * (side + gap), head + rows * (side + gap) + rows * 12 + foot
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = []
    for row in range(rows):
        bottom = height - head - (row + 1) * (side + gap) - row * 12
        places = [(left + column * (side + gap), bottom) for column in range(columns)]
        axes.append([figure.add_axes((x / width, y / height, side / width, side / height)) for x, y in places])
        for ax in axes[-1]:
            ax.set(xticks=(), yticks=())
    return figure, axes


def render_rgb(figure: Figure) -> Picture:
    """Render the figure as an RGB array."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
