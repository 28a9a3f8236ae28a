"""What makes a feature map respond: the place of its largest response for each person, and the average patch there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from tqdm import tqdm

from hmlpe.errors import UserError
from hmlpe.inside.fields import ReceptiveField, check_layer, evaluation_mode, receptive_fields
from hmlpe.network import HeterogeneousNet

MAX_VALUES = 16_000_000
"""Largest number of patch values in memory at a time: 64 MB."""


def patches_at(
    images: UInt8[Tensor, "person 3 height width"], units: Int[Tensor, "person map 2"], field: ReceptiveField
) -> UInt8[Tensor, "person map 3 down across"]:
    """Cut the receptive field (window) of each unit out of the images; pixels outside of an image are zero.

    Args:
        images: the images.
        units: (person, map, 2) row and column of one unit per person and map.
        field: the receptive field of the maps' layer.
    """
    (down, across), first = field.extent, field.corners(units)
    height, width = images.shape[-2:]
    low = (-first.amin(dim=(0, 1))).clamp(min=0).tolist()
    high = (first.amax(dim=(0, 1)) + torch.tensor([down - height, across - width])).clamp(min=0).tolist()
    padded = torch.nn.functional.pad(images, (low[1], high[1], low[0], high[0]))
    windows = padded.unfold(2, down, 1).unfold(3, across, 1)  # a view: (person, 3, row, column, down, across)
    person = torch.arange(len(images))[:, None].expand(units.shape[:2])
    return windows[person, :, first[..., 0] + low[0], first[..., 1] + low[1]]


class PatchAverage(NamedTuple):
    """The average of one layer's backtracked patches, for each map.

    Attributes:
        mean, spread: (map, 3, down, across), 0-255: the mean and the standard deviation over people.
        null: the mean of patches at the places of other people's responses, which shows the effect of the places alone.
        people: number of people.
    """

    mean: Float[np.ndarray, "map 3 down across"]
    spread: Float[np.ndarray, "map 3 down across"]
    null: Float[np.ndarray, "map 3 down across"]
    people: int

    @property
    def contrast(self) -> Float[np.ndarray, " map"]:
        """Return each map's contrast: the standard deviation of its mean picture, relative to that of the null picture.

        It is 1 if the mean shows no more than the null picture.
        """
        mean, null = (one.std(axis=(1, 2, 3)) for one in (self.mean, self.null))
        return np.asarray(mean / np.maximum(null, 1e-9))


class PatchAverager:
    """Accumulates the patches of a layer, batch by batch.

    Args:
        layer: name of the layer.
        field: its receptive field.
    """

    def __init__(self, layer: str, field: ReceptiveField) -> None:
        self.layer, self.field, self.people = layer, field, 0
        self.sum: Tensor | None = None
        self.squares: Tensor | None = None
        self.null: Tensor | None = None

    def update(self, responses: LayerResponses) -> None:
        """Add the patches at the units that respond most to the people of a batch."""
        units = responses.units[self.layer]
        size = 3 * self.field.extent[0] * self.field.extent[1] * len(units)
        parts: dict[str, list[Tensor]] = {"sum": [], "squares": [], "null": []}
        for unit in units.split(max(1, MAX_VALUES // size), dim=1):
            patches = patches_at(responses.images, unit, self.field).float()
            others = patches_at(responses.images, unit.roll(1, 0), self.field).float()
            # In float32, a batch's sums of bytes and of their squares are exact up to 2^24, and close enough beyond.
            for name, values in (("sum", patches), ("squares", patches.square()), ("null", others)):
                parts[name].append(values.sum(0).double())
        for name, sums in parts.items():
            total, before = torch.cat(sums), getattr(self, name)
            setattr(self, name, total if before is None else before + total)
        self.people += len(units)

    def average(self) -> PatchAverage:
        """Return the average of all patches added so far."""
        assert self.sum is not None and self.squares is not None and self.null is not None
        mean, null = self.sum / self.people, self.null / self.people
        spread = (self.squares / self.people - mean.square()).clamp(min=0).sqrt()
        return PatchAverage(mean.float().numpy(), spread.float().numpy(), null.float().numpy(), self.people)


def nearest_patches(
    crops: UInt8[np.ndarray, "person size size 3"],
    rows: Int[np.ndarray, " person"],
    units: Int[Tensor, "person map 2"],
    field: ReceptiveField,
    mean_patches: Float[np.ndarray, "map 3 down across"],
    per_map: int,
    batch_size: int = 64,
) -> UInt8[np.ndarray, "map place 3 down across"]:
    """Return the image patches that are nearest to the average patch of their map, the nearest first.

    Args:
        crops: the crops of many people.
        rows: the people's rows in `crops`, in the order of `units`.
        units: (person, map, 2) row and column of each map's largest response.
        field: the receptive field of the maps' layer.
        mean_patches: the average patch of each map.
        per_map: number of patches per map.
        batch_size: number of people that are processed at a time.
    """
    centre = torch.from_numpy(mean_patches)
    best: Tensor | None = None
    kept: Tensor | None = None
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        images = torch.from_numpy(np.stack([np.asarray(crops[row]) for row in part])).permute(0, 3, 1, 2)
        patches = patches_at(images.contiguous(), units[start : start + batch_size], field)
        distance = (patches.float() - centre).square().mean(dim=(2, 3, 4))
        joined = patches if kept is None else torch.cat([kept, patches])
        distances = distance if best is None else torch.cat([best, distance])
        best, order = distances.topk(min(per_map, len(distances)), dim=0, largest=False)
        kept = joined.gather(0, order[:, :, None, None, None].expand(-1, -1, *joined.shape[2:]))
    assert kept is not None
    return kept.transpose(0, 1).numpy()


class LayerResponses(NamedTuple):
    """The responses of the layers to one batch of people.

    Attributes:
        people: (person,) the people's indices in the rows that were asked for.
        images: (person, 3, size, size) uint8, RGB.
        maps: (person, map, row, column) feature maps of each layer.
        units: (person, map, 2) row and column of each map's largest response, by layer.
        values: (person, map) the largest responses, by layer.
    """

    people: Int[np.ndarray, " person"]
    images: UInt8[Tensor, "person 3 size size"]
    maps: Mapping[str, Float[Tensor, "person map row column"]]
    units: Mapping[str, Int[Tensor, "person map 2"]]
    values: Mapping[str, Float[Tensor, "person map"]]


class InspectedNetwork:
    """A network whose layers are inspected.

    Args:
        network: takes (batch, 3, size, size) uint8, RGB; a heterogeneous network, or any module with convolutions.
        size_px: side of its input in pixels.
        layers: names of layers, or the ends of names ("conv2" for "trunk.conv2"); None means all convolutions.

    Raises:
        UserError: the network has no convolution, a layer does not exist, or a layer's units have no receptive field of
            one size.
    """

    def __init__(self, network: nn.Module, size_px: int, layers: Sequence[str] | None = None) -> None:
        self.network, self.size_px = network, size_px
        self.convolutions = [name for name, one in network.named_modules() if isinstance(one, nn.Conv2d)]
        if not self.convolutions:
            raise UserError(f"checkpoint: its network, a {type(network).__name__}, has no convolution to inspect")
        self.layers = self.convolutions if layers is None else [self._full_layer_name(layer) for layer in layers]
        self.device = next(network.parameters()).device
        image = torch.zeros(1, 3, size_px, size_px, dtype=torch.uint8, device=self.device)
        self.fields: dict[str, ReceptiveField] = receptive_fields(
            _InspectedLayersOnly(network), image, [f"network.{one}" for one in self.layers]
        )
        self.fields = {name.removeprefix("network."): field for name, field in self.fields.items()}

    def _full_layer_name(self, layer: str) -> str:
        """Return the full name of the layer whose name ends in `layer`. Raises UserError if it is not exactly one."""
        names = [name for name, _ in self.network.named_modules() if name == layer or name.endswith(f".{layer}")]
        if len(names) > 1 and layer not in names:
            raise UserError(f"layers: {layer} matches {', '.join(names)}; give the full name")
        check_layer(self.network, layer if layer in names or not names else names[0])
        return layer if layer in names else names[0]

    def first_filters(self) -> Float[Tensor, "map 3 down across"] | None:
        """Return the weights of the first convolution; None if its input is not RGB (three channels)."""
        first = self.network.get_submodule(self.convolutions[0])
        assert isinstance(first, nn.Conv2d)
        return first.weight.detach().float().cpu() if first.weight.shape[1] == 3 else None

    def responses(
        self,
        crops: UInt8[np.ndarray, "person size size 3"],
        rows: Int[np.ndarray, " person"],
        batch_size: int = 64,
        progress_label: str | None = None,
    ) -> Iterator[LayerResponses]:
        """Run the network on people, and yield the responses of its layers, batch by batch, in a fixed random order.

        The order is random because neighbours in a set are often from the same film.

        Args:
            crops: the crops of many people, memory-mapped.
            rows: rows of the people who are shown to the network.
            batch_size: approximate number of people in a batch.
            progress_label: label of a progress bar; None shows no bar.
        """
        order = np.random.default_rng(0).permutation(len(rows))
        # Batches of about equal size, so that none has only one person.
        parts = np.array_split(order, max(1, round(len(rows) / batch_size)))
        with tqdm(total=len(rows), desc=progress_label, unit="people", disable=None if progress_label else True) as bar:
            for part in parts:
                images = torch.from_numpy(np.array(crops[rows[part]])).permute(0, 3, 1, 2).contiguous().to(self.device)
                with (
                    torch.no_grad(),
                    evaluation_mode(self.network),
                    _capture_outputs(self.network, self.layers) as maps,
                ):
                    _run_inspected_layers(self.network, images)
                units, values = {}, {}
                for layer, found in maps.items():
                    flat = found.float().flatten(2)
                    value, index = flat.max(-1)
                    across = found.shape[-1]
                    units[layer] = torch.stack([index // across, index % across], dim=-1).cpu()
                    values[layer] = value.cpu()
                cpu = {layer: found.float().cpu() for layer, found in maps.items()}
                yield LayerResponses(part, images.cpu(), cpu, units, values)
                bar.update(len(part))


class _InspectedLayersOnly(nn.Module):
    """Wraps a network so that its forward pass runs only the layers that can be inspected, without heads."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> None:
        """Run the network on an image; its output is not needed."""
        _run_inspected_layers(self.network, image)


def _run_inspected_layers(network: nn.Module, image: Tensor) -> None:
    """Run the network on an image; of a heterogeneous network only the shared layers, not the heads."""
    if isinstance(network, HeterogeneousNet):
        network(image, tasks=())  # the shared layers alone
    else:
        network(image)


@contextmanager
def _capture_outputs(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Yield a dict that gets the output of each layer when the network runs inside the `with` block."""
    found: dict[str, Tensor] = {}

    def store_output(layer: str, output: Any) -> None:
        if layer not in found:  # if a layer runs twice, its first output, as for its receptive field
            found[layer] = output.clone()  # later layers may work in place

    handles = [
        network.get_submodule(layer).register_forward_hook(
            lambda m, a, output, layer=layer: store_output(layer, output)
        )
        for layer in layers
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
