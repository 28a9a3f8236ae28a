"""What maps answer to people: one pass of the network, and where each map answers most."""

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
from hmlpe.inside.fields import Field, check_layer, fields_of, in_evaluation
from hmlpe.network import HeterogeneousNet


class Answers(NamedTuple):
    """Of one batch of people, by layer.

    Attributes:
        people: (person,) their places in what was given.
        images: (person, 3, size, size) uint8, RGB.
        maps: (person, map, row, column) of every layer.
        units: (person, map, 2) row and column of each map's largest answer.
        values: (person, map) that answer.
    """

    people: Int[np.ndarray, " person"]
    images: UInt8[Tensor, "person 3 size size"]
    maps: Mapping[str, Float[Tensor, "person map row column"]]
    units: Mapping[str, Int[Tensor, "person map 2"]]
    values: Mapping[str, Float[Tensor, "person map"]]


class Network:
    """A network that is looked into.

    Args:
        network: takes (batch, 3, size, size) uint8, RGB; a heterogeneous net, or any module with convolutions.
        size_px: side of its input.
        layers: names of its layers, or their ends ("conv2" for "trunk.conv2"); None: all of its convolutions.

    Raises:
        UserError: it has no convolution; a layer is not there, or its units see no window of one size.
    """

    def __init__(self, network: nn.Module, size_px: int, layers: Sequence[str] | None = None) -> None:
        self.network, self.size_px = network, size_px
        self.convolutions = [name for name, one in network.named_modules() if isinstance(one, nn.Conv2d)]
        if not self.convolutions:
            raise UserError(f"checkpoint: its network, a {type(network).__name__}, has no convolution to look into")
        self.layers = self.convolutions if layers is None else [self._named(layer) for layer in layers]
        self.device = next(network.parameters()).device
        image = torch.zeros(1, 3, size_px, size_px, dtype=torch.uint8, device=self.device)
        self.fields: dict[str, Field] = fields_of(_Called(network), image, [f"network.{one}" for one in self.layers])
        self.fields = {name.removeprefix("network."): field for name, field in self.fields.items()}

    def _named(self, layer: str) -> str:
        names = [name for name, _ in self.network.named_modules() if name == layer or name.endswith(f".{layer}")]
        if len(names) > 1 and layer not in names:
            raise UserError(f"layers: {layer} may be any of {', '.join(names)}; give the whole name")
        check_layer(self.network, layer if layer in names or not names else names[0])
        return layer if layer in names else names[0]

    def first_filters(self) -> Float[Tensor, "map 3 down across"] | None:
        """The weights of the first convolution; None if it does not look at an RGB image."""
        first = self.network.get_submodule(self.convolutions[0])
        assert isinstance(first, nn.Conv2d)
        return first.weight.detach().float().cpu() if first.weight.shape[1] == 3 else None

    def answers(
        self,
        crops: UInt8[np.ndarray, "person size size 3"],
        rows: Int[np.ndarray, " person"],
        batch: int = 64,
        words: str | None = None,
    ) -> Iterator[Answers]:
        """The answers to people in batches, in a fixed random order, as neighbours in a set are often one film's.

        Args:
            crops: of many, as they lie on disk.
            rows: who is looked at.
            words: beside a progress bar; None: none is shown.
        """
        order = np.random.default_rng(0).permutation(len(rows))
        parts = np.array_split(order, max(1, round(len(rows) / batch)))  # as even as can be: no batch of one
        with tqdm(total=len(rows), desc=words, unit="people", disable=None if words else True) as bar:
            for part in parts:
                images = torch.from_numpy(np.array(crops[rows[part]])).permute(0, 3, 1, 2).contiguous().to(self.device)
                with torch.no_grad(), in_evaluation(self.network), _captured(self.network, self.layers) as maps:
                    _call(self.network, images)
                units, values = {}, {}
                for layer, found in maps.items():
                    flat = found.float().flatten(2)
                    value, index = flat.max(-1)
                    across = found.shape[-1]
                    units[layer] = torch.stack([index // across, index % across], dim=-1).cpu()
                    values[layer] = value.cpu()
                cpu = {layer: found.float().cpu() for layer, found in maps.items()}
                yield Answers(part, images.cpu(), cpu, units, values)
                bar.update(len(part))


class _Called(nn.Module):
    """A network that is called as `_call` does."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> None:
        """Run it."""
        _call(self.network, image)


def _call(network: nn.Module, image: Tensor) -> None:
    if isinstance(network, HeterogeneousNet):
        network(image, tasks=())  # the shared layers alone
    else:
        network(image)


@contextmanager
def _captured(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """The outputs of the layers, while the network runs."""
    found: dict[str, Tensor] = {}

    def keep(layer: str, output: Any) -> None:
        if layer not in found:  # of its first run, as its window is
            found[layer] = output.clone()  # what follows may work in place

    handles = [
        network.get_submodule(layer).register_forward_hook(lambda m, a, output, layer=layer: keep(layer, output))
        for layer in layers
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
