"""Measurements of what a network's layers have learnt: filters, average patches, selectivity, cost of removing maps."""

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

from hmlpe.inside.fields import evaluation_mode
from hmlpe.inside.responses import MAX_VALUES, InspectedNetwork, PatchAverage, PatchAverager, nearest_patches
from hmlpe.inside.selectivity import (
    DRAWS,
    NEAR,
    SIGNIFICANCE,
    PartInformation,
    Selectivity,
    measure_selectivity,
    part_middles,
)
from hmlpe.network import HeterogeneousNet
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import JointRegression, PartDetection, Task

SPECTRUM_SIZE = 64  # side of the zero-padded spectrum, which interpolates between the few frequencies of a small filter
GREY = np.array([0.299, 0.587, 0.114])  # weights of R, G and B in the luminance


@dataclass(frozen=True)
class ShownPeople:
    """The people who are shown to a network.

    Attributes:
        crops: (person, size, size, 3) crops of many people, memory-mapped.
        rows: (row,) the index in `crops` of each person who is shown.
        joints_px: (row, joint, 2) their joints in pixels of the crops, NaN where unknown.
    """

    crops: UInt8[np.ndarray, "person size size 3"]
    rows: Int[np.ndarray, " row"]
    joints_px: Float[Tensor, "row joint 2"]


class LayerResults(NamedTuple):
    """The results for one layer's maps.

    Attributes:
        average: the average of its backtracked patches.
        joints, parts: its selectivity for joints and for the middles of parts; None for parts if no middle is known.
        bits, bits_null: (map, part) mutual information on whether a unit's window contains the part, and the same with
            the parts of other people; None if windows are not squares, or there are no parts.
        removal: the cost of removing each map; None if it was not measured.
        mosaic: (map, patch, 3, down, across) the real patches nearest to the average; None if not asked for.
        places_px: (test person, map, 2) centre of the window of the largest response, (x, y) in crop pixels.
        response_stats: (map, 2) mean and standard deviation of the largest response over the test people.
    """

    average: PatchAverage
    joints: Selectivity
    parts: Selectivity | None
    bits: Float[np.ndarray, "map part"] | None
    bits_null: Float[np.ndarray, "map part"] | None
    removal: RemovalCost | None
    mosaic: UInt8[np.ndarray, "map patch 3 down across"] | None
    places_px: Float[np.ndarray, "person map 2"]
    response_stats: Float[np.ndarray, "map 2"]


@dataclass(frozen=True)
class Inspection:
    """The results of inspecting one network.

    Attributes:
        network: the inspected network.
        skeleton: the skeleton of the people.
        filters: descriptions of the first layer's filters; empty if its input is not RGB.
        layers: the results for each layer, by name.
        train: number of training people, on whom the averages are based.
        test: number of test people, on whom everything else is based.
    """

    network: InspectedNetwork
    skeleton: Skeleton
    filters: list[FilterPattern]
    layers: dict[str, LayerResults] = field(default_factory=dict)
    train: int = 0
    test: int = 0

    @property
    def words(self) -> str:
        """Return a summary as text, with one line per layer."""
        lines = [f"{self.train} training people, {self.test} test people"]
        for name, layer in self.layers.items():
            found = layer.joints
            sure = (found.index_p < SIGNIFICANCE).sum()
            best = int(found.index.argmax())
            lines.append(
                f"{name}: {sure} of {len(found.index)} maps follow one joint most, beyond chance; the clearest: map "
                f"{best} ({self.skeleton.joints[found.best[best]]}, index {found.index[best]:.2f}, "
                f"p {found.index_p[best]:.3f})"
            )
        return "\n".join(lines)


