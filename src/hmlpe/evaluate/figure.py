"""Pictures: the protocols' curves of all methods on one set, and how a method's confidence ranks its errors."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmlpe.evaluate.record import Record
from hmlpe.evaluate.table import PUBLISHED, Line
from hmlpe.files import write_bytes_atomic
from hmlpe.palette import PARTS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", *PARTS[:1])
MARKERS = "osD^vP*X"
PANELS = 8  # at most
BANDS = 4  # with more curves, intervals would cover one another


def draw_curves(data: str, records: Sequence[Record], lines: Sequence[Line], path: Path) -> bool:
    """A panel for each curve that a record of the whole has (of the detected, if none has). False: there is no curve.

    Seeds of one row share a colour; intervals are bands where curves are few; published points are markers.
    """
    shown = [record for record in records if record.people == "whole"] or list(records)
    kinds = list(dict.fromkeys(_kind(record) for record in shown))
    axes = {name: words for record in shown for name, words in record.axes.items()}
    panels = list(
        dict.fromkeys((protocol, group) for one in shown for protocol, own in one.curves.items() for group in own)
    )[:PANELS]
    if not panels:
        return False
    figure = Figure(figsize=(4.4 * len(panels), 4.6), layout="constrained")
    for axis, (protocol, group) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for record in shown:
            colour = COLOURS[kinds.index(_kind(record)) % len(COLOURS)]
            _curve(axis, record, protocol, group, colour, band=len(shown) <= BANDS)
        for index, line in enumerate(line for line in lines if line.boxes == PUBLISHED):
            _points(axis, line, f"{protocol}_{group}@", MARKERS[index % len(MARKERS)])
        axis.set(xlabel=axes[protocol][0], ylabel=axes[protocol][1], ylim=(0, 100))
        axis.set_title(f"{protocol}: {group.replace('_', ' ')}", fontsize=10)
        axis.grid(color="0.92")
    entries = {
        label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2, fontsize=8)
    figure.suptitle(data, fontsize=11)
    _save(figure, path)
    return True


def draw_ranking(found: Mapping[str, Mapping[str, Any]], title: str, path: Path) -> None:
    """One panel a group: accuracy over the share kept, between an oracle's ranking and none."""
    figure = Figure(figsize=(4.2 * len(found), 3.6), layout="constrained")
    for axis, (name, one) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        share = 100 * np.array(one["kept"])
        axis.plot(share, 100 * np.array(one["oracle"]), color="0.7", lw=1.2, label="an oracle's ranking")
        axis.plot(share, 100 * np.array(one["accuracy"]), color=COLOURS[0], marker="o", ms=3.5, label="by confidence")
        axis.axhline(100 * one["overall"], color="0.4", ls="--", lw=1, label="no ranking")
        axis.set(xlabel="joints kept, the surest first [%]", ylabel=f"right at {one['threshold']:.2f} torso [%]")
        axis.set_ylim(0, 103)
        axis.set_title(name, fontsize=10)
        axis.grid(color="0.92")
    figure.axes[0].legend(fontsize=8, loc="lower left")
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_bytes_atomic(path, buffer.getvalue())


def _kind(record: Record) -> str:
    """What the legend says of a curve: seeds of one row are one kind."""
    method = re.sub(r"_s\d+$", "", record.method)
    return f"{method} ({record.boxes}; {record.counted} people, {record.people})"


def _curve(axis: Axes, record: Record, protocol: str, group: str, colour: str, band: bool) -> None:
    curve = record.curves.get(protocol, {}).get(group)
    if curve is None:
        return
    points = sorted((float(threshold), values) for threshold, values in curve.items())
    shares = 100 * np.array([[np.nan if v is None else v for v in values] for _, values in points])
    at = [threshold for threshold, _ in points]
    axis.plot(at, shares[:, 0], color=colour, lw=1.8, label=_kind(record))
    if band:
        axis.fill_between(at, shares[:, 1], shares[:, 2], color=colour, alpha=0.15, lw=0)


def _points(axis: Axes, line: Line, beginning: str, marker: str) -> None:
    found = {
        float(name.removeprefix(beginning)): v for name, (v, *_) in line.scores.items() if name.startswith(beginning)
    }
    if found:
        values = [100 * value for value in found.values() if value is not None]
        axis.plot(list(found), values, marker, color="0.35", mfc="none", ms=6, label=f"{line.method} ({line.people})")
