"""The figures of an inspection: filters, average patches, places of responses, cost of removal, gradients, patches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hmlpe.inside.inspection import FilterPattern, LayerResults
from hmlpe.pictures import Tiles, apply_colormap, blank_figure, to_uint8
from hmlpe.runs.curves import Curves
from hmlpe.runs.metric import LAYER_GRADIENT

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito's colours, one per layer
MAPS_IN_ROW = 8  # number of maps in a row of a figure


class MarkedWindows(NamedTuple):
    """The windows of one layer's most responsive maps for one person.

    Attributes:
        crop: (size, size, 3) the person's crop.
        layer: name of the layer.
        maps: numbers of the maps, the most responsive first.
        corners_px: (map, 2) first pixel (row, column) of each map's window.
        patches: (map, 3, down, across) the pixels in the windows.
    """

    crop: UInt8[np.ndarray, "size size 3"]
    layer: str
    maps: Int[np.ndarray, " map"]
    corners_px: Int[np.ndarray, "map 2"]
    patches: UInt8[np.ndarray, "map 3 down across"]


def filters_figure(filters: Sequence[FilterPattern]) -> Figure:
    """Draw the frequency, orientation and colour of each first-layer filter, as a point in a polar plot."""
    figure = blank_figure(5.4, 4.0)
    ax = figure.add_subplot(projection="polar")
    for found in filters:
        ax.scatter(
            math.radians(found.orientation_deg), found.frequency, s=10 + 90 * found.oriented,
            color=matplotlib.colormaps["viridis"](found.colour), edgecolor="black", linewidth=0.4,
        )  # fmt: skip
    ax.set(thetamin=0, thetamax=180)
    ax.tick_params(labelsize=7)
    ax.set_title(
        "First-layer filters: frequency (cycles per pixel) over orientation;\nlarger: more oriented", fontsize=9
    )
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), "viridis"), ax=ax, orientation="horizontal", shrink=0.7)
    bar.set_label("colour's share of the energy", fontsize=8)
    return figure


def average_patches_figure(layer_name: str, layer: LayerResults, preferred_joints: Sequence[str]) -> Figure:
    """Draw the average backtracked patch of each map and, below it, the null picture and the spread over people.

    Args:
        layer_name: name of the layer.
        layer: the results for the layer.
        preferred_joints: for each map, a label with the joint that it prefers.
    """
    average = layer.average
    middle = average.null.mean()
    reach = max(float(np.quantile(np.abs(average.mean - middle), 0.995)), 1.0)
    widest = max(float(average.spread.max()), 1.0)
    kinds = [
        ((one - middle) / reach / 2 + 0.5).clip(0, 1).transpose(0, 2, 3, 1) for one in (average.mean, average.null)
    ]
    kinds.append(matplotlib.colormaps["magma"](average.spread.mean(axis=1) / widest)[..., :3])
    maps = range(len(average.mean))
    rows = [maps[start : start + MAPS_IN_ROW] for start in range(0, len(maps), MAPS_IN_ROW)]
    tiles = Tiles(
        [[to_uint8(kind[number]) for number in row] for row in rows for kind in kinds],
        captions=[
            [f"{number}\n{preferred_joints[number]}" for number in row] if kind == 0 else []
            for row in rows
            for kind in range(3)
        ],
        row_labels=["average", "null", "spread"] * len(rows),
    )
    title = f"{layer_name}: average backtracked patch of {average.people} training people, contrast × {127 / reach:.1f}"
    return tiles.draw(title, [("magma", 0.0, widest, "spread: std over people, 0-255")])


def nearest_patches_figure(layer_name: str, mosaic: UInt8[np.ndarray, "map patch 3 down across"]) -> Figure:
    """Draw, in a row for each map, the image patches that are nearest to the map's average patch."""
    rows = [[patch.transpose(1, 2, 0) for patch in patches] for patches in mosaic]
    return Tiles(rows, captions=[], row_labels=[str(number) for number in range(len(rows))]).draw(
        f"{layer_name}: the real patches nearest to the average", []
    )


