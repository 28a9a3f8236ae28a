"""One network looked into: filters, average patches, selectivity, information, and what it loses without each map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from hmlpe.inside.filters import Filter, describe
from hmlpe.inside.patches import Average, Averages, nearest
from hmlpe.inside.removal import Loss, removed
from hmlpe.inside.responses import Network
from hmlpe.inside.selectivity import DRAWS, NEAR, SURE, Information, Selectivity, middles, selectivity
from hmlpe.network import HeterogeneousNet
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import JointRegression, PartDetection, Task


@dataclass(frozen=True)
class People:
    """Whom a network is shown.

    Attributes:
        crops: (person, size, size, 3) of many, as they lie on disk.
        rows: which of them.
        joints_px: (row, joint, 2) in pixels of the crops, NaN where unknown.
    """

    crops: UInt8[np.ndarray, "person size size 3"]
    rows: Int[np.ndarray, " row"]
    joints_px: Float[Tensor, "row joint 2"]


class Layer(NamedTuple):
    """What was found of one layer's maps.

    Attributes:
        average: of its backtracked patches.
        joints, parts: its selectivity for joints and for the middles of parts.
        bits, bits_null: (map, part) information on whether a unit's window holds the part, and with other people's
            parts; None where windows are no squares, or there are no parts.
        loss: without each map; None if the network is not one of ours.
        mosaic: (map, patch, 3, down, across) the real patches nearest to the average; None if not asked for.
        places_px: (test person, map, 2) centre of the window of the largest answer, (x, y) in crop pixels.
        usual: (map, 2) mean and standard deviation over the test people of the largest answer.
    """

    average: Average
    joints: Selectivity
    parts: Selectivity | None
    bits: Float[np.ndarray, "map part"] | None
    bits_null: Float[np.ndarray, "map part"] | None
    loss: Loss | None
    mosaic: UInt8[np.ndarray, "map patch 3 down across"] | None
    places_px: Float[np.ndarray, "person map 2"]
    usual: Float[np.ndarray, "map 2"]


@dataclass(frozen=True)
class Inspection:
    """Of one network.

    Attributes:
        network: that was looked into.
        skeleton: of the people.
        filters: of its first layer; empty if that does not look at RGB.
        layers: by name.
        train, test: how many people the averages, and the rest, stand on.
    """

    network: Network
    skeleton: Skeleton
    filters: list[Filter]
    layers: dict[str, Layer] = field(default_factory=dict)
    train: int = 0
    test: int = 0

    @property
    def words(self) -> str:
        """What was found, a line a layer."""
        lines = [f"{self.train} training people, {self.test} test people"]
        for name, layer in self.layers.items():
            found = layer.joints
            sure = (found.index_p < SURE).sum()
            best = int(found.index.argmax())
            lines.append(
                f"{name}: {sure} of {len(found.index)} maps follow a joint beyond chance, one most of all; map {best} "
                f"the most ({self.skeleton.joints[found.best[best]]}, index {found.index[best]:.2f}, "
                f"p {found.index_p[best]:.3f})"
            )
        return "\n".join(lines)


def inspect_network(
    network: nn.Module,
    train: People,
    test: People,
    skeleton: Skeleton,
    layers: Sequence[str] | None = None,
    tasks: Mapping[str, Task] | None = None,
    beta: float | int = 0.3,
    near: float = NEAR,
    draws: int = DRAWS,
    mosaic: int = 0,
    progress: bool = True,
) -> Inspection:
    """Look into a network.

    Args:
        network: takes (batch, 3, size, size) uint8, RGB; see `responses.Network`.
        train: of whom the average patches are.
        test: of whom selectivity and all else is.
        layers: names; None: all convolutions of the shared layers.
        tasks: of one of our networks, those that were trained, by the heads' names: what maps are taken away from.
        beta: share of a part that its window holds (`windows.WindowGrid`).
        near: the distance to a joint that is near, in shares of the crop's side.
        draws: permutations of people.
        mosaic: how many nearest real patches of each map are kept; 0: none.

    Raises:
        UserError: see `responses.Network`.
    """
    size = train.crops.shape[1]
    opened = Network(network, size, layers)
    averages = {layer: Averages(layer, opened.fields[layer]) for layer in opened.layers}
    train_units: dict[str, list[tuple[Int[np.ndarray, " row"], Tensor]]] = {layer: [] for layer in opened.layers}
    for answers in opened.answers(train.crops, train.rows, words="training people" if progress else None):
        for layer, average in averages.items():
            average.update(answers)
            train_units[layer].append((answers.people, answers.units[layer]))
    ends = torch.tensor(skeleton.part_ends, dtype=torch.long).reshape(-1, 2)
    counted = {layer: Information(layer, opened.fields[layer], ends, beta, test.joints_px) for layer in opened.layers}
    test_units: dict[str, list[tuple[Int[np.ndarray, " row"], Tensor]]] = {layer: [] for layer in opened.layers}
    means: dict[str, Tensor] = {}
    values: dict[str, list[Tensor]] = {layer: [] for layer in opened.layers}
    for answers in opened.answers(test.crops, test.rows, words="test people" if progress else None):
        for layer, information in counted.items():
            if information.serves:
                information.update(answers)
            test_units[layer].append((answers.people, answers.units[layer]))
            values[layer].append(answers.values[layer])
            total = answers.maps[layer].sum(0).double() / len(test.rows)
            means[layer] = means[layer] + total if layer in means else total
    filters = opened.first_filters()
    found = Inspection(
        opened,
        skeleton,
        [] if filters is None else describe(filters.numpy()),
        train=len(train.rows),
        test=len(test.rows),
    )
    joints = test.joints_px.numpy().astype(np.float64)
    for layer in opened.layers:
        where = opened.fields[layer]
        mean, units = averages[layer].average(), _in_order(test_units[layer])
        places = where.centres(units).numpy().astype(np.float64)
        words = f"permutations, {layer}" if progress else None
        sticks = middles(joints, skeleton)
        of_parts = None
        if np.isfinite(sticks).all(-1).any():
            of_parts = selectivity(places, sticks, near * size, draws, words=words)
        bits = counted[layer].bits() if counted[layer].serves else None
        loss = None
        measured: dict[str, Task] = {
            name: task for name, task in (tasks or {}).items() if isinstance(task, JointRegression | PartDetection)
        }
        if measured and isinstance(network, HeterogeneousNet):
            words = f"without maps of {layer}" if progress else None
            loss = removed(
                network, measured, layer, means[layer].float(), test.crops, test.rows, test.joints_px, words=words
            )
        found.layers[layer] = Layer(
            average=mean,
            joints=selectivity(places, joints, near * size, draws, words=words),
            parts=of_parts,
            bits=bits and bits[0],
            bits_null=bits and bits[1],
            loss=loss,
            mosaic=nearest(train.crops, train.rows, _in_order(train_units[layer]), where, mean.mean, mosaic)
            if mosaic
            else None,
            places_px=places,
            usual=torch.stack(torch.std_mean(torch.cat(values[layer]).double(), dim=0)[::-1], dim=1).numpy(),
        )
    return found


def _in_order(parts: list[tuple[Int[np.ndarray, " row"], Tensor]]) -> Int[Tensor, "row map 2"]:
    """Of all people, in the order of their rows."""
    people = np.concatenate([people for people, _ in parts])
    return torch.cat([units for _, units in parts])[torch.from_numpy(np.argsort(people))]
