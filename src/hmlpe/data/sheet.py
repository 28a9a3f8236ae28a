"""The contact sheet: an image that shows some people with their labels, for visual inspection."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hmlpe.data.drawing import LabelledCrop, draw_pose, draw_windows, legend_entries
from hmlpe.data.pack import Labels, Pack, PeopleColumns
from hmlpe.errors import UserError
from hmlpe.files import write_bytes_atomic
from hmlpe.geometry import image_to_crop
from hmlpe.skeleton import Skeleton
from hmlpe.windows import WindowGrid

_ZOOM, _DPI = 2, 100  # screen pixels per pixel of the crop, and per inch
_COLUMNS, _GAP, _TITLE, _LINE, _ENTRY = 4, 14, 20, 21, 170  # people in one line; the rest in screen pixels
_EXPLANATION = (
    "Left picture: joints and parts. Left and right as the labels have them: red is on our right where someone faces "
    "us.",
    "Right picture, for one part: a dot in the middle of every window that holds more than {share:g}% of the part's "
    "length; the window nearest to the part is outlined.",
)


def draw_sheet(
    pack: Pack,
    labels: Labels,
    skeleton: Skeleton,
    windows: WindowGrid,
    rows: Sequence[int],
    path: Path,
) -> None:
    """Draw people of the pack to the PNG file `path`: test crops with joints and parts, and windows of one part.

    Args:
        labels: labels of the whole pack, as used in training: the sheet shows what the network is taught.
        skeleton: the pack's skeleton.
        windows: the windows of the detection task.
        rows: rows of the people to draw; see `sample_rows`.
        path: the PNG file to write.

    Raises:
        UserError: `rows` is empty.
    """
    views = [
        LabelledCrop(
            " · ".join([*_set_name_and_split(pack.people, row), f"row {row}", *_known_attributes(pack, row)]),
            np.asarray(pack.test_crops[row]),
            image_to_crop(labels.joints_px[row], labels.box_px[row], pack.size_px),
            labels.occluded[row],
        )
        for row in rows
    ]
    who = f"{pack.manifest['name']}: {len(views)} of {len(pack.crops)} people"
    size = f"{pack.size_px} x {pack.size_px} px"
    draw_labelled_crops(views, skeleton, windows, path, f"{who}, as the network sees them in testing ({size}).")


def draw_labelled_crops(
    crops: Sequence[LabelledCrop], skeleton: Skeleton, windows: WindowGrid, path: Path, title: str
) -> None:
    """Draw crops of one size to the PNG file `path`; the same crops always give the same bytes.

    The second picture of each person shows the windows of one part. The part changes from person to person, so that
    every part is seen on some of the people.

    Raises:
        UserError: `crops` is empty.
    """
    if not crops:
        raise UserError(f"{path}: there is nobody to draw")
    high, wide = (side * _ZOOM for side in crops[0].image.shape[:2])
    columns = min(_COLUMNS, len(crops))
    width = columns * (2 * wide + _GAP) + _GAP
    texts = [title, *(text.format(share=100 * windows.beta) for text in _EXPLANATION)]
    about = [line for text in texts for line in textwrap.wrap(text, int(width / 7.5))]
    entries = legend_entries(skeleton)
    deep = math.ceil(len(entries) * _ENTRY / width)
    head, foot = _LINE * len(about) + _GAP, _LINE * deep + _GAP
    height = head + math.ceil(len(crops) / columns) * (high + _TITLE) + foot
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the user's own style must not change the bytes
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
        FigureCanvasAgg(figure)
        for number, line in enumerate(about):
            figure.text(_GAP / width, 1 - (_GAP / 2 + number * _LINE) / height, line, va="top", parse_math=False)
        for index, view in enumerate(crops):
            row, column = divmod(index, columns)
            left, bottom = _GAP + column * (2 * wide + _GAP), height - head - (row + 1) * (high + _TITLE)
            pose, part = (
                figure.add_axes((x / width, bottom / height, wide / width, high / height)) for x in (left, left + wide)
            )
            pose.set_title(view.title, loc="left", fontsize=8.5, pad=3, parse_math=False)
            draw_pose(pose, view, skeleton)
            draw_windows(part, view, skeleton, windows, part_number=index)
        across = math.ceil(len(entries) / deep)
        figure.legend(handles=entries, loc="lower center", ncols=across, frameon=False, fontsize=9, borderaxespad=0.2)
        image = io.BytesIO()
        figure.savefig(image, format="png", metadata={"Software": None})
    write_bytes_atomic(path, image.getvalue())


def sample_rows(people: PeopleColumns, count: int, seed: int) -> list[int]:
    """Return the rows of `count` random people, or of all if there are fewer, spread evenly over sets and splits.

    Every split of every set gives one person in turn until there are enough. The rows are sorted by set and split.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for row in np.random.default_rng(seed).permutation(len(people.split)).tolist():
        groups.setdefault(_set_name_and_split(people, row), []).append(row)
    turns = sorted((place, group) for group, rows in groups.items() for place in range(len(rows)))
    return [row for _, row in sorted((group, groups[group][place]) for place, group in turns[: max(count, 0)])]


def _known_attributes(pack: Pack, row: int) -> list[str]:
    """Return a list of one text: a person's known attributes, shortened for the title; empty if none is known."""
    pairs = zip(pack.attributes, pack.people.attributes[row].tolist(), strict=True)
    said = [one.describe(value) for one, value in pairs if not math.isnan(value)]
    return [textwrap.shorten(" · ".join(said), 50, placeholder="…")] if said else []


def _set_name_and_split(people: PeopleColumns, row: int) -> tuple[str, str]:
    """Return the name of a person's data set, and the person's split."""
    return str(people.set[row]), str(people.split[row])
