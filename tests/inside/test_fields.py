"""Receptive fields: the paper's numbers, and what gradients say of any stack of layers."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hmlpe.errors import UserError
from hmlpe.inside.fields import ReceptiveField, receptive_fields
from hmlpe.network import Head, HeterogeneousNet, Trunk

GOLDEN = {"conv1": (9, 1), "pool1": (11, 2), "conv2": (19, 2), "pool2": (23, 4), "conv3": (39, 4), "pool3": (47, 8)}


def faithful(norm: str) -> HeterogeneousNet:
    stages = [{"maps": maps, "kernel": kernel, "relu": True} for maps, kernel in ((32, 9), (16, 5), (16, 5))]
    head = partial(Head, hidden=[4, 4], keep=0.5, scaling="original")
    return HeterogeneousNet(Trunk(stages, [3, 2], norm), head, {"regression": 2}, 112, 1.0)


@pytest.mark.parametrize("norm", ["none", "batch", "lrn"])
def test_the_paper_s_values(norm: str) -> None:
    image = torch.zeros(1, 3, 112, 112, dtype=torch.uint8)
    found = receptive_fields(faithful(norm), image, [f"trunk.{layer}" for layer in GOLDEN])
    assert {name.removeprefix("trunk."): (one.extent, one.stride, one.start) for name, one in found.items()} == {
        layer: ((extent, extent), (stride, stride), (0, 0)) for layer, (extent, stride) in GOLDEN.items()
    }


STACKS: list[list[tuple[str, dict[str, Any]]]] = [
    [("conv", {"kernel_size": 3, "padding": 1}), ("pool", {"kernel_size": 2}), ("conv", {"kernel_size": 5})],
    [("conv", {"kernel_size": (5, 3), "stride": (2, 1), "padding": (2, 0)}), ("pool", {"kernel_size": 3, "stride": 2})],
    [("conv", {"kernel_size": 3, "dilation": 2, "padding": 2}), ("conv", {"kernel_size": 2})],
    [("pool", {"kernel_size": 3, "stride": 2, "ceil_mode": True, "padding": 1}), ("conv", {"kernel_size": 3})],
    [("conv", {"kernel_size": 4, "stride": 3})] * 2 + [("pool", {"kernel_size": 2, "stride": 1})],
]  # fmt: skip


def stack(layers: list[tuple[str, dict[str, Any]]], average: bool) -> nn.Sequential:
    found: list[nn.Module] = []
    for kind, given in layers:
        if kind == "conv":
            layer = nn.Conv2d(2, 2, **given, bias=False)
            found.append(layer)
            if average:
                nn.init.uniform_(layer.weight, 0.5, 1.0)
            else:
                found.append(nn.ReLU())
        else:
            found.append(nn.AvgPool2d(**given) if average else nn.MaxPool2d(**given))
    return nn.Sequential(*found).double()


@pytest.mark.parametrize("layers", STACKS)
def test_gradients_agree(layers: list[tuple[str, dict[str, Any]]]) -> None:
    torch.manual_seed(0)
    size = 37
    for average in (False, True):
        network = stack(layers, average)
        last = str(len(network) - 1)
        field = receptive_fields(network, torch.zeros(1, 2, size, size).double(), [last])[last]
        image = torch.rand(1, 2, size, size).double().requires_grad_()
        answers = network(image)
        rows, columns = answers.shape[2:]
        for unit in ((0, 0), (rows // 2, columns // 3), (rows - 1, columns - 1)):
            (gradient,) = torch.autograd.grad(answers[0, :, *unit].sum(), image, retain_graph=True)
            seen = gradient[0].abs().sum(0) > 0
            spans = []
            for axis in range(2):
                low = field.start[axis] + field.stride[axis] * unit[axis]
                spans.append((max(low, 0), min(low + field.extent[axis], size)))
            outside = seen.clone()
            outside[spans[0][0] : spans[0][1], spans[1][0] : spans[1][1]] = False
            assert not outside.any(), "beyond the window nothing is seen"
            if average:
                ends = [(low, high - 1) for low, high in spans]
                assert all(seen[down, across] for down in ends[0] for across in ends[1]), "and no window is too large"


class Branches(nn.Module):
    def __init__(self, functional: bool) -> None:
        super().__init__()
        self.functional = functional
        self.stem, self.side = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.last, self.wide = nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = x * torch.sigmoid(x)  # two ways, one window
        side = self.side(x)
        if self.functional:
            return self.wide(self.last(nn.functional.max_pool2d(side, 2, ceil_mode=True)))
        return self.last(x + side)


def test_paddings_and_joins_of_equal_windows() -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other, self.last = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3), nn.Conv2d(4, 1, 3, padding="same")

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.pad(x, (2, 0, 1, 0))
            return self.last(torch.cat([self.one(x), nn.functional.hardswish(self.other(x))], dim=1))

    found = receptive_fields(Joined(), torch.zeros(1, 3, 20, 20), ["one", "last"])
    assert found["one"] == ReceptiveField((3, 3), (1, 1), (-1, -2)) and found["last"] == ReceptiveField(
        (5, 5), (1, 1), (-2, -3)
    )
    whole = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2, track_running_stats=False), nn.Conv2d(2, 2, 3))
    with pytest.raises(UserError, match="1 normalises over the batch and the whole map"):
        receptive_fields(whole, torch.zeros(1, 3, 20, 20), ["2"])


def test_networks_of_others() -> None:
    image = torch.zeros(1, 3, 31, 31)
    found = receptive_fields(Branches(functional=True), image, ["stem", "side", "last"])
    assert found["last"] == ReceptiveField((10, 10), (2, 2), (-2, -2)), "a pooling that is no module counts"
    network = Branches(functional=True)
    network.train()
    receptive_fields(network, image, ["stem"])
    assert network.training and network.stem.training, "left as it was"


@pytest.mark.parametrize(
    ("network", "layer", "words"),
    [
        (Branches(functional=False), "last", "last: its units have no fixed window size, as Branches joins branches"),
        (Branches(functional=True), "wide", "as wide calls _adaptive_avg_pool2d"),
        (Branches(functional=False), "wide", "wide is not run"),
        (Branches(functional=True), "first", "no 'first'; there are stem, side, last, wide"),
        (faithful("none"), "heads.regression.fc1", "it outputs no map"),
    ],
)
def test_what_has_no_window_is_refused_by_name(network: nn.Module, layer: str, words: str) -> None:
    image = torch.zeros(1, 3, 112, 112, dtype=torch.uint8 if isinstance(network, HeterogeneousNet) else torch.float32)
    with pytest.raises(UserError, match=words):
        receptive_fields(network, image, [layer])
