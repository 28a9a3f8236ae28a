"""Draw one person's labels: joints and parts on the crop, and the windows that contain one part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

from hmlpe.palette import JOINT_STYLES, joint_style, part_colour
from hmlpe.skeleton import Skeleton
from hmlpe.windows import WindowGrid

_EDGE = (Stroke(linewidth=4, foreground="black"), Normal())
_THIN_EDGE = (Stroke(linewidth=3, foreground="black"), Normal())


@dataclass(frozen=True, eq=False)
class LabelledCrop:
    """A person's crop with its labels, for drawing.

    Attributes:
        title: one line above the picture.
        image: the crop.
        joints_px: (joint, 2) in pixels of the crop; joints that are NaN are not drawn.
        occluded: (joint,) mask of the occluded joints, which are drawn hollow.
    """

    title: str
    image: UInt8[np.ndarray, "height width 3"]
    joints_px: Float[np.ndarray, "joint 2"]
    occluded: Bool[np.ndarray, " joint"]


def draw_pose(ax: Axes, crop: LabelledCrop, skeleton: Skeleton) -> None:
    """Draw the crop with its joints and parts (the sticks between joints), which are clipped at the crop's edges."""
    _show_image(ax, crop.image)
    for part, ends in enumerate(skeleton.part_ends):
        ax.plot(*crop.joints_px[list(ends)].T, color=part_colour(part), lw=2.2, path_effects=_EDGE)
    for joint, (x, y) in enumerate(crop.joints_px):
        _, colour, marker = joint_style(skeleton, joint)
        ax.plot(x, y, marker, **(_hollow_marker(colour) if crop.occluded[joint] else _solid_marker(colour)), zorder=3)


def draw_windows(ax: Axes, crop: LabelledCrop, skeleton: Skeleton, windows: WindowGrid, part_number: int) -> None:
    """Draw, on the grey crop, the windows of the detection task that contain one part.

    The part is the one with the index `part_number` modulo the number of parts, or the next whose joints are known.
    """
    pale = crop.image.mean(axis=2, keepdims=True) * 0.6 + 90  # grey, so that the windows stand out
    _show_image(ax, np.repeat(pale.astype(np.uint8), 3, axis=2))
    names, ends = list(skeleton.parts), skeleton.part_ends
    turns = [(part_number + step) % len(ends) for step in range(len(ends))]
    known = [part for part in turns if np.isfinite(crop.joints_px[list(ends[part])]).all()]
    text = "no part is known"
    if known:
        part, colour = known[0], part_colour(known[0])
        stick, extent = crop.joints_px[list(ends[part])], windows.extent_px
        corners = windows.corners().numpy()[windows.contains(torch.from_numpy(stick)).numpy()]
        centres = corners + extent / 2
        nearest = np.linalg.norm(centres - stick.mean(axis=0), axis=1).argsort(kind="stable")[:1]
        for corner in corners:
            ax.add_patch(Rectangle(tuple(corner), extent, extent, fc=colour, ec="none", alpha=0.13))
        for corner in corners[nearest]:
            ax.add_patch(Rectangle(tuple(corner), extent, extent, fc="none", ec=colour, lw=2, path_effects=_EDGE))
        ax.plot(*stick.T, color=colour, lw=2.2, path_effects=_EDGE)
        ax.plot(*centres.T, ".", ms=5, color="black")
        text = f"{_underscores_to_spaces(names[part])}: {len(corners)} of {len(windows)} windows"
    ax.text(2, 3, text, fontsize=8, va="top", parse_math=False, bbox={"fc": "white", "ec": "none", "pad": 1.5})


def legend_entries(skeleton: Skeleton) -> list[Line2D]:
    """Return the legend's entries for the colours and markers of joints and parts."""
    joints = [
        Line2D([], [], ls="", marker=marker, label=label, **_solid_marker(colour))
        for label, colour, marker in JOINT_STYLES
    ]
    hollow = Line2D([], [], ls="", marker="o", label="marked occluded", **_hollow_marker(JOINT_STYLES[0].colour))
    parts = [
        Line2D([], [], color=part_colour(part), lw=2.2, path_effects=_EDGE, label=_underscores_to_spaces(name))
        for part, name in enumerate(skeleton.parts)
    ]
    return [*joints, hollow, *parts]


def _show_image(ax: Axes, image: np.ndarray) -> None:
    """Draw an image without ticks, so that data coordinates are its pixels."""
    height, width = image.shape[:2]
    ax.imshow(image, interpolation="bilinear")
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=(), yticks=())


def _solid_marker(colour: str) -> dict[str, Any]:
    """Return matplotlib's marker settings of a visible joint."""
    return {"ms": 6.5, "mfc": colour, "mec": "black", "mew": 0.8}


def _hollow_marker(colour: str) -> dict[str, Any]:
    """Return matplotlib's marker settings of an occluded joint."""
    return {"ms": 7.5, "mfc": "none", "mec": colour, "mew": 1.6, "path_effects": _THIN_EDGE}


def _underscores_to_spaces(name: str) -> str:
    return name.replace("_", " ")