def response_positions_figure(
    layer_name: str,
    layer: LayerResults,
    joints_px: Float[np.ndarray, "person joint 2"],
    joints: Sequence[str],
    map_count: int = 8,
) -> Figure:
    """Draw histograms of where the most selective maps respond, relative to the joint that each prefers.

    The upper row is relative to the person's own joint, the lower row to another person's joint.

    Args:
        layer_name: name of the layer.
        layer: the results for the layer.
        joints_px: the people's joints in crop pixels, NaN where unknown.
        joints: names of the joints.
        map_count: number of maps.
    """
    found = layer.joints
    order = np.argsort(-found.index)[:map_count]
    reach = joints_px[np.isfinite(joints_px)].max(initial=1.0) / 3
    others = np.random.default_rng(0).permutation(len(joints_px))
    figure = blank_figure(1.5 * len(order) + 0.9, 3.9)
    figure.suptitle(
        f"{layer_name}: where the most selective maps respond, relative to the joint they prefer", fontsize=11
    )
    axes = figure.subplots(2, len(order), squeeze=False, sharex=True, sharey=True)
    counts = []
    bins = np.linspace(-reach, reach, 33)
    for column, number in enumerate(order):
        joint = found.best[number]
        for row, people in enumerate((np.arange(len(joints_px)), others)):
            apart = layer.places_px[:, number] - joints_px[people, joint]
            apart = apart[np.isfinite(apart).all(-1)]
            drawn = axes[row][column].hist2d(*apart.T, bins=[bins, bins], cmap="viridis")
            counts.append(drawn[3])
            axes[row][column].axhline(0, color="white", lw=0.5)
            axes[row][column].axvline(0, color="white", lw=0.5)
            axes[row][column].set_aspect("equal")
            axes[row][column].tick_params(labelsize=7)
        axes[0][column].set_title(f"map {number}\n{joints[joint].replace('_', ' ')}", fontsize=8)
    axes[0][0].invert_yaxis()  # as in the crop; shared by all
    axes[0][0].set_ylabel("own joint", fontsize=8)
    axes[1][0].set_ylabel("another person's", fontsize=8)
    most = max((float(one.get_array().max()) for one in counts), default=1.0)
    for one in counts:
        one.set_clim(0, most)
    if counts:
        bar = figure.colorbar(counts[0], ax=axes.ravel().tolist(), shrink=0.7, pad=0.01)
        bar.set_label("people", fontsize=8)
    figure.supxlabel("crop pixels", fontsize=8)
    return figure


