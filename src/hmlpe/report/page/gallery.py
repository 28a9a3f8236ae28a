"""The pictures of the page, as its template reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Stick = tuple[float, float, float, float, str]  # x0 y0 x1 y1 in pixels of the crop, and its colour


@dataclass(frozen=True)
class Drawing:
    """A person with both poses."""

    crop: str
    label: str
    words: str
    truth: Sequence[Stick]
    predicted: Sequence[Stick]


@dataclass(frozen=True)
class Maps:
    """A person's maps: for each part its name, the true and the predicted map as pictures."""

    crop: str
    label: str
    parts: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class RowPictures:
    """Of one run of a row: its people with the smallest and the largest joint error, and maps of some."""

    row: str
    seed: int
    best: Sequence[Drawing]
    worst: Sequence[Drawing]
    maps: Sequence[Maps]


@dataclass(frozen=True)
class Gallery:
    """All pictures; `lacking` says in words what there is none of, and why."""

    rows: Sequence[RowPictures]
    images: Sequence[tuple[str, str]]
    size_px: int
    windows: tuple[float, float]
    lacking: Sequence[str]
