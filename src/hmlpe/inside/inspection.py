"""What a network's layers have learnt, measured: filters, patches, selectivity, and what is lost without a map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from tqdm import tqdm

from hmlpe.inside.fields import in_evaluation
from hmlpe.inside.responses import Average, Averages, Network, nearest
from hmlpe.inside.selectivity import DRAWS, NEAR, SURE, Information, Selectivity, middles, selectivity
from hmlpe.network import HeterogeneousNet
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import JointRegression, PartDetection, Task

PAD = 64  # of the spectrum, which interpolates between the few frequencies that so small a filter has
GREY = np.array([0.299, 0.587, 0.114])


class Filter(NamedTuple):
    """What one filter looks for.

    Attributes:
        frequency: cycles a pixel of the strongest wave, 0 to 0.71; 0: it has no contrast at all.
        orientation_deg: of that wave's crests, hence of an edge that fits: 0 along a row, 90 along a column, [0, 180).
        oriented: 0 to 1, how much of the spectrum agrees on it; 0 for a blob.
        colour: 0 to 1, the share of its energy that is no light and dark.
    """

    frequency: float
    orientation_deg: float
    oriented: float
    colour: float


def describe(weights: Float[np.ndarray, "map 3 down across"]) -> list[Filter]:
    """Every filter of a first layer on RGB."""
    return [_describe(one.astype(np.float64)) for one in weights]


def _describe(weight: Float[np.ndarray, "3 down across"]) -> Filter:
    grey = np.tensordot(GREY, weight, axes=1)
    centred = grey - grey.mean()
    power = np.abs(np.fft.fft2(centred, s=(PAD, PAD))) ** 2
    down, across = np.meshgrid(np.fft.fftfreq(PAD), np.fft.fftfreq(PAD), indexing="ij")
    total = power.sum()
    shade = weight.sum(axis=0) / 3
    energy = (weight**2).sum()
    colour = float(1 - 3 * (shade**2).sum() / energy) if energy else 0.0
    if total < 1e-20:
        return Filter(0.0, 0.0, 0.0, max(colour, 0.0))
    peak = np.unravel_index(power.argmax(), power.shape)
    wave = np.arctan2(down[peak], across[peak])  # the way that brightness changes
    angles = np.arctan2(down, across)
    oriented = abs((power * np.exp(2j * angles)).sum()) / total
    # Rows count downwards: the crest is at right angles to the wave, and angles are said as seen, counter-clockwise
    orientation = float(np.degrees(-wave) + 90) % 180
    return Filter(float(np.hypot(down[peak], across[peak])), orientation, float(oriented), max(colour, 0.0))


LARGEST = 16_000_000
"""Values of a layer at once, for all copies of a batch: 64 MB."""


class Loss(NamedTuple):
    """What the network loses without a map, which answers its mean over people instead.

    Attributes:
        joints_px: (map, joint) growth of the mean joint error, in crop pixels; empty without a joint regression.
        parts: (map, part) growth of the part's share of E_d; empty without a part detection.
    """

    joints_px: Float[np.ndarray, "map joint"]
    parts: Float[np.ndarray, "map part"]


@torch.inference_mode()
def removed(
    network: HeterogeneousNet,
    tasks: dict[str, Task],
    layer: str,
    mean: Float[Tensor, "map row column"],
    crops: UInt8[np.ndarray, "person size size 3"],
    rows: Int[np.ndarray, " person"],
    joints_px: Float[Tensor, "person joint 2"],
    words: str | None = None,
) -> Loss:
    """Take each map of a layer away in turn. The layers before it run once for all of them.

    Args:
        tasks: those that were trained, by their heads' names.
        mean: what the maps answer on average, at each place.
        joints_px: of the people, NaN where unknown, in pixels of the crops.
        words: beside a progress bar; None: none is shown.
    """
    names, copies = list(tasks), len(mean) + 1
    device = next(network.parameters()).device
    joints_px, mean = joints_px.to(device), mean.to(device)
    batch = min(64, max(1, LARGEST // (copies * mean.numel())))
    sums: dict[str, Tensor] = {}
    with (
        in_evaluation(network),
        _without_each(network.get_submodule(layer), mean),
        tqdm(total=len(rows), desc=words, unit="people", disable=None if words else True) as bar,
    ):
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            images = torch.from_numpy(np.array(crops[part])).permute(0, 3, 1, 2).contiguous().to(device)
            truth = joints_px[start : start + batch]
            outputs = network.head_outputs(network.features(images), names)
            for name, found in _errors(tasks, outputs, truth, copies).items():
                sums[name] = sums[name] + found if name in sums else found
            bar.update(len(part))
    means = {name: (total[:, :, 0] / total[:, :, 1]).numpy() for name, total in sums.items()}  # NaN: known of nobody
    growth = {name: values[1:] - values[:1] for name, values in means.items()}  # the first is the whole network
    empty = np.zeros((len(mean), 0))
    return Loss(growth.get("joints", empty), growth.get("parts", empty))


def _errors(
    tasks: dict[str, Task], outputs: dict[str, Tensor], truth: Float[Tensor, "person joint 2"], copies: int
) -> dict[str, Float[Tensor, "copy item 2"]]:
    """Sum of the errors and number of people who count, by copy of the network and item."""
    found = {}
    for name, task in tasks.items():
        if isinstance(task, JointRegression):
            joints = task.decode(outputs[name])["predicted_crop_px"].unflatten(0, (copies, len(truth)))
            error, key = (joints - truth).norm(dim=-1), "joints"
        elif isinstance(task, PartDetection):
            target = task.target({"joints_px": truth})
            values, known = (one.repeat(copies, 1) for one in target)
            each = task.element_loss(outputs[name], values).where(known, torch.nan)
            error, key = each.unflatten(1, (-1, len(task.windows))).sum(-1).unflatten(0, (copies, len(truth))), "parts"
        else:
            continue
        counts = error.isfinite()
        found[key] = torch.stack([error.where(counts, 0.0).sum(1), counts.sum(1).float()], dim=-1).double().cpu()
    return found


@contextmanager
def _without_each(module: nn.Module, mean: Float[Tensor, "map row column"]) -> Iterator[None]:
    """While it holds, a layer answers to a batch several times: as it is, then without its first map, and so on."""

    def replace(_: nn.Module, args: Any, output: Tensor) -> Tensor:
        every = torch.cat([output] * (len(mean) + 1))  # keeps the layout in memory, on which speed depends
        for number, one in enumerate(mean, start=1):
            every[number * len(output) : (number + 1) * len(output), number - 1] = one
        return every

    handle = module.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


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