def removal_cost_figure(layers: Mapping[str, LayerResults], joints: Sequence[str], parts: Sequence[str]) -> Figure:
    """Plot the increase of errors when a feature map is ablated.

    The left panels show it against the map's selectivity, the right ones for each joint and part.
    """
    with_loss = {name: (layer, layer.removal) for name, layer in layers.items() if layer.removal is not None}
    kinds = [
        (title, label, words, kind)
        for title, label, words, kind in (
            ("Joints", "increase in mean joint error, crop px", joints, "joints_px"),
            ("Parts", "increase in E_d of a part", parts, "parts"),
        )
        if any(getattr(loss, kind).shape[1] for _, loss in with_loss.values())
    ]
    figure = blank_figure(9.5, 3.9 * len(kinds) + 0.4)
    axes = figure.subplots(len(kinds), 2, squeeze=False, width_ratios=(1, 1.25))
    for (left, right), (title, label, words, kind) in zip(axes, kinds, strict=True):
        blocks, names = [], []
        for (name, (layer, loss)), colour in zip(with_loss.items(), COLOURS * 9, strict=False):
            growth = getattr(loss, kind)
            of = layer.joints if kind == "joints_px" else layer.parts
            assert of is not None
            left.scatter(of.index, growth.mean(axis=1), s=16, color=colour, label=name.rpartition(".")[2])
            order = np.argsort(-growth.mean(axis=1))[:8]
            blocks.append(growth[order])
            names += [f"{name.rpartition('.')[2]} {number}" for number in order]
        left.axhline(0, color="#999999", lw=0.8)
        left.set_xlabel("selectivity index of the map", fontsize=8)
        left.set_ylabel(label, fontsize=8)
        left.set_title(f"{title}: with one map removed", fontsize=9)
        left.legend(fontsize=8, frameon=False)
        left.tick_params(labelsize=7)
        shown = np.concatenate(blocks).T
        most = max(float(np.nanmax(np.abs(shown))), 1e-9)
        image = right.imshow(shown, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
        right.set_yticks(range(len(words)), [word.replace("_", " ") for word in words], fontsize=7)
        right.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        right.set_title("The eight costliest maps of each layer", fontsize=9)
        bar = figure.colorbar(image, ax=right)
        bar.set_label(label, fontsize=8)
    return figure


def gradients_figure(curves: Curves) -> Figure | None:
    """Draw, for each layer over the epochs, the norms of the tasks' gradients and their cosine similarities.

    Returns None if the run did not log them.
    """
    logged = {
        name.removeprefix(LAYER_GRADIENT): curve for name, curve in curves.items() if name.startswith(LAYER_GRADIENT)
    }
    keys = dict.fromkeys(name.partition("/")[2] for name in logged)
    layers = list(dict.fromkeys(name.partition("/")[0] for name in logged))
    norms, cosines = ([key for key in keys if key.startswith(one)] for one in ("norm_", "cosine"))
    panels = [*norms, *cosines]
    if not panels:
        return None
    figure = blank_figure(3.4 * len(panels), 3.4)
    for ax, key in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for layer, colour in zip(layers, COLOURS * 9, strict=False):
            curve = logged.get(f"{layer}/{key}", {})
            ax.plot(list(curve), list(curve.values()), color=colour, lw=1.4, marker=".", ms=4, label=layer)
        kind, _, task = key.partition("_")
        task = task.replace("_", " ")
        ax.set_title(f"norm, {task}" if kind == "norm" else f"cosine {task}".strip(), fontsize=9)
        if kind == "norm":
            ax.set_yscale("log")
        else:
            ax.set_ylim(-1, 1)
            ax.axhline(0, color="#999999", lw=0.8)
        ax.set_xlabel("epoch", fontsize=8)
        ax.tick_params(labelsize=7)
    figure.axes[0].legend(fontsize=8, frameon=False)
    return figure


def row_measures_figure(table: pd.DataFrame, measures: Mapping[str, str]) -> Figure:
    """Draw the measures of a study's rows, layer by layer: a dot for each run, a dash for the mean over seeds.

    Args:
        table: the table of `rows.rows_table`.
        measures: the title of each measure, by its column.
    """
    layers, rows = list(table.layer.unique()), list(table.row.unique())
    shown = [name for name in measures if table[name].notna().any()]
    figure = blank_figure(max(3.2 * len(shown), 4.0) + 0.12 * len(rows) * len(shown), 4.4)
    for ax, name in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        for number, layer in enumerate(layers):
            own = table[table.layer == layer]
            colour = COLOURS[number % len(COLOURS)]
            places = own.row.map(rows.index) + 0.12 * (number - (len(layers) - 1) / 2)
            ax.plot(places, own[name], ".", color=colour, alpha=0.6)
            means = own.groupby("row", sort=False)[name].mean()
            at = [rows.index(row) + 0.12 * (number - (len(layers) - 1) / 2) for row in means.index]
            ax.plot(at, means, "_", ms=12, mew=2, color=colour, label=layer.rpartition(".")[2])
        ax.set_xticks(range(len(rows)), rows, rotation=90, fontsize=8)
        ax.set_title(measures[name], fontsize=9)
        ax.tick_params(axis="y", labelsize=8)
        ax.grid(axis="y", color="#dddddd", lw=0.6)
        ax.set_axisbelow(True)
    figure.axes[0].legend(fontsize=8, frameon=False)
    return figure


def person_patches_figure(people: Sequence[Sequence[MarkedWindows]]) -> Figure:
    """Draw, for each person and layer, the windows of the most responsive maps on the crop, and their patches."""
    lines = [one for person in people for one in person]
    count = max(len(one.maps) for one in lines)
    figure = blank_figure(2.0 + 0.95 * count, 1.85 * len(lines) + 0.5)
    figure.suptitle("Backtracked patches of the most responsive maps, the strongest response first", fontsize=11)
    axes = figure.subplots(len(lines), count + 1, squeeze=False, width_ratios=(2, *([1] * count)))
    for line, (first, *rest) in zip(lines, axes, strict=True):
        first.imshow(line.crop)
        first.set_ylabel(line.layer.rpartition(".")[2], fontsize=8)
        for ax in (first, *rest):
            _hide_ticks(ax)
        colours = matplotlib.colormaps["plasma"](np.linspace(0, 0.9, len(line.maps)))
        down, across = line.patches.shape[-2:]
        for number, (ax, colour) in enumerate(zip(rest, colours, strict=False)):
            row, column = line.corners_px[number]
            first.add_patch(
                Rectangle((column - 0.5, row - 0.5), across, down, fill=False, edgecolor=colour, linewidth=1.4)
            )
            ax.imshow(line.patches[number].transpose(1, 2, 0), interpolation="nearest")
            ax.set_title(f"map {line.maps[number]}", fontsize=7, pad=2)
            for spine in ax.spines.values():
                spine.set(edgecolor=colour, linewidth=2)
        for ax in rest[len(line.maps) :]:
            ax.set_axis_off()
        size = line.crop.shape[0]
        first.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    return figure


def part_maps_figure(
    crops: UInt8[np.ndarray, "person size size 3"],
    truth: Float[np.ndarray, "person part row column"],
    detected: Float[np.ndarray, "person part row column"],
    regressed: Float[np.ndarray, "person part row column"],
    parts: Sequence[str],
) -> Figure:
    """Draw part maps of people: true, detected, computed from the regressed joints, and detected minus regressed."""
    rows: list[list[UInt8[np.ndarray, "height width 3"]]] = []
    for person, crop in enumerate(crops):
        lines = [(one[person], "viridis", 0.0) for one in (truth, detected, regressed)]
        lines.append((detected[person] - regressed[person], "RdBu_r", -1.0))
        rows += [[crop, *(apply_colormap(one, colours, low) for one in maps)] for maps, colours, low in lines]
    words = ["true", "detected", "regressed", "detected −\nregressed"] * len(crops)
    heads = [["crop", *(part.replace(" ", "\n", 1) for part in parts)], *([] for _ in rows[1:])]
    return Tiles(rows, heads, words).draw(
        "Which windows hold which part? What the two tasks say, and where they disagree",
        [("viridis", 0.0, 1.0, "probability"), ("RdBu_r", -1.0, 1.0, "detected minus regressed")],
    )


def _hide_ticks(ax: Axes) -> None:
    ax.set(xticks=(), yticks=())
