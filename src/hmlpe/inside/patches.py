"""Backtracked patches: the windows of the input that maps answer to most, and their averages (FACTS 8)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from hmlpe.inside.fields import Field
from hmlpe.inside.responses import Answers

LARGEST = 16_000_000
"""Values of patches at once: 64 MB."""


def patches_at(
    images: UInt8[Tensor, "person 3 height width"], unit: Int[Tensor, "person map 2"], field: Field
) -> UInt8[Tensor, "person map 3 down across"]:
    """The window of each unit, cropped; zero outside of the image."""
    (down, across), first = field.extent, field.corners(unit)
    height, width = images.shape[-2:]
    low = (-first.amin(dim=(0, 1))).clamp(min=0).tolist()
    high = (first.amax(dim=(0, 1)) + torch.tensor([down - height, across - width])).clamp(min=0).tolist()
    padded = torch.nn.functional.pad(images, (low[1], high[1], low[0], high[0]))
    windows = padded.unfold(2, down, 1).unfold(3, across, 1)  # a view: (person, 3, row, column, down, across)
    person = torch.arange(len(images))[:, None].expand(unit.shape[:2])
    return windows[person, :, first[..., 0] + low[0], first[..., 1] + low[1]]


class Average(NamedTuple):
    """Of one layer's backtracked patches.

    Attributes:
        mean, spread: (map, 3, down, across), 0-255: the mean and the standard deviation over people.
        null: the mean with the places of other people's answers: what the places alone make.
        people: how many.
    """

    mean: Float[np.ndarray, "map 3 down across"]
    spread: Float[np.ndarray, "map 3 down across"]
    null: Float[np.ndarray, "map 3 down across"]
    people: int

    @property
    def contrast(self) -> Float[np.ndarray, " map"]:
        """How much the mean's pixels differ from one another, of those of the null picture: 1 if it shows no more."""
        mean, null = (one.std(axis=(1, 2, 3)) for one in (self.mean, self.null))
        return np.asarray(mean / np.maximum(null, 1e-9))


class Averages:
    """Sums patches up, batch after batch.

    Args:
        layer, field: whose.
    """

    def __init__(self, layer: str, field: Field) -> None:
        self.layer, self.field, self.people = layer, field, 0
        self.sum: Tensor | None = None
        self.squares: Tensor | None = None
        self.null: Tensor | None = None

    def update(self, answers: Answers) -> None:
        """Add a batch."""
        units = answers.units[self.layer]
        size = 3 * self.field.extent[0] * self.field.extent[1] * len(units)
        parts: dict[str, list[Tensor]] = {"sum": [], "squares": [], "null": []}
        for unit in units.split(max(1, LARGEST // size), dim=1):
            patches = patches_at(answers.images, unit, self.field).float()
            others = patches_at(answers.images, unit.roll(1, 0), self.field).float()
            # A batch's sums of bytes and of their squares are exact in float32 up to 2^24, and near enough beyond
            for name, values in (("sum", patches), ("squares", patches.square()), ("null", others)):
                parts[name].append(values.sum(0).double())
        for name, sums in parts.items():
            total, before = torch.cat(sums), getattr(self, name)
            setattr(self, name, total if before is None else before + total)
        self.people += len(units)

    def average(self) -> Average:
        """Of what was added."""
        assert self.sum is not None and self.squares is not None and self.null is not None
        mean, null = self.sum / self.people, self.null / self.people
        spread = (self.squares / self.people - mean.square()).clamp(min=0).sqrt()
        return Average(mean.float().numpy(), spread.float().numpy(), null.float().numpy(), self.people)


def nearest(
    crops: UInt8[np.ndarray, "person size size 3"],
    rows: Int[np.ndarray, " person"],
    unit: Int[Tensor, "person map 2"],
    field: Field,
    mean: Float[np.ndarray, "map 3 down across"],
    count: int,
    batch: int = 64,
) -> UInt8[np.ndarray, "map place 3 down across"]:
    """The real patches that are nearest to the average of their map, the nearest first.

    Args:
        rows: the people, in the order of `unit`.
    """
    centre = torch.from_numpy(mean)
    best: Tensor | None = None
    kept: Tensor | None = None
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        images = torch.from_numpy(np.stack([np.asarray(crops[row]) for row in part])).permute(0, 3, 1, 2)
        patches = patches_at(images.contiguous(), unit[start : start + batch], field)
        distance = (patches.float() - centre).square().mean(dim=(2, 3, 4))
        joined = patches if kept is None else torch.cat([kept, patches])
        distances = distance if best is None else torch.cat([best, distance])
        best, order = distances.topk(min(count, len(distances)), dim=0, largest=False)
        kept = joined.gather(0, order[:, :, None, None, None].expand(-1, -1, *joined.shape[2:]))
    assert kept is not None
    return kept.transpose(0, 1).numpy()
