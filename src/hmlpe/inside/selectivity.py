"""Selectivity: does a map respond near one joint, more than near other joints, and more than by chance?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from hmlpe.errors import UserError
from hmlpe.inside.fields import ReceptiveField
from hmlpe.inside.responses import LayerResponses
from hmlpe.skeleton import Skeleton
from hmlpe.windows import WindowGrid

NEAR = 0.1
"""Default distance within which a response counts as near a landmark, as a share of the crop's side."""
SIGNIFICANCE = 0.05
"""The significance level: a result with a smaller p is called beyond chance."""
DRAWS = 200
"""Default number of permutations of people."""
BIN_QUANTILES = (0.5, 0.75, 0.875, 0.9375, 0.96875, 0.984375, 0.9921875)
"""Quantiles of a map's responses that divide them into bins: finer for large responses, as parts are rare."""
MAX_UNITS_ACROSS = 13
"""Largest number of units along a side that enter the mutual information; of a larger map, every n-th is taken."""
CELLS_ACROSS = 4
"""Grid cells along a side of the square that counts as near; the best offset is searched in steps of a cell."""


@dataclass(frozen=True)
class Selectivity:
    """The selectivity of one layer's maps for landmarks: the joints, or the middles of the parts.

    Chance values come from permutations of people, for each of which everything, including the offsets, is computed
    anew. The p-values are corrected for the number of the layer's maps and landmarks (Westfall and Young's maxT).

    Attributes:
        hits: (map, landmark) share of the people whose landmark, shifted by one offset common to all people, is near
            the map's largest response: a detector of heads may well look at the neck below. The offset is the one with
            the most hits; near means inside a square whose side is twice the given distance.
        chance: (map, landmark) the hits with other people's landmarks, averaged over permutations.
        z: (map, landmark) hits - chance, in standard deviations of the permutations.
        p: (map, landmark) p-value that the place of the map's response depends on the landmark: the share of
            permutations in which any z of the layer is as large.
        index: (map,) the selectivity index, 0 to 1: the excess (hits - chance) of the preferred landmark over that of
            the second best; 0 without any excess.
        index_p: (map,) p-value of the map's index: the share of permutations of the people in which any map of the
            layer has as large an index. It says that the map follows landmarks beyond chance, not that it tells one
            landmark from the others: a map that follows two of them alike has an index beyond chance, too.
        offset_px: (map, landmark, 2) the offset, response - landmark, (x, y) in crop pixels.
        people: (landmark,) number of people whose landmark is known; if there are none, all else is NaN.
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
    def hits_above_chance(self) -> Float[np.ndarray, "map landmark"]:
        """Return the excess: the share of hits minus the share of hits by chance."""
        return np.asarray(self.hits - self.chance)

    @property
    def best(self) -> Int[np.ndarray, " map"]:
        """Return the index of each map's preferred landmark, which has the largest excess."""
        return np.asarray(np.nanargmax(self.hits_above_chance, axis=1))


def measure_selectivity(
    places_px: Float[np.ndarray, "person map 2"],
    landmarks_px: Float[np.ndarray, "person landmark 2"],
    near_px: float | int,
    draws: int = DRAWS,
    seed: int = 0,
    progress_label: str | None = None,
) -> Selectivity:
    """Measure how selective maps are for landmarks.

    Args:
        places_px: place of each map's largest response to each person, (x, y) in crop pixels.
        landmarks_px: places of the landmarks, (x, y) in crop pixels, NaN where unknown.
        near_px: largest distance, along each axis, that counts as near.
        draws: number of permutations of people, which give the hits by chance: a map that always responds at the same
            place has some.
        seed: seed of the permutations.
        progress_label: label of a progress bar; None shows no bar.

    Raises:
        UserError: no landmark of any person is known.
    """
    known = torch.from_numpy(np.isfinite(landmarks_px).all(-1))
    there = known.any(0)
    if not there.any():
        raise UserError("data: none of the inspected people has a known joint")
    if not there.all():
        return _with_nan_columns(
            there.numpy(),
            measure_selectivity(places_px, landmarks_px[:, there.numpy()], near_px, draws, seed, progress_label),
        )
    counted = _OffsetCounts(torch.from_numpy(places_px), torch.from_numpy(landmarks_px), known, near_px)
    seen, offset = counted.densest_square()
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for _ in tqdm(range(draws), desc=progress_label, unit="draws", disable=None if progress_label else True):
        drawn.append(counted.densest_square(torch.randperm(len(known), generator=generator))[0])
    null = torch.stack(drawn).double()
    chance, spread = null.mean(0), null.std(0)
    spread = torch.where(spread > 1e-9, spread, torch.inf)  # values that cannot vary get z = 0
    z, largest = (seen - chance) / spread, ((null - chance) / spread).amax(dim=(1, 2))
    index, indices = _selectivity_index(seen - chance), _selectivity_index(null - chance).amax(1)
    return Selectivity(
        hits=seen.double().numpy(),
        chance=chance.numpy(),
        z=z.numpy(),
        p=_p_values(largest, z),
        index=index.numpy(),
        index_p=_p_values(indices, index),
        offset_px=offset.double().numpy(),
        people=known.sum(0).numpy(),
    )


