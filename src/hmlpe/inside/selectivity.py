"""Selectivity in numbers: does a map answer where one joint is, more than where others are and than by chance?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from hmlpe.errors import UserError
from hmlpe.inside.fields import Field
from hmlpe.inside.responses import Answers
from hmlpe.skeleton import Skeleton
from hmlpe.windows import WindowGrid

NEAR = 0.1
"""How near is near: of the crop's side."""
SURE = 0.05
"""A p below this is called beyond chance."""
DRAWS = 200
"""Permutations of people."""
EDGES = (0.5, 0.75, 0.875, 0.9375, 0.96875, 0.984375, 0.9921875)
"""Quantiles of a map's answers between which they count as the same: finer where they are large, as parts are rare."""
ACROSS = 13
"""Units along a side that tell of information: of a larger map, every n-th."""
CELLS = 4
"""Cells across the square that counts as near, by which the best offset is looked for."""


@dataclass(frozen=True)
class Selectivity:
    """Of one layer's maps for landmarks: the joints, or the parts' middles.

    All that is said of chance comes from permutations of people, in each of which the very same is computed, offsets
    and all; p are corrected for the layer's maps and landmarks (Westfall and Young's maxT).

    Attributes:
        hits: (map, landmark) share of the people whose landmark lies, but for one offset that all people share, near
            the map's largest answer: a detector of heads may well look at the neck below. The offset is that of most
            hits; near is a square of twice the given distance.
        chance: (map, landmark) the same with other people's landmarks, the mean over permutations.
        z: (map, landmark) hits - chance, in standard deviations of the permutations.
        p: (map, landmark) whether the map's place depends on the landmark: the share of permutations in which any z of
            the layer is as large.
        index: (map,) excess of the preferred landmark over the next best one, 0 to 1; 0 without any excess.
        index_p: (map,) the share of permutations in which any map of the layer has as large an index: whether the map
            follows a landmark, one of them most; a map that follows two alike has an index beyond chance, too.
        offset_px: (map, landmark, 2) that offset, answer - landmark, (x, y) in crop pixels.
        people: (landmark,) of whom it is known; where it is of nobody, all else is NaN.
    """

    hits: Float[np.ndarray, "map landmark"]
    chance: Float[np.ndarray, "map landmark"]
    z: Float[np.ndarray, "map landmark"]
    p: Float[np.ndarray, "map landmark"]
    index: Float[np.ndarray, " map"]
    index_p: Float[np.ndarray, " map"]
    offset_px: Float[np.ndarray, "map landmark 2"]
    people: Int[np.ndarray, " landmark"]

    @property
    def excess(self) -> Float[np.ndarray, "map landmark"]:
        """Hits beyond chance."""
        return np.asarray(self.hits - self.chance)

    @property
    def best(self) -> Int[np.ndarray, " map"]:
        """The landmark of the largest excess of each map."""
        return np.asarray(np.nanargmax(self.excess, axis=1))


def selectivity(
    place_px: Float[np.ndarray, "person map 2"],
    landmarks_px: Float[np.ndarray, "person landmark 2"],
    near_px: float | int,
    draws: int = DRAWS,
    seed: int = 0,
    words: str | None = None,
) -> Selectivity:
    """How selective maps are.

    Args:
        place_px: where each map answers most, (x, y) in crop pixels.
        landmarks_px: NaN where unknown.
        near_px: the largest distance, along each axis, that is near.
        draws: permutations of people, for what chance gives: a map that always answers in one place hits by chance.
        words: beside a progress bar; None: none is shown.

    Raises:
        UserError: no landmark is known of anybody.
    """
    known = torch.from_numpy(np.isfinite(landmarks_px).all(-1))
    there = known.any(0)
    if not there.any():
        raise UserError("data: no joint is known of any of the people that are looked at")
    if not there.all():
        return _among(there.numpy(), selectivity(place_px, landmarks_px[:, there.numpy()], near_px, draws, seed, words))
    counted = _Offsets(torch.from_numpy(place_px), torch.from_numpy(landmarks_px), known, near_px)
    seen, offset = counted.densest()
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for _ in tqdm(range(draws), desc=words, unit="draws", disable=None if words else True):
        drawn.append(counted.densest(torch.randperm(len(known), generator=generator))[0])
    null = torch.stack(drawn).double()
    chance, spread = null.mean(0), null.std(0)
    spread = torch.where(spread > 1e-9, spread, torch.inf)  # what cannot vary tells nothing
    z, largest = (seen - chance) / spread, ((null - chance) / spread).amax(dim=(1, 2))
    index, indices = _index(seen - chance), _index(null - chance).amax(1)
    return Selectivity(
        hits=seen.double().numpy(),
        chance=chance.numpy(),
        z=z.numpy(),
        p=_share(largest, z),
        index=index.numpy(),
        index_p=_share(indices, index),
        offset_px=offset.double().numpy(),
        people=known.sum(0).numpy(),
    )


