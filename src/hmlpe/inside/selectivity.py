"""Selectivity in numbers: does a map answer where one joint is, more than where others are and than by chance?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hmlpe.inside.fields import Field
from hmlpe.inside.responses import Answers
from hmlpe.skeleton import Skeleton
from hmlpe.windows import WindowGrid

NEAR = 0.1
"""How near is near: of the crop's side."""
DRAWS = 1000
"""Permutations of people."""
EDGES = (0.5, 0.75, 0.875, 0.9375, 0.96875, 0.984375, 0.9921875)
"""Quantiles of a map's answers between which they count as the same: finer where they are large, as parts are rare."""
ACROSS = 13
"""Units along a side that tell of information: of a larger map, every so manieth."""


@dataclass(frozen=True)
class Selectivity:
    """Of one layer's maps for landmarks: the joints, or the parts' middles.

    Attributes:
        hits: (map, landmark) share of the people whose landmark lies, but for one offset that all people share, near
            the map's largest answer: a detector of heads may well look at the neck below.
        chance: (map, landmark) the same with other people's landmarks, the mean over permutations of people.
        z: (map, landmark) hits - chance, in standard deviations of the permutations.
        p: (map,) of its largest z: the share of permutations in which any map of the layer has as large a one for any
            landmark (corrected for the number of maps and landmarks: Westfall and Young's maxT).
        offset_px: (map, landmark, 2) that offset, the median of answer - landmark, (x, y) in crop pixels.
        spread_px: (map, landmark) median distance from it, in crop pixels.
        people: (landmark,) of whom it is known.
    """

    hits: Float[np.ndarray, "map landmark"]
    chance: Float[np.ndarray, "map landmark"]
    z: Float[np.ndarray, "map landmark"]
    p: Float[np.ndarray, " map"]
    offset_px: Float[np.ndarray, "map landmark 2"]
    spread_px: Float[np.ndarray, "map landmark"]
    people: Int[np.ndarray, " landmark"]

    @property
    def excess(self) -> Float[np.ndarray, "map landmark"]:
        """Hits beyond chance."""
        return np.asarray(self.hits - self.chance)

    @property
    def best(self) -> Int[np.ndarray, " map"]:
        """The landmark that each map prefers: the largest excess."""
        return np.asarray(self.excess.argmax(axis=1))

    @property
    def index(self) -> Float[np.ndarray, " map"]:
        """The excess of the preferred landmark over that of the best alternative, or over none: 0 to 1."""
        ranked = np.sort(np.pad(self.excess, ((0, 0), (1, 0))), axis=1)  # a landmark of no excess is always there
        return np.asarray(ranked[:, -1] - ranked[:, -2])


def selectivity(
    place_px: Float[np.ndarray, "person map 2"],
    landmarks_px: Float[np.ndarray, "person landmark 2"],
    near_px: float | int,
    draws: int = DRAWS,
    seed: int = 0,
) -> Selectivity:
    """How selective maps are.

    Args:
        place_px: where each map answers most, (x, y) in crop pixels.
        landmarks_px: NaN where unknown.
        near_px: the largest distance that is near.
        draws: permutations of people, for what chance gives: a map that always answers in one place hits by chance.
    """
    known: Bool[np.ndarray, "person landmark"] = np.isfinite(landmarks_px).all(-1)
    places, landmarks = place_px.astype(np.float32), landmarks_px.astype(np.float32)
    apart = places[:, :, None] - landmarks[:, None]
    offset = _median(apart)
    distance = np.linalg.norm(apart - offset, axis=-1)
    counts = np.maximum(known.sum(axis=0), 1)
    seen = (distance <= near_px).sum(axis=0) / counts  # NaN is not near
    # Of other people's landmarks the offset is that of the two medians: nothing ties one to the other
    centred = landmarks[:, None] + (
        np.median(places, axis=0)[:, None] - _median(landmarks)
    )  # person, map, landmark, xy
    rng = np.random.default_rng(seed)
    drawn = np.empty((draws, *seen.shape), np.float32)
    for draw in range(draws):
        across, down = np.moveaxis(places[rng.permutation(len(places))][:, :, None] - centred, -1, 0)
        drawn[draw] = (across * across + down * down <= near_px * near_px).sum(axis=0) / counts
    chance, spread = drawn.mean(axis=0), drawn.std(axis=0)
    spread = np.where(spread > 1e-9, spread, np.inf)  # what cannot vary tells nothing
    z = (seen - chance) / spread
    largest = ((drawn - chance) / spread).max(axis=(1, 2))
    p = (1 + (largest[None, :] >= z.max(axis=1)[:, None]).sum(axis=1)) / (1 + draws)
    return Selectivity(
        hits=seen.astype(np.float64),
        chance=chance.astype(np.float64),
        z=z.astype(np.float64),
        p=p.astype(np.float64),
        offset_px=offset.astype(np.float64),
        spread_px=_median(distance).astype(np.float64),
        people=known.sum(axis=0),
    )


def _median(values: Float[np.ndarray, "person *rest"]) -> np.ndarray:
    """Over people, NaN for a landmark that is never known, without a warning."""
    never = ~np.isfinite(values).any(axis=0)
    return np.where(never, np.nan, np.nanmedian(np.where(never, 0.0, values), axis=0))


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