def _with_nan_columns(is_known: Bool[np.ndarray, " landmark"], selectivity: Selectivity) -> Selectivity:
    """Return the selectivity with NaN inserted for the landmarks that are known for nobody.

    Args:
        is_known: (landmark,) whether the landmark is known for anybody.
        selectivity: the selectivity for the known landmarks.
    """

    def filled(values: Float[np.ndarray, "map some *more"]) -> Float[np.ndarray, "map landmark *more"]:
        every = np.full((len(values), len(is_known), *values.shape[2:]), np.nan)
        every[:, is_known] = values
        return every

    people = np.zeros(len(is_known), dtype=selectivity.people.dtype)
    people[is_known] = selectivity.people
    per_pair = {name: filled(getattr(selectivity, name)) for name in ("hits", "chance", "z", "p", "offset_px")}
    return replace(selectivity, people=people, **per_pair)


class _OffsetCounts:
    """Counts people by their offset (response - landmark), in the cells of a grid, for each pair of map and landmark.

    The grid is the same for all permutations of people.
    """

    def __init__(
        self,
        places: Float[Tensor, "person map 2"],
        landmarks: Float[Tensor, "person landmark 2"],
        known: Bool[Tensor, "person landmark"],
        near_px: float | int,
    ) -> None:
        self.cell, self.known = 2 * near_px / CELLS_ACROSS, known
        self.places = (places / self.cell).float().permute(2, 1, 0).contiguous()  # (x, y), map, person
        self.landmarks = (landmarks / self.cell).float().permute(2, 1, 0)[:, None].contiguous()
        lowest, highest = (self.landmarks.where(known.T, sign * torch.inf).flatten(1) for sign in (1, -1))
        first = (self.places.flatten(1).amin(1) - highest.amax(1)).floor()
        last = (self.places.flatten(1).amax(1) - lowest.amin(1)).floor()
        self.low = first - CELLS_ACROSS + 1  # so that a square reaches over the first cell, and likewise the last
        self.across, self.down = (int(size) for size in last - first + 2 * CELLS_ACROSS - 1)
        # People with an unknown landmark are counted in one extra cell at the end (index `self.size`).
        pairs = torch.arange(self.places.shape[1] * known.shape[1]).reshape(-1, known.shape[1], 1)
        self.size = pairs.numel() * self.down * self.across
        self.base = pairs * self.down * self.across

    def densest_square(
        self, order: Int[Tensor, " person"] | None = None
    ) -> tuple[Float[Tensor, "map landmark"], Float[Tensor, "map landmark 2"]]:
        """Find the square that holds the most offsets; return its share of the people, and its middle in pixels.

        Args:
            order: a permutation of people, whose responses are combined with the landmarks; None for no permutation.
        """
        places = self.places if order is None else self.places[:, :, order]
        x, y = ((one[:, None] - mark).floor_() for one, mark in zip(places, self.landmarks, strict=True))
        x, y = x.sub_(self.low[0]), y.sub_(self.low[1])
        flat = y.mul_(self.across).add_(x).nan_to_num_(0.0).long().add_(self.base)
        flat.masked_fill_(~self.known.T, self.size)
        counts = torch.bincount(flat.flatten(), minlength=self.size + 1)[: self.size].int()
        counts = counts.reshape(*self.base.shape[:2], self.down, self.across)
        rows, columns = self.down - CELLS_ACROSS + 1, self.across - CELLS_ACROSS + 1
        counts = sum((counts[:, :, k : k + rows] for k in range(1, CELLS_ACROSS)), counts[:, :, :rows])
        counts = sum((counts[..., k : k + columns] for k in range(1, CELLS_ACROSS)), counts[..., :columns])
        most, where = counts.flatten(2).max(2)
        middle = torch.stack([where % columns, where // columns], dim=-1) + self.low + CELLS_ACROSS / 2
        return most / self.known.sum(0).clamp(min=1), middle * self.cell


def _selectivity_index(excess: Float[Tensor, "*draw map landmark"]) -> Float[Tensor, "*draw map"]:
    """Return the largest excess of each map over its landmarks minus the second largest; negative ones count as 0."""
    padded = torch.nn.functional.pad(excess, (1, 0)).clamp(min=0)  # the padding is a landmark without excess
    best = padded.topk(2, dim=-1).values
    return best[..., 0] - best[..., 1]


def _p_values(null_draws: Float[Tensor, " draw"], values: Float[Tensor, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return p-values: the share of null draws, with the observed value added to them, that are at least as large.

    Args:
        null_draws: (draw,) the statistic under permutations of people.
        values: the observed values.
    """
    beyond = (null_draws.reshape(-1, *[1] * values.ndim) >= values - 1e-9).sum(0)
    return np.asarray(((1 + beyond) / (1 + len(null_draws))).numpy())


def part_middles(
    joints_px: Float[np.ndarray, "person joint 2"], skeleton: Skeleton
) -> Float[np.ndarray, "person part 2"]:
    """Return the point halfway between the two ends of each part, in pixels; NaN where an end is unknown."""
    ends = np.array(skeleton.part_ends, dtype=np.int64).reshape(-1, 2)
    return np.asarray(joints_px[:, ends].mean(axis=2))


class PartInformation:
    """Accumulates the mutual information between a unit's response and whether its window contains a part.

    The window is the unit's receptive field; the indicator is that of the paper's section 3.2.

    Args:
        layer: name of the layer.
        field: the receptive field of the layer.
        ends: (part, 2) the joints at the ends of each part of the skeleton.
        beta: parameter of the indicator (`windows.WindowGrid`).
        joints_px: (person, joint, 2) joints of all people, in crop pixels.
    """

    def __init__(
        self,
        layer: str,
        field: ReceptiveField,
        ends: Int[Tensor, "part 2"],
        beta: float,
        joints_px: Float[Tensor, "person joint 2"],
    ) -> None:
        self.layer, self.field, self.ends, self.beta = layer, field, ends, beta
        self.joints_px = joints_px
        self.edges: Tensor | None = None
        # (map, bin, part, whether the window contains the part); `null` is counted with the parts of other people.
        self.counts: Tensor | None = None
        self.null: Tensor | None = None

    @property
    def applies(self) -> bool:
        """Return whether the indicator is defined: square windows on a square grid, and a skeleton with parts."""
        return len(set(self.field.extent)) == len(set(self.field.stride)) == 1 and len(self.ends) > 0

    def update(self, responses: LayerResponses) -> None:
        """Add a batch's responses to the counts."""
        maps = responses.maps[self.layer]
        side = max(maps.shape[-2:])
        skip = -(-side // MAX_UNITS_ACROSS)
        maps = maps[..., ::skip, ::skip]
        rows, columns = maps.shape[-2:]
        stride, count = self.field.stride[0] * skip, max(rows, columns)
        grid = WindowGrid(count, stride, max(self.field.extent[0] - 1, 1), self.beta)
        start = torch.tensor([self.field.start[1], self.field.start[0]])
        sticks = self.joints_px[torch.from_numpy(responses.people)][:, self.ends] - start
        known = sticks.isfinite().flatten(2).all(-1)  # person, part
        holds = grid.contains(sticks).reshape(*known.shape, count, count)[..., :rows, :columns]
        flat = maps.transpose(0, 1).flatten(1)  # map, person x unit
        if self.edges is None:
            self.edges = torch.from_numpy(np.quantile(flat.numpy(), BIN_QUANTILES, axis=1).T.copy())
        bins = torch.searchsorted(self.edges.to(flat.dtype), flat.contiguous())
        hot = torch.nn.functional.one_hot(
            bins.reshape(len(flat), len(maps), -1), len(BIN_QUANTILES) + 1
        ).float()  # map, person, unit, bin
        for name, shift in (("counts", 0), ("null", 1)):
            found = _count_units(hot, holds.roll(shift, 0).flatten(2), known.roll(shift, 0))
            before = getattr(self, name)
            setattr(self, name, found if before is None else before + found)

    def bits(self) -> tuple[Float[np.ndarray, "map part"], Float[np.ndarray, "map part"]]:
        """Return two mutual informations per map and part, in bits: with people's own parts, and with other people's.

        The second is the information that the places of units alone give.
        """
        assert self.counts is not None and self.null is not None
        return _mutual_information_bits(self.counts).numpy(), _mutual_information_bits(self.null).numpy()


def _count_units(
    hot: Float[Tensor, "map person unit bin"],
    holds: Bool[Tensor, "person part unit"],
    known: Bool[Tensor, "person part"],
) -> Float[Tensor, "map bin part 2"]:
    """Count the units by response bin and by whether their window contains the part; unknown parts do not count."""
    weights = known[..., None].float()
    both = torch.stack([(~holds).float() * weights, holds.float() * weights])  # 2, person, part, unit
    return torch.einsum("mpub,hpku->mbkh", hot, both).double()


def _mutual_information_bits(counts: Float[Tensor, "map bin part 2"]) -> Float[Tensor, "map part"]:
    """Return the mutual information of response bin and indicator for each map and part, in bits."""
    joint = counts / counts.sum(dim=(1, 3), keepdim=True).clamp(min=1)
    product = joint.sum(1, keepdim=True) * joint.sum(3, keepdim=True)
    ratio = torch.where(joint > 0, joint / product.clamp(min=1e-300), torch.ones_like(joint))
    return (joint * ratio.log2()).sum(dim=(1, 3))