def _among(there: Bool[np.ndarray, " landmark"], found: Selectivity) -> Selectivity:
    """The same with a NaN for each landmark that is known of nobody."""

    def filled(values: Float[np.ndarray, "map some *more"]) -> Float[np.ndarray, "map landmark *more"]:
        every = np.full((len(values), len(there), *values.shape[2:]), np.nan)
        every[:, there] = values
        return every

    people = np.zeros(len(there), dtype=found.people.dtype)
    people[there] = found.people
    per_pair = {name: filled(getattr(found, name)) for name in ("hits", "chance", "z", "p", "offset_px")}
    return replace(found, people=people, **per_pair)


class _Offsets:
    """Counts people by their place less their landmark, in cells of a grid that all permutations share."""

    def __init__(
        self,
        places: Float[Tensor, "person map 2"],
        landmarks: Float[Tensor, "person landmark 2"],
        known: Bool[Tensor, "person landmark"],
        near_px: float | int,
    ) -> None:
        self.cell, self.known = 2 * near_px / CELLS, known
        self.places = (places / self.cell).float().permute(2, 1, 0).contiguous()  # (x, y), map, person
        self.landmarks = (landmarks / self.cell).float().permute(2, 1, 0)[:, None].contiguous()
        lowest, highest = (self.landmarks.where(known.T, sign * torch.inf).flatten(1) for sign in (1, -1))
        first = (self.places.flatten(1).amin(1) - highest.amax(1)).floor()
        last = (self.places.flatten(1).amax(1) - lowest.amin(1)).floor()
        self.low = first - CELLS + 1  # so that a square reaches over the first cell, and likewise the last
        self.across, self.down = (int(size) for size in last - first + 2 * CELLS - 1)
        # Where a landmark is unknown: one cell beyond all
        pairs = torch.arange(self.places.shape[1] * known.shape[1]).reshape(-1, known.shape[1], 1)
        self.size = pairs.numel() * self.down * self.across
        self.base = pairs * self.down * self.across

    def densest(
        self, order: Int[Tensor, " person"] | None = None
    ) -> tuple[Float[Tensor, "map landmark"], Float[Tensor, "map landmark 2"]]:
        """The largest share of people whose offset lies in one square; and that square's middle, in pixels.

        Args:
            order: people whose places are taken instead of one's own.
        """
        places = self.places if order is None else self.places[:, :, order]
        x, y = ((one[:, None] - mark).floor_() for one, mark in zip(places, self.landmarks, strict=True))
        x, y = x.sub_(self.low[0]), y.sub_(self.low[1])
        flat = y.mul_(self.across).add_(x).nan_to_num_(0.0).long().add_(self.base)
        flat.masked_fill_(~self.known.T, self.size)
        counts = torch.bincount(flat.flatten(), minlength=self.size + 1)[: self.size].int()
        counts = counts.reshape(*self.base.shape[:2], self.down, self.across)
        rows, columns = self.down - CELLS + 1, self.across - CELLS + 1
        counts = sum((counts[:, :, k : k + rows] for k in range(1, CELLS)), counts[:, :, :rows])
        counts = sum((counts[..., k : k + columns] for k in range(1, CELLS)), counts[..., :columns])
        most, where = counts.flatten(2).max(2)
        middle = torch.stack([where % columns, where // columns], dim=-1) + self.low + CELLS / 2
        return most / self.known.sum(0).clamp(min=1), middle * self.cell


def _index(excess: Float[Tensor, "*draw map landmark"]) -> Float[Tensor, "*draw map"]:
    padded = torch.nn.functional.pad(excess, (1, 0)).clamp(min=0)  # a landmark of no excess is always there
    best = padded.topk(2, dim=-1).values
    return best[..., 0] - best[..., 1]


def _share(drawn: Float[Tensor, " draw"], values: Float[Tensor, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """The share of draws, and of what was seen, that is as large."""
    beyond = (drawn.reshape(-1, *[1] * values.ndim) >= values - 1e-9).sum(0)
    return np.asarray(((1 + beyond) / (1 + len(drawn))).numpy())


def middles(joints_px: Float[np.ndarray, "person joint 2"], skeleton: Skeleton) -> Float[np.ndarray, "person part 2"]:
    """The middles of the parts; NaN where an end is unknown."""
    ends = np.array(skeleton.part_ends, dtype=np.int64).reshape(-1, 2)
    return np.asarray(joints_px[:, ends].mean(axis=2))


class Information:
    """Counts what a map's answer at a place says of whether its window holds a part (paper section 3.2's indicator).

    Args:
        layer, field: whose.
        ends: (part, 2) of the skeleton.
        beta: of the indicator (`windows.WindowGrid`).
        joints_px: (person, joint, 2) of all people.
    """

    def __init__(
        self,
        layer: str,
        field: Field,
        ends: Int[Tensor, "part 2"],
        beta: float,
        joints_px: Float[Tensor, "person joint 2"],
    ) -> None:
        self.layer, self.field, self.ends, self.beta = layer, field, ends, beta
        self.joints_px = joints_px
        self.edges: Tensor | None = None
        self.counts: Tensor | None = None  # (map, bin, part, holds it or not), as it is, and after it by chance
        self.null: Tensor | None = None

    @property
    def serves(self) -> bool:
        """Whether the windows are squares on a square grid, as the indicator has them; and there is a part."""
        return len(set(self.field.extent)) == len(set(self.field.stride)) == 1 and len(self.ends) > 0

    def update(self, answers: Answers) -> None:
        """Count a batch."""
        maps = answers.maps[self.layer]
        side = max(maps.shape[-2:])
        skip = -(-side // ACROSS)
        maps = maps[..., ::skip, ::skip]
        rows, columns = maps.shape[-2:]
        stride, count = self.field.stride[0] * skip, max(rows, columns)
        grid = WindowGrid(count, stride, max(self.field.extent[0] - 1, 1), self.beta)
        start = torch.tensor([self.field.start[1], self.field.start[0]])
        sticks = self.joints_px[torch.from_numpy(answers.people)][:, self.ends] - start
        known = sticks.isfinite().flatten(2).all(-1)  # person, part
        holds = grid.contains(sticks).reshape(*known.shape, count, count)[..., :rows, :columns]
        flat = maps.transpose(0, 1).flatten(1)  # map, person x unit
        if self.edges is None:
            self.edges = torch.from_numpy(np.quantile(flat.numpy(), EDGES, axis=1).T.copy())
        bins = torch.searchsorted(self.edges.to(flat.dtype), flat.contiguous())
        hot = torch.nn.functional.one_hot(
            bins.reshape(len(flat), len(maps), -1), len(EDGES) + 1
        ).float()  # map, person, unit, bin
        for name, shift in (("counts", 0), ("null", 1)):
            found = _counted(hot, holds.roll(shift, 0).flatten(2), known.roll(shift, 0))
            before = getattr(self, name)
            setattr(self, name, found if before is None else before + found)

    def bits(self) -> tuple[Float[np.ndarray, "map part"], Float[np.ndarray, "map part"]]:
        """The mutual information, and that with the parts of other people, in bits: what places alone tell."""
        assert self.counts is not None and self.null is not None
        return _information(self.counts).numpy(), _information(self.null).numpy()


def _counted(
    hot: Float[Tensor, "map person unit bin"],
    holds: Bool[Tensor, "person part unit"],
    known: Bool[Tensor, "person part"],
) -> Float[Tensor, "map bin part 2"]:
    weights = known[..., None].float()
    both = torch.stack([(~holds).float() * weights, holds.float() * weights])  # 2, person, part, unit
    return torch.einsum("mpub,hpku->mbkh", hot, both).double()


def _information(counts: Float[Tensor, "map bin part 2"]) -> Float[Tensor, "map part"]:
    """Mutual information of bin and indicator, in bits."""
    joint = counts / counts.sum(dim=(1, 3), keepdim=True).clamp(min=1)
    product = joint.sum(1, keepdim=True) * joint.sum(3, keepdim=True)
    ratio = torch.where(joint > 0, joint / product.clamp(min=1e-300), torch.ones_like(joint))
    return (joint * ratio.log2()).sum(dim=(1, 3))