def inspect_network(
    network: nn.Module,
    train: ShownPeople,
    test: ShownPeople,
    skeleton: Skeleton,
    layers: Sequence[str] | None = None,
    tasks: Mapping[str, Task] | None = None,
    beta: float | int = 0.3,
    near: float = NEAR,
    draws: int = DRAWS,
    mosaic: int = 0,
    progress: bool = True,
) -> Inspection:
    """Measure what the layers of a network have learnt.

    Args:
        network: takes (batch, 3, size, size) uint8, RGB; see `responses.InspectedNetwork`.
        train: the people whose patches are averaged.
        test: the people from whom everything else is measured.
        skeleton: the skeleton of the people.
        layers: names of layers; None means all convolutions.
        tasks: the trained tasks of a heterogeneous network, by the names of their heads; the cost of removing maps is
            measured on them. None: it is not measured.
        beta: share of a part that a window must contain (`windows.WindowGrid`).
        near: distance within which a response counts as near a landmark, as a share of the crop's side.
        draws: number of permutations of people.
        mosaic: number of nearest real patches that are kept of each map; 0 for none.
        progress: whether progress bars are shown.

    Raises:
        UserError: see `responses.InspectedNetwork`.
    """
    size = train.crops.shape[1]
    opened = InspectedNetwork(network, size, layers)
    averages = {layer: PatchAverager(layer, opened.fields[layer]) for layer in opened.layers}
    train_units: dict[str, list[tuple[Int[np.ndarray, " row"], Tensor]]] = {layer: [] for layer in opened.layers}
    for responses in opened.responses(train.crops, train.rows, progress_label="training people" if progress else None):
        for layer, average in averages.items():
            average.update(responses)
            train_units[layer].append((responses.people, responses.units[layer]))
    ends = torch.tensor(skeleton.part_ends, dtype=torch.long).reshape(-1, 2)
    counted = {
        layer: PartInformation(layer, opened.fields[layer], ends, beta, test.joints_px) for layer in opened.layers
    }
    test_units: dict[str, list[tuple[Int[np.ndarray, " row"], Tensor]]] = {layer: [] for layer in opened.layers}
    means: dict[str, Tensor] = {}
    values: dict[str, list[Tensor]] = {layer: [] for layer in opened.layers}
    for responses in opened.responses(test.crops, test.rows, progress_label="test people" if progress else None):
        for layer, information in counted.items():
            if information.applies:
                information.update(responses)
            test_units[layer].append((responses.people, responses.units[layer]))
            values[layer].append(responses.values[layer])
            total = responses.maps[layer].sum(0).double() / len(test.rows)
            means[layer] = means[layer] + total if layer in means else total
    filters = opened.first_filters()
    found = Inspection(
        opened,
        skeleton,
        [] if filters is None else describe_filters(filters.numpy()),
        train=len(train.rows),
        test=len(test.rows),
    )
    joints = test.joints_px.numpy().astype(np.float64)
    for layer in opened.layers:
        where = opened.fields[layer]
        mean, units = averages[layer].average(), _units_in_row_order(test_units[layer])
        places = where.centres(units).numpy().astype(np.float64)
        words = f"permutations, {layer}" if progress else None
        sticks = part_middles(joints, skeleton)
        of_parts = None
        if np.isfinite(sticks).all(-1).any():
            of_parts = measure_selectivity(places, sticks, near * size, draws, progress_label=words)
        bits = counted[layer].bits() if counted[layer].applies else None
        removal = None
        measured: dict[str, Task] = {
            name: task for name, task in (tasks or {}).items() if isinstance(task, JointRegression | PartDetection)
        }
        if measured and isinstance(network, HeterogeneousNet):
            words = f"without maps of {layer}" if progress else None
            removal = measure_removal_cost(
                network,
                measured,
                layer,
                means[layer].float(),
                test.crops,
                test.rows,
                test.joints_px,
                progress_label=words,
            )
        found.layers[layer] = LayerResults(
            average=mean,
            joints=measure_selectivity(places, joints, near * size, draws, progress_label=words),
            parts=of_parts,
            bits=bits and bits[0],
            bits_null=bits and bits[1],
            removal=removal,
            mosaic=nearest_patches(
                train.crops, train.rows, _units_in_row_order(train_units[layer]), where, mean.mean, mosaic
            )
            if mosaic
            else None,
            places_px=places,
            response_stats=torch.stack(torch.std_mean(torch.cat(values[layer]).double(), dim=0)[::-1], dim=1).numpy(),
        )
    return found


def _units_in_row_order(batches: list[tuple[Int[np.ndarray, " row"], Tensor]]) -> Int[Tensor, "row map 2"]:
    """Join the batches, and sort the units by the people's rows.

    Args:
        batches: for each batch, the indices of its people among the rows, and (person, map, 2) the row and column of
            the unit with the largest response.
    """
    people = np.concatenate([people for people, _ in batches])
    return torch.cat([units for _, units in batches])[torch.from_numpy(np.argsort(people))]


class FilterPattern(NamedTuple):
    """The image pattern (wave and colour) to which one filter of the first layer responds most.

    Attributes:
        frequency: frequency of the filter's strongest wave in cycles per pixel, 0 to 0.71; 0 if it has no contrast.
        orientation_deg: orientation of that wave's crests, and so of a matching edge: 0 along a row, 90 along a column,
            in [0, 180).
        oriented: 0 to 1, how much of the spectrum agrees on the orientation; 0 for a blob.
        colour: 0 to 1, the share of the filter's energy that is colour contrast, not brightness.
    """

    frequency: float
    orientation_deg: float
    oriented: float
    colour: float


def describe_filters(weights: Float[np.ndarray, "map 3 down across"]) -> list[FilterPattern]:
    """Return, for each filter of a first layer whose input is RGB, the wave and colour to which it responds most."""
    return [_describe_filter(one.astype(np.float64)) for one in weights]


def _describe_filter(weight: Float[np.ndarray, "3 down across"]) -> FilterPattern:
    grey = np.tensordot(GREY, weight, axes=1)
    centred = grey - grey.mean()
    power = np.abs(np.fft.fft2(centred, s=(SPECTRUM_SIZE, SPECTRUM_SIZE))) ** 2
    down, across = np.meshgrid(np.fft.fftfreq(SPECTRUM_SIZE), np.fft.fftfreq(SPECTRUM_SIZE), indexing="ij")
    total = power.sum()
    shade = weight.sum(axis=0) / 3
    energy = (weight**2).sum()
    colour = float(1 - 3 * (shade**2).sum() / energy) if energy else 0.0
    if total < 1e-20:
        return FilterPattern(0.0, 0.0, 0.0, max(colour, 0.0))
    peak = np.unravel_index(power.argmax(), power.shape)
    wave = np.arctan2(down[peak], across[peak])  # the direction in which the brightness changes
    angles = np.arctan2(down, across)
    oriented = abs((power * np.exp(2j * angles)).sum()) / total
    # Crests are perpendicular to the wave's direction. Rows count downwards, while angles are given as seen,
    # counter-clockwise, hence the minus sign.
    orientation = float(np.degrees(-wave) + 90) % 180
    return FilterPattern(float(np.hypot(down[peak], across[peak])), orientation, float(oriented), max(colour, 0.0))


class RemovalCost(NamedTuple):
    """How much the errors increase when a map is removed, i.e. replaced by its mean over people.

    Attributes:
        joints_px: (map, joint) growth of the mean joint error, in crop pixels; empty without a joint regression.
        parts: (map, part) growth of the part's contribution to E_d; empty without a part detection.
    """

    joints_px: Float[np.ndarray, "map joint"]
    parts: Float[np.ndarray, "map part"]


@torch.inference_mode()
def measure_removal_cost(
    network: HeterogeneousNet,
    tasks: dict[str, Task],
    layer: str,
    mean_maps: Float[Tensor, "map row column"],
    crops: UInt8[np.ndarray, "person size size 3"],
    rows: Int[np.ndarray, " person"],
    joints_px: Float[Tensor, "person joint 2"],
    progress_label: str | None = None,
) -> RemovalCost:
    """Remove each map of a layer in turn, and measure how much the tasks' errors increase.

    The layers before it run only once for all maps.

    Args:
        network: the network.
        tasks: the trained tasks, by the names of their heads.
        layer: name of the layer.
        mean_maps: the maps' mean response over people, at each place.
        crops: the crops of many people.
        rows: rows of the people who are shown to the network.
        joints_px: the joints of these people, in crop pixels, NaN where unknown.
        progress_label: label of a progress bar; None shows no bar.
    """
    names, copies = list(tasks), len(mean_maps) + 1
    device = next(network.parameters()).device
    joints_px, mean_maps = joints_px.to(device), mean_maps.to(device)
    batch = min(64, max(1, MAX_VALUES // (copies * mean_maps.numel())))
    sums: dict[str, Tensor] = {}
    with (
        evaluation_mode(network),
        _remove_each_map(network.get_submodule(layer), mean_maps),
        tqdm(total=len(rows), desc=progress_label, unit="people", disable=None if progress_label else True) as bar,
    ):
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            images = torch.from_numpy(np.array(crops[part])).permute(0, 3, 1, 2).contiguous().to(device)
            truth = joints_px[start : start + batch]
            outputs = network.head_outputs(network.features(images), names)
            for name, found in _error_sums(tasks, outputs, truth, copies).items():
                sums[name] = sums[name] + found if name in sums else found
            bar.update(len(part))
    means = {name: (total[:, :, 0] / total[:, :, 1]).numpy() for name, total in sums.items()}  # NaN: known for nobody
    growth = {name: values[1:] - values[:1] for name, values in means.items()}  # the first is the complete network
    empty = np.zeros((len(mean_maps), 0))
    return RemovalCost(growth.get("joints", empty), growth.get("parts", empty))


def _error_sums(
    tasks: dict[str, Task], outputs: dict[str, Tensor], truth: Float[Tensor, "person joint 2"], copies: int
) -> dict[str, Float[Tensor, "copy item 2"]]:
    """Sum the errors of each copy of the network over a batch.

    Args:
        tasks: the tasks, by the names of their heads.
        outputs: the heads' outputs for `copies` repetitions of the batch, one after another.
        truth: the true joints of the batch, in crop pixels.
        copies: the number of copies of the network: the complete one, and one without each map.

    Returns:
        By kind of item ("joints" or "parts"): the sum of the errors, and the number of people whose truth is known.
    """
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
def _remove_each_map(module: nn.Module, mean_maps: Float[Tensor, "map row column"]) -> Iterator[None]:
    """Make a layer repeat its output for a batch: unchanged, then without its first map, without its second, etc.

    This holds inside the `with` block. A removed map is replaced by its mean over people.
    """

    def repeat_without_each_map(_: nn.Module, args: Any, output: Tensor) -> Tensor:
        every = torch.cat([output] * (len(mean_maps) + 1))  # keeps the memory layout, on which speed depends
        for number, one in enumerate(mean_maps, start=1):
            every[number * len(output) : (number + 1) * len(output), number - 1] = one
        return every

    handle = module.register_forward_hook(repeat_without_each_map)
    try:
        yield
    finally:
        handle.remove()
